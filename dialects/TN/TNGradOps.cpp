// Verifiers and canonicalisation of the operations that training needs. Each
// message ends with the number of the constraint in docs/Spec.md.
#include "TN/TNDialect.h"
#include "TNVerify.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace tnllm::tn;

// True for types of one shape, as far as it is static.
static bool sameShape(RankedTensorType a, RankedTensorType b) {
  return sameLeading(a, b, 0, 0);
}

//===----------------------------------------------------------------------===//
// Loss
//===----------------------------------------------------------------------===//

// What the loss and its adjoint demand of x [..., D], weight [V, D] and labels
// [...].
static LogicalResult verifyHead(Operation *op, RankedTensorType x,
                                RankedTensorType weight,
                                RankedTensorType labels,
                                RankedTensorType logSumExp,
                                ArrayRef<StringRef> constraints) {
  if (weight.getRank() != 2 || !weight.hasStaticShape() || x.getRank() < 1 ||
      differ(lastDim(x), weight.getDimSize(1)) ||
      x.getElementType() != weight.getElementType())
    return op->emitOpError("expected x [..., D] and a static weight [V, D] of "
                           "one element type, got ")
           << x << " and " << weight << " [" << constraints[0] << "]";
  if (!sameLeading(x, labels, 1, 0) || !sameShape(labels, logSumExp))
    return op->emitOpError("expected labels and log-sum-exps of x's leading "
                           "dimensions, got ")
           << labels << " and " << logSumExp << " [" << constraints[1] << "]";
  return success();
}

static bool isScalar(RankedTensorType type) {
  return type.getShape() == ArrayRef<int64_t>({1});
}

LogicalResult CrossEntropyOp::verify() {
  if (failed(verifyHead(*this, getX().getType(), getWeight().getType(),
                        getLabels().getType(), getLogSumExp().getType(),
                        {"cross_entropy-C1", "cross_entropy-C2"})))
    return failure();
  if (!isScalar(getLoss().getType()))
    return emitOpError("expected a loss of one element, got ")
           << getLoss().getType() << " [cross_entropy-C3]";
  return success();
}

LogicalResult CrossEntropyGradOp::verify() {
  if (failed(verifyHead(*this, getX().getType(), getWeight().getType(),
                        getLabels().getType(), getLogSumExp().getType(),
                        {"cross_entropy_grad-C1", "cross_entropy_grad-C2"})))
    return failure();
  if (!isScalar(getGradient().getType()))
    return emitOpError("expected a gradient of one element, got ")
           << getGradient().getType() << " [cross_entropy_grad-C3]";
  if (!sameShape(getDx().getType(), getX().getType()) ||
      !sameShape(getDweight().getType(), getWeight().getType()))
    return emitOpError("expected gradients of the shapes of x and weight, got ")
           << getDx().getType() << " and " << getDweight().getType()
           << " [cross_entropy_grad-C4]";
  return success();
}

//===----------------------------------------------------------------------===//
// Linear maps and tables
//===----------------------------------------------------------------------===//

LogicalResult LinearInputGradOp::verify() {
  RankedTensorType dy = getDy().getType(), weight = getWeight().getType();
  RankedTensorType result = getResult().getType();
  if (weight.getRank() != 2 || !weight.hasStaticShape() || dy.getRank() < 1 ||
      differ(lastDim(dy), weight.getDimSize(0)) ||
      dy.getElementType() != weight.getElementType())
    return emitOpError("expected dy [..., N] and a static weight [N, K] of one "
                       "element type, got ")
           << dy << " and " << weight << " [linear_input_grad-C1]";
  if (!sameLeading(dy, result, 1, 1) ||
      differ(lastDim(result), weight.getDimSize(1)))
    return emitOpError("expected a result of dy's leading dimensions and ")
           << weight.getDimSize(1) << " columns, got " << result
           << " [linear_input_grad-C2]";
  return success();
}

LogicalResult LinearWeightGradOp::verify() {
  RankedTensorType dy = getDy().getType(), x = getX().getType();
  RankedTensorType result = getResult().getType();
  if (!sameLeading(dy, x, 1, 1) || dy.getElementType() != x.getElementType())
    return emitOpError("expected dy and x of equal leading dimensions and one "
                       "element type, got ")
           << dy << " and " << x << " [linear_weight_grad-C1]";
  if (result.getRank() != 2 || !result.hasStaticShape() ||
      differ(result.getDimSize(0), lastDim(dy)) ||
      differ(result.getDimSize(1), lastDim(x)))
    return emitOpError("expected a static result [N, K] for dy [..., N] and x "
                       "[..., K], got ")
           << result << " [linear_weight_grad-C2]";
  return success();
}

LogicalResult SumRowsOp::verify() {
  RankedTensorType x = getX().getType(), result = getResult().getType();
  if (x.getRank() < 1 || result.getRank() != 1 || !result.hasStaticShape() ||
      differ(lastDim(x), lastDim(result)))
    return emitOpError("expected [..., N] to become a static [N], got ")
           << x << " and " << result << " [sum_rows-C1]";
  return success();
}

LogicalResult EmbeddingGradOp::verify() {
  RankedTensorType ids = getIds().getType(), dy = getDy().getType();
  RankedTensorType result = getResult().getType();
  if (!sameLeading(ids, dy, 0, 1))
    return emitOpError("expected dy of ids' dimensions and the features, got ")
           << ids << " and " << dy << " [embedding_grad-C1]";
  if (result.getRank() != 2 || !result.hasStaticShape() ||
      differ(lastDim(result), lastDim(dy)))
    return emitOpError("expected a static table of dy's width ")
           << lastDim(dy) << ", got " << result << " [embedding_grad-C2]";
  return success();
}

//===----------------------------------------------------------------------===//
// Element-wise operations, norms and views
//===----------------------------------------------------------------------===//

LogicalResult ActivationGradOp::verify() {
  if (getX().getType().getRank() < 1)
    return emitOpError(
        "expected a tensor of rank 1 or more [activation_grad-C1]");
  if (!getColumns())
    return success();
  return verifyColumnRange(*this, *getColumns(), lastDim(getX().getType()),
                           "activation_grad-C2");
}

static bool isPositive(const APFloat &value) {
  return value.isNonZero() && !value.isNegative() && value.isFinite();
}

LogicalResult NormGradOp::verify() {
  RankedTensorType x = getX().getType();
  if (x.getRank() < 1)
    return emitOpError("expected a tensor of rank 1 or more [norm_grad-C1]");
  if ((getKind() == NormKind::SRMS) == static_cast<bool>(getWeight()))
    return emitOpError("expected ")
           << (getKind() == NormKind::SRMS ? "no weight" : "a weight")
           << " for kind " << stringifyNormKind(getKind()) << " [norm_grad-C2]";
  if (getWeight() && (getWeight().getType().getRank() != 1 ||
                      differ(lastDim(getWeight().getType()), lastDim(x))))
    return emitOpError("expected a weight of ")
           << lastDim(x) << " elements, got " << getWeight().getType()
           << " [norm_grad-C3]";
  if (!isPositive(getEpsilon()))
    return emitOpError("expected a positive, finite epsilon [norm_grad-C4]");
  return success();
}

LogicalResult NormWeightGradOp::verify() {
  RankedTensorType x = getX().getType(), result = getResult().getType();
  if (getKind() == NormKind::SRMS)
    return emitOpError(
        "expected a kind that has a weight, got srms [norm_weight_grad-C1]");
  if (x.getRank() < 1 || result.getRank() != 1 || !result.hasStaticShape() ||
      differ(lastDim(x), lastDim(result)))
    return emitOpError("expected [..., D] to become a static [D], got ")
           << x << " and " << result << " [norm_weight_grad-C2]";
  if (!isPositive(getEpsilon()))
    return emitOpError(
        "expected a positive, finite epsilon [norm_weight_grad-C3]");
  return success();
}

LogicalResult UnsliceOp::verify() {
  if (getPieces().empty() || getBegins().size() != getPieces().size())
    return emitOpError("expected a first column for each of ")
           << getPieces().size() << " pieces, one or more, got "
           << getBegins().size() << " [unslice-C1]";
  RankedTensorType result = getResult().getType();
  int64_t end = 0; // of the pieces before
  for (auto [piece, begin] : llvm::zip(getPieces(), getBegins())) {
    auto type = cast<RankedTensorType>(piece.getType());
    if (!sameLeading(type, result, 1, 1) ||
        ShapedType::isDynamic(lastDim(type)))
      return emitOpError("expected pieces of the result's leading dimensions "
                         "and static width, got ")
             << type << " for " << result << " [unslice-C2]";
    if (begin < end || ShapedType::isDynamic(lastDim(result)) ||
        begin > lastDim(result) - lastDim(type)) // a sum could overflow
      return emitOpError("expected columns in order, disjoint and within ")
             << lastDim(result) << ", got [" << getBegins() << "] [unslice-C3]";
    end = begin + lastDim(type);
  }
  return success();
}

namespace {

// unslice(a) + unslice(b) is one where their columns are disjoint.
struct MergeUnslices : OpRewritePattern<AddOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AddOp op,
                                PatternRewriter &rewriter) const override {
    auto lhs = op.getLhs().getDefiningOp<UnsliceOp>();
    auto rhs = op.getRhs().getDefiningOp<UnsliceOp>();
    if (!lhs || !rhs || !lhs->hasOneUse() || !rhs->hasOneUse())
      return failure();
    SmallVector<std::pair<int64_t, Value>> pieces;
    for (UnsliceOp part : {lhs, rhs})
      for (auto [piece, begin] : llvm::zip(part.getPieces(), part.getBegins()))
        pieces.push_back({begin, piece});
    llvm::sort(pieces, llvm::less_first());
    SmallVector<int64_t> begins;
    SmallVector<Value> values;
    int64_t end = 0;
    for (auto [begin, piece] : pieces) {
      if (begin < end)
        return rewriter.notifyMatchFailure(op, "the columns overlap");
      end = begin + lastDim(cast<RankedTensorType>(piece.getType()));
      begins.push_back(begin);
      values.push_back(piece);
    }
    rewriter.replaceOpWithNewOp<UnsliceOp>(op, op.getType(), values, begins);
    return success();
  }
};

} // namespace

void UnsliceOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                            MLIRContext *context) {
  patterns.add<MergeUnslices>(context);
}

OpFoldResult UnsliceOp::fold(FoldAdaptor) {
  bool isWhole = getPieces().size() == 1 &&
                 getPieces()[0].getType() == getResult().getType();
  return isWhole ? getPieces()[0] : OpFoldResult();
}

LogicalResult ZerosOp::verify() {
  auto like = cast<RankedTensorType>(getLike().getType());
  RankedTensorType result = getResult().getType();
  for (int64_t i = 0; i < result.getRank(); ++i)
    if (result.isDynamicDim(i) && i >= like.getRank())
      return emitOpError("expected dimension ")
             << i << " of the result to be static or a dimension of " << like
             << " too [zeros-C1]";
  return success();
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

LogicalResult LRPEGradOp::verify() {
  RankedTensorType x = getX().getType(), theta = getTheta().getType();
  RankedTensorType dy = getDy().getType(), positions = getPositions().getType();
  if (x.getRank() != 4 || x.isDynamicDim(2) || x.isDynamicDim(3) ||
      theta.getShape() !=
          ArrayRef<int64_t>({x.getDimSize(2), 1, x.getDimSize(3)}))
    return emitOpError("expected x [B, N, H, d] and theta [H, 1, d], got ")
           << x << " and " << theta << " [lrpe_grad-C1]";
  if (positions.getRank() != 1 ||
      differ(positions.getDimSize(0), x.getDimSize(0)))
    return emitOpError("expected one position for each of the batch, got ")
           << positions << " [lrpe_grad-C2]";
  if (!sameLeading(x, dy, 1, 1) || lastDim(dy) != 2 * lastDim(x))
    return emitOpError("expected dy of twice x's width (")
           << 2 * lastDim(x) << "), got " << dy << " [lrpe_grad-C3]";
  if (getDx().getType() != x || getDtheta().getType() != theta)
    return emitOpError("expected gradients of the types of x and theta, got ")
           << getDx().getType() << " and " << getDtheta().getType()
           << " [lrpe_grad-C4]";
  return success();
}

LogicalResult LightningAttentionGradOp::verify() {
  RankedTensorType q = getQ().getType(), v = getV().getType();
  if (q.getRank() != 4 || v.getRank() != 4 || getK().getType() != q ||
      !sameLeading(q, v, 1, 1) || getDout().getType() != v)
    return emitOpError("expected q and k of one type [B, N, H, Dk], v and dout "
                       "of one type [B, N, H, Dv], got ")
           << q << ", " << getK().getType() << ", " << v << " and "
           << getDout().getType() << " [lightning_attention_grad-C1]";
  RankedTensorType slopes = getSlopes().getType();
  if (slopes.getRank() != 1 || differ(slopes.getDimSize(0), q.getDimSize(2)))
    return emitOpError("expected one slope for each of ")
           << q.getDimSize(2) << " heads, got " << slopes
           << " [lightning_attention_grad-C2]";
  if (getDq().getType() != q || getDk().getType() != q ||
      getDv().getType() != v)
    return emitOpError("expected gradients of the types of q, k and v, got ")
           << getDq().getType() << ", " << getDk().getType() << " and "
           << getDv().getType() << " [lightning_attention_grad-C3]";
  RankedTensorType expected = RankedTensorType::get(
      {q.getDimSize(0), q.getDimSize(2), lastDim(q), lastDim(v)},
      q.getElementType());
  for (Value state :
       {Value(getState()), Value(getDNewState()), Value(getDState())})
    if (state && !sameShape(cast<RankedTensorType>(state.getType()), expected))
      return emitOpError("expected states of [B, H, Dk, Dv], ")
             << expected << ", got " << state.getType()
             << " [lightning_attention_grad-C4]";
  return success();
}
