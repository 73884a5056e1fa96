// What buffers tensors become, and what of tn this lowering takes. Private to
// this folder.
#ifndef TNLLM_LIB_CONVERSION_TNTOTNK_BUFFERS_H
#define TNLLM_LIB_CONVERSION_TNTOTNK_BUFFERS_H

#include "KernelBuilder.h"

#include "TNRT/TNRTDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <optional>

namespace tnllm::kernels {

// How a parameter lies in memory.
using Layout = tnrt::LayoutAttr;
// A layout that is not panels.
Layout plainLayout(mlir::MLIRContext *context, tnrt::LayoutKind kind);

// Activations have a leading dimension of unknown size, parameters have none.
bool isActivation(mlir::RankedTensorType type);

// True for the sum of two gradients of one parameter.
bool isParameterSum(mlir::Operation *op);

// Dimensions before the features: 2 in functions of ids [B, N] or of
// activations [B, N, ...], 1 in functions of rows [R, C].
int64_t leadingRankOf(mlir::func::FuncOp function);

// True for an argument that the function updates in place.
bool isState(mlir::func::FuncOp function, unsigned argument);

// True for an argument that holds the offsets of packed sequences, and for
// functions that have one.
bool isOffsets(mlir::func::FuncOp function, unsigned argument);
bool isPacked(mlir::func::FuncOp function);

// True for states of attention, [B, H, Dk, Dv] or caches, and gradients of them:
// what attention made or reads as one, in this function or by calls.
bool isStateValue(mlir::Value value, const mlir::SymbolTable &symbols);

// The argument that result `index` updates in place, if the result is a state.
std::optional<unsigned> tiedArgument(mlir::func::FuncOp function,
                                     unsigned index,
                                     const mlir::SymbolTable &symbols);

// The layout that the uses of a parameter's value ask for, following calls:
// `weights` as the weight of a linear map, rows otherwise. Fails with a
// diagnostic where they ask for two.
mlir::FailureOr<Layout>
layoutOf(mlir::Value value, const mlir::SymbolTable &symbols,
         llvm::function_ref<Layout(tn::LinearOp)> weights);

// How the scales of a quantised parameter of this type lie in memory.
Layout scalesLayout(mlir::MLIRContext *context, mlir::RankedTensorType type);

// The panels that the kernel of a linear map reads: in fours where it
// multiplies bytes, in pairs where it multiplies pairs of bf16, which needs an
// even depth.
Layout panelLayout(tn::LinearOp op, const TileSizes &sizes);

// Matrices as they are or in panels, quantised ones as bytes; vectors and theta
// [H, 1, d] as one row.
mlir::MemRefType parameterBufferType(mlir::RankedTensorType type,
                                     Layout layout);

// Activations are matrices of `rows` rows; ids and positions are vectors.
mlir::MemRefType activationBufferType(mlir::RankedTensorType type, int64_t rows,
                                      int64_t leadingRank);

// States keep their shape, with room for so many sequences.
mlir::MemRefType stateBufferType(mlir::RankedTensorType type,
                                 int64_t sequences);

// What the verifiers of tn allow and this lowering does not, with a diagnostic:
// for an operation of a function of `leadingRank`, and for all functions.
mlir::LogicalResult checkOperation(mlir::Operation *op, int64_t leadingRank);
mlir::LogicalResult checkFunctions(mlir::ModuleOp module);

} // namespace tnllm::kernels

#endif // TNLLM_LIB_CONVERSION_TNTOTNK_BUFFERS_H
