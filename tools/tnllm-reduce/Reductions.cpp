// The steps of a reduction: what may be tried on one operation.
#include "Reductions.h"

#include "TN/TNDialect.h"
#include "TNK/TNKDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace tnllm;

static bool isUsedSymbol(Operation *op) {
  Operation *table = op->getParentOp();
  return table && !SymbolTable::symbolKnownUseEmpty(op, table);
}

// Whatever nobody uses goes, effects or not.
static bool erase(Operation *op) {
  if (!op->getParentOp() || op->hasTrait<OpTrait::IsTerminator>() ||
      !op->use_empty())
    return false;
  if (isa<SymbolOpInterface>(op) && isUsedSymbol(op))
    return false;
  op->erase();
  return true;
}

// A loop becomes what went into it.
static bool skipLoop(Operation *op) {
  auto loop = dyn_cast<scf::ForOp>(op);
  if (!loop)
    return false;
  loop->replaceAllUsesWith(loop.getInitArgs());
  loop->erase();
  return true;
}

// A loop becomes its body, run once.
static bool openLoop(Operation *op) {
  auto loop = dyn_cast<scf::ForOp>(op);
  if (!loop)
    return false;
  Operation *yield = loop.getBody()->getTerminator();
  loop.getInductionVar().replaceAllUsesWith(loop.getLowerBound());
  for (auto [inside, init] :
       llvm::zip(loop.getRegionIterArgs(), loop.getInitArgs()))
    inside.replaceAllUsesWith(init);
  loop->replaceAllUsesWith(yield->getOperands());
  yield->erase();
  loop->getBlock()->getOperations().splice(loop->getIterator(),
                                           loop.getBody()->getOperations());
  loop->erase();
  return true;
}

// A group becomes the operations in it.
static bool openFused(Operation *op) {
  auto fused = dyn_cast<tn::FusedOp>(op);
  if (!fused)
    return false;
  Block &body = fused.getBody().front();
  Operation *yield = body.getTerminator();
  fused->replaceAllUsesWith(yield->getOperands());
  yield->erase();
  fused->getBlock()->getOperations().splice(fused->getIterator(),
                                            body.getOperations());
  fused->erase();
  return true;
}

// Results become operands of the same type.
static bool useOperands(Operation *op) {
  if (op->getNumResults() == 0 || op->getNumRegions() != 0)
    return false;
  SmallVector<Value> values;
  for (Value result : op->getResults()) {
    auto same = llvm::find_if(op->getOperands(), [&](Value operand) {
      return operand.getType() == result.getType();
    });
    if (same == op->operand_end())
      return false;
    values.push_back(*same);
  }
  op->replaceAllUsesWith(values);
  op->erase();
  return true;
}

// Results that are numbers, or vectors of them, become zero.
static bool useZero(Operation *op) {
  if (op->getNumResults() == 0 || op->getNumRegions() != 0 ||
      op->hasTrait<OpTrait::ConstantLike>())
    return false;
  OpBuilder builder(op);
  SmallVector<TypedAttr> zeros;
  for (Type type : op->getResultTypes()) {
    if (!isa<VectorType>(type) && !type.isIntOrIndexOrFloat())
      return false;
    zeros.push_back(builder.getZeroAttr(type));
    if (!zeros.back())
      return false;
  }
  for (auto [result, zero] : llvm::zip(op->getResults(), zeros))
    result.replaceAllUsesWith(
        arith::ConstantOp::create(builder, op->getLoc(), zero));
  op->erase();
  return true;
}

// A function that nobody calls returns nothing.
static bool dropResults(Operation *op) {
  auto function = dyn_cast<func::FuncOp>(op);
  if (!function || function.getNumResults() == 0 || isUsedSymbol(op))
    return false;
  function.setFunctionType(
      FunctionType::get(op->getContext(), function.getArgumentTypes(), {}));
  function.removeResAttrsAttr();
  function.walk([](func::ReturnOp exit) { exit->setOperands({}); });
  return true;
}

// A function or kernel that nobody calls or launches takes what it uses; a
// kernel keeps its task.
static bool dropArguments(Operation *op) {
  auto function = dyn_cast<FunctionOpInterface>(op);
  if (!function || function.isExternal() || isUsedSymbol(op))
    return false;
  llvm::BitVector unused(function.getNumArguments());
  for (BlockArgument argument : function.getArguments())
    if (argument.use_empty())
      unused.set(argument.getArgNumber());
  if (isa<tnk::KernelOp>(op) && !unused.empty())
    unused.reset(unused.size() - 1);
  return unused.any() && succeeded(function.eraseArguments(unused));
}

// Attributes that no operation asks for.
static bool dropAttributes(Operation *op) {
  if (op->getDiscardableAttrs().empty())
    return false;
  op->setDiscardableAttrs(DictionaryAttr::get(op->getContext()));
  return true;
}

ArrayRef<Reduction> tnllm::getReductions() {
  static const Reduction reductions[] = {
      {"erase", erase},
      {"skip-loop", skipLoop},
      {"drop-results", dropResults},
      {"use-operands", useOperands},
      {"use-zero", useZero},
      {"open-loop", openLoop},
      {"open-fused", openFused},
      {"drop-arguments", dropArguments},
      {"drop-attributes", dropAttributes},
  };
  return reductions;
}
