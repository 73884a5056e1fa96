// What the tools print for --version.
#ifndef TNLLM_TARGET_VERSION_H
#define TNLLM_TARGET_VERSION_H

#include "llvm/Support/raw_ostream.h"

namespace tnllm {

// Two lines: getCompilerVersion(), and "commit " with the 40 digits of the commit
// that the program was built from, or "commit unknown". The commit is in nothing that
// the compiler emits: two commits that generate the same code give the same files.
void printVersion(llvm::raw_ostream &out);

} // namespace tnllm

#endif // TNLLM_TARGET_VERSION_H
