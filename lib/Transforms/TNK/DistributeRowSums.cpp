// Reductions of row vectors over the threads of a block.
#include "RowDistribution.h"

#include <limits>

using namespace mlir;
using namespace tnllm;

static constexpr int64_t kWarp = 32;

static bool isSupported(vector::CombiningKind kind) {
  switch (kind) {
  case vector::CombiningKind::ADD:
  case vector::CombiningKind::MAXIMUMF:
  case vector::CombiningKind::MAXNUMF:
  case vector::CombiningKind::MINIMUMF:
  case vector::CombiningKind::MINNUMF:
    return true;
  default:
    return false;
  }
}

// What changes no result.
static double neutralOf(vector::CombiningKind kind) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  switch (kind) {
  case vector::CombiningKind::MAXIMUMF:
  case vector::CombiningKind::MAXNUMF:
    return -infinity;
  case vector::CombiningKind::MINIMUMF:
  case vector::CombiningKind::MINNUMF:
    return infinity;
  default:
    return 0.0;
  }
}

// Pairs, then pairs of pairs: the order is fixed.
Value RowDistribution::combineTree(vector::CombiningKind kind,
                                   SmallVector<Value> values) {
  while (values.size() > 1) {
    SmallVector<Value> next;
    for (size_t i = 0; i + 1 < values.size(); i += 2)
      next.push_back(vector::makeArithReduction(b, b.getLoc(), kind, values[i],
                                                values[i + 1]));
    if (values.size() % 2 != 0)
      next.push_back(values.back());
    values = std::move(next);
  }
  return values.front();
}

Value RowDistribution::reduceElements(vector::CombiningKind kind,
                                      Value vector) {
  SmallVector<Value> elements;
  int64_t size = cast<VectorType>(vector.getType()).getNumElements();
  for (int64_t i = 0; i < size; ++i)
    elements.push_back(vector::ExtractOp::create(b, vector, i));
  return combineTree(kind, std::move(elements));
}

// A butterfly: each step adds the same two numbers in both lanes, so all lanes
// end with the same bits. Of fewer lanes than 32, each group of as many.
Value RowDistribution::reduceWarp(vector::CombiningKind kind, Value value,
                                  int64_t lanes) {
  for (auto distance = static_cast<int32_t>(lanes / 2); distance > 0;
       distance /= 2) {
    auto shuffle = gpu::ShuffleOp::create(b, value, distance, kWarp,
                                          gpu::ShuffleMode::XOR);
    value = vector::makeArithReduction(b, b.getLoc(), kind, value,
                                       shuffle.getShuffleResult());
  }
  return value;
}

// Each warp's `lane` leaves its value in shared memory, which is this exchange's
// alone; in a loop a barrier keeps the next round from writing before all have
// read. Returns the buffer of all warps' values.
Value RowDistribution::exchange(Value value, int64_t lane, bool inLoop) {
  int64_t warps = threads / kWarp;
  Value shared;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&kernel.getBody().front());
    auto space = gpu::AddressSpaceAttr::get(b.getContext(),
                                            gpu::AddressSpace::Workgroup);
    shared = tnk::SharedOp::create(
        b, MemRefType::get({warps}, value.getType(),
                           MemRefLayoutAttrInterface(), space));
  }
  if (inLoop)
    gpu::BarrierOp::create(b);
  Value isIt = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, this->lane(),
                                     index(lane));
  guarded(isIt, [&] { memref::StoreOp::create(b, value, shared, warp()); });
  gpu::BarrierOp::create(b);
  return shared;
}

SmallVector<Value> RowDistribution::valuesOfWarps(Value shared) {
  SmallVector<Value> values;
  for (int64_t i = 0; i < threads / kWarp; ++i)
    values.push_back(memref::LoadOp::create(b, shared, index(i)));
  return values;
}

// As many warps as lanes combine their values as a warp does: if every thread read
// them all, that would take longer than all the rest.
Value RowDistribution::reduceBlock(vector::CombiningKind kind, Value value,
                                   bool inLoop) {
  value = reduceWarp(kind, value);
  if (threads == kWarp)
    return value;
  Value shared = exchange(value, /*lane=*/0, inLoop);
  const int64_t warps = threads / kWarp;
  if (warps == kWarp)
    return reduceWarp(kind, memref::LoadOp::create(b, shared, lane()));
  if (warps == kWarp / 2) { // each value is in two lanes
    Value half = arith::RemUIOp::create(b, lane(), index(warps));
    return reduceWarp(kind, memref::LoadOp::create(b, shared, half), warps);
  }
  return combineTree(kind, valuesOfWarps(shared));
}

// The sum up to each lane, doubling the distance.
Value RowDistribution::scanWarp(Value value) {
  for (int32_t distance = 1; distance < kWarp; distance *= 2) {
    auto shuffle = gpu::ShuffleOp::create(b, value, distance, kWarp,
                                          gpu::ShuffleMode::UP);
    Value added = arith::AddIOp::create(b, value, shuffle.getShuffleResult());
    value = arith::SelectOp::create(b, shuffle.getValid(), added, value);
  }
  return value;
}

// What lane number `lane` has.
Value RowDistribution::valueOfLane(Value value, Value lane) {
  Value width = arith::ConstantOp::create(b, b.getI32IntegerAttr(kWarp));
  return gpu::ShuffleOp::create(b, value, lane, width, gpu::ShuffleMode::IDX)
      .getShuffleResult();
}

// Sums of the lanes below, then of the warps below.
RowDistribution::Scan RowDistribution::scanBlock(Value count, bool inLoop) {
  Value sum = scanWarp(count);
  Value before = arith::SubIOp::create(b, sum, count);
  Value last = arith::ConstantOp::create(b, b.getI32IntegerAttr(kWarp - 1));
  if (threads == kWarp)
    return {before, valueOfLane(sum, last)};
  Value shared = exchange(sum, /*lane=*/kWarp - 1, inLoop);
  if (threads == kWarp * kWarp) {
    Value ofWarp = memref::LoadOp::create(b, shared, lane());
    Value upTo = scanWarp(ofWarp);
    Value number = arith::IndexCastOp::create(b, b.getI32Type(), warp());
    Value below = valueOfLane(arith::SubIOp::create(b, upTo, ofWarp), number);
    return {arith::AddIOp::create(b, before, below), valueOfLane(upTo, last)};
  }
  Value zero = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
  Value total;
  for (auto [i, value] : llvm::enumerate(valuesOfWarps(shared))) {
    Value isBefore = below(index(i), warp());
    before = arith::AddIOp::create(
        b, before, arith::SelectOp::create(b, isBefore, value, zero));
    total = total ? arith::AddIOp::create(b, total, value).getResult() : value;
  }
  return {before, total};
}

// Elements of a unit lie side by side, so the units, and in them the threads,
// are in the order of the vector.
LogicalResult RowDistribution::compress(vector::CompressStoreOp op) {
  FailureOr<RowLayout> layout = layoutOf(op, op.getMask().getType());
  if (failed(layout))
    return failure();
  Value mask = piece(op.getMask()), values = piece(op.getValueToStore());
  if (Value valid = validElements(*layout))
    mask = arith::AndIOp::create(b, mask, valid);
  bool inLoop = op->getParentOfType<LoopLikeOpInterface>() != nullptr;
  auto asIndex = [&](Value count) -> Value {
    return arith::IndexCastOp::create(b, b.getIndexType(), count);
  };
  Value start = op.getIndices().back();
  for (int64_t first = 0; first < layout->elements; first += layout->unit) {
    SmallVector<Value> bits;
    Value count = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
    for (int64_t i = first; i < first + layout->unit; ++i) {
      bits.push_back(vector::ExtractOp::create(b, mask, i));
      count = arith::AddIOp::create(
          b, count,
          arith::ExtUIOp::create(b, b.getI32Type(), bits.back()));
    }
    Scan scan = scanBlock(count, inLoop);
    Value place = add(start, asIndex(scan.before));
    for (int64_t i = 0; i < layout->unit; ++i) {
      guarded(bits[i], [&] {
        SmallVector<Value> indices = op.getIndices();
        indices.back() = place;
        memref::StoreOp::create(
            b, vector::ExtractOp::create(b, values, first + i), op.getBase(),
            indices);
      });
      place = add(place,
                  arith::SelectOp::create(b, bits[i], index(1), index(0)));
    }
    start = add(start, asIndex(scan.total));
  }
  return success();
}

// What the elements of `vector`, a value of the block at `op`, combine to.
FailureOr<Value> RowDistribution::combine(Operation *op,
                                          vector::CombiningKind kind,
                                          Value vector) {
  FailureOr<RowLayout> layout = layoutOf(op, vector.getType());
  if (failed(layout))
    return failure();
  Type type = getElementTypeOrSelf(vector.getType());
  if (!type.isF32() || !isSupported(kind))
    return cannot(op, "expected a sum, maximum or minimum of f32");
  Value elements = piece(vector);
  if (Value valid = validElements(*layout)) {
    auto neutral = b.getFloatAttr(type, neutralOf(kind));
    Value none = vector::BroadcastOp::create(
        b, elements.getType(),
        arith::ConstantOp::create(b, neutral).getResult());
    elements = arith::SelectOp::create(b, valid, elements, none);
  }
  bool inLoop = op->getParentOfType<LoopLikeOpInterface>() != nullptr;
  return reduceBlock(kind, reduceElements(kind, elements), inLoop);
}

LogicalResult RowDistribution::reduction(vector::ReductionOp op) {
  FailureOr<Value> combined = combine(op, op.getKind(), op.getVector());
  if (failed(combined))
    return failure();
  Value value = *combined;
  if (Value acc = op.getAcc())
    value = vector::makeArithReduction(b, b.getLoc(), op.getKind(), acc, value);
  op.replaceAllUsesWith(value);
  return success();
}

// A reduction of one element is canonicalised to its extraction.
LogicalResult RowDistribution::onlyElement(vector::ExtractOp op) {
  if (getRowLength(op.getSource().getType()) != 1)
    return cannot(op, "expected a vector of one element");
  FailureOr<Value> value =
      combine(op, vector::CombiningKind::ADD, op.getSource());
  if (failed(value))
    return failure();
  op.replaceAllUsesWith(*value);
  return success();
}

LogicalResult RowDistribution::partialDot(tnk::PartialDotOp op) {
  FailureOr<RowLayout> layout = layoutOf(op, op.getX().getType());
  if (failed(layout))
    return failure();
  if (op.getAcc().getType().getNumElements() != threads)
    return cannot(op, "expected one partial sum for each of " + Twine(threads) +
                          " threads");
  Value valid = validElements(*layout);
  VectorType wide = pieceType(*layout, b.getF32Type());
  auto factor = [&](Value vector) {
    Value value = piece(vector);
    if (value.getType() != wide)
      value = arith::ExtFOp::create(b, wide, value);
    if (valid)
      value = arith::SelectOp::create(
          b, valid, value, arith::ConstantOp::create(b, b.getZeroAttr(wide)));
    return value;
  };
  Value x = factor(op.getX()), y = factor(op.getY());
  Value sum = vector::ExtractOp::create(b, piece(op.getAcc()), 0);
  for (int64_t i = 0; i < layout->elements; ++i)
    sum = math::FmaOp::create(b, vector::ExtractOp::create(b, x, i),
                              vector::ExtractOp::create(b, y, i), sum);
  pieces.map(op.getResult(), vector::BroadcastOp::create(
                                 b, VectorType::get({1}, b.getF32Type()), sum)
                                 .getResult());
  return success();
}
