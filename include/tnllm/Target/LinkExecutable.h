// Links generated objects with the runtime, inside the compiler: the user's
// machine needs no compiler, no linker and no C library headers.
#ifndef TNLLM_TARGET_LINKEXECUTABLE_H
#define TNLLM_TARGET_LINKEXECUTABLE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace tnllm {

// The directory beside the running program that holds all that a link needs
// (cmake/TnllmLinkDirectory.cmake): ../lib/tnllm. Fails when it is not there.
// `argv0` and the address of a function of the program (say, main) find it.
llvm::Expected<std::string> findLinkDirectory(const char *argv0,
                                              void *mainAddress);

// Links the object file with these bytes and returns the executable's bytes:
// position independent, the runtime and the C++ library inside, only the C
// library outside. Without keepDebugInfo its line tables go. Touches no file
// but those of `linkDirectory`. One error line.
llvm::Expected<std::string> linkExecutable(llvm::StringRef object,
                                           llvm::StringRef linkDirectory,
                                           bool keepDebugInfo = false);

} // namespace tnllm

#endif // TNLLM_TARGET_LINKEXECUTABLE_H
