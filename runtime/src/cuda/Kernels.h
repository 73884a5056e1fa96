// The kernels of a GPU program: its image in a device's context.
#ifndef TNRT_CUDA_KERNELS_H
#define TNRT_CUDA_KERNELS_H

#include "Device.h"

#include "tnrt/Result.h"
#include "tnrt/abi.h"

#include <memory>
#include <string>
#include <vector>

namespace tnrt::cuda {

class Kernels {
public:
  // Loads the image and looks every kernel up. Errors: the driver's, with its
  // log; a kernel that the image lacks, or that asks for more threads or shared
  // memory than the device has.
  static Result<std::unique_ptr<Kernels>> load(std::shared_ptr<Device> device,
                                               const tnrt_module &module);

  int64_t size() const { return static_cast<int64_t>(functions.size()); }
  const tnrt_device_kernel &kernel(int64_t index) const { return table[index]; }
  // The place of the kernel of that name with so many parameters, none of them
  // a map; -1 where there is none.
  int64_t find(const char *name, int64_t numParams) const;
  // Queues `tasks` blocks; `args` as in tnrt_launch_device. No task, no launch.
  // `afterKernel`: what was queued last is a kernel of these, which this one may
  // overlap.
  Status launch(int64_t index, int64_t tasks, void *const *args,
                CUstream stream, bool afterKernel = false);

private:
  using Module = Owned<CUmodule, &Driver::cuModuleUnload>;

  Kernels() = default;
  Status prepare(const tnrt_device_kernel &kernel);

  std::shared_ptr<Device> device;
  Module image;
  const tnrt_device_kernel *table = nullptr;
  std::vector<CUfunction> functions;
  std::vector<void *> parameters; // addresses, for one launch
};

// Whether the image is PTX and not a cubin, which is an ELF file.
bool isPtx(const void *image, uint64_t bytes);

} // namespace tnrt::cuda

#endif // TNRT_CUDA_KERNELS_H
