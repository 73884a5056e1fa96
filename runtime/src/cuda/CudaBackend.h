// Runs programs whose kernels are in a GPU image: parameters, arena and states
// in device memory, one stream for each session.
#ifndef TNRT_CUDA_CUDABACKEND_H
#define TNRT_CUDA_CUDABACKEND_H

#include "core/Backend.h"
#include "core/Session.h"

namespace tnrt {

// `manifest` and `module` must outlive the backend. Errors, before any weight
// is read: no driver, no such GPU, a GPU of another kind than the program was
// compiled for, too little memory for parameters, arena and options.batch
// sequences (what is needed and what is free). Then those of loading weights.
Result<std::unique_ptr<ModelBackend>>
createCudaBackend(const tnrt_module &module, const Manifest &manifest,
                  const LoadOptions &options);

// "NVIDIA H100 80GB HBM3, sm_90, 79.1 GiB, 78.4 free" of GPU `index`, if it can
// run what was compiled for `manifest.target`; what createCudaBackend would say
// otherwise.
Result<std::string> describeCudaDevice(const tnrt_module &module,
                                       const Manifest &manifest, int index);

} // namespace tnrt

#endif // TNRT_CUDA_CUDABACKEND_H
