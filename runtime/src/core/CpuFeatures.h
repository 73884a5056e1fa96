// Whether this CPU (and kernel) can run what the executable was compiled for.
#ifndef TNRT_CORE_CPUFEATURES_H
#define TNRT_CORE_CPUFEATURES_H

#include "Manifest.h"
#include "tnrt/Result.h"

#include <string>
#include <vector>

namespace tnrt {

// Those of `features` (LLVM's names: "avx512f", "f16c") that are not there. A
// name this list does not know is looked up in /proc/cpuinfo.
std::vector<std::string>
missingCpuFeatures(const std::vector<std::string> &features);

// Errors: names every missing feature and the --march that would do without.
Status checkCpu(const Manifest::Target &target);

} // namespace tnrt

#endif // TNRT_CORE_CPUFEATURES_H
