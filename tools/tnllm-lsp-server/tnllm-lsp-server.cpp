// tnllm-lsp-server: what an editor asks about .mlir files (diagnostics, hover,
// definitions, references, symbols), over the Language Server Protocol on stdin
// and stdout. docs/Editors.md sets editors up for it.
#include "ServerName.h"

#include "tnllm/Pipelines/Pipelines.h"
#include "tnllm/Target/Version.h"

#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

#include "llvm/Support/CommandLine.h"

int main(int argc, char **argv) {
  tnllm::answerAs("tnllm-lsp-server", TNLLM_VERSION);
  llvm::cl::SetVersionPrinter(tnllm::printVersion);
  mlir::DialectRegistry registry;
  tnllm::registerAllDialects(registry);
  return mlir::asMainReturnCode(mlir::MlirLspServerMain(argc, argv, registry));
}
