// The interpreter: walks a function and calls the definition of each operation.
#include "Frame.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/TypeSwitch.h"

#include <optional>

using namespace mlir;
using namespace tnllm;
using namespace tnllm::reference;

// Deeper than any program that is not recursive.
static constexpr int kMaxCalls = 64;

// The static sizes of `type` are those of `shape`.
static bool fits(RankedTensorType type, ArrayRef<int64_t> shape) {
  return type.getRank() == static_cast<int64_t>(shape.size()) &&
         llvm::all_of(llvm::zip(type.getShape(), shape), [](auto sizes) {
           return ShapedType::isDynamic(std::get<0>(sizes)) ||
                  std::get<0>(sizes) == std::get<1>(sizes);
         });
}

// True where somebody else than a kernel reads the value, or a sum of the
// residual stream.
static bool isWide(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    if (isa<tn::SliceOp, tn::SplitHeadsOp, tn::MergeHeadsOp>(user))
      return isWide(user->getResult(0));
    return isa<tn::AddOp, tn::ProbeOp, func::CallOp, func::ReturnOp>(user);
  });
}

// The value with the errors that the environment asks for: of what is computed,
// and of what is stored.
Tensor Frame::disturb(Operation *op, Value result, Tensor value) const {
  auto type = dyn_cast<RankedTensorType>(result.getType());
  if (!type || !type.getElementType().isF32() || type.hasStaticShape() ||
      isa<tn::SliceOp, tn::SplitHeadsOp, tn::MergeHeadsOp>(op))
    return value; // a constant, or nothing but another view
  std::uniform_real_distribution<double> error(-environment.noise,
                                               environment.noise);
  if (environment.noise != 0 && environment.random && !isa<tn::FusedOp>(op))
    for (int64_t i = 0; i < value.size(); ++i)
      value[i] *= 1 + error(*environment.random);
  bool isStored = !isa<tn::FusedOp>(op->getParentOp()) && !isWide(result);
  return environment.roundActivations && isStored ? roundToBF16(value) : value;
}

LogicalResult Frame::set(Operation *op, Value result, Shared value) {
  auto type = dyn_cast<RankedTensorType>(result.getType());
  if (!type || !fits(type, value->shape()))
    return op->emitError("computed a value of shape [")
           << shapeText(value->shape()) << "] where the type is "
           << result.getType();
  values[result] = std::move(value);
  return success();
}

FailureOr<SmallVector<Shared>> Frame::run(func::FuncOp function,
                                          ArrayRef<Shared> inputs) {
  if (function.isDeclaration() || !function.getBody().hasOneBlock())
    return function.emitError("expected a body of one block to run"), failure();
  if (inputs.size() != function.getNumArguments())
    return function.emitError("expected ") << function.getNumArguments()
                                           << " inputs, got " << inputs.size(),
           failure();
  for (auto [argument, input] : llvm::zip(function.getArguments(), inputs))
    if (failed(set(function, argument, input)))
      return failure();
  Block &body = function.getBody().front();
  for (Operation &op : body.without_terminator())
    if (failed(execute(&op)))
      return failure();
  SmallVector<Shared> results;
  for (Value value : body.getTerminator()->getOperands())
    results.push_back(values.lookup(value));
  return results;
}

static bool isDynamic(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && !type.hasStaticShape();
}

// What the verifier of `op` says against it.
static std::optional<std::string> findProblem(Operation *op) {
  std::string text;
  ScopedDiagnosticHandler handler(
      op->getContext(), [&](Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
          text = diagnostic.str();
        return success();
      });
  if (failed(op->getName().verifyInvariants(op)))
    return text;
  return std::nullopt;
}

// A result's type with the sizes of the run: those of an operand of the same
// type, or else, where both leave them open, of the first operand, whose rows
// a result has.
static Type sizedResult(Operation *op, Operation *sized, Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || tensor.hasStaticShape())
    return type;
  for (auto [open, known] : llvm::zip(op->getOperandTypes(),
                                      sized->getOperandTypes()))
    if (open == type)
      return known;
  auto open = dyn_cast<RankedTensorType>(op->getOperand(0).getType());
  if (!open)
    return type;
  auto known = cast<RankedTensorType>(sized->getOperand(0).getType());
  SmallVector<int64_t> shape(tensor.getShape());
  for (int64_t i = 0; i < std::min(tensor.getRank(), open.getRank()); ++i)
    if (tensor.isDynamicDim(i) && open.isDynamicDim(i))
      shape[i] = known.getDimSize(i);
  return tensor.clone(shape);
}

// Asks the verifier of `op` once more, with the sizes of this run in the types:
// it lets dynamic ones pass.
LogicalResult Frame::verifySizes(Operation *op) {
  if (!isa_and_nonnull<tn::TNDialect>(op->getDialect()) ||
      op->getNumRegions() > 0 || !llvm::any_of(op->getOperands(), isDynamic))
    return success();
  Block block;
  IRMapping sized;
  for (Value operand : op->getOperands()) {
    auto type = dyn_cast<RankedTensorType>(operand.getType());
    if (type && !sized.contains(operand))
      sized.map(operand, block.addArgument(type.clone(get(operand).shape()),
                                           op->getLoc()));
  }
  Operation *copy = op->cloneWithoutRegions(sized);
  for (OpResult result : copy->getResults())
    result.setType(sizedResult(op, copy, result.getType()));
  std::optional<std::string> problem = findProblem(copy);
  copy->destroy();
  if (problem)
    return op->emitError("with the sizes of this run: ") << *problem;
  return success();
}

// What the verifiers cannot see in dynamic dimensions.
LogicalResult Frame::checkOperands(Operation *op) {
  auto mismatch = [&](Value a, Value b) {
    return op->emitError("run-time shapes [")
           << shapeText(get(a).shape()) << "] and ["
           << shapeText(get(b).shape()) << "] do not fit";
  };
  if (isa<tn::AddOp, tn::MulOp>(op) &&
      get(op->getOperand(0)).shape() != get(op->getOperand(1)).shape())
    return mismatch(op->getOperand(0), op->getOperand(1));
  if (auto sample = dyn_cast<tn::SampleOp>(op))
    if (get(sample.getLogits()).dim(0) != get(sample.getSettings()).dim(0))
      return mismatch(sample.getLogits(), sample.getSettings());
  if (isa<tn::LRPEOp, tn::RoPEOp>(op) &&
      get(op->getOperand(0)).dim(0) != get(op->getOperand(2)).dim(0))
    return mismatch(op->getOperand(0), op->getOperand(2));
  if (isa<tn::PositionIdsOp>(op) &&
      get(op->getOperand(0)).dim(0) != get(op->getOperand(1)).dim(0))
    return mismatch(op->getOperand(0), op->getOperand(1));
  if (auto attention = dyn_cast<tn::SoftmaxAttentionOp>(op)) {
    for (Value other : {attention.getK(), attention.getV()})
      if (get(other).shape().drop_back() !=
          get(attention.getQ()).shape().drop_back())
        return mismatch(attention.getQ(), other);
    for (Value other :
         {Value(attention.getCache()), Value(attention.getPositions())})
      if (other && get(other).dim(0) != get(attention.getQ()).dim(0))
        return mismatch(attention.getQ(), other);
  }
  if (auto attention = dyn_cast<tn::LightningAttentionOp>(op)) {
    const Tensor &q = get(attention.getQ());
    for (Value other : {attention.getK(), attention.getV()})
      if (get(other).shape().drop_back() != q.shape().drop_back())
        return mismatch(attention.getQ(), other);
    if (get(attention.getK()).lastDim() != q.lastDim())
      return mismatch(attention.getQ(), attention.getK());
    SmallVector<int64_t> state = {q.dim(0), q.dim(2), q.dim(3),
                                  get(attention.getV()).dim(3)};
    if (Value offsets = attention.getOffsets()) {
      if (!areOffsets(get(offsets), q.dim(0)))
        return op->emitError(
                   "offsets must begin with 0, never fall and end with "
                   "the rows, ")
               << q.dim(0);
      state[0] = get(offsets).size() - 1;
    }
    if (get(attention.getState()).shape() != ArrayRef<int64_t>(state))
      return mismatch(attention.getQ(), attention.getState());
    if (get(attention.getSlopes()).size() != q.dim(2))
      return mismatch(attention.getQ(), attention.getSlopes());
  }
  return verifySizes(op);
}

LogicalResult Frame::execute(Operation *op) {
  if (failed(checkOperands(op)))
    return failure();
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](func::CallOp op) { return call(op); })
      .Case([&](arith::ConstantOp op) { return constant(op); })
      .Case([&](tn::GetParamOp op) {
        return lookUp(op, op.getParam(), environment.parameters);
      })
      .Case([&](tn::RowScalesOp op) {
        return lookUp(op, op.getParam(), environment.rowScales);
      })
      .Case([&](tn::EmbeddingOp op) { return embed(op); })
      .Case([&](tn::LightningAttentionOp op) { return attend(op); })
      .Case([&](tn::FusedOp op) { return fused(op); })
      .Case([&](tn::ProbeOp op) { return observe(op); })
      .Case([&](tn::ActivationOp op) { return activate(op); })
      .Case([&](tn::LinearOp op) {
        return set(op, linear(get(op.getX()), get(op.getWeight()),
                              getOptional(op.getScales()),
                              getOptional(op.getBias())));
      })
      .Case([&](tn::AddOp op) {
        return set(op, add(get(op.getLhs()), get(op.getRhs())));
      })
      .Case([&](tn::MulOp op) {
        return set(op, mul(get(op.getLhs()), get(op.getRhs())));
      })
      .Case([&](tn::ShiftedExpOp op) {
        return set(op, shiftedExp(get(op.getX())));
      })
      .Case([&](tn::SampleOp op) {
        return set(op, sample(get(op.getLogits()), get(op.getSettings())));
      })
      .Case([&](tn::CastOp op) {
        bool narrows = op.getResult().getType().getElementType().isBF16();
        return set(op, narrows ? roundToBF16(get(op.getX())) : get(op.getX()));
      })
      .Case([&](tn::RoundGroupsOp op) {
        return set(op, roundGroups(get(op.getX()),
                                   static_cast<int64_t>(op.getGroup())));
      })
      .Case([&](tn::NormOp op) {
        return set(op,
                   norm(op.getKind(), get(op.getX()),
                        getOptional(op.getWeight()), getOptional(op.getBias()),
                        op.getEpsilon().convertToFloat()));
      })
      .Case([&](tn::SliceOp op) {
        return set(
            op, slice(get(op.getX()), op.getColumns()[0], op.getColumns()[1]));
      })
      .Case([&](tn::SplitHeadsOp op) {
        ArrayRef<int64_t> heads =
            op.getResult().getType().getShape().take_back(2);
        SmallVector<int64_t> shape(get(op.getX()).shape().drop_back());
        shape.append(heads.begin(), heads.end());
        return set(op, get(op.getX()).reshaped(shape));
      })
      .Case([&](tn::MergeHeadsOp op) {
        ArrayRef<int64_t> split = get(op.getX()).shape();
        SmallVector<int64_t> shape(split.drop_back(2));
        shape.push_back(split.take_back(2)[0] * split.back());
        return set(op, get(op.getX()).reshaped(shape));
      })
      .Case([&](tn::DecaySlopesOp op) {
        return set(op, decaySlopes(op.getRule(),
                                   op.getResult().getType().getDimSize(0)));
      })
      .Case([&](tn::LRPEOp op) {
        return set(op, lrpe(get(op.getX()), get(op.getTheta()),
                            get(op.getPositions()), environment.roundAngles));
      })
      .Default([&](Operation *op) { return executeGradient(op); });
}

LogicalResult Frame::call(func::CallOp op) {
  auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
      op, op.getCalleeAttr());
  if (depth == kMaxCalls)
    return op.emitError("calls nest deeper than ") << kMaxCalls;
  SmallVector<Shared> inputs;
  for (Value operand : op.getOperands())
    inputs.push_back(values.lookup(operand));
  FailureOr<SmallVector<Shared>> results =
      Frame(environment, depth + 1).run(callee, inputs);
  if (failed(results))
    return failure();
  for (auto [result, value] : llvm::zip(op.getResults(), *results))
    if (failed(set(op, result, value)))
      return failure();
  return success();
}

LogicalResult Frame::constant(arith::ConstantOp op) {
  auto elements = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!elements)
    return op.emitError("expected a dense tensor constant");
  std::vector<double> data;
  if (isa<FloatType>(elements.getElementType()))
    for (const APFloat &element : elements.getValues<APFloat>()) {
      APFloat value = element;
      bool losesInfo;
      value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                    &losesInfo);
      data.push_back(value.convertToDouble());
    }
  else
    for (const APInt &element : elements.getValues<APInt>())
      data.push_back(static_cast<double>(element.getSExtValue()));
  return set(op, Tensor(elements.getType().getShape(), std::move(data)));
}

LogicalResult Frame::lookUp(Operation *op, StringRef parameter,
                            const llvm::StringMap<Tensor> &known) {
  auto found = known.find(parameter);
  if (found == known.end())
    return op->emitError("no value for the parameter '") << parameter << "'";
  // The environment outlives the run: no copy.
  return set(op, op->getResult(0), Shared(Shared(), &found->second));
}

LogicalResult Frame::checkIds(Operation *op, const Tensor &ids, int64_t rows) {
  for (int64_t i = 0; i < ids.size(); ++i)
    if (!(ids[i] >= 0 && ids[i] < rows)) // also what is no number
      return op->emitError("id ")
             << static_cast<int64_t>(ids[i]) << " at element " << i
             << " is outside the table of " << rows << " rows";
  return success();
}

LogicalResult Frame::embed(tn::EmbeddingOp op) {
  const Tensor &ids = get(op.getIds()), &table = get(op.getTable());
  if (failed(checkIds(op, ids, table.dim(0))))
    return failure();
  return set(op, embedding(ids, table, op.getScale().convertToFloat()));
}

LogicalResult Frame::attend(tn::LightningAttentionOp op) {
  AttentionOperands in{get(op.getQ()),     get(op.getK()),
                       get(op.getV()),     get(op.getSlopes()),
                       get(op.getState()), op.getScale().convertToFloat()};
  AttentionResults results = op.getOffsets()
                                 ? attentionPacked(in, get(op.getOffsets()))
                                 : attentionRecurrent(in);
  if (failed(set(op, op.getOut(), std::move(results.out))))
    return failure();
  return set(op, op.getNewState(), std::move(results.newState));
}

LogicalResult Frame::fused(tn::FusedOp op) {
  Block &body = op.getBody().front();
  for (Operation &inner : body.without_terminator())
    if (failed(execute(&inner)))
      return failure();
  Value last = cast<tn::YieldOp>(body.getTerminator()).getValue();
  if (environment.roundActivations)
    return set(op, op.getResult(), Tensor(get(last)));
  return set(op, op.getResult(), values.lookup(last));
}

LogicalResult Frame::observe(tn::ProbeOp op) {
  if (environment.observer)
    environment.observer(op.getName(), get(op.getX()));
  return success();
}

LogicalResult Frame::activate(tn::ActivationOp op) {
  const Tensor &x = get(op.getX());
  std::optional<ArrayRef<int64_t>> columns = op.getColumns();
  return set(op, activation(op.getKind(), x, columns ? (*columns)[0] : 0,
                            columns ? (*columns)[1] : x.lastDim()));
}

FailureOr<SmallVector<Tensor>>
reference::evaluate(func::FuncOp function, ArrayRef<Tensor> inputs,
                    const Environment &environment) {
  SmallVector<Shared> shared;
  for (const Tensor &input : inputs)
    shared.push_back(Shared(Shared(), &input));
  FailureOr<SmallVector<Shared>> results =
      Frame(environment, 0).run(function, shared);
  if (failed(results))
    return failure();
  SmallVector<Tensor> tensors;
  for (const Shared &result : *results)
    tensors.push_back(*result);
  return tensors;
}
