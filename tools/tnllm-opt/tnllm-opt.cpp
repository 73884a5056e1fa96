// tnllm-opt: runs any pass or pipeline of the project on textual IR, and the
// reference interpreter.
#include "tnllm/Pipelines/Pipelines.h"
#include "tnllm/Reference/Passes.h"
#include "tnllm/Target/Version.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"

#include "llvm/Support/CommandLine.h"

int main(int argc, char **argv) {
  llvm::cl::SetVersionPrinter(tnllm::printVersion);
  mlir::DialectRegistry registry;
  tnllm::registerAllDialects(registry);
  tnllm::registerAllPasses();
  tnllm::registerTNLLMReferencePasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "tnllm optimizer driver\n", registry));
}
