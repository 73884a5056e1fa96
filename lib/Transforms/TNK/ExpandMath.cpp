// tnk-expand-math: math functions of f32 as vector arithmetic.
#include "TNK/TNKDialect.h"
#include "tnllm/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Approximation.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace tnllm {
#define GEN_PASS_DEF_TNKEXPANDMATH
#include "tnllm/Transforms/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

// `like`'s shape with another element type.
static Type shapedLike(Type like, Type element) {
  if (auto vector = dyn_cast<VectorType>(like))
    return vector.clone(element);
  return element;
}

static Value constantLike(ImplicitLocOpBuilder &b, Type type, double value) {
  FloatAttr scalar = b.getFloatAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    return arith::ConstantOp::create(b, SplatElementsAttr::get(vector, scalar));
  return arith::ConstantOp::create(b, scalar);
}

static Value constantLike(ImplicitLocOpBuilder &b, Type type, int64_t value) {
  IntegerAttr scalar = b.getIntegerAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    return arith::ConstantOp::create(b, SplatElementsAttr::get(vector, scalar));
  return arith::ConstantOp::create(b, scalar);
}

static Value polynomial(ImplicitLocOpBuilder &b, Value x,
                        ArrayRef<double> coefficients) {
  Value sum = constantLike(b, x.getType(), coefficients.front());
  for (double coefficient : coefficients.drop_front())
    sum = math::FmaOp::create(b, sum, x,
                              constantLike(b, x.getType(), coefficient));
  return sum;
}

namespace {

// x = quadrant * pi/2 + rest with |rest| <= pi/4.
struct Reduced {
  Value quadrant; // i32
  Value rest;     // f32
};

} // namespace

// Cody and Waite's reduction in f64: pi/2 in two parts leaves an error far
// under one unit of f32 for |x| up to 2^30.
static Reduced reduce(ImplicitLocOpBuilder &b, Value x) {
  Type f64 = shapedLike(x.getType(), b.getF64Type());
  Value wide = arith::ExtFOp::create(b, f64, x);
  Value turns = math::RoundEvenOp::create(
      b, arith::MulFOp::create(b, wide,
                               constantLike(b, f64, 0.63661977236758134308)));
  Value negated = arith::NegFOp::create(b, turns);
  Value rest = math::FmaOp::create(
      b, negated, constantLike(b, f64, 1.5707963267948965580), wide);
  rest = math::FmaOp::create(
      b, negated, constantLike(b, f64, 6.1232339957367660359e-17), rest);
  return {arith::FPToSIOp::create(b, shapedLike(x.getType(), b.getI32Type()),
                                  turns),
          arith::TruncFOp::create(b, x.getType(), rest)};
}

// sin for phase 0, cos for phase 1, by quadrant. Polynomials of Cephes (sinf,
// cosf) on
// [-pi/4, pi/4].
static Value expandSinOrCos(ImplicitLocOpBuilder &b, Value x, int64_t phase) {
  Reduced reduced = reduce(b, x);
  Value r = reduced.rest;
  Value square = arith::MulFOp::create(b, r, r);
  Value cube = arith::MulFOp::create(b, square, r);
  Value sine = math::FmaOp::create(
      b, cube,
      polynomial(b, square,
                 {-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1}),
      r);
  Value fourth = arith::MulFOp::create(b, square, square);
  Value cosine =
      math::FmaOp::create(b, square, constantLike(b, x.getType(), -0.5),
                          constantLike(b, x.getType(), 1.0));
  cosine = math::FmaOp::create(
      b, fourth,
      polynomial(
          b, square,
          {2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2}),
      cosine);

  Type i32 = reduced.quadrant.getType();
  Value quadrant =
      arith::AddIOp::create(b, reduced.quadrant, constantLike(b, i32, phase));
  Value zero = constantLike(b, i32, int64_t(0));
  auto bit = [&](int64_t mask) {
    return arith::CmpIOp::create(
        b, arith::CmpIPredicate::ne,
        arith::AndIOp::create(b, quadrant, constantLike(b, i32, mask)), zero);
  };
  Value value = arith::SelectOp::create(b, bit(1), cosine, sine);
  return arith::SelectOp::create(b, bit(2), arith::NegFOp::create(b, value),
                                 value);
}

namespace {

template <typename OpTy, int64_t phase>
struct ExpandTrigonometric : public OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getType()).isF32())
      return rewriter.notifyMatchFailure(op, "not f32");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    rewriter.replaceOp(op, expandSinOrCos(b, op.getOperand(), phase));
    return success();
  }
};

struct ExpandMathPass : public tnllm::impl::TNKExpandMathBase<ExpandMathPass> {
  using TNKExpandMathBase::TNKExpandMathBase;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandTrigonometric<math::SinOp, 0>,
                 ExpandTrigonometric<math::CosOp, 1>>(&getContext());
    auto wanted = [](StringRef name) {
      return name == math::ExpOp::getOperationName() ||
             name == math::ExpM1Op::getOperationName() ||
             name == math::ErfOp::getOperationName() ||
             name == math::LogOp::getOperationName();
    };
    populateMathPolynomialApproximationPatterns(patterns, wanted);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
