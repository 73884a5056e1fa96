// From a resolved model spec to a module of the tn dialect.
#ifndef TNLLM_CONVERSION_SPECTOTN_H
#define TNLLM_CONVERSION_SPECTOTN_H

#include "tnllm/Spec/ModelSpec.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace tnllm {

struct SpecToTNOptions {
  bool bf16 = false;         // matrices and the inputs of linear maps in bf16
  int64_t prefillRows = 256; // largest batch x length of one @prefill call
  int64_t headRows = 64;     // largest number of rows of one @head call
};

// Builds
//   @prefill(tokens [B,N], positions [B], state.0 .. state.L-1)
//     -> hidden [B,N,D] after the final norm, and the new states
//   @head(hidden [R,D]) -> logits [R,V]
// and one private function for each shape of block. The context must have the
// tn, func and arith dialects loaded.
mlir::OwningOpRef<mlir::ModuleOp> convertSpecToTN(mlir::MLIRContext &context,
                                                  const ModelSpec &spec,
                                                  const SpecToTNOptions &options);

} // namespace tnllm

#endif // TNLLM_CONVERSION_SPECTOTN_H
