// Weights from a checkpoint, or random ones, into device memory.
#ifndef TNRT_CUDA_WEIGHTUPLOAD_H
#define TNRT_CUDA_WEIGHTUPLOAD_H

#include "Device.h"

#include "core/WeightSource.h"

#include <vector>

namespace tnrt::cuda {

// Offsets of all parameters in one block, aligned to 256 bytes; parameters of
// the same data share one.
struct WeightPlan {
  std::vector<int64_t> offsets;
  int64_t bytes = 0;
  int64_t parameterBytes = 0; // without the gaps
};

// Errors: the sizes overflow.
Result<WeightPlan> planWeights(const Manifest &manifest,
                               const WeightSource &source);

// Packs every parameter to its place behind `base`: threads of the pool fill
// page-locked buffers, which the GPU copies from while they fill others.
// Errors: those of packing and of the driver.
Status uploadWeights(const std::shared_ptr<Device> &device,
                     const Manifest &manifest, const WeightSource &source,
                     const WeightPlan &plan, DevicePointer base,
                     ThreadPool &pool, bool showsProgress);

} // namespace tnrt::cuda

#endif // TNRT_CUDA_WEIGHTUPLOAD_H
