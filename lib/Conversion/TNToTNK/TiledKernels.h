// Kernels for tensor cores: bodies made of tnk's roles, rings and tiles.
// Private to this folder.
#ifndef TNLLM_LIB_CONVERSION_TNTOTNK_TILEDKERNELS_H
#define TNLLM_LIB_CONVERSION_TNTOTNK_TILEDKERNELS_H

#include "KernelBuilder.h"

namespace tnllm::kernels {

//===----------------------------------------------------------------------===//
// Lightning attention
//===----------------------------------------------------------------------===//

// How the tiled attention divides the work of a head.
struct TiledAttentionPlan {
  int64_t keyColumns;  // the key width, in blocks of 64
  int64_t valueGroups; // warpgroups of 64 value columns in a block
  int64_t valueSlices; // blocks of a head
  int64_t stages;      // of the ring of chunks
  int64_t threads;     // of a block: TileSizes::threads of the KernelBuilder
};
// For head widths from 8 on, the keys' up to 256. Tensor copies want rows of
// multiples of 16 bytes: widths are multiples of 8.
TiledAttentionPlan planTiledAttention(int64_t keyWidth, int64_t valueWidth);

// q, k, v, out: !tnk.map<64x64xbf16> over bf16 tensors [batch, length, H,
// width] with this call's batch and length, so that nothing beyond is read or
// written. slopes [H] f32, state [*, H, Dk, Dv] f32, updated in place. One task
// is `valueSlices`-th of a head of a sequence: batch * H * valueSlices tasks.
struct TiledAttentionBuffers {
  mlir::Value q, k, v, slopes, state, out, length;
  int64_t heads, keyWidth, valueWidth;
  double scale;
};
void buildTiledAttention(KernelBuilder &k,
                         const TiledAttentionBuffers &buffers);

//===----------------------------------------------------------------------===//
// Linear maps
//===----------------------------------------------------------------------===//

struct TiledLinearPlan {
  int64_t rows, columns; // of a tile of the output: one task
  int64_t stages;        // of the ring
  int64_t threads;       // of a block: TileSizes::threads of the KernelBuilder
};
TiledLinearPlan planTiledLinear(int64_t columns);

// x: !tnk.map<R x 64> with R = plan.rows, over [1, rows, 1, K] with this call's
// rows; weight: !tnk.map<C x 64> with C = plan.columns, over [1, N, 1, K], row
// by row. The sums get the bias, if any, and the fused chain. Tasks: tiles of
// rows times tiles of columns, those of rows first.
struct TiledLinearBuffers {
  mlir::Value x, weight;
  mlir::Value bias; // [N] f32, or null
  mlir::Value rows;
  int64_t depth, columns; // K, a multiple of 8, and N
};
void buildTiledLinear(KernelBuilder &k, const TiledLinearBuffers &buffers,
                      const Epilogue &epilogue);

} // namespace tnllm::kernels

#endif // TNLLM_LIB_CONVERSION_TNTOTNK_TILEDKERNELS_H
