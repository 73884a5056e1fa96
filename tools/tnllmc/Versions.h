// What --version says beside tnllm's own version.
#ifndef TNLLMC_VERSIONS_H
#define TNLLMC_VERSIONS_H

#include <string>

namespace tnllmc {

// Two lines: the libraries that tnllmc links, and those that executables will.
// tools/dev/make-sbom gives the same with licences and every package.
std::string getLinkedVersions();

} // namespace tnllmc

#endif // TNLLMC_VERSIONS_H
