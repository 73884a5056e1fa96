// The fake driver. Every entry has the signature of the runtime's own table, so
// that a call that does not fit it does not compile.
#include "FakeCuda.h"

#include "cuda/DriverTypes.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>

using namespace tnrt::cuda;
using tnrt::fake::Cuda;
using tnrt::fake::CudaKernel;

namespace {

using Work = std::function<void()>;

Cuda state;
std::recursive_mutex mutex;
std::map<DevicePointer, size_t> deviceBlocks;
std::map<const char *, size_t> pinnedBlocks;
thread_local bool hasContext = false;

constexpr CUresult kInvalidContext = 201;

void misuse(const std::string &what) { state.misuse.push_back(what); }

bool isWithin(DevicePointer pointer, size_t bytes) {
  auto after = deviceBlocks.upper_bound(pointer);
  if (after == deviceBlocks.begin())
    return false;
  --after;
  return pointer + bytes <= after->first + after->second;
}

bool isPinned(const void *pointer) {
  auto after = pinnedBlocks.upper_bound(static_cast<const char *>(pointer));
  if (after == pinnedBlocks.begin())
    return false;
  --after;
  return pointer < after->first + after->second;
}

// Counts a call that may be told to fail.
CUresult enter(const char *name, bool needsContext = true) {
  ++state.count[name];
  if (++state.calls == state.failAt) {
    state.failedCall = name;
    return state.failCode;
  }
  return needsContext && !hasContext ? kInvalidContext : kSuccess;
}

void release(const char *kind) {
  if (--state.held[kind] < 0)
    misuse(std::string(kind) + " released too often");
}

} // namespace

struct tnrt::cuda::CUstream_st {
  std::vector<Work> queue;
  std::vector<Work> captured;
  bool isCapturing = false;

  void add(Work work) {
    (isCapturing ? captured : queue).push_back(std::move(work));
  }
  void drain() {
    std::vector<Work> now;
    now.swap(queue);
    for (Work &work : now)
      work();
  }
};
struct tnrt::cuda::CUgraph_st {
  std::vector<Work> nodes;
};
struct tnrt::cuda::CUgraphExec_st {
  std::vector<Work> nodes;
};
struct tnrt::cuda::CUevent_st {
  CUstream stream = nullptr;
  int64_t at = 0;
};
struct tnrt::cuda::CUfunc_st {
  std::string name;
  const CudaKernel *kernel;
};
struct tnrt::cuda::CUmod_st {
  std::map<std::string, CUfunc_st> functions;
};
struct tnrt::cuda::CUctx_st {};

namespace {
CUctx_st theContext;
std::vector<CUstream> streams;
int64_t clockTicks = 0;

void drainAll() {
  for (CUstream stream : streams)
    stream->drain();
}
} // namespace

#define ENTER(name, ...)                                                       \
  std::lock_guard<std::recursive_mutex> lock(mutex);                           \
  if (CUresult code = enter(name, ##__VA_ARGS__))                              \
    return code;

extern "C" {

Cuda *tnrt_fake_cuda() { return &state; }

CUresult cuGetErrorName(CUresult error, const char **text) {
  *text = error == 2     ? "CUDA_ERROR_OUT_OF_MEMORY"
          : error == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS"
          : error == 500 ? "CUDA_ERROR_NOT_FOUND"
          : error == 209 ? "CUDA_ERROR_NO_BINARY_FOR_GPU"
                         : "CUDA_ERROR_UNKNOWN";
  return kSuccess;
}

CUresult cuGetErrorString(CUresult error, const char **text) {
  *text = error == 2     ? "out of memory"
          : error == 700 ? "an illegal memory access was encountered"
          : error == 500 ? "named symbol not found"
                         : "unknown error";
  return kSuccess;
}

CUresult cuInit(unsigned) {
  ENTER("cuInit", false);
  return state.devices == 0 ? kErrorNoDevice : kSuccess;
}

CUresult cuDeviceGetCount(int *count) {
  ENTER("cuDeviceGetCount", false);
  *count = state.devices;
  return kSuccess;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  ENTER("cuDeviceGet", false);
  *device = ordinal;
  return kSuccess;
}

CUresult cuDeviceGetName(char *name, int bytes, CUdevice) {
  ENTER("cuDeviceGetName", false);
  std::strncpy(name, state.name.c_str(), static_cast<size_t>(bytes));
  return kSuccess;
}

CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice) {
  ENTER("cuDeviceGetAttribute", false);
  *value = attribute == kAttributeComputeMajor       ? state.capability / 10
           : attribute == kAttributeComputeMinor     ? state.capability % 10
           : attribute == kAttributeSharedBytesOptIn ? state.sharedBytesOfBlock
                                                     : -1;
  return kSuccess;
}

CUresult cuDeviceGetPCIBusId(char *busId, int bytes, CUdevice device) {
  ENTER("cuDeviceGetPCIBusId", false);
  std::snprintf(busId, static_cast<size_t>(bytes), "0000:%02x:00.0",
                static_cast<unsigned>(device));
  return kSuccess;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice) {
  ENTER("cuDeviceTotalMem", false);
  *bytes = static_cast<size_t>(state.totalBytes);
  return kSuccess;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice) {
  ENTER("cuDevicePrimaryCtxRetain", false);
  ++state.held["contexts"];
  *context = &theContext;
  return kSuccess;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  release("contexts");
  return kSuccess;
}

CUresult cuCtxSetCurrent(CUcontext context) {
  if (!context) {
    hasContext = false;
    return kSuccess;
  }
  ENTER("cuCtxSetCurrent", false);
  hasContext = true;
  return kSuccess;
}

CUresult cuMemGetInfo_v2(size_t *freeBytes, size_t *totalBytes) {
  ENTER("cuMemGetInfo");
  *freeBytes = static_cast<size_t>(state.totalBytes - state.usedBytes);
  *totalBytes = static_cast<size_t>(state.totalBytes);
  return kSuccess;
}

CUresult cuMemAlloc_v2(DevicePointer *pointer, size_t bytes) {
  ENTER("cuMemAlloc");
  if (static_cast<int64_t>(bytes) > state.totalBytes - state.usedBytes)
    return kErrorOutOfMemory;
  void *block = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  // Nobody may count on zeros; of large blocks, such as workspaces, a part will
  // do.
  std::memset(block, 0xCD, std::min<size_t>(bytes, 1 << 20));
  *pointer = reinterpret_cast<DevicePointer>(block);
  deviceBlocks[*pointer] = bytes;
  state.usedBytes += static_cast<int64_t>(bytes);
  ++state.held["memory"];
  return kSuccess;
}

CUresult cuMemFree_v2(DevicePointer pointer) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  drainAll(); // the real one waits too
  auto block = deviceBlocks.find(pointer);
  if (block == deviceBlocks.end()) {
    misuse("cuMemFree of what was not allocated");
    return 1;
  }
  state.usedBytes -= static_cast<int64_t>(block->second);
  deviceBlocks.erase(block);
  std::free(reinterpret_cast<void *>(pointer));
  release("memory");
  return kSuccess;
}

CUresult cuMemHostAlloc(void **pointer, size_t bytes, unsigned) {
  ENTER("cuMemHostAlloc");
  *pointer = std::malloc(bytes);
  std::memset(*pointer, 0xCD, bytes);
  pinnedBlocks[static_cast<char *>(*pointer)] = bytes;
  ++state.held["pinned"];
  return kSuccess;
}

CUresult cuMemFreeHost(void *pointer) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  drainAll();
  if (pinnedBlocks.erase(static_cast<char *>(pointer)) == 0)
    misuse("cuMemFreeHost of what was not allocated");
  std::free(pointer);
  release("pinned");
  return kSuccess;
}

// Page-locked memory is read when the copy runs, other memory at once.
CUresult cuMemcpyHtoDAsync_v2(DevicePointer to, const void *from, size_t bytes,
                              CUstream stream) {
  ENTER("cuMemcpyHtoDAsync");
  if (!isWithin(to, bytes))
    misuse("cuMemcpyHtoDAsync out of bounds");
  void *target = reinterpret_cast<void *>(to);
  if (isPinned(from)) {
    stream->add([=] { std::memcpy(target, from, bytes); });
    return kSuccess;
  }
  if (stream->isCapturing)
    misuse("captured a copy from memory that is not page-locked");
  auto data = std::make_shared<std::vector<char>>(
      static_cast<const char *>(from), static_cast<const char *>(from) + bytes);
  stream->add([=] { std::memcpy(target, data->data(), bytes); });
  return kSuccess;
}

CUresult cuMemcpyDtoHAsync_v2(void *to, DevicePointer from, size_t bytes,
                              CUstream stream) {
  ENTER("cuMemcpyDtoHAsync");
  if (!isWithin(from, bytes))
    misuse("cuMemcpyDtoHAsync out of bounds");
  state.copiedToHost.push_back(static_cast<int64_t>(bytes));
  if (stream->isCapturing && !isPinned(to))
    misuse("captured a copy to memory that is not page-locked");
  stream->add([=] { std::memcpy(to, reinterpret_cast<void *>(from), bytes); });
  return kSuccess;
}

CUresult cuMemcpyDtoDAsync_v2(DevicePointer to, DevicePointer from,
                              size_t bytes, CUstream stream) {
  ENTER("cuMemcpyDtoDAsync");
  if (!isWithin(to, bytes) || !isWithin(from, bytes))
    misuse("cuMemcpyDtoDAsync out of bounds");
  stream->add([=] {
    std::memmove(reinterpret_cast<void *>(to),
                 reinterpret_cast<const void *>(from), bytes);
  });
  return kSuccess;
}

CUresult cuMemsetD8Async(DevicePointer to, unsigned char value, size_t bytes,
                         CUstream stream) {
  ENTER("cuMemsetD8Async");
  if (!isWithin(to, bytes))
    misuse("cuMemsetD8Async out of bounds");
  stream->add([=] { std::memset(reinterpret_cast<void *>(to), value, bytes); });
  return kSuccess;
}

CUresult cuStreamCreate(CUstream *stream, unsigned) {
  ENTER("cuStreamCreate");
  *stream = new CUstream_st();
  streams.push_back(*stream);
  ++state.held["streams"];
  return kSuccess;
}

CUresult cuStreamDestroy_v2(CUstream stream) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  stream->drain();
  for (size_t i = 0; i < streams.size(); ++i)
    if (streams[i] == stream)
      streams.erase(streams.begin() + static_cast<long>(i--));
  delete stream;
  release("streams");
  return kSuccess;
}

CUresult cuStreamSynchronize(CUstream stream) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  if (CUresult code = enter("cuStreamSynchronize")) {
    stream->queue.clear(); // after a failed kernel nothing else runs
    return code;
  }
  if (stream->isCapturing)
    misuse("cuStreamSynchronize while capturing");
  stream->drain();
  return kSuccess;
}

CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
  ENTER("cuStreamBeginCapture");
  if (mode != kCaptureRelaxed || stream->isCapturing)
    misuse("cuStreamBeginCapture");
  stream->isCapturing = true;
  stream->captured.clear();
  return kSuccess;
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  // Ends it in any case, as the real one does.
  stream->isCapturing = false;
  if (CUresult code = enter("cuStreamEndCapture"))
    return code;
  *graph = new CUgraph_st{std::move(stream->captured)};
  stream->captured.clear();
  ++state.held["graphs"];
  return kSuccess;
}

CUresult cuEventCreate(CUevent *event, unsigned) {
  ENTER("cuEventCreate");
  *event = new CUevent_st();
  ++state.held["events"];
  return kSuccess;
}

CUresult cuEventDestroy_v2(CUevent event) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  delete event;
  release("events");
  return kSuccess;
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
  ENTER("cuEventRecord");
  event->stream = stream;
  event->at = ++clockTicks;
  return kSuccess;
}

CUresult cuEventSynchronize(CUevent event) {
  ENTER("cuEventSynchronize");
  if (event->stream)
    event->stream->drain();
  return kSuccess;
}

CUresult cuEventElapsedTime(float *milliseconds, CUevent from, CUevent to) {
  ENTER("cuEventElapsedTime");
  *milliseconds = static_cast<float>(to->at - from->at);
  return kSuccess;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph,
                                     unsigned long long) {
  ENTER("cuGraphInstantiateWithFlags");
  *exec = new CUgraphExec_st{graph->nodes};
  ++state.held["executable graphs"];
  return kSuccess;
}

CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  ENTER("cuGraphLaunch");
  for (const Work &node : exec->nodes)
    stream->add(node);
  return kSuccess;
}

CUresult cuGraphExecDestroy(CUgraphExec exec) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  delete exec;
  release("executable graphs");
  return kSuccess;
}

CUresult cuGraphDestroy(CUgraph graph) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  delete graph;
  release("graphs");
  return kSuccess;
}

CUresult cuModuleLoadDataEx(CUmodule *module, const void *, unsigned count,
                            int *options, void **values) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  size_t room = 0;
  char *log = nullptr;
  for (unsigned i = 0; i < count; ++i) {
    if (options[i] == kJitErrorLogBuffer)
      log = static_cast<char *>(values[i]);
    if (options[i] == kJitErrorLogBufferBytes)
      room = reinterpret_cast<size_t>(values[i]);
  }
  if (log && room > 0)
    std::strncpy(log, state.loadLog.c_str(), room);
  if (CUresult code = enter("cuModuleLoadDataEx"))
    return code;
  if (!state.loadLog.empty())
    return 209;
  *module = new CUmod_st();
  for (const auto &[name, kernel] : state.kernels)
    (*module)->functions[name] = {name, &kernel};
  ++state.held["modules"];
  return kSuccess;
}

CUresult cuModuleUnload(CUmodule module) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  delete module;
  release("modules");
  return kSuccess;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module,
                             const char *name) {
  ENTER("cuModuleGetFunction");
  auto found = module->functions.find(name);
  if (found == module->functions.end())
    return 500;
  *function = &found->second;
  return kSuccess;
}

CUresult cuFuncGetAttribute(int *value, int attribute, CUfunction function) {
  ENTER("cuFuncGetAttribute");
  *value = attribute == kFunctionMaxThreads
               ? function->kernel->maxThreads
               : function->kernel->staticSharedBytes;
  return kSuccess;
}

CUresult cuFuncSetAttribute(CUfunction function, int attribute, int value) {
  ENTER("cuFuncSetAttribute");
  if (attribute == kFunctionMaxDynamicSharedBytes)
    state.sharedLimit[function->name] = value;
  return kSuccess;
}

CUresult cuLaunchKernelEx(const LaunchConfig *config, CUfunction function,
                          void **parameters, void **) {
  ENTER("cuLaunchKernelEx");
  if (config->gridX == 0 || config->gridY != 1 || config->gridZ != 1 ||
      config->blockX == 0 || config->blockY != 1 || config->blockZ != 1)
    misuse("cuLaunchKernelEx of an empty or many-dimensional grid");
  if (config->numAttributes > 1 ||
      (config->numAttributes == 1 &&
       (config->attributes->id != kLaunchProgrammaticSerialization ||
        config->attributes->value != 1)))
    misuse("cuLaunchKernelEx with an attribute that nobody expects");
  state.overlapping += config->numAttributes;
  const unsigned gridX = config->gridX, sharedBytes = config->sharedBytes;
  CUstream stream = config->stream;
  const int64_t limit = state.sharedLimit.count(function->name)
                            ? state.sharedLimit[function->name]
                            : 48 << 10;
  if (static_cast<int64_t>(sharedBytes) > limit)
    misuse("cuLaunchKernelEx with more shared memory than its limit");
  // Parameters are read now, the kernel runs later.
  auto values = std::make_shared<std::vector<std::vector<char>>>();
  for (size_t i = 0; i < function->kernel->parameterBytes.size(); ++i) {
    const char *from = static_cast<const char *>(parameters[i]);
    values->emplace_back(from, from + function->kernel->parameterBytes[i]);
  }
  const auto run = function->kernel->run;
  stream->add([values, run, gridX] {
    std::vector<void *> addresses;
    for (std::vector<char> &value : *values)
      addresses.push_back(value.data());
    run(addresses.data(), gridX);
  });
  return kSuccess;
}

CUresult cuTensorMapEncodeTiled(void *map, int type, uint32_t rank, void *data,
                                const uint64_t *sizes, const uint64_t *strides,
                                const uint32_t *box,
                                const uint32_t *elementStrides, int interleave,
                                int swizzle, int promotion, int fill) {
  ENTER("cuTensorMapEncodeTiled");
  if (reinterpret_cast<uintptr_t>(map) % 64 != 0)
    misuse("a tensor map that is not aligned to 64 bytes");
  std::vector<int64_t> &seen = state.tensorMap;
  seen = {type, rank};
  for (uint32_t i = 0; i < rank; ++i)
    seen.push_back(static_cast<int64_t>(sizes[i]));
  for (uint32_t i = 0; i + 1 < rank; ++i)
    seen.push_back(static_cast<int64_t>(strides[i]));
  for (uint32_t i = 0; i < rank; ++i)
    seen.push_back(box[i]);
  for (uint32_t i = 0; i < rank; ++i)
    seen.push_back(elementStrides[i]);
  for (int value : {interleave, swizzle, promotion, fill})
    seen.push_back(value);
  std::memset(map, 0, 128);
  std::memcpy(map, &data, sizeof data);
  return kSuccess;
}

} // extern "C"

// Checks each entry against the runtime's table.
#define TNRT_CUDA(symbol, parameters) extern "C" CUresult symbol parameters;
namespace tnrt::cuda {
#include "cuda/Driver.def"
}

//===----------------------------------------------------------------------===//
// cuBLASLt
//===----------------------------------------------------------------------===//

#include "cuda/BlasLt.h"

struct tnrt::cuda::cublasLtContext {};
struct tnrt::cuda::cublasLtMatmulDescOpaque {
  bool transposesA = false, transposesB = false;
  bool isF32 = false;
};
struct tnrt::cuda::cublasLtMatrixLayoutOpaque {
  int type;
  uint64_t rows, columns;
  int64_t leading;
};
struct tnrt::cuda::cublasLtMatmulPreferenceOpaque {};

namespace {

float element(const void *data, const cublasLtMatrixLayoutOpaque &layout,
              uint64_t row, uint64_t column) {
  const uint64_t at = column * static_cast<uint64_t>(layout.leading) + row;
  if (layout.type == kLtReal32F)
    return static_cast<const float *>(data)[at];
  const uint32_t bits = uint32_t(static_cast<const uint16_t *>(data)[at]) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Truncates to bf16: tests use values that it holds.
void store(void *data, const cublasLtMatrixLayoutOpaque &layout, uint64_t row,
           uint64_t column, float value) {
  const uint64_t at = column * static_cast<uint64_t>(layout.leading) + row;
  if (layout.type == kLtReal32F) {
    static_cast<float *>(data)[at] = value;
    return;
  }
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  static_cast<uint16_t *>(data)[at] = static_cast<uint16_t>(bits >> 16);
}

} // namespace

extern "C" {

const char *cublasLtGetStatusString(int) { return "CUBLAS_STATUS_FAKE"; }

int cublasLtCreate(LtHandle *handle) {
  ENTER("cublasLtCreate");
  *handle = new cublasLtContext();
  ++state.held["cublasLt handles"];
  return 0;
}

int cublasLtDestroy(LtHandle handle) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  delete handle;
  release("cublasLt handles");
  return 0;
}

int cublasLtMatmulDescCreate(LtMatmulDesc *desc, int computeType,
                             int scaleType) {
  ENTER("cublasLtMatmulDescCreate");
  *desc = new cublasLtMatmulDescOpaque();
  (*desc)->isF32 = computeType == kLtCompute32F && scaleType == kLtReal32F;
  ++state.held["descriptors"];
  return 0;
}

int cublasLtMatmulDescDestroy(LtMatmulDesc desc) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  delete desc;
  release("descriptors");
  return 0;
}

int cublasLtMatmulDescSetAttribute(LtMatmulDesc desc, int attribute,
                                   const void *value, size_t bytes) {
  ENTER("cublasLtMatmulDescSetAttribute");
  int32_t number = 0;
  if (bytes == sizeof number)
    std::memcpy(&number, value, sizeof number);
  if (attribute == kLtDescTransA)
    desc->transposesA = number == kLtTranspose;
  if (attribute == kLtDescTransB)
    desc->transposesB = number == kLtTranspose;
  return 0;
}

int cublasLtMatrixLayoutCreate(LtMatrixLayout *layout, int type, uint64_t rows,
                               uint64_t columns, int64_t leading) {
  ENTER("cublasLtMatrixLayoutCreate");
  *layout = new cublasLtMatrixLayoutOpaque{type, rows, columns, leading};
  ++state.held["layouts"];
  return 0;
}

int cublasLtMatrixLayoutDestroy(LtMatrixLayout layout) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  delete layout;
  release("layouts");
  return 0;
}

int cublasLtMatmulPreferenceCreate(LtPreference *preference) {
  ENTER("cublasLtMatmulPreferenceCreate");
  *preference = new cublasLtMatmulPreferenceOpaque();
  ++state.held["preferences"];
  return 0;
}

int cublasLtMatmulPreferenceDestroy(LtPreference preference) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  delete preference;
  release("preferences");
  return 0;
}

int cublasLtMatmulPreferenceSetAttribute(LtPreference, int, const void *,
                                         size_t) {
  ENTER("cublasLtMatmulPreferenceSetAttribute");
  return 0;
}

int cublasLtMatmulAlgoGetHeuristic(LtHandle, LtMatmulDesc, LtMatrixLayout,
                                   LtMatrixLayout, LtMatrixLayout,
                                   LtMatrixLayout, LtPreference, int wanted,
                                   LtHeuristic *results, int *found) {
  ENTER("cublasLtMatmulAlgoGetHeuristic");
  *found = wanted > 0 ? 1 : 0;
  *results = {};
  return 0;
}

int cublasLtMatmul(LtHandle, LtMatmulDesc desc, const void *alpha,
                   const void *a, LtMatrixLayout aLayout, const void *b,
                   LtMatrixLayout bLayout, const void *beta, const void *c,
                   LtMatrixLayout, void *d, LtMatrixLayout dLayout,
                   const LtAlgo *, void *workspace, size_t workspaceBytes,
                   CUstream stream) {
  ENTER("cublasLtMatmul");
  const bool aT = desc->transposesA, bT = desc->transposesB;
  const float before = *static_cast<const float *>(beta);
  const uint64_t depth = aT ? aLayout->rows : aLayout->columns;
  if (!desc->isF32 || *static_cast<const float *>(alpha) != 1 ||
      (before != 0 && before != 1) ||
      (aT ? aLayout->columns : aLayout->rows) != dLayout->rows ||
      (bT ? bLayout->rows : bLayout->columns) != dLayout->columns ||
      (bT ? bLayout->columns : bLayout->rows) != depth)
    misuse("cublasLtMatmul of matrices that do not fit, or not in f32");
  if (!isWithin(reinterpret_cast<DevicePointer>(workspace), workspaceBytes))
    misuse("cublasLtMatmul without its workspace");
  const cublasLtMatrixLayoutOpaque aShape = *aLayout, bShape = *bLayout,
                                   dShape = *dLayout;
  stream->add([=] {
    for (uint64_t column = 0; column < dShape.columns; ++column)
      for (uint64_t row = 0; row < dShape.rows; ++row) {
        float sum = before == 0 ? 0 : element(c, dShape, row, column);
        for (uint64_t k = 0; k < depth; ++k)
          sum += (bT ? element(b, bShape, column, k)
                     : element(b, bShape, k, column)) *
                 (aT ? element(a, aShape, k, row) : element(a, aShape, row, k));
        store(d, dShape, row, column, sum);
      }
  });
  return 0;
}

// The management library.

int nvmlInit_v2() {
  ++state.held["NVML"];
  return 0;
}

int nvmlShutdown() {
  release("NVML");
  return 0;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *busId, void **device) {
  if (std::strcmp(busId, "0000:00:00.0") != 0)
    return 6;
  *device = &state;
  return 0;
}

int nvmlDeviceGetTotalEnergyConsumption(void *device,
                                        unsigned long long *millijoules) {
  if (device != &state || state.millijoulesPerReading == 0)
    return 3;
  state.millijoules += state.millijoulesPerReading;
  *millijoules = static_cast<unsigned long long>(state.millijoules);
  return 0;
}

const char *nvmlErrorString(int code) {
  return code == 3 ? "Not Supported" : "Not Found";
}

} // extern "C"

#define TNRT_CUBLASLT(symbol, parameters) extern "C" int symbol parameters;
namespace tnrt::cuda {
#include "cuda/BlasLt.def"
}
