// tn-fuse-epilogues: groups roots with the element-wise chains that consume
// them.
#include "TN/TNDialect.h"
#include "tnllm/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

namespace tnllm {
#define GEN_PASS_DEF_TNFUSEEPILOGUES
#include "tnllm/Transforms/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

// The element-wise operations after `root`, each the only user of the one
// before. A cast ends the chain, since what follows it reads another element
// type, and so does rounding in groups, which takes effect in the store.
static SmallVector<Operation *> chainAfter(Operation *root) {
  SmallVector<Operation *> chain;
  Operation *last = root;
  while (last->getResult(0).hasOneUse() && !tn::endsGroup(last)) {
    Operation *next = *last->getResult(0).getUsers().begin();
    if (next->getBlock() != root->getBlock() ||
        (!tn::isElementwise(next) && !tn::endsGroup(next)))
      break;
    chain.push_back(next);
    last = next;
  }
  return chain;
}

static void fuse(Operation *root, ArrayRef<Operation *> chain) {
  Operation *last = chain.back();
  // At the last one's place, every operand from outside is defined.
  OpBuilder b(last);
  auto fused =
      tn::FusedOp::create(b, b.getFusedLoc({root->getLoc(), last->getLoc()}),
                          last->getResult(0).getType());
  last->getResult(0).replaceAllUsesWith(fused.getResult());
  Block *body = b.createBlock(&fused.getBody());
  b.setInsertionPointToEnd(body);
  root->moveBefore(body, body->end());
  for (Operation *op : chain)
    op->moveBefore(body, body->end());
  tn::YieldOp::create(b, last->getLoc(), last->getResult(0));
}

namespace {

struct FuseEpiloguesPass
    : public tnllm::impl::TNFuseEpiloguesBase<FuseEpiloguesPass> {
  using TNFuseEpiloguesBase::TNFuseEpiloguesBase;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isDeclaration())
      return;
    for (Block &block : function.getBody()) {
      SmallVector<Operation *> roots;
      for (Operation &op : block)
        if (isa<tn::LinearOp, tn::NormOp>(op))
          roots.push_back(&op);
      for (Operation *root : roots) {
        SmallVector<Operation *> chain = chainAfter(root);
        if (chain.empty())
          continue;
        numFused += chain.size();
        fuse(root, chain);
      }
    }
  }
};

} // namespace
