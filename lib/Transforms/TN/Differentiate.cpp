// tn-differentiate: a function and its gradients as one, from the adjoints that
// operations say (docs/Rationale/Training.md).
#include "TN/TNDialect.h"
#include "tnllm/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"

namespace tnllm {
#define GEN_PASS_DEF_TNDIFFERENTIATE
#include "tnllm/Transforms/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

namespace {

// What is saved between a forward and its backward, besides the arguments.
enum class Recompute { None, Selective, Full };

// A private function, split in two.
struct Split {
  func::FuncOp forward;  // also returns what is saved
  func::FuncOp backward; // (arguments or saved values..., gradients) -> ...
  // What the backward takes: argument i (>= 0) or result -1 - i of the forward.
  SmallVector<int> inputs;
  SmallVector<unsigned> arguments; // whose gradients it returns
};

// Gradients of values, while a function is walked backwards.
class Gradients : public tn::AdjointBuilder {
public:
  explicit Gradients(ImplicitLocOpBuilder &b) : AdjointBuilder(b) {}

  Value gradientOf(Value result) final { return gradients.lookup(result); }

  // `now` stands for `old` from here on.
  virtual void replace(Value old, Value now) { old.replaceAllUsesWith(now); }

  void accumulate(Value operand, Value gradient) final {
    Value &sum = gradients[operand];
    sum = sum ? tn::AddOp::create(b, gradient.getType(), sum, gradient)
                    .getResult()
              : gradient;
  }

private:
  DenseMap<Value, Value> gradients;
};

// The backward beside the forward, in one function: every value is at hand.
class JointGradients : public Gradients {
public:
  using Gradients::Gradients;
  Value primal(Value value) final { return value; }
};

// The backward as a function of its own: values come in as arguments, or are
// computed again.
class SplitGradients : public Gradients {
public:
  SplitGradients(ImplicitLocOpBuilder &b, Block &body, Recompute recompute)
      : Gradients(b), body(body), recompute(recompute) {}

  Value primal(Value value) final {
    if (Value known = known_.lookupOrNull(value))
      return known;
    Operation *op = value.getDefiningOp();
    if (op && isRecomputed(op)) {
      for (Value operand : op->getOperands())
        known_.map(operand, primal(operand));
      // Before its first use: where the backward stands now.
      Operation *copy = b.clone(*op, known_);
      return copy->getResult(cast<OpResult>(value).getResultNumber());
    }
    Value argument = body.addArgument(value.getType(), value.getLoc());
    known_.map(value, argument);
    saved.push_back(value);
    return argument;
  }

  void replace(Value old, Value now) final {
    Gradients::replace(old, now);
    llvm::replace(saved, old, now);
    if (Value known = known_.lookupOrNull(old))
      known_.map(now, known);
  }

  // In the order of the arguments that stand for them.
  SmallVector<Value> saved;

private:
  // What is wide again is kept as it was.
  static bool isWidening(Operation *op) {
    auto cast = dyn_cast<tn::CastOp>(op);
    return cast && cast.getX().getType().getElementType().isBF16() &&
           cast.getResult().getType().getElementType().isF32();
  }
  bool isRecomputed(Operation *op) const {
    if (op->getNumOperands() == 0 && isPure(op)) // constants, parameters
      return true;
    // A view costs nothing, and what it shows is kept once for all its views.
    if (isa<tn::SliceOp, tn::SplitHeadsOp, tn::MergeHeadsOp>(op) ||
        isWidening(op))
      return true;
    if (!isa<tn::AdjointOpInterface, tn::ZerosOp>(op))
      return false;
    if (recompute == Recompute::Full)
      return true;
    return recompute == Recompute::Selective && !isDear(op);
  }
  // What selective recompute keeps: as bf16 where it is rounded, and the sum
  // instead of a linear map that is added to something, so that the product can
  // add it.
  static bool isDear(Operation *op) {
    if (auto cast = dyn_cast<tn::CastOp>(op);
        cast && cast.getResult().getType().getElementType().isBF16())
      op = cast.getX().getDefiningOp();
    if (auto sum = dyn_cast_or_null<tn::AddOp>(op))
      return sum.getLhs().getDefiningOp<tn::LinearOp>() ||
             sum.getRhs().getDefiningOp<tn::LinearOp>();
    return isa_and_nonnull<tn::LinearOp, tn::LightningAttentionOp,
                           tn::SoftmaxAttentionOp, tn::CrossEntropyOp>(op);
  }

  Block &body;
  Recompute recompute;
  IRMapping known_;
};

class Differentiator {
public:
  Differentiator(ModuleOp module, Recompute recompute)
      : module(module), symbols(module), recompute(recompute) {}

  LogicalResult differentiate(func::FuncOp function, StringRef name);

private:
  FailureOr<func::FuncOp> cloneForward(func::FuncOp function, StringRef name);
  FailureOr<Split *> split(func::FuncOp function, ArrayRef<unsigned> results);
  LogicalResult walkBack(ArrayRef<Operation *> operations,
                         Gradients &gradients);
  LogicalResult callBack(func::CallOp call, Gradients &gradients);
  void returnGradients(func::FuncOp joint, unsigned numArguments,
                       Gradients &gradients);

  ModuleOp module;
  SymbolTable symbols;
  Recompute recompute;
  llvm::StringMap<std::unique_ptr<Split>> splits;
};

} // namespace

static bool isDifferentiable(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && isa<FloatType>(type.getElementType());
}

static RankedTensorType gradientType(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.clone(Float32Type::get(type.getContext()));
}

static SmallVector<Operation *> operationsOf(func::FuncOp function) {
  SmallVector<Operation *> operations;
  for (Operation &op : function.getBody().front().without_terminator())
    operations.push_back(&op);
  return operations;
}

static func::ReturnOp returnOf(func::FuncOp function) {
  return cast<func::ReturnOp>(function.getBody().front().getTerminator());
}

// Gives the function the type that its entry block and its return have.
static void updateType(func::FuncOp function) {
  function.setFunctionType(FunctionType::get(
      function.getContext(), function.getBody().getArgumentTypes(),
      returnOf(function).getOperandTypes()));
}

// The attention updates its state in place, and the backward wants the old one.
static void keepStates(func::FuncOp function) {
  function.walk([](tn::LightningAttentionOp op) {
    if (op.getState().getDefiningOp<tn::ZerosOp>())
      return;
    OpBuilder b(op);
    op.getStateMutable().assign(tn::CopyOp::create(
        b, op.getLoc(), op.getState().getType(), op.getState()));
  });
}

// A clone that nothing observes: probes are for the function itself.
FailureOr<func::FuncOp> Differentiator::cloneForward(func::FuncOp function,
                                                     StringRef name) {
  if (function.isDeclaration() || !function.getBody().hasOneBlock())
    return function.emitError("expected a body of one block to differentiate"),
           failure();
  if (symbols.lookup(name))
    return module.emitError("the name '") << name << "' is taken", failure();
  func::FuncOp clone = function.clone();
  clone.setSymName(name);
  clone.removeResAttrsAttr();
  symbols.insert(clone, std::next(function->getIterator()));
  for (auto probe : llvm::make_early_inc_range(
           clone.getBody().front().getOps<tn::ProbeOp>()))
    probe.erase();
  keepStates(clone);
  return clone;
}

// From the last operation to the first.
LogicalResult Differentiator::walkBack(ArrayRef<Operation *> operations,
                                       Gradients &gradients) {
  for (Operation *op : llvm::reverse(operations)) {
    if (isa<tn::ZerosOp>(op) ||
        llvm::none_of(op->getResults(), [&](Value result) {
          return gradients.gradientOf(result);
        }))
      continue;
    gradients.b.setLoc(op->getLoc());
    if (auto call = dyn_cast<func::CallOp>(op)) {
      if (failed(callBack(call, gradients)))
        return failure();
    } else if (auto adjoint = dyn_cast<tn::AdjointOpInterface>(op)) {
      if (failed(adjoint.buildAdjoint(gradients)))
        return failure();
    } else if (op->getNumOperands() != 0 || op->getNumRegions() != 0) {
      return op->emitError("'")
             << op->getName() << "' has no adjoint, expected one of tn or a "
             << "call in a function that is differentiated";
    }
  }
  return success();
}

// The backward of a call; the call itself becomes one of the callee's forward.
LogicalResult Differentiator::callBack(func::CallOp call,
                                       Gradients &gradients) {
  auto callee = symbols.lookup<func::FuncOp>(call.getCallee());
  if (!callee || callee == call->getParentOfType<func::FuncOp>())
    return call.emitError("expected to call another function of the module");
  SmallVector<unsigned> results;
  for (OpResult result : call.getResults())
    if (gradients.gradientOf(result))
      results.push_back(result.getResultNumber());
  FailureOr<Split *> split = this->split(callee, results);
  if (failed(split))
    return failure();
  OpBuilder builder(call);
  auto forward = func::CallOp::create(builder, call.getLoc(), (*split)->forward,
                                      call.getOperands());
  SmallVector<Value> inputs;
  for (int input : (*split)->inputs)
    inputs.push_back(gradients.primal(
        input >= 0 ? call.getOperand(input) : forward.getResult(-1 - input)));
  for (unsigned result : results)
    inputs.push_back(gradients.gradientOf(call.getResult(result)));
  auto backward = func::CallOp::create(gradients.b, (*split)->backward, inputs);
  for (auto [argument, gradient] :
       llvm::zip((*split)->arguments, backward.getResults()))
    gradients.accumulate(call.getOperand(argument), gradient);
  for (auto [old, result] : llvm::zip(call.getResults(), forward.getResults()))
    gradients.replace(old, result);
  call.erase();
  return success();
}

// `results` are those whose gradients the backward takes.
FailureOr<Split *> Differentiator::split(func::FuncOp function,
                                         ArrayRef<unsigned> results) {
  std::string suffix;
  if (results.size() != function.getNumResults())
    for (unsigned result : results)
      suffix += "_" + std::to_string(result);
  // No symbol ends in a slash and such a suffix, as "f" with "_0" and "f_0" do.
  auto [entry, isNew] =
      splits.try_emplace((function.getSymName() + "/" + suffix).str());
  std::unique_ptr<Split> &made = entry->second; // stays where it is
  if (!isNew && !made)
    return function.emitError("calls itself, expected no recursion in what is "
                              "differentiated"),
           failure();
  if (made)
    return made.get();
  auto split = std::make_unique<Split>();
  FailureOr<func::FuncOp> forward = cloneForward(
      function, (function.getSymName() + "_forward" + suffix).str());
  if (failed(forward))
    return failure();
  split->forward = *forward;

  ImplicitLocOpBuilder b(function.getLoc(), module.getContext());
  b.setInsertionPointAfter(split->forward);
  split->backward = func::FuncOp::create(
      b, (function.getSymName() + "_backward" + suffix).str(),
      b.getFunctionType({}, {}));
  split->backward.setPrivate();
  symbols.insert(split->backward);
  for (StringRef name : {tn::kRowsAttrName, tn::kSequencesAttrName})
    if (Attribute capacity = function->getAttr(name))
      split->backward->setAttr(name, capacity);
  Block *body = split->backward.addEntryBlock();
  b.setInsertionPointToStart(body);

  SplitGradients gradients(b, *body, recompute);
  // Gradients come last; they are made first, so collect and append them.
  SmallVector<Value> incoming;
  for (unsigned result : results) {
    Value value = returnOf(split->forward).getOperand(result);
    incoming.push_back(body->addArgument(gradientType(value), value.getLoc()));
    gradients.accumulate(value, incoming.back());
  }
  if (failed(walkBack(operationsOf(split->forward), gradients)))
    return failure();

  SmallVector<Value> returned;
  for (BlockArgument argument : split->forward.getArguments())
    if (Value gradient = isDifferentiable(argument)
                             ? gradients.gradientOf(argument)
                             : Value()) {
      split->arguments.push_back(argument.getArgNumber());
      returned.push_back(gradient);
    }
  func::ReturnOp::create(b, returned);

  // Saved values before gradients.
  for (Value old : incoming) {
    Value moved = body->addArgument(old.getType(), old.getLoc());
    old.replaceAllUsesWith(moved);
  }
  body->eraseArguments(0, incoming.size());
  updateType(split->backward);

  func::ReturnOp forwardReturn = returnOf(split->forward);
  for (Value value : gradients.saved) {
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      split->inputs.push_back(argument.getArgNumber());
      continue;
    }
    // A result that is also saved is returned once.
    SmallVector<Value> returned(forwardReturn.getOperands());
    int number = std::distance(returned.begin(), llvm::find(returned, value));
    if (number == static_cast<int>(returned.size()))
      forwardReturn->insertOperands(number, value);
    split->inputs.push_back(-1 - number);
  }
  updateType(split->forward);
  made = std::move(split);
  return made.get();
}

// Results of the joint function: those of the original, then the gradients of
// arguments, then those of parameters, each marked with what it belongs to.
void Differentiator::returnGradients(func::FuncOp joint, unsigned numArguments,
                                     Gradients &gradients) {
  ImplicitLocOpBuilder &b = gradients.b;
  b.setLoc(joint.getLoc());
  // One parameter may be read in several places.
  llvm::MapVector<StringAttr, Value> ofParameters;
  for (Operation *op : operationsOf(joint))
    if (auto get = dyn_cast<tn::GetParamOp>(op))
      if (Value gradient = gradients.gradientOf(get)) {
        Value &sum = ofParameters[get.getParamAttr().getAttr()];
        sum = sum ? tn::AddOp::create(b, gradient.getType(), sum, gradient)
                        .getResult()
                  : gradient;
      }
  func::ReturnOp terminator = returnOf(joint);
  SmallVector<Value> values(terminator.getOperands());
  SmallVector<DictionaryAttr> attributes(values.size());
  auto add = [&](Value gradient, Attribute of) {
    values.push_back(gradient);
    attributes.push_back(
        b.getDictionaryAttr(b.getNamedAttr(tn::kGradientOfAttrName, of)));
  };
  for (BlockArgument argument : joint.getArguments().take_front(numArguments))
    if (Value gradient = gradients.gradientOf(argument))
      add(gradient, b.getI64IntegerAttr(argument.getArgNumber()));
  for (auto [name, gradient] : ofParameters)
    add(gradient, FlatSymbolRefAttr::get(name));
  terminator->setOperands(values);
  updateType(joint);
  for (auto [i, attribute] : llvm::enumerate(attributes))
    if (attribute)
      joint.setResultAttrs(i, attribute);
}

LogicalResult Differentiator::differentiate(func::FuncOp function,
                                            StringRef name) {
  for (Type type : function.getResultTypes())
    if (auto tensor = dyn_cast<RankedTensorType>(type);
        !tensor || !isa<FloatType>(tensor.getElementType()))
      return function.emitError("expected results that are tensors of floats "
                                "to differentiate, got ")
             << type;
  FailureOr<func::FuncOp> joint = cloneForward(function, name);
  if (failed(joint))
    return failure();
  joint->setPublic();
  ImplicitLocOpBuilder b(function.getLoc(), module.getContext());
  func::ReturnOp terminator = returnOf(*joint);
  b.setInsertionPoint(terminator);
  JointGradients gradients(b);
  Block &body = joint->getBody().front();
  for (Value result : terminator.getOperands())
    gradients.accumulate(
        result, body.addArgument(gradientType(result), result.getLoc()));
  if (failed(walkBack(operationsOf(*joint), gradients)))
    return failure();
  returnGradients(*joint, function.getNumArguments(), gradients);
  return success();
}

namespace {

struct DifferentiatePass
    : public tnllm::impl::TNDifferentiateBase<DifferentiatePass> {
  using TNDifferentiateBase::TNDifferentiateBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto mode = llvm::StringSwitch<std::optional<Recompute>>(recompute)
                    .Case("none", Recompute::None)
                    .Case("selective", Recompute::Selective)
                    .Case("full", Recompute::Full)
                    .Default(std::nullopt);
    if (!mode) {
      module.emitError("recompute: expected none, selective or full, got '")
          << recompute << "'";
      return signalPassFailure();
    }
    auto source = SymbolTable(module).lookup<func::FuncOp>(function);
    if (!source) {
      module.emitError("expected a function named '")
          << function << "' to differentiate";
      return signalPassFailure();
    }
    if (failed(Differentiator(module, *mode)
                   .differentiate(source, function + "_gradient")))
      signalPassFailure();
  }
};

} // namespace
