// Bodies of the kernels that training needs besides those of inference, one for
// each thing to compute. As in KernelBuilder.h: each expects a KernelBuilder
// whose arguments are those named and leaves it finished. Private to this
// folder.
//
// Gradients of parameters are added onto what their buffer holds. Each of their
// elements is summed by one task in the order of the rows, so that the sum does
// not depend on the number of threads.
#ifndef TNLLM_LIB_CONVERSION_TNTOTNK_GRADKERNELS_H
#define TNLLM_LIB_CONVERSION_TNTOTNK_GRADKERNELS_H

#include "AttentionHead.h"
#include "RowLoops.h"

namespace tnllm::kernels {

// True for what training adds to tn: the operations of TNGradOps.td.
bool isGradientOp(mlir::Operation *op);

//===----------------------------------------------------------------------===//
// Rows: one task is `rowBlock` rows; with threads, one row
//===----------------------------------------------------------------------===//

// f(x) of a vector, as a training program computes it; as for f', a GPU's
// instruction is good enough for the exponentials of values that are bf16 in
// memory.
mlir::Value activated(KernelBuilder &k, tn::ActivationKind kind, mlir::Value x);

// f'(x) of a vector. Where f has a kink, the derivative is the one from below.
mlir::Value derivative(KernelBuilder &k, tn::ActivationKind kind,
                       mlir::Value x);

// result = dy f'(x) in the columns [begin, end), dy in the others.
struct ActivationGradBuffers {
  mlir::Value x, dy, result; // [rows, C]
  mlir::Value rows;
};
void buildActivationGrad(KernelBuilder &k, tn::ActivationKind kind,
                         int64_t begin, int64_t end,
                         const ActivationGradBuffers &buffers);

// dx of a norm; weight [C] or null.
struct NormGradBuffers {
  mlir::Value x, dy, weight, dx, rows;
};
void buildNormGrad(KernelBuilder &k, NormRule norm,
                   const NormGradBuffers &buffers);

// statistics [rows, 2] = mean (0 for the RMS norms) and 1/deviation of x's
// rows.
void buildNormStatistics(KernelBuilder &k, NormRule norm, mlir::Value x,
                         mlir::Value statistics, mlir::Value rows);

// result = the pieces from their first columns on, zeros between them.
void buildUnslice(KernelBuilder &k, llvm::ArrayRef<mlir::Value> pieces,
                  llvm::ArrayRef<int64_t> begins, mlir::Value result,
                  mlir::Value rows);

// Zeros in every element of a row.
void buildZeros(KernelBuilder &k, mlir::Value result, mlir::Value rows);

// A gradient [C] or [R, C]: what it holds plus x, or zeros where x is null. One
// task is `rowBlock` rows, or all of a vector.
void buildAccumulate(KernelBuilder &k, mlir::Value x, mlir::Value result);

// dx of LRPE; x, dx [rows, H w], dy [rows, 2 H w], theta [H w].
struct LRPEGradBuffers {
  mlir::Value x, theta, positions, dy;
  mlir::Value output; // dx, or dtheta [H w]
  mlir::Value rows, length;
  int64_t heads, width;
};
void buildLRPEInputGrad(KernelBuilder &k, const LRPEGradBuffers &buffers);

//===----------------------------------------------------------------------===//
// Columns: one task is `panelWidth` columns of all rows
//===----------------------------------------------------------------------===//

// On a GPU a task is a warp, which reads a line of each row.
constexpr int64_t kGPUColumns = 32;

// The tasks that cover `columns`.
int64_t columnTasks(int64_t columns, const TileSizes &sizes);

// result [C] += sum of the rows of x.
void buildSumRows(KernelBuilder &k, mlir::Value x, mlir::Value result,
                  mlir::Value rows);

// result [C] += sum over rows of dy * (x - mean) / deviation, with the
// statistics of buildNormStatistics.
void buildNormWeightGrad(KernelBuilder &k, tn::NormKind kind, mlir::Value x,
                         mlir::Value dy, mlir::Value statistics,
                         mlir::Value result, mlir::Value rows);

// table[ids[row], :] += scale * dy[row, :], but for rows of the id `padding`
// (negative: none).
void buildEmbeddingGrad(KernelBuilder &k, mlir::Value ids, mlir::Value dy,
                        mlir::Value table, mlir::Value rows, double scale,
                        int64_t padding);
// The same on a GPU, where columns alone would be few tasks: one is a word.
void buildEmbeddingGradOfWord(KernelBuilder &k, mlir::Value ids, mlir::Value dy,
                              mlir::Value table, mlir::Value rows, double scale,
                              int64_t padding);

// dtheta of LRPE, [H w] flat; a task is some columns of one head, of which
// there are H thetaTasksPerHead(w).
int64_t thetaTasksPerHead(int64_t width, const TileSizes &sizes);
void buildThetaGrad(KernelBuilder &k, const LRPEGradBuffers &buffers);
// On a GPU, where that is too few tasks, the same of each block of rows in a
// row of the output: H thetaTasksPerHead(w) tasks for each of
// thetaBlocks(rows).
int64_t thetaBlocks(int64_t rows);
mlir::Value thetaBlocks(mlir::ImplicitLocOpBuilder &b, mlir::Value rows);
void buildThetaPartials(KernelBuilder &k, const LRPEGradBuffers &buffers);

//===----------------------------------------------------------------------===//
// Matrix products on a CPU
//===----------------------------------------------------------------------===//

// C = A B, or C += A B, with operands as they lie in memory; see
// docs/Rationale/Training.md. Sums are in the order of the depth, one fused
// multiply-add a step.
struct ProductBuffers {
  mlir::Value a, b, c;
  bool transposeA = false; // a is [depth, M], else [M, depth]
  bool transposeB = false; // b is [N, depth], else [depth, N]
  mlir::Value m = {}, depth = {}; // index; N is the columns of c
  // First rows of b and c, where they are pieces of longer matrices; null: 0.
  mlir::Value bRow = {}, cRow = {};
  // i1: whether the sums begin with what c holds. Null: they begin with zero.
  mlir::Value accumulate = {};
};
// What becomes of a finished tile of C. Where `c` is not f32, or a finish is
// given that does not store there, sums of a deep product wait in scratch.
using FinishTile =
    llvm::function_ref<void(mlir::Value tile, const TilePlace &place)>;
// A task is a block of rows and columns of C: the tasks of `m` rows are
// ceil(m / productRows()) * productColumnBlocks(N).
int64_t productRows(const TileSizes &sizes);
int64_t productColumnBlocks(int64_t columns, const TileSizes &sizes);
void buildProduct(KernelBuilder &k, const ProductBuffers &buffers,
                  FinishTile finish);
// The finish that stores to c.
void buildProduct(KernelBuilder &k, const ProductBuffers &buffers);

//===----------------------------------------------------------------------===//
// Cross entropy, a piece of the vocabulary at a time
//===----------------------------------------------------------------------===//

// Columns of a piece: as many as a buffer of `rows` rows should hold.
int64_t vocabularyPiece(int64_t vocabulary, int64_t rows,
                        const TileSizes &sizes, bool isForGPU);

// statistics [rows, 3]: the largest logit so far, the sum of exp(logit - that),
// the label's logit. logits [rows, piece] begin at the word `first`; at word 0
// the statistics begin anew.
void buildLogitStatistics(KernelBuilder &k, mlir::Value logits,
                          mlir::Value labels, mlir::Value statistics,
                          mlir::Value first, mlir::Value rows);

// logSumExp [rows] off the statistics, and the loss of each row in their third
// column, 0 for rows that do not count. One task is `rowBlock` rows.
void buildRowLosses(KernelBuilder &k, mlir::Value statistics,
                    mlir::Value labels, mlir::Value logSumExp,
                    mlir::Value rows);
// loss [1]: the mean over rows that count. One task, sums in f64.
void buildMeanLoss(KernelBuilder &k, mlir::Value statistics, mlir::Value labels,
                   mlir::Value loss, mlir::Value rows);

// scale [1] = gradient [1] / number of labels that count. One task.
void buildLossScale(KernelBuilder &k, mlir::Value labels, mlir::Value gradient,
                    mlir::Value scale, mlir::Value rows);
// The gradients of a piece's logits, dz = scale (exp(x weight^T - logSumExp) -
// [the label]), 0 for rows that do not count. Arguments: x [rows, depth],
// weight [V, depth], dz [rows, piece], labels, logSumExp, scale [1], rows, the
// piece's first word. A task as of buildProduct.
void buildLogitGradient(KernelBuilder &k, int64_t depth);
// The same on a GPU of logits [rows, piece] that are there already. Arguments:
// logits, labels, logSumExp, scale [1], the first word, dz, which may be the
// logits. A task is a row.
void buildLogitGradientRows(KernelBuilder &k);

//===----------------------------------------------------------------------===//
// Cross entropy with its gradient on a GPU, some rows at a time
//===----------------------------------------------------------------------===//

// Of rows of logits over the whole vocabulary, the call's rows from `first` on:
// their gradients in the same place, and the loss of each row, 0 for rows that
// do not count. Arguments: logits [some, V], labels [rows], losses [rows],
// scale [1], first. A task is a row.
void buildLossGradientRows(KernelBuilder &k);

// Sums over rows that count of losses (1 each where it is null) and of ones, a
// block of kLossRows rows a task: partials [*, 2] f64. A task is a warp.
constexpr int64_t kLossRows = 64;
void buildLossPartials(KernelBuilder &k, mlir::Value losses, mlir::Value labels,
                       mlir::Value partials, mlir::Value rows);
// result [1] = the first sum over the second, 0 where that is 0; or, where
// there is a `gradient` [1], that over the second sum. Of `blocks` blocks. One
// task.
void buildLossMean(KernelBuilder &k, mlir::Value partials, mlir::Value gradient,
                   mlir::Value result, mlir::Value blocks);

//===----------------------------------------------------------------------===//
// Lightning attention
//===----------------------------------------------------------------------===//

// q, k, dq, dk: [rows, H Dk]; v, dout, dv: [rows, H Dv]; slopes [H]. The states
// [*, H, Dk, Dv] at the start and the gradient of the one at the end may be
// null; so may, where they fit on the stack, that of the one at the start and
// the room for transposed states, [*, H, Dv, Dk]. One task is one head of one
// sequence.
struct AttentionGradBuffers {
  mlir::Value q, k, v, slopes, dout, state, dNewState;
  mlir::Value dq, dk, dv, dState, transposed, length;
  int64_t heads, keyWidth, valueWidth;
  double scale;
};
void buildAttentionGrad(KernelBuilder &k, const AttentionGradBuffers &buffers);

// States [*, H, Dk, Dv] of the sequences of a call: a copy of `from`, or zeros
// where it is null. One task is one head of one sequence.
void buildCopyStates(KernelBuilder &k, mlir::Value from, mlir::Value to);

} // namespace tnllm::kernels

#endif // TNLLM_LIB_CONVERSION_TNTOTNK_GRADKERNELS_H
