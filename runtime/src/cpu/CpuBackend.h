// Runs programs whose kernels are host code: a pool of threads, parameters used
// where they are mapped or packed, everything in host memory.
#ifndef TNRT_CPU_CPUBACKEND_H
#define TNRT_CPU_CPUBACKEND_H

#include "core/Backend.h"
#include "core/Session.h"

namespace tnrt {

// `manifest` and `module` must outlive the backend. Errors: those of loading
// weights, and memory.
Result<std::unique_ptr<ModelBackend>>
createCpuBackend(const tnrt_module &module, const Manifest &manifest,
                 const LoadOptions &options);

} // namespace tnrt

#endif // TNRT_CPU_CPUBACKEND_H
