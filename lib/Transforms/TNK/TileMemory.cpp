// Loads and stores of distributed tiles: device memory by vector.transfer_read
// and transfer_write, shared memory by ldmatrix and stmatrix.
#include "TilePatterns.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::tiles;

//===----------------------------------------------------------------------===//
// Device memory
//===----------------------------------------------------------------------===//

namespace {

// A transfer of a tile, element by element of a thread. Each dimension of the
// tile runs along one of the buffer, or along none when it is repeated.
class Transfer {
public:
  Transfer(VectorTransferOpInterface op, ConversionPatternRewriter &rewriter)
      : op(op), b(op.getLoc(), rewriter), type(op.getVectorType()),
        count(type.getNumElements() / kThreads) {}

  LogicalResult analyse();
  Value read(Value padding);
  void write(Value value);

private:
  // A dimension of the tile.
  struct Dimension {
    std::optional<int64_t> along; // dimension of the buffer
    Value start;                  // index, of this thread's first element
    Value end;                    // index, or null where nothing is outside
  };

  bool isTransposed() {
    auto rowsAlong =
             dyn_cast<AffineDimExpr>(op.getPermutationMap().getResult(0)),
         columnsAlong =
             dyn_cast<AffineDimExpr>(op.getPermutationMap().getResult(1));
    return rowsAlong && columnsAlong &&
           rowsAlong.getPosition() > columnsAlong.getPosition();
  }
  Value indexConstant(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  Value plus(Value index, int64_t offset) {
    return offset == 0 ? index
                       : arith::AddIOp::create(b, index, indexConstant(offset));
  }
  Value isInside(const Dimension &d, int64_t offset) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                 plus(d.start, offset), d.end);
  }
  SmallVector<Value> indicesOf(int64_t element) {
    SmallVector<Value> indices(op.getIndices());
    auto set = [&](const Dimension &d, int64_t offset) {
      if (d.along)
        indices[*d.along] = plus(d.start, offset);
    };
    set(rows, rowOffset(element));
    set(columns, columnOffset(element));
    return indices;
  }
  // Two neighbouring columns move at once if they lie beside each other.
  int64_t width() {
    int64_t last = cast<ShapedType>(op.getBase().getType()).getRank() - 1;
    return !columns.end && columns.along == last ? 2 : 1;
  }

  Value readElements(Value value, int64_t half);
  void writeElements(Value value, int64_t half);

  VectorTransferOpInterface op;
  ImplicitLocOpBuilder b;
  VectorType type;
  int64_t count;
  Dimension rows, columns;
};

} // namespace

LogicalResult Transfer::analyse() {
  if (!isa<MemRefType>(op.getBase().getType()) ||
      op.getPermutationMap().getNumResults() != 2)
    return failure();
  vector::CreateMaskOp mask;
  if (op.getMask()) {
    mask = op.getMask().getDefiningOp<vector::CreateMaskOp>();
    if (!mask)
      return failure();
  }
  for (auto [i, expr] : llvm::enumerate(op.getPermutationMap().getResults())) {
    Dimension &d = i == 0 ? rows : columns;
    Value first = arith::IndexCastUIOp::create(
        b, b.getIndexType(), i == 0 ? firstRow(b) : firstColumn(b));
    if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
      d.along = dim.getPosition();
      d.start = arith::AddIOp::create(b, op.getIndices()[*d.along], first);
      if (!op.isDimInBounds(i))
        d.end = memref::DimOp::create(b, op.getBase(), *d.along);
    } else {
      d.start = first;
    }
    if (!mask)
      continue;
    // The mask counts from the tile's first row and column, and has the order
    // of the buffer's dimensions.
    Value end = mask.getOperands()[isTransposed() ? 1 - i : i];
    if (getConstantIntValue(end) == type.getDimSize(i))
      continue;
    if (d.along)
      end = arith::AddIOp::create(b, op.getIndices()[*d.along], end);
    d.end = d.end ? arith::MinUIOp::create(b, d.end, end).getResult() : end;
  }
  return success();
}

// Elements of rows r (half 0) or r + 8 (half 1), put into `value`.
Value Transfer::readElements(Value value, int64_t half) {
  Type element = type.getElementType();
  for (int64_t i = 2 * half; i < count; i += i % 2 ? 3 : 1) {
    if (width() == 2) {
      if (i % 2)
        continue;
      Value pair = vector::LoadOp::create(b, VectorType::get({2}, element),
                                          op.getBase(), indicesOf(i));
      value = vector::InsertStridedSliceOp::create(
          b, pair, value, ArrayRef<int64_t>{i}, ArrayRef<int64_t>{1});
      continue;
    }
    Value scalar;
    if (columns.end) {
      Value old = vector::ExtractOp::create(b, value, i);
      auto branch = scf::IfOp::create(b, element,
                                      isInside(columns, columnOffset(i)), true);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(branch.thenBlock());
      scf::YieldOp::create(
          b, ValueRange(memref::LoadOp::create(b, op.getBase(), indicesOf(i))));
      b.setInsertionPointToStart(branch.elseBlock());
      scf::YieldOp::create(b, old);
      scalar = branch.getResult(0);
    } else {
      scalar = memref::LoadOp::create(b, op.getBase(), indicesOf(i));
    }
    value = vector::InsertOp::create(b, scalar, value, i);
  }
  return value;
}

Value Transfer::read(Value padding) {
  VectorType thread = threadType(type);
  Value value = vector::BroadcastOp::create(b, thread, padding);
  for (int64_t half : {0, 1}) {
    if (!rows.end) {
      value = readElements(value, half);
      continue;
    }
    auto branch = scf::IfOp::create(b, thread, isInside(rows, 8 * half), true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    scf::YieldOp::create(b, readElements(value, half));
    b.setInsertionPointToStart(branch.elseBlock());
    scf::YieldOp::create(b, value);
    value = branch.getResult(0);
  }
  return value;
}

void Transfer::writeElements(Value value, int64_t half) {
  for (int64_t i = 2 * half; i < count; i += i % 2 ? 3 : 1) {
    OpBuilder::InsertionGuard guard(b);
    if (width() == 2) {
      if (i % 2)
        continue;
      Value pair = vector::ExtractStridedSliceOp::create(
          b, value, ArrayRef<int64_t>{i}, ArrayRef<int64_t>{2},
          ArrayRef<int64_t>{1});
      vector::StoreOp::create(b, pair, op.getBase(), indicesOf(i));
      continue;
    }
    if (columns.end) {
      auto branch = scf::IfOp::create(b, isInside(columns, columnOffset(i)),
                                      /*withElseRegion=*/false);
      b.setInsertionPointToStart(branch.thenBlock());
    }
    memref::StoreOp::create(b, vector::ExtractOp::create(b, value, i),
                            op.getBase(), indicesOf(i));
  }
}

void Transfer::write(Value value) {
  for (int64_t half : {0, 1}) {
    OpBuilder::InsertionGuard guard(b);
    if (rows.end) {
      auto branch = scf::IfOp::create(b, isInside(rows, 8 * half),
                                      /*withElseRegion=*/false);
      b.setInsertionPointToStart(branch.thenBlock());
    }
    writeElements(value, half);
  }
}

namespace {

struct DistributeTransferRead
    : public OpConversionPattern<vector::TransferReadOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(vector::TransferReadOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Transfer transfer(op, rewriter);
    if (failed(transfer.analyse()))
      return rewriter.notifyMatchFailure(op, "expected a buffer and a mask "
                                             "made by vector.create_mask");
    rewriter.replaceOp(op, transfer.read(adaptor.getPadding()));
    return success();
  }
};

struct DistributeTransferWrite
    : public OpConversionPattern<vector::TransferWriteOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(vector::TransferWriteOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Transfer transfer(op, rewriter);
    if (failed(transfer.analyse()))
      return rewriter.notifyMatchFailure(op, "expected a buffer and a mask "
                                             "made by vector.create_mask");
    transfer.write(adaptor.getValueToStore());
    rewriter.eraseOp(op);
    return success();
  }
};

// Its users have read its operands: no value is left to compute.
struct DistributeMask : public OpConversionPattern<vector::CreateMaskOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(vector::CreateMaskOp op, OpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    for (Operation *user : op->getUsers())
      if (!isa<VectorTransferOpInterface>(user))
        return rewriter.notifyMatchFailure(op, "not the mask of a transfer");
    auto type = threadType(op.getType());
    rewriter.replaceOpWithNewOp<arith::ConstantOp>(op,
                                                   rewriter.getZeroAttr(type));
    return success();
  }
};

} // namespace

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

namespace {

// Addresses of the four 8 x 8 matrices that one ldmatrix or stmatrix moves: 16
// columns of the register tile. Lane l gives row l % 8 of matrix l / 8.
// Matrices 1 and 3 are those of rows + 8, matrices 2 and 3 of columns + 8.
class MatrixAddress {
public:
  MatrixAddress(ImplicitLocOpBuilder &b, Value tile, bool transpose)
      : b(b), type(cast<tnk::TileType>(tile.getType())), transpose(transpose),
        base(tilePointer(b, tile)) {
    Value t = threads::threadOf(b, kThreads);
    Value warp = shr(t, 5), lane = bits(t, 31);
    Value row = bits(lane, 7); // of the matrix
    Value rowsHalf = bits(shr(lane, 3), 1), columnsHalf = bits(shr(lane, 4), 1);
    // The tile's row, and the 16-byte piece of it, exchanged by the row's
    // number: all rows added below are multiples of 8.
    Value tileRow, piece;
    if (transpose) {
      tileRow = add(shl(columnsHalf, 3), row);
      piece = add(shl(warp, 1), rowsHalf);
    } else {
      tileRow = add(add(shl(warp, 4), shl(rowsHalf, 3)), row);
      piece = columnsHalf;
    }
    Value swizzled = arith::XOrIOp::create(b, piece, row);
    first = add(shl(tileRow, 7), shl(swizzled, 4));
  }

  // Of columns 16 * step and on.
  Value at(int64_t step) {
    if (transpose) // rows of the tile
      return threads::offset(b, threads::offset(b, base, first),
                             step * 16 * 128);
    int64_t stepsOfBlock = tnk::TileType::kBlockColumns / 16;
    Value bytes = first;
    // Two pieces further on, before the exchange.
    if (int64_t pieces = 2 * (step % stepsOfBlock))
      bytes =
          arith::XOrIOp::create(b, first, threads::constant(b, pieces * 16));
    return threads::offset(b, threads::offset(b, base, bytes),
                           step / stepsOfBlock * type.getBlockBytes());
  }

private:
  Value add(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value shl(Value x, int64_t n) {
    return arith::ShLIOp::create(b, x, threads::constant(b, n));
  }
  Value shr(Value x, int64_t n) {
    return arith::ShRUIOp::create(b, x, threads::constant(b, n));
  }
  Value bits(Value x, int64_t mask) {
    return arith::AndIOp::create(b, x, threads::constant(b, mask));
  }

  ImplicitLocOpBuilder &b;
  tnk::TileType type;
  bool transpose;
  Value base, first;
};

constexpr int64_t kRegisters = 4; // of a thread in one ldmatrix

} // namespace

static NVVM::MMALayout layoutOf(bool transpose) {
  return transpose ? NVVM::MMALayout::col : NVVM::MMALayout::row;
}

static NVVM::LdStMatrixShapeAttr shapeAttr(MLIRContext *context) {
  return NVVM::LdStMatrixShapeAttr::get(context, 8, 8);
}

namespace {

struct DistributeRead : public OpConversionPattern<tnk::ReadOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(tnk::ReadOp op, OpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    VectorType type = threadType(op.getResult().getType());
    MatrixAddress address(b, op.getTile(), op.getTranspose());
    Type i32 = b.getI32Type();
    auto four = LLVM::LLVMStructType::getLiteral(
        b.getContext(), SmallVector<Type>(kRegisters, i32));
    SmallVector<Value> registers;
    for (int64_t step = 0; step < type.getNumElements() / 8; ++step) {
      Value loaded = NVVM::LdMatrixOp::create(
          b, four, address.at(step), kRegisters, layoutOf(op.getTranspose()),
          shapeAttr(b.getContext()), NVVM::LdStMatrixEltType::B16);
      for (int64_t i = 0; i < kRegisters; ++i)
        registers.push_back(LLVM::ExtractValueOp::create(b, loaded, i));
    }
    auto words = VectorType::get({int64_t(registers.size())}, i32);
    Value value = vector::FromElementsOp::create(b, words, registers);
    rewriter.replaceOpWithNewOp<vector::BitCastOp>(op, type, value);
    return success();
  }
};

struct DistributeWrite : public OpConversionPattern<tnk::WriteOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(tnk::WriteOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    MatrixAddress address(b, op.getTile(), op.getTranspose());
    int64_t count =
        cast<VectorType>(adaptor.getValue().getType()).getNumElements() / 2;
    Value words = vector::BitCastOp::create(
        b, VectorType::get({count}, b.getI32Type()), adaptor.getValue());
    for (int64_t step = 0; step < count / kRegisters; ++step) {
      SmallVector<Value> registers;
      for (int64_t i = 0; i < kRegisters; ++i)
        registers.push_back(
            vector::ExtractOp::create(b, words, step * kRegisters + i));
      NVVM::StMatrixOp::create(
          b, address.at(step), registers, layoutOf(op.getTranspose()),
          shapeAttr(b.getContext()), NVVM::LdStMatrixEltType::B16);
    }
    rewriter.eraseOp(op);
    return success();
  }
};

} // namespace

void tiles::populateMemoryPatterns(const TypeConverter &types,
                                   RewritePatternSet &patterns) {
  patterns.add<DistributeTransferRead, DistributeTransferWrite, DistributeMask,
               DistributeRead, DistributeWrite>(types, patterns.getContext());
}
