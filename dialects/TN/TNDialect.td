// The tn dialect: WHAT a TransNormerLLM computes, on tensors.
#ifndef TN_DIALECT_TD
#define TN_DIALECT_TD

include "mlir/IR/OpBase.td"

def TN_Dialect : Dialect {
  let name = "tn";
  let cppNamespace = "::tnllm::tn";
  let summary = "linear-attention language models on tensors";
  let description = [{
    The `tn` dialect says what a TransNormerLLM computes, independent of tiles,
    threads and memory. Activations are `tensor<?x?x...>`: batch, then position,
    then features. Decode is the same program with the position dimension 1.

    Products accumulate in f32 whatever the type of their operands, norms and the
    state of the attention are f32. Constraints are numbered in `docs/Spec.md`;
    a verifier's message ends with the number it checks, such as `[linear-C1]`.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 1;
}

#endif // TN_DIALECT_TD
