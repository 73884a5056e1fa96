// Kernels for tensor cores: bodies made of tnk's roles, rings and tiles.
// Private to this folder.
#ifndef TNLLM_LIB_CONVERSION_TNTOTNK_TILEDKERNELS_H
#define TNLLM_LIB_CONVERSION_TNTOTNK_TILEDKERNELS_H

#include "KernelBuilder.h"

namespace tnllm::kernels {

//===----------------------------------------------------------------------===//
// Lightning attention
//===----------------------------------------------------------------------===//

// Which part of the work a kernel does. Where sequences and heads cannot fill
// the GPU, a sequence is cut in segments of equally many chunks (the last may
// be shorter), whose states are found first, each from zero; a scan makes of
// them the states that the segments begin with; and the outputs follow.
enum class AttentionPart {
  Whole,  // everything, chunk after chunk
  States, // the state of each segment but the last, from zero
  Outputs // of each segment, from the state it begins with
};

// How the tiled attention divides the work of a head.
struct TiledAttentionPlan {
  int64_t keyColumns;  // the key width, in blocks of 64
  int64_t valueGroups; // warpgroups of 64 value columns in a block
  int64_t valueSlices; // blocks of a head
  int64_t stages;      // of the ring of chunks
  int64_t threads;     // of a block: TileSizes::threads of the KernelBuilder
};
constexpr int64_t kAttentionChunk = 64; // positions
// For head widths from 8 on, the keys' up to 256. Tensor copies want rows of
// multiples of 16 bytes: widths are multiples of 8.
TiledAttentionPlan
planTiledAttention(int64_t keyWidth, int64_t valueWidth,
                   AttentionPart part = AttentionPart::Whole);

// Of an attention in segments. `states`: f32 [*, Dk, Dv], of segment s of head
// h of sequence b at (b * H + h) * count + s.
struct AttentionSegments {
  mlir::Value states;
  mlir::Value chunks; // of a segment
  mlir::Value count;  // of a sequence, 2 at least
};

// q, k, v, out: !tnk.map<64x64xbf16> over bf16 tensors [batch, length, H,
// width] with this call's batch and length, so that nothing beyond is read or
// written. slopes [H] f32, state [*, H, Dk, Dv] f32, updated in place. One task
// is `valueSlices`-th of a head of a sequence: batch * H * valueSlices tasks.
// In segments, each of those is `count` tasks; the states' part reads neither
// q, state nor out.
struct TiledAttentionBuffers {
  mlir::Value q, k, v, slopes, state, out, length;
  int64_t heads, keyWidth, valueWidth;
  double scale;
  AttentionPart part = AttentionPart::Whole;
  AttentionSegments segments = {};
};
void buildTiledAttention(KernelBuilder &k,
                         const TiledAttentionBuffers &buffers);

// Between the two parts: of the states of segments, from zero, those with which
// they begin, the first being `state` [*, H, Dk, Dv]. A task is a warp and a
// row of the state: batch * H * Dk tasks, and the builder's sizes are
// segmentScanSizes().
struct SegmentScanBuffers {
  mlir::Value slopes, state;
  AttentionSegments segments;
  int64_t heads, keyWidth, valueWidth;
};
TileSizes segmentScanSizes(TileSizes sizes);
void buildSegmentScan(KernelBuilder &k, const SegmentScanBuffers &buffers);

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
