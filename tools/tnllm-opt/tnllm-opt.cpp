// tnllm-opt: runs any pass or pipeline of the project on textual IR, and the
// reference interpreter.
#include "tnllm/Pipelines/Pipelines.h"
#include "tnllm/Reference/Passes.h"
#include "tnllm/Target/Manifest.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

int main(int argc, char **argv) {
  llvm::cl::SetVersionPrinter([](llvm::raw_ostream &out) {
    out << tnllm::getCompilerVersion() << '\n';
  });
  mlir::DialectRegistry registry;
  tnllm::registerAllDialects(registry);
  tnllm::registerAllPasses();
  tnllm::registerTNLLMReferencePasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "tnllm optimizer driver\n", registry));
}
