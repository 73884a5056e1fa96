// From what the manifest asks for to parameters in host memory.
#ifndef TNRT_CORE_WEIGHTLOADER_H
#define TNRT_CORE_WEIGHTLOADER_H

#include "Manifest.h"
#include "Memory.h"
#include "Session.h"
#include "ThreadPool.h"
#include "WeightSource.h"

#include <optional>
#include <string>
#include <vector>

namespace tnrt {

// The parameters of a model and what keeps them alive.
struct LoadedWeights {
  // One per manifest parameter. Packed ones are 64-byte aligned; those used
  // where they are mapped are aligned to their element.
  std::vector<void *> parameters;
  int64_t bytes = 0; // of all parameters, shared ones once
  Memory packed;
  std::optional<WeightSource> source;
};

// Opens the weights (WeightSource::open) and packs those that kernels cannot
// read where they are mapped. Errors: those of opening, or a weight that cannot
// be quantised.
Result<LoadedWeights>
loadWeights(const Manifest &manifest, const LoadOptions &options,
            ThreadPool &pool,
            const std::string &executable = "/proc/self/exe");

} // namespace tnrt

#endif // TNRT_CORE_WEIGHTLOADER_H
