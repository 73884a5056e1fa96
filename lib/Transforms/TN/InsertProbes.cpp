// tn-insert-probes: shows each value of each layer to whoever observes the run.
#include "TN/TNDialect.h"
#include "TN/TNNames.h"
#include "tnllm/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/StringMap.h"

namespace tnllm {
#define GEN_PASS_DEF_TNINSERTPROBES
#include "tnllm/Transforms/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

//===----------------------------------------------------------------------===//
// A copy of the block for each layer
//===----------------------------------------------------------------------===//

// The location of a callee's operation as part of the call.
static void setCallSite(Operation *copy, Location call) {
  copy->walk(
      [&](Operation *op) { op->setLoc(CallSiteLoc::get(op->getLoc(), call)); });
}

// Replaces the call by the callee's body, and the calls in that likewise.
// `callers` are the functions on the way here.
static LogicalResult inlineCall(func::CallOp call, const SymbolTable &symbols,
                                SmallVector<func::FuncOp> &callers) {
  auto callee = symbols.lookup<func::FuncOp>(call.getCallee());
  if (!callee || callee.isDeclaration() || !callee.getBody().hasOneBlock())
    return call.emitError(
        "expected to call a function with a body of one block");
  if (llvm::is_contained(callers, callee))
    return call.emitError("expected no recursive calls");
  OpBuilder b(call);
  IRMapping values;
  Block &body = callee.getBody().front();
  values.map(body.getArguments(), call.getOperands());
  SmallVector<func::CallOp> inner;
  for (Operation &op : body.without_terminator()) {
    Operation *copy = b.clone(op, values);
    setCallSite(copy, call.getLoc());
    if (auto nested = dyn_cast<func::CallOp>(copy))
      inner.push_back(nested);
  }
  for (auto [result, value] :
       llvm::zip(call.getResults(), body.getTerminator()->getOperands()))
    result.replaceAllUsesWith(values.lookupOrDefault(value));
  call.erase();
  callers.push_back(callee);
  for (func::CallOp nested : inner)
    if (failed(inlineCall(nested, symbols, callers)))
      return failure();
  callers.pop_back();
  return success();
}

//===----------------------------------------------------------------------===//
// Probes
//===----------------------------------------------------------------------===//

// The operation that gives the value its name: the last one of a group.
static Operation *namingOp(Operation *op) {
  if (auto fused = dyn_cast<tn::FusedOp>(op)) {
    Operation *yield = fused.getBody().front().getTerminator();
    if (Operation *last = yield->getOperand(0).getDefiningOp())
      return last;
  }
  return op;
}

// True for [batch, position, features...] that `op` computes. Of attention the
// output alone: a state is updated in place and has no other user, and nobody
// computes log-sum-exps that nobody wants; splitting and merging
// heads moves no element; what is rounded in groups is stored as bytes.
static bool isShown(Operation *op, Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || type.getRank() < 3 || !type.isDynamicDim(0) ||
      !isa<FloatType>(type.getElementType()) ||
      !isa<tn::TNDialect>(op->getDialect()) ||
      isa<tn::SplitHeadsOp, tn::MergeHeadsOp>(op) ||
      isa<tn::RoundGroupsOp>(namingOp(op)))
    return false;
  if (isa<tn::LightningAttentionOp, tn::SoftmaxAttentionOp>(op))
    return value == op->getResult(0);
  return true;
}

namespace {

// The probes of one function.
class Prober {
public:
  explicit Prober(MLIRContext *context) : b(context) {}

  int64_t probe(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(block))
      for (Value value : op.getResults())
        if (isShown(&op, value))
          show(&op, value);
    return count;
  }

private:
  void show(Operation *op, Value value) {
    b.setInsertionPointAfter(op);
    Location loc = namingOp(op)->getLoc();
    std::string name = nameOf(namingOp(op));
    auto type = cast<RankedTensorType>(value.getType());
    if (!type.getElementType().isF32())
      value = tn::CastOp::create(b, loc, type.clone(b.getF32Type()), value);
    else if (isa<tn::SliceOp>(op))
      // A slice is a view of some columns; an observer sees whole rows.
      value = tn::ActivationOp::create(b, loc, type, tn::ActivationKind::None,
                                       value, DenseI64ArrayAttr());
    tn::ProbeOp::create(b, loc, name, value);
    ++count;
  }

  // The tensor's name, else the operation's; with .1, .2, ... where it comes
  // again.
  std::string nameOf(Operation *op) {
    std::string name = tn::getTensorName(op->getLoc());
    if (name.empty())
      name = op->getName().stripDialect().str();
    int number = seen[name]++;
    return number == 0 ? name : name + "." + std::to_string(number);
  }

  OpBuilder b;
  llvm::StringMap<int> seen;
  int64_t count = 0;
};

struct InsertProbesPass
    : public tnllm::impl::TNInsertProbesBase<InsertProbesPass> {
  using TNInsertProbesBase::TNInsertProbesBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    llvm::SmallPtrSet<Operation *, 8> inlined;
    for (auto function : module.getOps<func::FuncOp>()) {
      if (!function.isPublic() || function.isDeclaration())
        continue;
      if (failed(inlineCalls(function, symbols, inlined)))
        return signalPassFailure();
      for (Block &block : function.getBody())
        numProbes += Prober(&getContext()).probe(block);
    }
    // Nothing else can call a private function.
    for (auto function :
         llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
      if (function.isPrivate() && inlined.contains(function))
        function.erase();
  }

  // Collects in `inlined` what is called.
  LogicalResult inlineCalls(func::FuncOp function, const SymbolTable &symbols,
                            llvm::SmallPtrSetImpl<Operation *> &inlined) {
    SmallVector<func::CallOp> calls;
    function.walk([&](func::CallOp call) { calls.push_back(call); });
    SmallVector<func::FuncOp> callers = {function};
    for (func::CallOp call : calls) {
      collectCallees(call, symbols, inlined);
      if (failed(inlineCall(call, symbols, callers)))
        return failure();
    }
    return success();
  }

  static void collectCallees(func::CallOp call, const SymbolTable &symbols,
                             llvm::SmallPtrSetImpl<Operation *> &inlined) {
    auto callee = symbols.lookup<func::FuncOp>(call.getCallee());
    if (!callee || !inlined.insert(callee).second)
      return;
    callee.walk(
        [&](func::CallOp inner) { collectCallees(inner, symbols, inlined); });
  }
};

} // namespace
