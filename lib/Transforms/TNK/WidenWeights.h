// Quantised weights to bf16 in registers: what products of few rows and
// tnk.widen_row share. Private to this folder.
#ifndef TNLLM_LIB_TRANSFORMS_TNK_WIDENWEIGHTS_H
#define TNLLM_LIB_TRANSFORMS_TNK_WIDENWEIGHTS_H

#include "TNK/TNKDialect.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace tnllm::widening {

// The numbers of type `element` (i8, f8E4M3FN or i4) that lie in a word of a
// weight's row, i32, as pairs of bf16 in their order: two words or, of i4,
// four, each i32 with the first of a pair in its low half.
llvm::SmallVector<mlir::Value> widenWord(mlir::ImplicitLocOpBuilder &b,
                                         mlir::Value word, mlir::Type element);

// Replaces the operation by what each thread loads, widens and stores.
void lower(tnk::WidenRowOp op);

} // namespace tnllm::widening

#endif // TNLLM_LIB_TRANSFORMS_TNK_WIDENWEIGHTS_H
