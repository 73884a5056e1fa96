// tnk-lower-contract: the micro-kernel of the CPU, as vector operations.
#include "TNK/TNKDialect.h"
#include "tnllm/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace tnllm {
#define GEN_PASS_DEF_TNKLOWERCONTRACT
#include "tnllm/Transforms/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

namespace {

// Lanes of the AVX-512 dot product's accumulator.
constexpr int64_t kDotLanes = 16;
// Far beyond the registers of any machine. Rows are unrolled, so that a larger tile
// would only take for ever.
constexpr int64_t kMaxTileElements = 65536;

// Lowers one contraction. The accumulators are carried as vectors of rank 1, so
// that they stay in registers.
class ContractLowering {
public:
  explicit ContractLowering(tnk::ContractOp op)
      : op(op), b(op.getLoc(), op), type(op.getAcc().getType()),
        rows(type.getDimSize(0)), columns(type.getDimSize(1)),
        width(op.getPairs() ? kDotLanes : columns) {}

  Value lower() {
    SmallVector<Value> accumulators = split(op.getAcc());
    Value zero = arith::ConstantIndexOp::create(b, 0);
    Value one = arith::ConstantIndexOp::create(b, 1);
    Value steps = op.getDepth();
    if (op.getPairs())
      steps = arith::ShRUIOp::create(b, steps, one);
    auto loop = scf::ForOp::create(b, zero, steps, one, accumulators);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      SmallVector<Value> sums(loop.getRegionIterArgs());
      addPrefetch(loop.getInductionVar());
      if (op.getPairs())
        addPairStep(loop.getInductionVar(), sums);
      else
        addStep(loop.getInductionVar(), sums);
      scf::YieldOp::create(b, sums);
    }
    return join(loop.getResults());
  }

private:
  Value add(Value x, Value y) { return b.createOrFold<arith::AddIOp>(x, y); }
  Value offset(Value x, int64_t y) {
    return y == 0 ? x : add(x, arith::ConstantIndexOp::create(b, y));
  }

  // The tile as rows x (columns / width) vectors of `width`.
  SmallVector<Value> split(Value tile) {
    SmallVector<Value> parts;
    for (int64_t row = 0; row < rows; ++row) {
      Value vector = vector::ExtractOp::create(b, tile, ArrayRef<int64_t>{row});
      for (int64_t column = 0; column < columns; column += width)
        parts.push_back(width == columns
                            ? vector
                            : vector::ExtractStridedSliceOp::create(
                                  b, vector, ArrayRef<int64_t>{column},
                                  ArrayRef<int64_t>{width},
                                  ArrayRef<int64_t>{1}));
    }
    return parts;
  }

  Value join(ValueRange parts) {
    Value tile = arith::ConstantOp::create(b, b.getZeroAttr(type));
    auto part = parts.begin();
    for (int64_t row = 0; row < rows; ++row) {
      Value vector = *part;
      if (width != columns)
        vector = arith::ConstantOp::create(
            b, b.getZeroAttr(VectorType::get({columns}, b.getF32Type())));
      for (int64_t column = 0; column < columns; column += width, ++part)
        if (width != columns)
          vector = vector::InsertStridedSliceOp::create(
              b, *part, vector, ArrayRef<int64_t>{column},
              ArrayRef<int64_t>{1});
      tile = vector::InsertOp::create(b, vector, tile, ArrayRef<int64_t>{row});
    }
    return tile;
  }

  // Brings the lines of the row of B that is `prefetch` rows on to the first
  // cache. Of a row shorter than a line nothing: its line is asked for often.
  void addPrefetch(Value k) {
    constexpr int64_t lineBytes = 64;
    auto type = cast<MemRefType>(op.getB().getType());
    int64_t elementBytes = type.getElementTypeBitWidth() / 8;
    int64_t rowBytes = columns * elementBytes * (op.getPairs() ? 2 : 1);
    if (!op.getPrefetch() || rowBytes < lineBytes)
      return;
    Value row = offset(add(op.getBIndices()[0], k), *op.getPrefetch());
    for (int64_t byte = 0; byte < rowBytes; byte += lineBytes)
      memref::PrefetchOp::create(
          b, op.getB(),
          ValueRange{row, offset(op.getBIndices()[1], byte / elementBytes)},
          /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
  }

  // One depth: a row of B against one element of each row of A.
  void addStep(Value k, SmallVectorImpl<Value> &sums) {
    Value a = op.getA(), bMatrix = op.getB();
    Type element = cast<MemRefType>(bMatrix.getType()).getElementType();
    auto f32Row = VectorType::get({columns}, b.getF32Type());
    Value row = vector::LoadOp::create(
        b, VectorType::get({columns}, element), bMatrix,
        ValueRange{add(op.getBIndices()[0], k), op.getBIndices()[1]});
    if (element.isInteger())
      row = arith::SIToFPOp::create(b, f32Row, row);
    else if (!element.isF32())
      row = arith::ExtFOp::create(b, f32Row, row);
    for (int64_t i = 0; i < rows; ++i) {
      Value first = op.getAIndices()[0], second = op.getAIndices()[1];
      SmallVector<Value> indices =
          op.getTransposeA()
              ? SmallVector<Value>{add(first, k), offset(second, i)}
              : SmallVector<Value>{offset(first, i), add(second, k)};
      Value x = memref::LoadOp::create(b, a, indices);
      if (!x.getType().isF32())
        x = arith::ExtFOp::create(b, b.getF32Type(), x);
      Value xs = vector::BroadcastOp::create(b, f32Row, x);
      sums[i] = math::FmaOp::create(b, xs, row, sums[i]);
    }
  }

  // Two depths: pairs of B against a pair of each row of A.
  void addPairStep(Value k, SmallVectorImpl<Value> &sums) {
    Type bf16 = b.getBF16Type();
    auto pairs = VectorType::get({2 * kDotLanes}, bf16);
    Value row = add(op.getBIndices()[0], k);
    int64_t parts = columns / kDotLanes;
    SmallVector<Value> loaded;
    for (int64_t part = 0; part < parts; ++part)
      loaded.push_back(vector::LoadOp::create(
          b, pairs, op.getB(),
          ValueRange{row, offset(op.getBIndices()[1], 2 * kDotLanes * part)}));
    Value depth =
        arith::ShLIOp::create(b, k, arith::ConstantIndexOp::create(b, 1));
    for (int64_t i = 0; i < rows; ++i) {
      Value x =
          vector::LoadOp::create(b, VectorType::get({2}, bf16), op.getA(),
                                 ValueRange{offset(op.getAIndices()[0], i),
                                            add(op.getAIndices()[1], depth)});
      Value word =
          vector::BitCastOp::create(b, VectorType::get({1}, b.getI32Type()), x);
      Value words = vector::BroadcastOp::create(
          b, VectorType::get({kDotLanes}, b.getI32Type()), word);
      Value xs = vector::BitCastOp::create(b, pairs, words);
      for (int64_t part = 0; part < parts; ++part) {
        Value &sum = sums[i * parts + part];
        sum = x86vector::DotBF16Op::create(b, sum.getType(), sum, xs,
                                           loaded[part]);
      }
    }
  }

  tnk::ContractOp op;
  ImplicitLocOpBuilder b;
  VectorType type;
  int64_t rows, columns, width;
};

struct LowerContractPass
    : public tnllm::impl::TNKLowerContractBase<LowerContractPass> {
  using TNKLowerContractBase::TNKLowerContractBase;

  void runOnOperation() override {
    WalkResult walk = getOperation().walk([](tnk::ContractOp op) {
      int64_t rows = op.getAcc().getType().getDimSize(0);
      int64_t columns = op.getAcc().getType().getDimSize(1);
      if (rows > kMaxTileElements || columns > kMaxTileElements / rows) {
        op.emitError("expected a register tile of at most ")
            << kMaxTileElements << " elements, got " << op.getAcc().getType();
        return WalkResult::interrupt();
      }
      if (op.getPairs() && columns % kDotLanes != 0) {
        op.emitError("expected a multiple of ")
            << kDotLanes << " columns for pairs, got " << columns;
        return WalkResult::interrupt();
      }
      op.replaceAllUsesWith(ContractLowering(op).lower());
      op.erase();
      return WalkResult::advance();
    });
    if (walk.wasInterrupted())
      signalPassFailure();
  }
};

} // namespace
