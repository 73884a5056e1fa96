// tnllm-opt: runs any pass or pipeline of the project on textual IR, and the
// reference interpreter.
#include "tnllm/Pipelines/Pipelines.h"
#include "tnllm/Reference/Passes.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  tnllm::registerAllDialects(registry);
  tnllm::registerAllPasses();
  tnllm::registerTNLLMReferencePasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "tnllm optimizer driver\n", registry));
}
