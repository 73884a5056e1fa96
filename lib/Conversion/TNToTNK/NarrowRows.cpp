// What makes operations on rows narrow before they are clustered. An activation
// of some columns, of which slices are read, reads and writes all columns; so
// does its adjoint, whose incoming gradient is put together of pieces. Slice by
// slice, columns that the activation does not touch are views, and each piece
// is computed where it is needed.
#include "RowClusters.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <array>

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// The operations of norms and element-wise groups stand for themselves.
static void flatten(tn::FusedOp fused) {
  Block &body = fused.getBody().front();
  if (isa<tn::LinearOp>(body.front()))
    return;
  auto yield = cast<tn::YieldOp>(body.getTerminator());
  fused.getResult().replaceAllUsesWith(yield.getValue());
  yield.erase();
  fused->getBlock()->getOperations().splice(fused->getIterator(),
                                            body.getOperations());
  fused.erase();
}

static bool isInside(ArrayRef<int64_t> part, ArrayRef<int64_t> whole) {
  return whole[0] <= part[0] && part[1] <= whole[1];
}

static bool isOutside(ArrayRef<int64_t> part, ArrayRef<int64_t> whole) {
  return part[1] <= whole[0] || whole[1] <= part[0];
}

static Value sliceOf(ImplicitLocOpBuilder &b, Value x,
                     ArrayRef<int64_t> columns) {
  auto type = cast<RankedTensorType>(x.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape.back() = columns[1] - columns[0];
  return tn::SliceOp::create(b, type.clone(shape), x,
                             b.getDenseI64ArrayAttr(columns));
}

static Value castTo(ImplicitLocOpBuilder &b, Type element, Value x) {
  auto type = cast<RankedTensorType>(x.getType());
  return tn::CastOp::create(b, type.clone(element), x);
}

// What an activation's result is read through, if it is rounded and widened
// again.
static Value roundedAgain(Value result) {
  if (!result.hasOneUse())
    return {};
  auto narrow = dyn_cast<tn::CastOp>(*result.user_begin());
  if (!narrow || !narrow->hasOneUse())
    return {};
  auto wide = dyn_cast<tn::CastOp>(*narrow->user_begin());
  return wide && wide.getType() == result.getType() ? wide.getResult()
                                                    : Value();
}

// True where rounding a value to bf16 changes nothing.
static bool isRounded(Value value) {
  auto cast = value.getDefiningOp<tn::CastOp>();
  return cast && cast.getX().getType().getElementType().isBF16();
}

// slice(f(x)) to f(slice(x)), or to slice(x) where f does not reach.
static void narrow(tn::ActivationOp op) {
  if (!op.getColumns())
    return;
  ArrayRef<int64_t> columns = *op.getColumns();
  Value rounded = roundedAgain(op.getResult());
  Value read = rounded ? rounded : op.getResult();
  auto isNarrow = [&](Operation *user) {
    auto slice = dyn_cast<tn::SliceOp>(user);
    return slice && (isInside(slice.getColumns(), columns) ||
                     (isOutside(slice.getColumns(), columns) &&
                      (!rounded || isRounded(op.getX()))));
  };
  if (!llvm::all_of(read.getUsers(), isNarrow))
    return;
  for (Operation *user : llvm::make_early_inc_range(read.getUsers())) {
    auto slice = cast<tn::SliceOp>(user);
    ImplicitLocOpBuilder b(op.getLoc(), slice);
    Value x = sliceOf(b, op.getX(), slice.getColumns());
    if (isInside(slice.getColumns(), columns)) {
      x = tn::ActivationOp::create(b, x.getType(), op.getKind(), x,
                                   DenseI64ArrayAttr());
      if (rounded)
        x = castTo(b, b.getF32Type(), castTo(b, b.getBF16Type(), x));
    }
    slice.replaceAllUsesWith(x);
    slice.erase();
  }
  if (rounded) {
    Operation *wide = rounded.getDefiningOp();
    Operation *narrow = wide->getOperand(0).getDefiningOp();
    wide->erase();
    narrow->erase();
  }
  op.erase();
}

// The adjoint, of a gradient in pieces that f reaches wholly or not at all.
static void narrow(tn::ActivationGradOp op) {
  auto unslice = op.getDy().getDefiningOp<tn::UnsliceOp>();
  if (!op.getColumns() || !unslice || !unslice->hasOneUse())
    return;
  ArrayRef<int64_t> columns = *op.getColumns();
  SmallVector<std::array<int64_t, 2>> parts;
  for (auto [piece, begin] :
       llvm::zip(unslice.getPieces(), unslice.getBegins()))
    parts.push_back(
        {begin,
         begin + cast<RankedTensorType>(piece.getType()).getShape().back()});
  if (!llvm::all_of(parts, [&](ArrayRef<int64_t> part) {
        return isInside(part, columns) || isOutside(part, columns);
      }))
    return;
  ImplicitLocOpBuilder b(op.getLoc(), op);
  SmallVector<Value> pieces(unslice.getPieces());
  for (auto [piece, part] : llvm::zip(pieces, parts))
    if (isInside(part, columns))
      piece = tn::ActivationGradOp::create(b, piece.getType(), op.getKind(),
                                           sliceOf(b, op.getX(), part), piece,
                                           DenseI64ArrayAttr());
  auto made = tn::UnsliceOp::create(b, unslice.getType(), pieces,
                                    unslice.getBeginsAttr());
  op.replaceAllUsesWith(made.getResult());
  op.erase();
  unslice.erase();
}

void kernels::narrowRows(func::FuncOp function) {
  Block &block = function.getBody().front();
  for (auto op : llvm::make_early_inc_range(block.getOps<tn::FusedOp>()))
    flatten(op);
  for (auto op : llvm::make_early_inc_range(block.getOps<tn::ActivationOp>()))
    narrow(op);
  for (auto op :
       llvm::make_early_inc_range(block.getOps<tn::ActivationGradOp>()))
    narrow(op);
}
