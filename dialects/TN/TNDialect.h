// The tn dialect: see TNDialect.td and docs/Rationale/TN.md.
#ifndef TN_TNDIALECT_H
#define TN_TNDIALECT_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "TN/TNAdjoint.h"
#include "TN/TNDialect.h.inc"
#include "TN/TNEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "TN/TNAttrs.h.inc"
#include "TN/TNInterfaces.h.inc"
#define GET_OP_CLASSES
#include "TN/TNOps.h.inc"

namespace tnllm::tn {

// Marks a function argument as a state that the function updates in place; an
// i64, the layer's index where the function is an entry point.
inline constexpr llvm::StringLiteral kStateAttrName = "tn.state";
// On a function: the largest number of rows (batch x length) that one call
// takes, an i64. It sizes every buffer below.
inline constexpr llvm::StringLiteral kRowsAttrName = "tn.rows";
// On a function: the largest number of sequences that one call takes, an i64;
// as many as rows where it is missing. It sizes the buffers of states.
inline constexpr llvm::StringLiteral kSequencesAttrName = "tn.sequences";
// Marks a function argument as the offsets of packed sequences, i64 [S + 1]
// (see tn.lightning_attention): the function's rows are then positions of S
// sequences.
inline constexpr llvm::StringLiteral kOffsetsAttrName = "tn.offsets";
// On a result of a gradient function: what it is the gradient of, the number of
// an argument (i64) or a parameter (symbol).
inline constexpr llvm::StringLiteral kGradientOfAttrName = "tn.gradient_of";

// Columns that share a scale in a parameter of i4.
inline constexpr int64_t kScaleGroup = 128;
// True for the elements of parameters with scales: i8, f8E4M3FN, i4.
bool isQuantised(mlir::Type element);

// Slopes of `heads` heads under `rule`; see tn.decay_slopes.
llvm::SmallVector<double> computeDecaySlopes(DecayAttr rule, int64_t heads);

// The slopes of tn.decay_slopes as a constant.
mlir::DenseElementsAttr getDecaySlopes(DecaySlopesOp op);

// True for operations that compute each element of their result from the same
// element of their operands, and so can join a tn.fused as an epilogue.
bool isElementwise(mlir::Operation *op);

// True for operations that take effect where a tile is stored, so that nothing
// can follow them in a tn.fused: tn.cast, tn.round_groups.
bool endsGroup(mlir::Operation *op);

} // namespace tnllm::tn

#endif // TN_TNDIALECT_H
