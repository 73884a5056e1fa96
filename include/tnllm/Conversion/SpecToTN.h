// From a resolved model spec to a module of the tn dialect.
#ifndef TNLLM_CONVERSION_SPECTOTN_H
#define TNLLM_CONVERSION_SPECTOTN_H

#include "tnllm/Spec/ModelSpec.h"
#include "tnllm/Target/DType.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace tnllm {

struct SpecToTNOptions {
  // Type of the linear maps' weights. BF16: their inputs are rounded too. I8,
  // F8 and I4: with scales.
  DType weights = DType::F32;
  // With quantised weights: the inputs of linear maps are rounded to bf16, for
  // a target that multiplies so.
  bool bf16Inputs = false;
  // I8: columns of a group in which the inputs of linear maps are rounded to 8
  // bits (tn.round_groups), for a target that multiplies bytes; 0: not at all.
  int64_t inputGroup = 0;
  bool bf16Embedding = false;   // else f32
  int64_t prefillRows = 256;    // largest batch x length of one @prefill call
  int64_t headRows = 64;        // largest number of rows of one @head call
  bool sampling = false;        // @sample, beside @head
  bool training = false;        // @loss instead of @prefill and @head
  int64_t trainTokens = 4096;   // largest batch x length of one @loss call
  int64_t trainSequences = 256; // largest batch of one @loss call
};

// Builds
//   @prefill(tokens [B,N], positions [B], state.0 .. state.L-1)
//     -> hidden [B,N,D] after the final norm, and the new states
//   @head(hidden [R,D]) -> logits [R,V]
//   @sample(logits [R,V], settings [R,5]) -> tokens [R], where it is wanted
// or, for training,
//   @loss(tokens [B,N], labels [B,N], positions [B]) -> mean cross entropy [1]
// where a label is the token that should follow, negative where none counts;
// and one private function for each shape of block. The context must have the
// tn, func and arith dialects loaded.
mlir::OwningOpRef<mlir::ModuleOp>
convertSpecToTN(mlir::MLIRContext &context, const ModelSpec &spec,
                const SpecToTNOptions &options);

} // namespace tnllm

#endif // TNLLM_CONVERSION_SPECTOTN_H
