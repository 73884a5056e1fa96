// Under what name the server answers an editor.
#ifndef TNLLM_TOOLS_LSP_SERVERNAME_H
#define TNLLM_TOOLS_LSP_SERVERNAME_H

#include "llvm/ADT/StringRef.h"

namespace tnllm {

// MLIR's language server calls itself mlir-lsp-server 0.0.0, and nothing sets that. Forks:
// the new process returns and becomes the server; this one stays between it and the editor,
// puts `name` and `version` into the answer to `initialize`, hands everything else on as it
// is, and ends with the server's status. Where the system lets nothing be forked the caller
// goes on under MLIR's name.
void answerAs(llvm::StringRef name, llvm::StringRef version);

} // namespace tnllm

#endif // TNLLM_TOOLS_LSP_SERVERNAME_H
