// tnk-overlap-launches: programmatic dependent launch. A kernel lets the next
// one start at once and waits itself for those before.
#include "TNK/TNKDialect.h"
#include "tnllm/Transforms/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace tnllm {
#define GEN_PASS_DEF_TNKOVERLAPLAUNCHES
#include "tnllm/Transforms/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

// Not nvvm.griddepcontrol: LLVM takes that for an operation that leaves memory
// alone, and may load before it what other kernels write.
static void createWait(ImplicitLocOpBuilder &b) {
  LLVM::InlineAsmOp::create(b, TypeRange(), ValueRange(),
                            "griddepcontrol.wait;", "~{memory}",
                            /*has_side_effects=*/true, /*is_align_stack=*/false,
                            LLVM::tailcallkind::TailCallKind::None,
                            LLVM::AsmDialectAttr(), ArrayAttr());
}

namespace {

struct OverlapLaunchesPass
    : public tnllm::impl::TNKOverlapLaunchesBase<OverlapLaunchesPass> {
  using TNKOverlapLaunchesBase::TNKOverlapLaunchesBase;

  void runOnOperation() override {
    tnk::KernelOp kernel = getOperation();
    if (!kernel.isForGPU() || kernel->hasAttr(tnk::kSerialAttrName))
      return;
    ImplicitLocOpBuilder b(kernel.getLoc(), kernel.getContext());
    b.setInsertionPointToStart(&kernel.getBody().front());
    NVVM::GriddepcontrolOp::create(b,
                                   NVVM::GridDepActionKind::launch_dependents);
    SmallVector<tnk::WaitInputsOp> waits;
    kernel.walk([&](tnk::WaitInputsOp op) { waits.push_back(op); });
    if (waits.empty())
      createWait(b);
    for (tnk::WaitInputsOp op : waits) {
      b.setInsertionPoint(op);
      createWait(b);
      op.erase();
    }
    kernel->setAttr(tnk::kOverlapsAttrName, b.getUnitAttr());
  }
};

} // namespace
