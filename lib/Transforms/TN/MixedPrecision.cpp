// tn-mixed-precision: products of bf16 operands in a program of f32 parameters
// (docs/Rationale/Training.md).
#include "TN/TNDialect.h"
#include "tnllm/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace tnllm {
#define GEN_PASS_DEF_TNMIXEDPRECISION
#include "tnllm/Transforms/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

static bool isF32(Value value) {
  return typeOf(value).getElementType().isF32();
}

static RankedTensorType narrowTypeOf(Value value) {
  return typeOf(value).clone(BFloat16Type::get(value.getContext()));
}

// The operand of `op` that is a weight, or null.
static OpOperand *weightOf(Operation *op) {
  if (auto linear = dyn_cast<tn::LinearOp>(op))
    return linear.getScales() ? nullptr : &linear.getWeightMutable();
  if (auto entropy = dyn_cast<tn::CrossEntropyOp>(op))
    return &entropy.getWeightMutable();
  return nullptr;
}

// True for values that are kept from the forward to the backward and that are
// not part of a long sum: they are rounded where they are made.
static bool isRounded(OpResult value) {
  Operation *op = value.getOwner();
  if (!isa<tn::LinearOp, tn::ActivationOp, tn::LRPEOp,
           tn::LightningAttentionOp>(op) ||
      value.getResultNumber() != 0 || !isF32(value))
    return false;
  return llvm::none_of(value.getUsers(), llvm::IsaPred<tn::AddOp>);
}

namespace {

struct MixedPrecisionPass
    : public tnllm::impl::TNMixedPrecisionBase<MixedPrecisionPass> {
  using TNMixedPrecisionBase::TNMixedPrecisionBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    narrowed.clear(); // a pass may run on one module after another
    inputs.clear();
    SmallVector<Operation *> products;
    SmallVector<OpResult> rounded;
    module.walk([&](Operation *op) {
      if (OpOperand *weight = weightOf(op); weight && isF32(weight->get()))
        products.push_back(op);
      for (OpResult result : op->getResults())
        if (isRounded(result))
          rounded.push_back(result);
    });
    for (OpResult value : rounded)
      round(value);
    SymbolTable symbols(module);
    for (Operation *op : products)
      narrowOperands(op);
    for (auto function : module.getOps<func::FuncOp>())
      for (unsigned i = 0; i < function.getNumArguments(); ++i)
        if (function.isPrivate() && !function.isDeclaration() &&
            isOnlyWeight(function.getArgument(i)))
          narrowArgument(symbols, function, i);
  }

  // x and the weight of a product, x behind what makes it.
  void narrowOperands(Operation *op) {
    OpOperand &x = op->getOpOperand(0);
    Value &input = inputs[x.get()]; // once for all products of it
    if (!input)
      input = castBehind(x.get());
    x.set(input);
    OpOperand *weight = weightOf(op);
    weight->set(narrow(weight->get()));
    ++numProducts;
  }

  static Value castBehind(Value value) {
    ImplicitLocOpBuilder b(value.getLoc(), value.getContext());
    b.setInsertionPointAfterValue(value);
    return tn::CastOp::create(b, narrowTypeOf(value), value);
  }

  // The weight in bf16: once for each value, where the function begins, so that
  // nothing stands between the calls of layers.
  Value narrow(Value weight) {
    Value &made = narrowed[weight];
    if (made)
      return made;
    Block *block = weight.getParentBlock();
    Operation *op = weight.getDefiningOp();
    if (op && op->getNumOperands() == 0)
      op->moveBefore(&block->front());
    return made = castBehind(weight);
  }

  // True for an argument that is read by the cast alone that narrow() made.
  bool isOnlyWeight(BlockArgument argument) {
    return argument.hasOneUse() && narrowed.contains(argument);
  }

  // The callers cast, so that a weight is rounded once and not in each call.
  void narrowArgument(SymbolTable &symbols, func::FuncOp function,
                      unsigned number) {
    BlockArgument argument = function.getArgument(number);
    Operation *cast = *argument.user_begin();
    SmallVector<Type> inputs(function.getArgumentTypes());
    inputs[number] = narrowTypeOf(argument);
    argument.setType(inputs[number]);
    function.setType(
        FunctionType::get(&getContext(), inputs, function.getResultTypes()));
    cast->getResult(0).replaceAllUsesWith(argument);
    narrowed.erase(argument);
    cast->erase();
    getOperation().walk([&](func::CallOp call) {
      if (symbols.lookup(call.getCallee()) == function)
        call.setOperand(number, narrow(call.getOperand(number)));
    });
  }

  // value -> bf16 -> f32 for all who read it.
  void round(OpResult value) {
    ImplicitLocOpBuilder b(value.getLoc(), value.getContext());
    b.setInsertionPointAfterValue(value);
    Value narrow = tn::CastOp::create(b, narrowTypeOf(value), value);
    Value wide = tn::CastOp::create(b, typeOf(value), narrow);
    Value(value).replaceUsesWithIf(wide, [&](OpOperand &use) {
      return use.getOwner() != narrow.getDefiningOp();
    });
    ++numRounded;
  }

  llvm::DenseMap<Value, Value> narrowed; // weights
  llvm::DenseMap<Value, Value> inputs;
};

} // namespace
