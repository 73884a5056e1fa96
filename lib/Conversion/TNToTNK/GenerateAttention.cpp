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
    if (heads < 1 || sequences < 0 || keyWidth < 8 || keyWidth > 256 ||
        valueWidth < 8 || keyWidth % 8 != 0 || valueWidth % 8 != 0) {
      module.emitError("expected widths that are multiples of 8, keys of at "
                       "most 256, at least one head, and no fewer than 0 "
                       "states");
      return signalPassFailure();
    }
    if (gradients && (keyWidth != valueWidth || sequences != 0 || reversed)) {
      module.emitError("expected keys and values of one width, no states and "
                       "no direction with gradients");
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
    in.reversed = reversed;
    return in;
  }

  // From the argument `first` on.
  AttentionSegments segmentsOf(KernelBuilder &k, unsigned first) {
    return {k.argument(first), k.argument(first + 1), k.argument(first + 2)};
  }

  // The types, and the state's where there is one.
  SmallVector<Type> argumentTypes(ArrayRef<Type> before, ArrayRef<Type> after) {
    SmallVector<Type> types(before);
    if (sequences != 0)
      types.push_back(state);
    llvm::append_range(types, after);
    return types;
  }

  // The maps of a kernel, with the slopes behind them.
  SmallVector<Type> mapTypes(AttentionPart part) {
    bool areOutputs = part != AttentionPart::States;
    size_t count = gradients ? (areOutputs ? 7 : 4) : (areOutputs ? 4 : 2);
    SmallVector<Type> types(count, map);
    types.push_back(slopes);
    return types;
  }

  // Returns the number of the argument behind them.
  unsigned takeMaps(KernelBuilder &k, TiledAttentionBuffers &in) {
    SmallVector<Value> maps;
    for (unsigned i = 0, n = mapTypes(in.part).size() - 1; i < n; ++i)
      maps.push_back(k.argument(i));
    if (gradients)
      setAdjoint(in, ArrayRef(maps).take_front(4),
                 ArrayRef(maps).drop_front(4));
    else if (in.part == AttentionPart::States)
      std::tie(in.k, in.v) = std::tie(maps[0], maps[1]);
    else
      std::tie(in.q, in.k, in.v, in.out) =
          std::tie(maps[0], maps[1], maps[2], maps[3]);
    in.slopes = k.argument(maps.size());
    return maps.size() + 1;
  }

  // The first arguments of a kernel with outputs; returns the number of them.
  unsigned takeArguments(KernelBuilder &k, TiledAttentionBuffers &in) {
    unsigned next = takeMaps(k, in);
    if (sequences != 0)
      in.state = k.argument(next++);
    in.length = k.argument(next++);
    return next;
  }

  void generateWhole() {
    ModuleOp module = getOperation();
    TiledAttentionBuffers in = buffersOf(AttentionPart::Whole);
    KernelBuilder k(module, "attention", module.getLoc(),
                    argumentTypes(mapTypes(in.part), {index}),
                    sizesOf(in.part));
    takeArguments(k, in);
    buildTiledAttention(k, in);
  }

  void generateStates() {
    ModuleOp module = getOperation();
    TiledAttentionBuffers in = buffersOf(AttentionPart::States);
    SmallVector<Type> types = mapTypes(in.part);
    types.append({index, states, index, index});
    KernelBuilder k(module, "attention_states", module.getLoc(), types,
                    sizesOf(in.part));
    unsigned next = takeMaps(k, in);
    in.length = k.argument(next);
    in.segments = segmentsOf(k, next + 1);
    buildTiledAttention(k, in);
  }

  void generateScan() {
    ModuleOp module = getOperation();
    KernelBuilder k(module, "attention_scan", module.getLoc(),
                    argumentTypes({slopes}, {states, index, index}),
                    segmentScanSizes({}));
    unsigned next = sequences != 0 ? 2 : 1;
    buildSegmentScan(k, {k.argument(0), next == 2 ? k.argument(1) : Value(),
                         segmentsOf(k, next), heads, keyWidth, valueWidth,
                         /*attentions=*/gradients ? 3 : 1});
  }

  void generateOutputs() {
    ModuleOp module = getOperation();
    TiledAttentionBuffers in = buffersOf(AttentionPart::Outputs);
    KernelBuilder k(
        module, "attention_outputs", module.getLoc(),
        argumentTypes(mapTypes(in.part), {index, states, index, index}),
        sizesOf(in.part));
    in.segments = segmentsOf(k, takeArguments(k, in));
    buildTiledAttention(k, in);
  }

  Type map, slopes, state, states, index;
};

} // namespace
