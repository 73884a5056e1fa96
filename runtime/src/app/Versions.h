// Versions of the libraries that an executable carries.
#ifndef TNRT_APP_VERSIONS_H
#define TNRT_APP_VERSIONS_H

#include <string>

namespace tnrt {

// "commit 49757174...", of the tree that this runtime was built from, or "commit
// unknown".
std::string builtFrom();

// "sentencepiece 0.2.0, nlohmann-json 3.11.2, ..., glibc 2.36": what is linked in, and
// the C library that runs.
std::string linkedVersions();

} // namespace tnrt

#endif // TNRT_APP_VERSIONS_H
