// Bodies of the kernels that ablations and baselines need besides the model's:
// positions, RoPE and softmax attention with its adjoint. As in
// KernelBuilder.h: each expects a KernelBuilder whose arguments are those named
// and leaves it finished. Private to this folder.
#ifndef TNLLM_LIB_CONVERSION_TNTOTNK_BASELINEKERNELS_H
#define TNLLM_LIB_CONVERSION_TNTOTNK_BASELINEKERNELS_H

#include "KernelBuilder.h"

namespace tnllm::kernels {

// True for the operations of TNBaselineOps.td.
bool isBaselineOp(mlir::Operation *op);

// result [rows] of i32 = positions[sequence] + place in it. One task is
// `rowBlock` rows, as of RoPE.
void buildPositionIds(KernelBuilder &k, mlir::Value positions,
                      mlir::Value result, mlir::Value rows, mlir::Value length);

// x, result [rows, H w], theta [w / 2].
struct RoPEBuffers {
  mlir::Value x, theta, positions, result, rows, length;
  int64_t heads, width;
  bool inverse;
};
void buildRoPE(KernelBuilder &k, const RoPEBuffers &buffers);

// q, k [rows, H Dk]; v, out [rows, H Dv]; logSumExp [rows, H], or null where
// nobody wants it; cache [*, H, R, Dk + Dv] and positions [*], or null for
// sequences that begin in the call. `block` 0: none. One task is one head of
// one sequence.
struct SoftmaxBuffers {
  mlir::Value q, k, v, cache, positions, out, logSumExp, length;
  int64_t heads, keyWidth, valueWidth, block;
  double scale;
};
// Any length. A chunk of queries goes over its keys chunk by chunk, with each
// query's largest product, sum and output so far; no product is kept.
void buildSoftmaxAttention(KernelBuilder &k, const SoftmaxBuffers &buffers);
// One position, with a cache.
void buildOnePositionSoftmax(KernelBuilder &k, const SoftmaxBuffers &buffers);

// As above, without a cache; dout, dv [rows, H Dv], dq, dk [rows, H Dk].
struct SoftmaxGradBuffers {
  mlir::Value q, k, v, out, logSumExp, dout, dq, dk, dv, length;
  int64_t heads, keyWidth, valueWidth, block;
  double scale;
};
void buildSoftmaxGrad(KernelBuilder &k, const SoftmaxGradBuffers &buffers);

// The same on a GPU, without a cache: rows * heads tasks, a head of a position
// each. Of the adjoint the first gives dq and c [rows, H], which the second
// needs for dk and dv.
void buildSoftmaxOfRow(KernelBuilder &k, const SoftmaxBuffers &buffers);
void buildSoftmaxGradOfQuery(KernelBuilder &k,
                             const SoftmaxGradBuffers &buffers,
                             mlir::Value means);
void buildSoftmaxGradOfKey(KernelBuilder &k, const SoftmaxGradBuffers &buffers,
                           mlir::Value means);

} // namespace tnllm::kernels

#endif // TNLLM_LIB_CONVERSION_TNTOTNK_BASELINEKERNELS_H
