// The code that a program runs on a GPU, as it is stored in the executable.
#ifndef TNLLM_TARGET_DEVICEIMAGE_H
#define TNLLM_TARGET_DEVICEIMAGE_H

#include <cstdint>
#include <string>
#include <vector>

namespace tnllm {

// One entry of tnrt_module's device_kernels.
struct DeviceKernel {
  std::string name;
  int64_t threads = 0;     // of a block
  int64_t sharedBytes = 0; // that a launch must ask for
  std::vector<uint8_t> paramKinds; // TNRT_PARAM_... of each parameter
  bool overlaps = false; // may be launched while the kernel before runs
  // What a launch costs: bytes of it, of each row and of each sequence; operations
  // of a row.
  int64_t bytes = 0, bytesOfRow = 0, bytesOfSequence = 0, flopsOfRow = 0;
};

struct DeviceImage {
  std::string code; // a cubin, or PTX text
  // By the number that generated code launches them by.
  std::vector<DeviceKernel> kernels;

  // A cubin is an ELF file.
  bool isCubin() const { return code.compare(0, 4, "\x7f" "ELF") == 0; }
};

} // namespace tnllm

#endif // TNLLM_TARGET_DEVICEIMAGE_H
