// tnk-generate-attention: the tiled attention kernel of given widths, alone.
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
    Builder b(&getContext());
    auto map = tnk::MapType::get(&getContext(), 64, 64, b.getBF16Type());
    Type slopes = MemRefType::get({heads}, b.getF32Type());
    Type state = MemRefType::get({sequences, heads, keyWidth, valueWidth},
                                 b.getF32Type());
    TiledAttentionPlan plan = planTiledAttention(keyWidth, valueWidth);
    TileSizes sizes;
    sizes.threads = plan.threads;
    KernelBuilder k(module, "attention", module.getLoc(),
                    {map, map, map, map, slopes, state, b.getIndexType()},
                    sizes);
    TiledAttentionBuffers in{k.argument(0), k.argument(1), k.argument(2),
                             k.argument(4), k.argument(5), k.argument(3),
                             k.argument(6), heads,         keyWidth,
                             valueWidth,    scale};
    buildTiledAttention(k, in);
  }
};

} // namespace
