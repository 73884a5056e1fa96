// tn-check-forms: the forms of each attention, compared with its definition.
#include "TensorFiles.h"
#include "tnllm/Reference/Ops.h"
#include "tnllm/Reference/Passes.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Matchers.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

namespace tnllm {
#define GEN_PASS_DEF_TNCHECKFORMS
#include "tnllm/Reference/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;
using namespace tnllm::reference;

// Positions [begin, end) of [B, N, H, d].
static Tensor positions(const Tensor &x, int64_t begin, int64_t end) {
  Tensor result({x.dim(0), end - begin, x.dim(2), x.dim(3)});
  int64_t row = x.dim(2) * x.dim(3);
  for (int64_t b = 0; b < x.dim(0); ++b)
    for (int64_t i = 0; i < (end - begin) * row; ++i)
      result[b * (end - begin) * row + i] = x[(b * x.dim(1) + begin) * row + i];
  return result;
}

// One after the other, along the positions.
static Tensor joined(const Tensor &a, const Tensor &b) {
  SmallVector<int64_t> shape(a.shape());
  shape[1] += b.dim(1);
  Tensor result(shape);
  int64_t sizeA = a.size() / a.dim(0), sizeB = b.size() / b.dim(0);
  for (int64_t i = 0; i < a.dim(0); ++i) {
    for (int64_t j = 0; j < sizeA; ++j)
      result[i * (sizeA + sizeB) + j] = a[i * sizeA + j];
    for (int64_t j = 0; j < sizeB; ++j)
      result[i * (sizeA + sizeB) + sizeA + j] = b[i * sizeB + j];
  }
  return result;
}

// The chunked form of the first half, then of the second from the state
// between.
static AttentionResults inTwoParts(const AttentionOperands &in, int64_t chunk) {
  int64_t length = in.q.dim(1), cut = length / 2;
  auto part = [&](int64_t begin, int64_t end, const Tensor &state) {
    Tensor q = positions(in.q, begin, end), k = positions(in.k, begin, end),
           v = positions(in.v, begin, end);
    return attentionChunked({q, k, v, in.slopes, state, in.scale}, chunk);
  };
  AttentionResults first = part(0, cut, in.state);
  AttentionResults second = part(cut, length, first.newState);
  return {joined(first.out, second.out), second.newState};
}

// Softmax attention of the first half, then of the second with the cache
// between.
static SoftmaxResults inTwoParts(const SoftmaxOperands &in, int64_t chunk) {
  int64_t length = in.q.dim(1), cut = length / 2;
  auto part = [&](int64_t begin, int64_t end, const Tensor &cache) {
    Tensor q = positions(in.q, begin, end), k = positions(in.k, begin, end),
           v = positions(in.v, begin, end);
    Tensor at({in.q.dim(0)},
              std::vector<double>(in.q.dim(0), static_cast<double>(begin)));
    return softmaxAttentionOnline({q, k, v, &cache, &at, in.block, in.scale},
                                  chunk);
  };
  Tensor cache({in.q.dim(0), in.q.dim(2), in.block ? in.block : length,
                in.q.dim(3) + in.v.dim(3)});
  SoftmaxResults first = part(0, cut, cache);
  SoftmaxResults second = part(cut, length, first.newCache);
  return {joined(first.out, second.out),
          joined(first.logSumExp, second.logSumExp), second.newCache};
}

namespace {

struct CheckFormsPass : public tnllm::impl::TNCheckFormsBase<CheckFormsPass> {
  using TNCheckFormsBase::TNCheckFormsBase;

  void runOnOperation() override {
    random.seed(seed);
    if (chunk < 1 || batch < 1 || length < 1) {
      getOperation().emitError(
          "expected batch, length and chunk of at least 1");
      return signalPassFailure();
    }
    if (failed(checkSizes(getOperation(), batch, length)))
      return signalPassFailure();
    WalkResult walk = getOperation().walk([&](Operation *op) {
      if (auto attention = dyn_cast<tn::LightningAttentionOp>(op))
        return WalkResult(check(attention));
      if (auto attention = dyn_cast<tn::SoftmaxAttentionOp>(op))
        return WalkResult(check(attention));
      return WalkResult::advance();
    });
    llvm::outs().flush();
    if (walk.wasInterrupted())
      signalPassFailure();
    markAllAnalysesPreserved();
  }

  SmallVector<int64_t> runTimeShape(RankedTensorType type) {
    SmallVector<int64_t> shape(type.getShape());
    for (auto [i, size] : llvm::enumerate(shape))
      if (ShapedType::isDynamic(size))
        size = i == 0 ? batch : length;
    return shape;
  }

  Tensor slopesOf(tn::LightningAttentionOp op, int64_t heads) {
    Tensor slopes({heads});
    DenseElementsAttr constant;
    if (matchPattern(op.getSlopes(), m_Constant(&constant))) {
      for (auto [i, slope] : llvm::enumerate(constant.getValues<float>()))
        slopes[i] = slope;
      return slopes;
    }
    // From none over hardly any to nearly everything in a step.
    std::uniform_real_distribution<double> exponent(-12, 0);
    for (int64_t h = 1; h < heads; ++h)
      slopes[h] = std::exp(exponent(random));
    return slopes;
  }

  LogicalResult check(tn::LightningAttentionOp op) {
    SmallVector<int64_t> shape = runTimeShape(op.getQ().getType());
    if (ShapedType::isDynamic(op.getQ().getType().getDimSize(2)) ||
        ShapedType::isDynamic(op.getQ().getType().getDimSize(3)) ||
        ShapedType::isDynamic(op.getV().getType().getDimSize(3)))
      return op.emitError(
          "expected static heads and widths to check its forms");
    Tensor q = randomNormal(shape, random), k = randomNormal(shape, random);
    shape[3] = op.getV().getType().getDimSize(3);
    Tensor v = randomNormal(shape, random);
    Tensor slopes = slopesOf(op, shape[2]);
    Tensor state =
        randomNormal({shape[0], shape[2], q.dim(3), shape[3]}, random);
    AttentionOperands in{q,      k,     v,
                         slopes, state, op.getScale().convertToFloat()};
    AttentionResults expected = attentionRecurrent(in);
    double worst = 0;
    for (const AttentionResults &form :
         {attentionQuadratic(in), attentionChunked(in, chunk),
          inTwoParts(in, chunk)})
      worst = std::max({worst, relativeError(form.out, expected.out),
                        relativeError(form.newState, expected.newState)});
    llvm::outs() << "lightning_attention q [" << shapeText(q.shape()) << "] v ["
                 << shapeText(v.shape()) << "]: largest relative difference "
                 << llvm::format("%.3g", worst) << "\n";
    if (!(worst <= tolerance)) // also where that is no number
      return op.emitError("its forms differ by ")
             << worst << ", more than " << double(tolerance);
    return checkGradient(op, in);
  }

  LogicalResult checkGradient(tn::LightningAttentionOp op,
                              const AttentionOperands &in) {
    Tensor dout = randomNormal(SmallVector<int64_t>(in.v.shape()), random);
    Tensor behind =
        randomNormal(SmallVector<int64_t>(in.state.shape()), random);
    AttentionGradients expected = attentionGradRecurrent(in, dout, &behind);
    double worst = 0;
    for (const AttentionGradients &form :
         {attentionGradQuadratic(in, dout, &behind),
          attentionGradChunked(in, dout, &behind, chunk)})
      worst = std::max({worst, relativeError(form.dq, expected.dq),
                        relativeError(form.dk, expected.dk),
                        relativeError(form.dv, expected.dv),
                        relativeError(form.dState, expected.dState)});
    llvm::outs() << "  its backward: " << llvm::format("%.3g", worst) << "\n";
    if (!(worst <= tolerance)) // also where that is no number
      return op.emitError("the forms of its backward differ by ")
             << worst << ", more than " << double(tolerance);
    return success();
  }

  // Of the attention as it is without a cache, and then with one.
  LogicalResult check(tn::SoftmaxAttentionOp op) {
    SmallVector<int64_t> shape = runTimeShape(op.getQ().getType());
    Tensor q = randomNormal(shape, random), k = randomNormal(shape, random);
    shape[3] = op.getV().getType().getDimSize(3);
    Tensor v = randomNormal(shape, random), dout = randomNormal(shape, random);
    SoftmaxOperands in{q, k, v};
    in.block = op.getBlock().value_or(0);
    in.scale = op.getScale().convertToFloat();
    SoftmaxResults expected = softmaxAttention(in);
    double worst = 0;
    for (const SoftmaxResults &form :
         {softmaxAttentionOnline(in, chunk), inTwoParts(in, chunk)})
      worst = std::max({worst, relativeError(form.out, expected.out),
                        relativeError(form.logSumExp, expected.logSumExp)});
    llvm::outs() << "softmax_attention q [" << shapeText(q.shape()) << "] v ["
                 << shapeText(v.shape()) << "]: largest relative difference "
                 << llvm::format("%.3g", worst) << "\n";
    if (!(worst <= tolerance)) // also where that is no number
      return op.emitError("its forms differ by ")
             << worst << ", more than " << double(tolerance);
    return checkGradient(op, in, expected, dout);
  }

  LogicalResult checkGradient(tn::SoftmaxAttentionOp op,
                              const SoftmaxOperands &in,
                              const SoftmaxResults &forward,
                              const Tensor &dout) {
    SoftmaxGradients expected = softmaxAttentionGradDirect(in, dout);
    SoftmaxGradients form =
        softmaxAttentionGrad(in, forward.out, forward.logSumExp, dout);
    double worst = std::max({relativeError(form.dq, expected.dq),
                             relativeError(form.dk, expected.dk),
                             relativeError(form.dv, expected.dv)});
    llvm::outs() << "  its backward: " << llvm::format("%.3g", worst) << "\n";
    if (!(worst <= tolerance)) // also where that is no number
      return op.emitError("the forms of its backward differ by ")
             << worst << ", more than " << double(tolerance);
    return success();
  }

  std::mt19937_64 random;
};

} // namespace
