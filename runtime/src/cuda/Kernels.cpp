// Loading and launching.
#include "Kernels.h"

#include <algorithm>
#include <cstring>

namespace tnrt::cuda {

namespace {

// What every block has without asking.
constexpr int64_t kDefaultSharedBytes = 48 << 10;
constexpr int64_t kMaxTasks = 0x7fffffff;

// The first line of the driver's log.
std::string firstLine(const std::string &log) {
  return log.substr(0, log.find_first_of("\r\n"));
}

} // namespace

bool isPtx(const void *image, uint64_t bytes) {
  return bytes < 4 || std::memcmp(image, "\177ELF", 4) != 0;
}

Result<std::unique_ptr<Kernels>> Kernels::load(std::shared_ptr<Device> device,
                                               const tnrt_module &module) {
  const Driver &d = device->driver();
  std::unique_ptr<Kernels> kernels(new Kernels());
  std::vector<char> log(4096);
  int options[] = {kJitErrorLogBuffer, kJitErrorLogBufferBytes};
  void *values[] = {log.data(), reinterpret_cast<void *>(log.size() - 1)};
  CUmodule loaded = nullptr;
  if (Status status = TNRT_CUDA_CALL(d, cuModuleLoadDataEx, &loaded,
                                     module.device_image, 2, options, values);
      !status) {
    const std::string line = firstLine(log.data());
    return Error{"cannot load the program's GPU code: " + status.message() +
                 (line.empty() ? "" : ": " + line)};
  }
  kernels->image = Module(device, loaded);
  kernels->device = std::move(device);
  kernels->table = module.device_kernels;
  for (uint64_t i = 0; i < module.num_device_kernels; ++i)
    if (Status status = kernels->prepare(module.device_kernels[i]); !status)
      return Error{"kernel '" + std::string(module.device_kernels[i].name) +
                   "': " + status.message()};
  return kernels;
}

Status Kernels::prepare(const tnrt_device_kernel &kernel) {
  const Driver &d = device->driver();
  CUfunction function = nullptr;
  if (Status status = TNRT_CUDA_CALL(d, cuModuleGetFunction, &function,
                                     image.get(), kernel.name);
      !status)
    return status;
  int maxThreads = 0, staticBytes = 0;
  if (Status status = TNRT_CUDA_CALL(d, cuFuncGetAttribute, &maxThreads,
                                     kFunctionMaxThreads, function);
      !status)
    return status;
  if (kernel.threads < 1 || kernel.threads > maxThreads)
    return Error{"has blocks of " + std::to_string(kernel.threads) +
                 " threads, expected 1 to " + std::to_string(maxThreads) +
                 " on this GPU"};
  if (Status status = TNRT_CUDA_CALL(d, cuFuncGetAttribute, &staticBytes,
                                     kFunctionStaticSharedBytes, function);
      !status)
    return status;
  const int64_t shared = staticBytes + kernel.shared_bytes;
  if (kernel.shared_bytes < 0 || shared > device->sharedBytesOfBlock())
    return Error{"needs " + std::to_string(shared) +
                 " bytes of shared memory, this GPU's blocks have " +
                 std::to_string(device->sharedBytesOfBlock())};
  if (shared > kDefaultSharedBytes && kernel.shared_bytes > 0)
    if (Status status = TNRT_CUDA_CALL(d, cuFuncSetAttribute, function,
                                       kFunctionMaxDynamicSharedBytes,
                                       static_cast<int>(kernel.shared_bytes));
        !status)
      return status;
  parameters.resize(
      std::max(parameters.size(), static_cast<size_t>(kernel.num_params)));
  functions.push_back(function);
  return {};
}

int64_t Kernels::find(const char *name, int64_t numParams) const {
  for (int64_t i = 0; i < size(); ++i) {
    const tnrt_device_kernel &k = table[i];
    if (std::strcmp(k.name, name) == 0 && k.num_params == numParams &&
        std::all_of(k.param_kinds, k.param_kinds + numParams,
                    [](uint8_t kind) { return kind == TNRT_PARAM_SLOT; }))
      return i;
  }
  return -1;
}

Status Kernels::launch(int64_t index, int64_t tasks, void *const *args,
                       CUstream stream, bool afterKernel) {
  if (index < 0 || index >= size())
    return Error{"there is no kernel " + std::to_string(index) +
                 ", the program has " + std::to_string(size())};
  const tnrt_device_kernel &k = table[index];
  if (tasks > kMaxTasks)
    return Error{"kernel '" + std::string(k.name) +
                 "': " + std::to_string(tasks) + " tasks, expected at most " +
                 std::to_string(kMaxTasks)};
  if (tasks <= 0)
    return {};
  for (int64_t p = 0; p < k.num_params; ++p)
    parameters[static_cast<size_t>(p)] =
        k.param_kinds[p] == TNRT_PARAM_MAP
            ? args[p]
            : const_cast<void *>(static_cast<const void *>(args + p));
  LaunchAttribute overlap = {};
  overlap.id = kLaunchProgrammaticSerialization;
  overlap.value = 1;
  const LaunchConfig config = {static_cast<unsigned>(tasks),
                               1,
                               1,
                               static_cast<unsigned>(k.threads),
                               1,
                               1,
                               static_cast<unsigned>(k.shared_bytes),
                               stream,
                               &overlap,
                               afterKernel && k.overlaps ? 1u : 0u};
  Status status = TNRT_CUDA_CALL(
      device->driver(), cuLaunchKernelEx, &config,
      functions[static_cast<size_t>(index)], parameters.data(), nullptr);
  if (!status)
    return Error{"kernel '" + std::string(k.name) + "': " + status.message()};
  return {};
}

} // namespace tnrt::cuda
