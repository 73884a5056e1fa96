// What this lowering takes of tn: the checks before it begins.
#include "Buffers.h"
#include "DefinedTypes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// True for operations to which the last dimension means columns, not one
// head's.
static bool readsColumns(Operation *op) {
  auto activation = dyn_cast<tn::ActivationOp>(op);
  auto gradient = dyn_cast<tn::ActivationGradOp>(op);
  return isa<tn::LinearOp, tn::NormOp, tn::RoundGroupsOp, tn::SliceOp,
             tn::CrossEntropyOp, tn::CrossEntropyGradOp, tn::LinearInputGradOp,
             tn::LinearWeightGradOp, tn::SumRowsOp, tn::NormGradOp,
             tn::NormWeightGradOp, tn::UnsliceOp>(op) ||
         (activation && activation.getColumns()) ||
         (gradient && gradient.getColumns());
}

// The operand that must be packed data of the model, if the operation has one.
static Value packedOperand(Operation *op) {
  if (auto linear = dyn_cast<tn::LinearOp>(op))
    return linear.getWeight();
  if (auto embedding = dyn_cast<tn::EmbeddingOp>(op))
    return embedding.getTable();
  if (auto gradient = dyn_cast<tn::LinearInputGradOp>(op))
    return gradient.getWeight();
  if (auto entropy = dyn_cast<tn::CrossEntropyOp>(op))
    return entropy.getWeight();
  if (auto gradient = dyn_cast<tn::CrossEntropyGradOp>(op))
    return gradient.getWeight();
  return {};
}

// True for operations that sum over rows, to a result of static shape: a loss
// or the gradient of a parameter.
static bool sumsRows(Operation *op) {
  return isa<tn::CrossEntropyOp, tn::CrossEntropyGradOp, tn::LinearWeightGradOp,
             tn::SumRowsOp, tn::EmbeddingGradOp, tn::NormWeightGradOp,
             tn::LRPEGradOp>(op);
}

// True for a tensor that has a size unknown before run time after the leading
// ones.
static bool hasDynamicFeatures(Type type, int64_t leadingRank) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(type).getShape();
  int64_t leading = std::min<int64_t>(leadingRank, shape.size());
  return llvm::is_contained(shape.drop_front(leading), ShapedType::kDynamic);
}

// True for a tensor with more elements, unknown sizes apart, than bytes can be
// counted of.
static bool isTooLarge(Type type) {
  int64_t elements = 1;
  for (int64_t size : cast<RankedTensorType>(type).getShape())
    if (!ShapedType::isDynamic(size) &&
        (llvm::MulOverflow(elements, size, elements) || elements > int64_t(1)
                                                                       << 40))
      return true;
  return false;
}

// True for a tensor without an element, whatever its unknown sizes.
static bool isEmpty(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && llvm::is_contained(tensor.getShape(), 0);
}

// No kernel is of no columns, no heads or no words: whatever divides by a size
// relies on that. So it is asked once, of every value and parameter there is.
static LogicalResult checkNotEmpty(ModuleOp module) {
  Definition empty = findDefinition(module, isEmpty);
  for (auto param : module.getOps<tn::ParamOp>())
    if (!empty.op && isEmpty(param.getTensorType()))
      empty = {param, param.getTensorType()};
  if (!empty.op)
    return success();
  return empty.op->emitError("expected tensors of at least one element, got ")
         << empty.type;
}

// A weight in another type.
static bool isCastOfMatrix(Operation *op) {
  auto cast = dyn_cast<tn::CastOp>(op);
  return cast && cast.getX().getType().getRank() == 2 &&
         cast.getX().getType().hasStaticShape();
}

// Kernels of attention are written out over the width of a head.
static constexpr int64_t kMostHeadWidth = 16384;

static LogicalResult checkHeadWidths(Operation *op) {
  if (!isa<tn::LightningAttentionOp, tn::LightningAttentionGradOp,
           tn::SoftmaxAttentionOp, tn::SoftmaxAttentionGradOp>(op))
    return success();
  for (Type type : op->getOperandTypes()) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (tensor && tensor.getRank() == 4 &&
        tensor.getDimSize(3) > kMostHeadWidth)
      return op->emitOpError("expected heads of at most ")
             << kMostHeadWidth << " columns, got " << type;
  }
  return success();
}

LogicalResult kernels::checkOperation(Operation *op, int64_t leadingRank) {
  for (Type result : op->getResultTypes())
    if (isa<RankedTensorType>(result) && isTooLarge(result))
      return op->emitOpError("expected at most 2^40 elements, got ") << result;
  if (failed(checkHeadWidths(op)))
    return failure();
  if (!isa<tn::TNDialect>(op->getDialect()) || op->getNumOperands() == 0 ||
      isa<tn::FusedOp, tn::YieldOp>(op) || isParameterSum(op) ||
      isCastOfMatrix(op))
    return success();
  auto type = cast<RankedTensorType>(op->getOperand(0).getType());
  bool allActivations = isActivation(type);
  if (isa<tn::AddOp, tn::MulOp>(op))
    allActivations &=
        isActivation(cast<RankedTensorType>(op->getOperand(1).getType()));
  for (Type result : op->getResultTypes())
    allActivations &=
        sumsRows(op) || isActivation(cast<RankedTensorType>(result));
  if (!allActivations)
    return op->emitOpError("expected activations of unknown batch here, got ")
           << type;
  for (Type each :
       llvm::concat<const Type>(SmallVector<Type>(op->getOperandTypes()),
                                SmallVector<Type>(op->getResultTypes())))
    if (hasDynamicFeatures(each, leadingRank))
      return op->emitOpError("expected heads and features of static size, got ")
             << each;
  // Buffers of split heads are the matrices of merged ones, so what reads
  // columns must see them merged.
  if (readsColumns(op) && type.getRank() != leadingRank + 1)
    return op->emitOpError("expected an operand of rank ")
           << leadingRank + 1 << " here, got " << type << "; merge heads first";
  Value packed = packedOperand(op);
  if (packed && packed.getDefiningOp() &&
      !packed.getDefiningOp<tn::GetParamOp>() &&
      !isCastOfMatrix(packed.getDefiningOp()))
    return op->emitOpError("expected a parameter as the weight or table");
  if (packed && isActivation(cast<RankedTensorType>(packed.getType())))
    return op->emitOpError("expected a weight or table of static shape");
  return success();
}

namespace {

// The walk over the functions: which are done, and which are on the way.
struct FunctionChecks {
  SymbolTable symbols;
  llvm::DenseSet<Operation *> done;
  SmallVector<func::FuncOp> callers;
};

} // namespace

// The mark of an argument that is a state: the number of its layer.
static LogicalResult checkStates(func::FuncOp function) {
  for (unsigned argument = 0; argument < function.getNumArguments();
       ++argument) {
    Attribute mark = function.getArgAttr(argument, tn::kStateAttrName);
    auto layer = dyn_cast_or_null<IntegerAttr>(mark);
    if (mark &&
        (!layer || !layer.getType().isInteger(64) || layer.getInt() < 0))
      return function.emitError("expected '")
             << tn::kStateAttrName << "' of argument " << argument
             << " to be the number of a layer, an i64 of at least 0, got "
             << mark;
  }
  return success();
}

// The one argument that holds the offsets, if any, is what attention and calls
// get for theirs: their number of sequences is the function's.
static LogicalResult checkOffsets(func::FuncOp function,
                                  const SymbolTable &symbols) {
  Value offsets;
  for (unsigned argument = 0; argument < function.getNumArguments();
       ++argument) {
    if (!isOffsets(function, argument))
      continue;
    auto type =
        cast<RankedTensorType>(function.getArgument(argument).getType());
    if (offsets || type.getRank() != 1 ||
        !type.getElementType().isInteger(64) || leadingRankOf(function) != 2)
      return function.emitError("expected one argument of '")
             << tn::kOffsetsAttrName
             << "', a vector of i64, in a function of [R, 1, ...], got "
                "argument "
             << argument << " of " << type;
    offsets = function.getArgument(argument);
  }
  auto require = [&](Operation *op, Value operand) {
    if (operand == offsets)
      return WalkResult::advance();
    op->emitOpError("expected as offsets the function's argument marked '")
        << tn::kOffsetsAttrName << "'";
    return WalkResult::interrupt();
  };
  return failure(
      function
          .walk([&](Operation *op) {
            if (auto attention = dyn_cast<tn::LightningAttentionOp>(op))
              return attention.getOffsets()
                         ? require(op, attention.getOffsets())
                         : WalkResult::advance();
            auto call = dyn_cast<func::CallOp>(op);
            auto callee = call ? symbols.lookup<func::FuncOp>(call.getCallee())
                               : func::FuncOp();
            if (!callee)
              return WalkResult::advance();
            for (unsigned i = 0; i < callee.getNumArguments(); ++i)
              if (isOffsets(callee, i))
                return require(op, call.getOperand(i));
            return WalkResult::advance();
          })
          .wasInterrupted());
}

// Functions of tensors with a body, whose calls end. Each is checked once,
// however often it is called.
static LogicalResult checkFunction(func::FuncOp function,
                                   FunctionChecks &checks) {
  if (checks.done.contains(function))
    return success();
  if (function.isDeclaration() || !function.getBody().hasOneBlock() ||
      function.getNumArguments() == 0)
    return function.emitError(
        "expected a function with arguments and a body of one block");
  for (Type type : llvm::concat<const Type>(function.getArgumentTypes(),
                                            function.getResultTypes()))
    if (!isa<RankedTensorType>(type))
      return function.emitError(
                 "expected arguments and results to be ranked tensors, "
                 "got ")
             << type;
  for (Type type : llvm::concat<const Type>(function.getArgumentTypes(),
                                            function.getResultTypes()))
    if (isTooLarge(type))
      return function.emitError("expected at most 2^40 elements, got ") << type;
  if (failed(checkStates(function)) ||
      failed(checkOffsets(function, checks.symbols)))
    return failure();
  checks.callers.push_back(function);
  WalkResult walk = function.walk([&](func::CallOp call) {
    auto callee = checks.symbols.lookup<func::FuncOp>(call.getCallee());
    if (llvm::is_contained(checks.callers, callee)) {
      call.emitError("expected no recursive calls");
      return WalkResult::interrupt();
    }
    return WalkResult(checkFunction(callee, checks));
  });
  checks.callers.pop_back();
  checks.done.insert(function);
  return failure(walk.wasInterrupted());
}

LogicalResult kernels::checkFunctions(ModuleOp module) {
  if (failed(checkNotEmpty(module)))
    return failure();
  FunctionChecks checks{SymbolTable(module), {}, {}};
  for (auto function : module.getOps<func::FuncOp>())
    if (failed(checkFunction(function, checks)))
      return failure();
  return success();
}
