// The adjoint of each operation of tn, in tn. The formulas of operations whose
// adjoint is an operation itself stand in TNGradOps.td.
#include "TN/TNDialect.h"

using namespace mlir;
using namespace tnllm::tn;

#include "TN/TNInterfaces.cpp.inc"

// Gradients are f32 whatever the value's type.
static RankedTensorType gradientType(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.clone(Float32Type::get(type.getContext()));
}

// `value` in the element type of `like`: a product takes operands of one type.
static Value castLike(AdjointBuilder &adjoint, Value value, Value like) {
  auto type = cast<RankedTensorType>(value.getType());
  Type element = cast<RankedTensorType>(like.getType()).getElementType();
  if (type.getElementType() == element)
    return value;
  return CastOp::create(adjoint.b, type.clone(element), value);
}

//===----------------------------------------------------------------------===//
// Embedding, linear maps and the loss
//===----------------------------------------------------------------------===//

LogicalResult EmbeddingOp::buildAdjoint(AdjointBuilder &adjoint) {
  Value gradient = EmbeddingGradOp::create(
      adjoint.b, gradientType(getTable()), adjoint.primal(getIds()),
      adjoint.gradientOf(getResult()), getScaleAttr(), getPaddingAttr());
  adjoint.accumulate(getTable(), gradient);
  return success();
}

LogicalResult LinearOp::buildAdjoint(AdjointBuilder &adjoint) {
  if (getScales())
    return emitOpError("cannot be differentiated: its weight is quantised, "
                       "expected f32 or bf16");
  ImplicitLocOpBuilder &b = adjoint.b;
  Value dy = adjoint.gradientOf(getResult());
  if (getBias())
    adjoint.accumulate(getBias(),
                       SumRowsOp::create(b, gradientType(getBias()), dy));
  Value narrow = castLike(adjoint, dy, getX());
  adjoint.accumulate(
      getWeight(), LinearWeightGradOp::create(b, gradientType(getWeight()),
                                              narrow, adjoint.primal(getX())));
  adjoint.accumulate(getX(),
                     LinearInputGradOp::create(b, gradientType(getX()), narrow,
                                               adjoint.primal(getWeight())));
  return success();
}

LogicalResult CrossEntropyOp::buildAdjoint(AdjointBuilder &adjoint) {
  if (adjoint.gradientOf(getLogSumExp()))
    return emitOpError("cannot be differentiated through its log-sum-exps, "
                       "expected only the loss to be used");
  auto gradient = CrossEntropyGradOp::create(
      adjoint.b, gradientType(getX()), gradientType(getWeight()),
      adjoint.primal(getX()), adjoint.primal(getWeight()),
      adjoint.primal(getLabels()), adjoint.primal(getLogSumExp()),
      adjoint.gradientOf(getLoss()));
  adjoint.accumulate(getX(), gradient.getDx());
  adjoint.accumulate(getWeight(), gradient.getDweight());
  return success();
}

//===----------------------------------------------------------------------===//
// Element-wise operations, norms and views
//===----------------------------------------------------------------------===//

LogicalResult AddOp::buildAdjoint(AdjointBuilder &adjoint) {
  Value dy = adjoint.gradientOf(getResult());
  adjoint.accumulate(getLhs(), dy);
  adjoint.accumulate(getRhs(), dy);
  return success();
}

LogicalResult MulOp::buildAdjoint(AdjointBuilder &adjoint) {
  ImplicitLocOpBuilder &b = adjoint.b;
  Value dy = adjoint.gradientOf(getResult());
  adjoint.accumulate(
      getLhs(), MulOp::create(b, dy.getType(), dy, adjoint.primal(getRhs())));
  adjoint.accumulate(
      getRhs(), MulOp::create(b, dy.getType(), dy, adjoint.primal(getLhs())));
  return success();
}

LogicalResult ActivationOp::buildAdjoint(AdjointBuilder &adjoint) {
  Value dy = adjoint.gradientOf(getResult());
  adjoint.accumulate(getX(), ActivationGradOp::create(
                                 adjoint.b, dy.getType(), getKindAttr(),
                                 adjoint.primal(getX()), dy, getColumnsAttr()));
  return success();
}

// The maximum is a constant to the backward, as in the published code.
LogicalResult ShiftedExpOp::buildAdjoint(AdjointBuilder &adjoint) {
  Value dy = adjoint.gradientOf(getResult());
  adjoint.accumulate(getX(), MulOp::create(adjoint.b, dy.getType(), dy,
                                           adjoint.primal(getResult())));
  return success();
}

// Rounding is the identity to the backward.
LogicalResult CastOp::buildAdjoint(AdjointBuilder &adjoint) {
  adjoint.accumulate(getX(), adjoint.gradientOf(getResult()));
  return success();
}

LogicalResult CopyOp::buildAdjoint(AdjointBuilder &adjoint) {
  adjoint.accumulate(getX(), adjoint.gradientOf(getResult()));
  return success();
}

LogicalResult NormOp::buildAdjoint(AdjointBuilder &adjoint) {
  ImplicitLocOpBuilder &b = adjoint.b;
  Value dy = adjoint.gradientOf(getResult()), x = adjoint.primal(getX());
  Value weight = getWeight() ? adjoint.primal(getWeight()) : Value();
  if (getBias())
    adjoint.accumulate(getBias(),
                       SumRowsOp::create(b, gradientType(getBias()), dy));
  if (getWeight())
    adjoint.accumulate(getWeight(),
                       NormWeightGradOp::create(b, gradientType(getWeight()),
                                                getKindAttr(), x, dy,
                                                getEpsilonAttr()));
  adjoint.accumulate(getX(),
                     NormGradOp::create(b, dy.getType(), getKindAttr(), x, dy,
                                        weight, getEpsilonAttr()));
  return success();
}

LogicalResult SliceOp::buildAdjoint(AdjointBuilder &adjoint) {
  Value dy = adjoint.gradientOf(getResult());
  adjoint.accumulate(
      getX(), UnsliceOp::create(adjoint.b, gradientType(getX()), ValueRange{dy},
                                ArrayRef<int64_t>{getColumns()[0]}));
  return success();
}

LogicalResult SplitHeadsOp::buildAdjoint(AdjointBuilder &adjoint) {
  adjoint.accumulate(getX(),
                     MergeHeadsOp::create(adjoint.b, gradientType(getX()),
                                          adjoint.gradientOf(getResult())));
  return success();
}

LogicalResult MergeHeadsOp::buildAdjoint(AdjointBuilder &adjoint) {
  adjoint.accumulate(getX(),
                     SplitHeadsOp::create(adjoint.b, gradientType(getX()),
                                          adjoint.gradientOf(getResult())));
  return success();
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

LogicalResult LRPEOp::buildAdjoint(AdjointBuilder &adjoint) {
  auto gradient = LRPEGradOp::create(
      adjoint.b, getX().getType(), getTheta().getType(), adjoint.primal(getX()),
      adjoint.primal(getTheta()), adjoint.primal(getPositions()),
      adjoint.gradientOf(getResult()));
  adjoint.accumulate(getX(), gradient.getDx());
  adjoint.accumulate(getTheta(), gradient.getDtheta());
  return success();
}

LogicalResult LightningAttentionOp::buildAdjoint(AdjointBuilder &adjoint) {
  ImplicitLocOpBuilder &b = adjoint.b;
  if (getOffsets())
    return emitOpError("cannot be differentiated: its adjoint is that of "
                       "sequences of one length, expected no offsets");
  Value dout = adjoint.gradientOf(getOut());
  if (!dout) // only the new state is used
    dout = ZerosOp::create(b, getOut().getType(), adjoint.primal(getV()));
  // Zeros at the start need not be kept, nor read; what is updated in place is
  // a copy.
  Value state;
  if (auto copy = getState().getDefiningOp<CopyOp>())
    state = adjoint.primal(copy.getX());
  else if (!getState().getDefiningOp<ZerosOp>())
    return emitOpError("cannot be differentiated: it overwrites the state that "
                       "its adjoint reads, expected a tn.copy or zeros");
  auto gradient = LightningAttentionGradOp::create(
      b, getQ().getType(), getK().getType(), getV().getType(),
      getState().getType(), adjoint.primal(getQ()), adjoint.primal(getK()),
      adjoint.primal(getV()), adjoint.primal(getSlopes()), dout, state,
      adjoint.gradientOf(getNewState()), getScaleAttr());
  adjoint.accumulate(getQ(), gradient.getDq());
  adjoint.accumulate(getK(), gradient.getDk());
  adjoint.accumulate(getV(), gradient.getDv());
  adjoint.accumulate(getState(), gradient.getDState());
  return success();
}

// Turning back is the adjoint of turning; theta is a constant of the model.
LogicalResult RoPEOp::buildAdjoint(AdjointBuilder &adjoint) {
  adjoint.accumulate(getX(), RoPEOp::create(adjoint.b, getX().getType(),
                                            adjoint.gradientOf(getResult()),
                                            adjoint.primal(getTheta()),
                                            adjoint.primal(getPositions()),
                                            !getInverse()));
  return success();
}

LogicalResult SoftmaxAttentionOp::buildAdjoint(AdjointBuilder &adjoint) {
  if (adjoint.gradientOf(getLogSumExp()))
    return emitOpError("cannot be differentiated through its log-sum-exps, "
                       "expected only the output to be used");
  if (getCache())
    return emitOpError("cannot be differentiated with a cache, expected "
                       "sequences that begin in the call");
  auto gradient = SoftmaxAttentionGradOp::create(
      adjoint.b, getQ().getType(), getK().getType(), getV().getType(),
      adjoint.primal(getQ()), adjoint.primal(getK()), adjoint.primal(getV()),
      adjoint.primal(getOut()), adjoint.primal(getLogSumExp()),
      adjoint.gradientOf(getOut()), getBlockAttr(), getScaleAttr());
  adjoint.accumulate(getQ(), gradient.getDq());
  adjoint.accumulate(getK(), gradient.getDk());
  adjoint.accumulate(getV(), gradient.getDv());
  return success();
}
