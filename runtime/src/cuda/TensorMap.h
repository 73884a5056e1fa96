// Descriptors of tiled tensors, which kernels copy by.
#ifndef TNRT_CUDA_TENSORMAP_H
#define TNRT_CUDA_TENSORMAP_H

#include "Driver.h"

#include "core/Executor.h"
#include "tnrt/Result.h"

namespace tnrt::cuda {

// What tnrt_tensor_map is asked for (tnrt/ABI.def). Errors: a type or a rank that
// no map has; the driver's.
Status encodeTensorMap(const Driver &driver, const TensorMapCall &call);

} // namespace tnrt::cuda

#endif // TNRT_CUDA_TENSORMAP_H
