// tnk-distribute-tiles: tiles of a warpgroup to vectors of its threads.
#include "TilePatterns.h"
#include "tnllm/Transforms/Passes.h"

#include "mlir/Dialect/SCF/Transforms/Patterns.h"

namespace tnllm {
#define GEN_PASS_DEF_TNKDISTRIBUTETILES
#include "tnllm/Transforms/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;
using namespace tnllm::tiles;

Value tiles::firstRow(ImplicitLocOpBuilder &b) {
  Value t = threads::threadOf(b, kThreads);
  auto constant = [&](int64_t value) { return threads::constant(b, value); };
  Value warp = arith::ShRUIOp::create(b, t, constant(5));
  Value lane = arith::AndIOp::create(b, t, constant(31));
  return arith::AddIOp::create(b, arith::ShLIOp::create(b, warp, constant(4)),
                               arith::ShRUIOp::create(b, lane, constant(2)));
}

Value tiles::firstColumn(ImplicitLocOpBuilder &b) {
  return arith::ShLIOp::create(b, threads::threadOf(b, 4),
                               threads::constant(b, 1));
}

namespace {

// Any element-wise operation computes on a thread's elements what it computes
// on the tile's.
struct DistributeElementwise : public ConversionPattern {
  DistributeElementwise(const TypeConverter &types, MLIRContext *context)
      : ConversionPattern(types, MatchAnyOpTypeTag(), 1, context) {}

  LogicalResult
  matchAndRewrite(Operation *op, ArrayRef<Value> operands,
                  ConversionPatternRewriter &rewriter) const override {
    if (!OpTrait::hasElementwiseMappableTraits(op))
      return rewriter.notifyMatchFailure(op, "not element-wise");
    SmallVector<Type> results;
    if (failed(typeConverter->convertTypes(op->getResultTypes(), results)))
      return failure();
    OperationState state(op->getLoc(), op->getName(), operands, results,
                         op->getAttrs());
    rewriter.replaceOp(op, rewriter.create(state));
    return success();
  }
};

struct DistributeConstant : public OpConversionPattern<arith::ConstantOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(arith::ConstantOp op, OpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto splat = dyn_cast<SplatElementsAttr>(op.getValue());
    if (!splat)
      return rewriter.notifyMatchFailure(op, "not a splat");
    auto type = threadType(cast<VectorType>(op.getType()));
    rewriter.replaceOpWithNewOp<arith::ConstantOp>(
        op, SplatElementsAttr::get(type, splat.getSplatValue<Attribute>()));
    return success();
  }
};

// Of a scalar.
struct DistributeBroadcast : public OpConversionPattern<vector::BroadcastOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(vector::BroadcastOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    if (isa<VectorType>(op.getSourceType()))
      return rewriter.notifyMatchFailure(op, "not a broadcast of a scalar");
    rewriter.replaceOpWithNewOp<vector::BroadcastOp>(
        op, threadType(op.getResultVectorType()), adaptor.getSource());
    return success();
  }
};

// All rows and some groups of 8 columns: a run of each thread's elements.
struct DistributeSlice
    : public OpConversionPattern<vector::ExtractStridedSliceOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(vector::ExtractStridedSliceOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    SmallVector<int64_t> offsets, sizes;
    op.getOffsets(offsets);
    llvm::append_range(sizes, op.getResult().getType().getShape());
    if (offsets.size() != 2 || offsets[0] != 0 || offsets[1] % 8 != 0 ||
        op.hasNonUnitStrides())
      return rewriter.notifyMatchFailure(op, "not whole groups of 8 columns");
    rewriter.replaceOpWithNewOp<vector::ExtractStridedSliceOp>(
        op, adaptor.getSource(), ArrayRef<int64_t>{offsets[1] / 2},
        ArrayRef<int64_t>{sizes[1] / 2}, ArrayRef<int64_t>{1});
    return success();
  }
};

struct DistributeIndex : public OpConversionPattern<tnk::IndexOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(tnk::IndexOp op, OpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    bool isRow = op.getDimension() == 0;
    VectorType type = threadType(op.getResult().getType());
    SmallVector<int32_t> offsets;
    for (int64_t i = 0; i < type.getNumElements(); ++i)
      offsets.push_back(isRow ? rowOffset(i) : columnOffset(i));
    Value first = vector::BroadcastOp::create(
        b, type, isRow ? firstRow(b) : firstColumn(b));
    Value rest = arith::ConstantOp::create(
        b, DenseIntElementsAttr::get(type, ArrayRef<int32_t>(offsets)));
    rewriter.replaceOpWithNewOp<arith::AddIOp>(op, first, rest);
    return success();
  }
};

struct DistributeTilesPass
    : public tnllm::impl::TNKDistributeTilesBase<DistributeTilesPass> {
  using TNKDistributeTilesBase::TNKDistributeTilesBase;

  void runOnOperation() override {
    if (!getOperation().isForGPU())
      return;
    TypeConverter types;
    types.addConversion([](Type type) { return type; });
    types.addConversion([](VectorType type) -> std::optional<Type> {
      if (!isRegisterTile(type))
        return std::nullopt;
      return threadType(type);
    });
    RewritePatternSet patterns(&getContext());
    ConversionTarget target(getContext());
    populateValuePatterns(types, patterns);
    populateMemoryPatterns(types, patterns);
    populateMmaPatterns(types, patterns);
    scf::populateSCFStructuralTypeConversionsAndLegality(types, patterns,
                                                         target);
    target.addIllegalOp<tnk::IndexOp, tnk::MmaOp, tnk::MmaWaitOp, tnk::ReadOp,
                        tnk::WriteOp>();
    target.markUnknownOpDynamicallyLegal(
        [&](Operation *op) { return types.isLegal(op); });
    if (failed(applyPartialConversion(getOperation(), target,
                                      std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace

void tiles::populateValuePatterns(const TypeConverter &types,
                                  RewritePatternSet &patterns) {
  patterns.add<DistributeElementwise, DistributeConstant, DistributeBroadcast,
               DistributeSlice, DistributeIndex>(types, patterns.getContext());
}
