// Verifiers of the operations that ablations and baselines need. Each message
// ends with the number of the constraint in docs/Spec.md.
#include "TN/TNDialect.h"
#include "TNVerify.h"

using namespace mlir;
using namespace tnllm::tn;

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

LogicalResult PositionIdsOp::verify() {
  auto like = cast<RankedTensorType>(getLike().getType());
  RankedTensorType positions = getPositions().getType();
  RankedTensorType result = getResult().getType();
  if (positions.getRank() != 1 || like.getRank() < 2 ||
      differ(positions.getDimSize(0), like.getDimSize(0)))
    return emitOpError("expected one position for each of the batch of [B, N, "
                       "...], got ")
           << positions << " and " << like << " [position_ids-C1]";
  if (result.getRank() != 2 ||
      differ(result.getDimSize(0), like.getDimSize(0)) ||
      differ(result.getDimSize(1), like.getDimSize(1)))
    return emitOpError("expected a result of the batch and length of ")
           << like << ", got " << result << " [position_ids-C2]";
  return success();
}

LogicalResult RoPEOp::verify() {
  RankedTensorType x = getX().getType(), theta = getTheta().getType();
  RankedTensorType positions = getPositions().getType();
  if (x.getRank() != 4 || x.isDynamicDim(2) || x.isDynamicDim(3) ||
      lastDim(x) % 2 != 0)
    return emitOpError("expected x of [B, N, H, d] with an even d, got ")
           << x << " [rope-C1]";
  if (theta.getShape() != ArrayRef<int64_t>({lastDim(x) / 2}))
    return emitOpError("expected theta of [")
           << lastDim(x) / 2 << "], got " << theta << " [rope-C2]";
  if (positions.getRank() != 1 ||
      differ(positions.getDimSize(0), x.getDimSize(0)))
    return emitOpError("expected one position for each of the batch, got ")
           << positions << " [rope-C3]";
  return success();
}

//===----------------------------------------------------------------------===//
// Softmax attention
//===----------------------------------------------------------------------===//

// What the attention and its adjoint demand of q, k [B, N, H, Dk], v, out [B,
// N, H, Dv] and the log-sum-exps [B, N, H].
static LogicalResult verifyHeads(Operation *op, RankedTensorType q, Type k,
                                 RankedTensorType v, Type out,
                                 RankedTensorType logSumExp,
                                 ArrayRef<StringRef> constraints) {
  bool isStatic = q.getRank() == 4 && v.getRank() == 4 && !q.isDynamicDim(2) &&
                  !q.isDynamicDim(3) && !v.isDynamicDim(3);
  if (!isStatic || k != q || out != v || !sameLeading(q, v, 1, 1))
    return op->emitOpError("expected q and k of one type [B, N, H, Dk], v and "
                           "out of one type [B, N, H, Dv], got ")
           << q << ", " << k << ", " << v << " and " << out << " ["
           << constraints[0] << "]";
  if (!sameLeading(q, logSumExp, 1, 0))
    return op->emitOpError("expected log-sum-exps of [B, N, H], got ")
           << logSumExp << " [" << constraints[1] << "]";
  return success();
}

static LogicalResult verifyBlock(Operation *op, std::optional<int64_t> block,
                                 StringRef constraint) {
  if (!block || *block >= 1)
    return success();
  return op->emitOpError("expected a block of at least 1 position, got ")
         << *block << " [" << constraint << "]";
}

// A cache that fits the heads, the block and the new one.
static LogicalResult verifyCache(SoftmaxAttentionOp op) {
  RankedTensorType q = op.getQ().getType(), v = op.getV().getType();
  auto cache = cast<RankedTensorType>(op.getCache().getType());
  auto positions = cast<RankedTensorType>(op.getPositions().getType());
  if (positions.getRank() != 1 ||
      differ(positions.getDimSize(0), q.getDimSize(0)))
    return op.emitOpError("expected one position for each of the batch, got ")
           << positions << " [softmax_attention-C5]";
  int64_t width = lastDim(q) + lastDim(v);
  bool fits = cache.getRank() == 4 &&
              !differ(cache.getDimSize(0), q.getDimSize(0)) &&
              cache.getDimSize(1) == q.getDimSize(2) &&
              !cache.isDynamicDim(2) && cache.getDimSize(3) == width;
  if (fits && op.getBlock())
    fits = cache.getDimSize(2) == static_cast<int64_t>(*op.getBlock());
  if (!fits || op.getNewCache().getType() != cache) {
    InFlightDiagnostic diag =
        op.emitOpError("expected caches of [B, H, R, Dk + Dv] with H ")
        << q.getDimSize(2) << " and Dk + Dv " << width;
    if (op.getBlock())
      diag << ", R the block " << *op.getBlock();
    diag << ", got " << cache << " and " << op.getNewCache().getType()
         << " [softmax_attention-C6]";
    return diag;
  }
  if (!op.getCache().hasOneUse())
    return op.emitOpError("expected to be the only user of the cache, which it "
                          "updates in place [softmax_attention-C7]");
  return success();
}

LogicalResult SoftmaxAttentionOp::verify() {
  if (failed(verifyHeads(*this, getQ().getType(), getK().getType(),
                         getV().getType(), getOut().getType(),
                         getLogSumExp().getType(),
                         {"softmax_attention-C1", "softmax_attention-C2"})) ||
      failed(verifyBlock(*this, getBlock(), "softmax_attention-C3")))
    return failure();
  bool hasCache = static_cast<bool>(getCache());
  if (hasCache != static_cast<bool>(getPositions()) ||
      hasCache != static_cast<bool>(getNewCache()))
    return emitOpError("expected a cache, positions and a new cache together, "
                       "or none of them [softmax_attention-C4]");
  return hasCache ? verifyCache(*this) : success();
}

LogicalResult SoftmaxAttentionGradOp::verify() {
  if (failed(verifyHeads(
          *this, getQ().getType(), getK().getType(), getV().getType(),
          getOut().getType(), getLogSumExp().getType(),
          {"softmax_attention_grad-C1", "softmax_attention_grad-C2"})) ||
      failed(verifyBlock(*this, getBlock(), "softmax_attention_grad-C3")))
    return failure();
  if (getDout().getType() != getV().getType() ||
      getDq().getType() != getQ().getType() ||
      getDk().getType() != getQ().getType() ||
      getDv().getType() != getV().getType())
    return emitOpError("expected dout and gradients of the types of out, q, k "
                       "and v, got ")
           << getDout().getType() << ", " << getDq().getType() << ", "
           << getDk().getType() << " and " << getDv().getType()
           << " [softmax_attention_grad-C4]";
  return success();
}
