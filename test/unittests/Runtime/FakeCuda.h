// A CUDA driver and a cuBLASLt for tests: a shared library that the runtime
// loads in their place. Device memory is host memory, kernels are functions
// that a test registers, and work on a stream runs when somebody waits for it,
// so that a buffer that is reused too early shows. This is what test and
// library share.
#ifndef TNRT_TEST_FAKECUDA_H
#define TNRT_TEST_FAKECUDA_H

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tnrt::fake {

struct CudaKernel {
  // `parameters` as cuLaunchKernelEx takes them: the address of each.
  void (*run)(void **parameters, int64_t tasks) = nullptr;
  std::vector<size_t> parameterBytes;
  int maxThreads = 1024;
  int staticSharedBytes = 0;
};

struct Cuda {
  // What the machine is like.
  int devices = 1;
  int capability = 90;
  std::string name = "Fake H100";
  int64_t totalBytes = int64_t(1) << 30;
  int sharedBytesOfBlock = 232448;
  std::map<std::string, CudaKernel> kernels;
  std::string loadLog; // what loading an image writes to its error log
  // Of the management library: what the energy counter, in millijoules, gains
  // each time it is read; 0: it has none.
  int64_t millijoulesPerReading = 0;
  int64_t millijoules = 0;
  // The call of this number fails, counted from 1; calls that release something
  // and those that describe errors never fail and do not count.
  int64_t failAt = 0;
  int failCode = 700;

  // What was seen.
  int64_t calls = 0;
  std::string failedCall;
  std::map<std::string, int64_t> count; // of each call
  // What is held: contexts, "memory", "pinned", streams, ... by kind.
  std::map<std::string, int64_t> held;
  int64_t usedBytes = 0;
  std::map<std::string, int64_t> sharedLimit; // raised, by kernel
  std::vector<std::string> misuse;
  int64_t overlapping = 0; // launches that may start before the last has ended
  std::vector<int64_t> copiedToHost; // bytes of each copy, as it was queued
  // What cuTensorMapEncodeTiled was asked for, all numbers in a row.
  std::vector<int64_t> tensorMap;

  int64_t heldInAll() const {
    int64_t sum = 0;
    for (const auto &entry : held)
      sum += entry.second;
    return sum;
  }
};

} // namespace tnrt::fake

// The library's one state; a test clears it by assigning a new one.
extern "C" tnrt::fake::Cuda *tnrt_fake_cuda();

#endif // TNRT_TEST_FAKECUDA_H
