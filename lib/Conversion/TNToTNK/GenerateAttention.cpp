// tnk-generate-attention: the tiled attention kernels of given widths, alone.
#include "TiledKernels.h"
#include "tnllm/Conversion/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace tnllm {
#define GEN_PASS_DEF_TNKGENERATEATTENTION
#include "tnllm/Conversion/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

namespace {

struct GenerateAttentionPass
    : public tnllm::impl::TNKGenerateAttentionBase<GenerateAttentionPass> {
  using TNKGenerateAttentionBase::TNKGenerateAttentionBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (heads < 1 || sequences < 1 || keyWidth < 8 || keyWidth > 256 ||
        valueWidth < 8 || keyWidth % 8 != 0 || valueWidth % 8 != 0) {
      module.emitError("expected widths that are multiples of 8, keys of at "
                       "most 256, and at least one head and sequence");
      return signalPassFailure();
    }
    if (segments < 0 || segments == 1) {
      module.emitError("expected no segments, or room for at least 2, got ")
          << segments.getValue();
      return signalPassFailure();
    }
    Builder b(&getContext());
    map = tnk::MapType::get(&getContext(), 64, 64, b.getBF16Type());
    slopes = MemRefType::get({heads}, b.getF32Type());
    state = MemRefType::get({sequences, heads, keyWidth, valueWidth},
                            b.getF32Type());
    states = MemRefType::get({segments, keyWidth, valueWidth}, b.getF32Type());
    index = b.getIndexType();
    generateWhole();
    if (segments == 0)
      return;
    generateStates();
    generateScan();
    generateOutputs();
  }

  TileSizes sizesOf(AttentionPart part) {
    TileSizes sizes;
    sizes.threads = planTiledAttention(keyWidth, valueWidth, part).threads;
    return sizes;
  }

  TiledAttentionBuffers buffersOf(AttentionPart part) {
    TiledAttentionBuffers in;
    in.part = part;
    in.heads = heads;
    in.keyWidth = keyWidth;
    in.valueWidth = valueWidth;
    in.scale = scale;
    return in;
  }

  // From the argument `first` on.
  AttentionSegments segmentsOf(KernelBuilder &k, unsigned first) {
    return {k.argument(first), k.argument(first + 1), k.argument(first + 2)};
  }

  void generateWhole() {
    ModuleOp module = getOperation();
    TiledAttentionBuffers in = buffersOf(AttentionPart::Whole);
    KernelBuilder k(module, "attention", module.getLoc(),
                    {map, map, map, map, slopes, state, index},
                    sizesOf(in.part));
    in.q = k.argument(0);
    in.k = k.argument(1);
    in.v = k.argument(2);
    in.out = k.argument(3);
    in.slopes = k.argument(4);
    in.state = k.argument(5);
    in.length = k.argument(6);
    buildTiledAttention(k, in);
  }

  void generateStates() {
    ModuleOp module = getOperation();
    TiledAttentionBuffers in = buffersOf(AttentionPart::States);
    KernelBuilder k(module, "attention_states", module.getLoc(),
                    {map, map, slopes, index, states, index, index},
                    sizesOf(in.part));
    in.k = k.argument(0);
    in.v = k.argument(1);
    in.slopes = k.argument(2);
    in.length = k.argument(3);
    in.segments = segmentsOf(k, 4);
    buildTiledAttention(k, in);
  }

  void generateScan() {
    ModuleOp module = getOperation();
    KernelBuilder k(module, "attention_scan", module.getLoc(),
                    {slopes, state, states, index, index},
                    segmentScanSizes({}));
    buildSegmentScan(k, {k.argument(0), k.argument(1), segmentsOf(k, 2), heads,
                         keyWidth, valueWidth});
  }

  void generateOutputs() {
    ModuleOp module = getOperation();
    TiledAttentionBuffers in = buffersOf(AttentionPart::Outputs);
    KernelBuilder k(
        module, "attention_outputs", module.getLoc(),
        {map, map, map, map, slopes, state, index, states, index, index},
        sizesOf(in.part));
    in.q = k.argument(0);
    in.k = k.argument(1);
    in.v = k.argument(2);
    in.out = k.argument(3);
    in.slopes = k.argument(4);
    in.state = k.argument(5);
    in.length = k.argument(6);
    in.segments = segmentsOf(k, 7);
    buildTiledAttention(k, in);
  }

  Type map, slopes, state, states, index;
};

} // namespace
