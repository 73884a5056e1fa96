// The version of the compiler's programs. The build system names the commit.
#include "tnllm/Target/Version.h"

#include "tnllm/Target/Manifest.h"

void tnllm::printVersion(llvm::raw_ostream &out) {
  out << getCompilerVersion() << "\ncommit " TNLLM_COMMIT "\n";
}
