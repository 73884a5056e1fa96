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
// q, state nor out. The state may be null, in the scan too: zeros before, and
// nobody wants it after.
//
// Of packed sequences there are `offsets` [S + 1] i64 instead of the length,
// and maps of [1, rows, H, width]. The copy engine stores whole chunks; the
// last of a sequence, which may be shorter and have another sequence behind it,
// goes to `outRows`, the buffer [*, H * Dv] that `out` is the map of. They are
// never cut in segments.
struct TiledAttentionBuffers {
  mlir::Value q, k, v, slopes, state, out, length;
  int64_t heads, keyWidth, valueWidth;
  double scale;
  AttentionPart part = AttentionPart::Whole;
  AttentionSegments segments = {};
  mlir::Value offsets = {}, outRows = {};
  // From the last position to the first, segments likewise, so that a position
  // sees itself and those after it: the adjoint in k and v. The chunk that may
  // be partial comes first there; the state must be zeros, and nothing packed.
  bool reversed = false;
  // Maps of more attentions of this shape, all of them from the last position
  // to the first while that above is not: the adjoint in k and in v beside that
  // in q. Each task is then as many, one after the other, and each segment's
  // state as many; nothing has a state of its own, nothing is packed.
  struct Maps {
    mlir::Value q, k, v, out;
  };
  llvm::SmallVector<Maps, 2> backwards = {};

  int64_t numAttentions() const {
    return 1 + static_cast<int64_t>(backwards.size());
  }
};
void buildTiledAttention(KernelBuilder &k,
                         const TiledAttentionBuffers &buffers);

// The three attentions that the adjoint is, of keys and values of one width:
//   dq = LA(dout, v, k); backwards, dk = LA(v, dout, q) and dv = LA(k, q, dout)
// of the maps q, k, v, dout and, where there are outputs, dq, dk and dv.
void setAdjoint(TiledAttentionBuffers &buffers,
                llvm::ArrayRef<mlir::Value> inputs,
                llvm::ArrayRef<mlir::Value> outputs);

// Between the two parts: of the states of segments, from zero, those with which
// they begin, the first being `state` [*, H, Dk, Dv]. A task is a warp and a
// row of the state: batch * H * Dk tasks, and the builder's sizes are
// segmentScanSizes().
struct SegmentScanBuffers {
  mlir::Value slopes, state;
  AttentionSegments segments;
  int64_t heads, keyWidth, valueWidth;
  int64_t attentions = 1; // of each head, one after the other
};
TileSizes segmentScanSizes(TileSizes sizes);
void buildSegmentScan(KernelBuilder &k, const SegmentScanBuffers &buffers);

//===----------------------------------------------------------------------===//
// Linear maps
//===----------------------------------------------------------------------===//

struct TiledLinearPlan {
  int64_t groups;        // warpgroups that multiply, of 64 rows each
  int64_t rows, columns; // of a tile of the output: one task
  int64_t stages;        // of the ring
  int64_t threads;       // of a block: TileSizes::threads of the KernelBuilder
  int64_t registers;     // of a thread that multiplies
};
TiledLinearPlan planTiledLinear(int64_t columns);
// For a call of up to 64 rows: tiles of few columns, so that they are about as
// many as multiprocessors, of which two are computed at once if there is a
// second weight.
TiledLinearPlan planNarrowLinear(int64_t columns, bool hasFactor);

// x: !tnk.map<R x 64> with R = plan.rows, over [1, rows, 1, K] with this call's
// rows; weight: !tnk.map<C x 64> with C = plan.columns, over [1, N, 1, K], row
// by row, and so the factor's. The sums get the bias, if any, and the fused
// chain, which finds those of the factor as the tile of `factorResult`. Tasks:
// tiles of rows times tiles of columns, those of rows first.
struct TiledLinearBuffers {
  mlir::Value x, weight;
  mlir::Value bias; // [N] f32, or null
  mlir::Value rows;
  int64_t depth, columns; // K, a multiple of 8, and N
  TiledLinearPlan plan;
  mlir::Value factor = {}, factorResult = {}; // a map and a tensor, or null
};
void buildTiledLinear(KernelBuilder &k, const TiledLinearBuffers &buffers,
                      Epilogue &epilogue);

} // namespace tnllm::kernels

#endif // TNLLM_LIB_CONVERSION_TNTOTNK_TILEDKERNELS_H
