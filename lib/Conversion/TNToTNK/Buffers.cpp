// What buffers tensors become.
#include "Buffers.h"
#include "RoundedRows.h"

#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

bool kernels::isActivation(RankedTensorType type) {
  return llvm::is_contained(type.getShape(), ShapedType::kDynamic);
}

bool kernels::isParameterSum(Operation *op) {
  return isa<tn::AddOp>(op) && llvm::all_of(op->getOperands(), [](Value value) {
           return value.getDefiningOp() &&
                  !value.getDefiningOp()->hasTrait<OpTrait::ConstantLike>() &&
                  !isActivation(cast<RankedTensorType>(value.getType()));
         });
}

int64_t kernels::leadingRankOf(func::FuncOp function) {
  auto first = cast<RankedTensorType>(function.getArgument(0).getType());
  return first.getRank() > 2 || first.getElementType().isInteger() ? 2 : 1;
}

bool kernels::isState(func::FuncOp function, unsigned argument) {
  return static_cast<bool>(function.getArgAttr(argument, tn::kStateAttrName));
}

bool kernels::isOffsets(func::FuncOp function, unsigned argument) {
  return static_cast<bool>(function.getArgAttr(argument, tn::kOffsetsAttrName));
}

bool kernels::isPacked(func::FuncOp function) {
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (isOffsets(function, i))
      return true;
  return false;
}

Layout kernels::plainLayout(MLIRContext *context, tnrt::LayoutKind kind) {
  return Layout::get(context, kind, /*width=*/0, /*step=*/0);
}

Layout kernels::scalesLayout(MLIRContext *context, RankedTensorType type) {
  if (type.getElementType().isInteger(4))
    return Layout::get(context, tnrt::LayoutKind::GroupScales, tn::kScaleGroup,
                       /*step=*/0);
  return plainLayout(context, type.getElementType().isInteger(8)
                                  ? tnrt::LayoutKind::RowScales
                                  : tnrt::LayoutKind::RowScalesF8);
}

FailureOr<Layout>
kernels::layoutOf(Value value, const SymbolTable &symbols,
                  llvm::function_ref<Layout(tn::LinearOp)> weights) {
  const Layout rows = plainLayout(value.getContext(), tnrt::LayoutKind::Rows);
  Layout layout;
  for (OpOperand &use : value.getUses()) {
    Layout wanted = rows;
    if (auto linear = dyn_cast<tn::LinearOp>(use.getOwner())) {
      if (use.get() == linear.getWeight() && &use != &linear.getXMutable())
        wanted = weights(linear);
    } else if (auto call = dyn_cast<func::CallOp>(use.getOwner())) {
      auto callee = symbols.lookup<func::FuncOp>(call.getCallee());
      FailureOr<Layout> inner = layoutOf(
          callee.getArgument(use.getOperandNumber()), symbols, weights);
      if (failed(inner))
        return failure();
      wanted = *inner;
    }
    if (layout && layout != wanted)
      return emitError(
          value.getLoc(),
          "a parameter is used both as the weight of a linear map and "
          "row by row within one function; use it through two "
          "tn.get_param in two functions");
    layout = wanted;
  }
  return layout ? layout : rows;
}

// The function that a call calls.
static func::FuncOp calleeOf(func::CallOp call, const SymbolTable &symbols) {
  return symbols.lookup<func::FuncOp>(call.getCallee());
}

static bool comesFromState(Value value, const SymbolTable &symbols) {
  Operation *op = value.getDefiningOp();
  if (auto attention = dyn_cast_or_null<tn::LightningAttentionOp>(op))
    return value == attention.getNewState();
  if (auto attention = dyn_cast_or_null<tn::SoftmaxAttentionOp>(op))
    return value == attention.getNewCache();
  if (auto gradient = dyn_cast_or_null<tn::LightningAttentionGradOp>(op))
    return value == gradient.getDState();
  if (auto copy = dyn_cast_or_null<tn::CopyOp>(op))
    return comesFromState(copy.getX(), symbols);
  auto call = dyn_cast_or_null<func::CallOp>(op);
  if (!call)
    return false;
  Block &body = calleeOf(call, symbols).getBody().front();
  unsigned index = cast<OpResult>(value).getResultNumber();
  return comesFromState(body.getTerminator()->getOperand(index), symbols);
}

static bool goesToState(Value value, const SymbolTable &symbols) {
  return llvm::any_of(value.getUses(), [&](OpOperand &use) {
    Operation *op = use.getOwner();
    if (auto attention = dyn_cast<tn::LightningAttentionOp>(op))
      return value == attention.getState();
    if (auto attention = dyn_cast<tn::SoftmaxAttentionOp>(op))
      return value == attention.getCache();
    if (auto gradient = dyn_cast<tn::LightningAttentionGradOp>(op))
      return value == gradient.getState() || value == gradient.getDNewState();
    if (auto copy = dyn_cast<tn::CopyOp>(op))
      return goesToState(copy.getResult(), symbols);
    auto call = dyn_cast<func::CallOp>(op);
    return call &&
           goesToState(
               calleeOf(call, symbols).getArgument(use.getOperandNumber()),
               symbols);
  });
}

// A state's shape alone does not tell: [B, 1, H, d] are activations of one
// position.
bool kernels::isStateValue(Value value, const SymbolTable &symbols) {
  return cast<RankedTensorType>(value.getType()).getRank() == 4 &&
         (comesFromState(value, symbols) || goesToState(value, symbols));
}

Layout kernels::panelLayout(tn::LinearOp op, const TileSizes &sizes) {
  RankedTensorType type = op.getWeight().getType();
  int64_t step = 1;
  if (roundedGroup(op.getX()))
    step = 4;
  else if (sizes.bf16Pairs && type.getElementType().isBF16() &&
           type.getDimSize(1) % 2 == 0)
    step = 2;
  return Layout::get(op.getContext(), tnrt::LayoutKind::Panels,
                     sizes.panelWidth, step);
}

// Narrow numbers lie in bytes, those of i4 two in one.
static RankedTensorType inBytes(RankedTensorType type) {
  Type element = type.getElementType();
  if (type.getRank() != 2 || !tn::isQuantised(element))
    return type;
  int64_t bits = element.getIntOrFloatBitWidth();
  return RankedTensorType::get(
      {type.getDimSize(0), type.getDimSize(1) * bits / 8},
      IntegerType::get(type.getContext(), 8));
}

MemRefType kernels::parameterBufferType(RankedTensorType type, Layout layout) {
  type = inBytes(type);
  // [ceil(N/W), K/step, step W]; the step divides K.
  if (layout.getKind() == tnrt::LayoutKind::Panels)
    return MemRefType::get(
        {llvm::divideCeilSigned(type.getDimSize(0), layout.getWidth()),
         type.getDimSize(1) / layout.getStep(),
         layout.getStep() * layout.getWidth()},
        type.getElementType());
  // Vectors and theta [H, 1, d] are read as one row.
  if (type.getRank() != 2)
    return MemRefType::get({type.getNumElements()}, type.getElementType());
  return MemRefType::get(type.getShape(), type.getElementType());
}

MemRefType kernels::activationBufferType(RankedTensorType type, int64_t rows,
                                         int64_t leadingRank) {
  SmallVector<int64_t> shape = {rows};
  ArrayRef<int64_t> features =
      type.getShape().drop_front(std::min(leadingRank, type.getRank()));
  if (!features.empty())
    shape.push_back(llvm::product_of(features));
  return MemRefType::get(shape, type.getElementType());
}

MemRefType kernels::stateBufferType(RankedTensorType type, int64_t sequences) {
  SmallVector<int64_t> shape(type.getShape());
  shape[0] = sequences;
  return MemRefType::get(shape, type.getElementType());
}

std::optional<unsigned> kernels::tiedArgument(func::FuncOp function,
                                              unsigned index,
                                              const SymbolTable &symbols) {
  auto returnOp =
      cast<func::ReturnOp>(function.getBody().front().getTerminator());
  Value value = returnOp.getOperand(index);
  while (Operation *op = value.getDefiningOp()) {
    if (auto attention = dyn_cast<tn::LightningAttentionOp>(op)) {
      if (value != attention.getNewState())
        return std::nullopt;
      value = attention.getState();
    } else if (auto softmax = dyn_cast<tn::SoftmaxAttentionOp>(op)) {
      if (value != softmax.getNewCache())
        return std::nullopt;
      value = softmax.getCache();
    } else if (auto call = dyn_cast<func::CallOp>(op)) {
      auto callee = symbols.lookup<func::FuncOp>(call.getCallee());
      std::optional<unsigned> tied = tiedArgument(
          callee, cast<OpResult>(value).getResultNumber(), symbols);
      if (!tied)
        return std::nullopt;
      value = call.getOperand(*tied);
    } else {
      return std::nullopt;
    }
  }
  auto argument = cast<BlockArgument>(value);
  if (!isState(function, argument.getArgNumber()))
    return std::nullopt;
  return argument.getArgNumber();
}
