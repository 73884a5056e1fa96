// Text from outside (paths, names) as part of a message.
#ifndef TNLLM_SPEC_PRINTABLE_H
#define TNLLM_SPEC_PRINTABLE_H

#include "llvm/ADT/StringRef.h"

#include <string>

namespace tnllm {

// `text` with control characters as \n, \t, \xNN, so that a message stays one
// line and does not steer the terminal. All else, UTF-8 or not, is kept.
std::string printable(llvm::StringRef text);

} // namespace tnllm

#endif // TNLLM_SPEC_PRINTABLE_H
