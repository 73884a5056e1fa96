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
// end with the same bits.
Value RowDistribution::reduceWarp(vector::CombiningKind kind, Value value) {
  for (int32_t distance = kWarp / 2; distance > 0; distance /= 2) {
    auto shuffle = gpu::ShuffleOp::create(b, value, distance, kWarp,
                                          gpu::ShuffleMode::XOR);
    value = vector::makeArithReduction(b, b.getLoc(), kind, value,
                                       shuffle.getShuffleResult());
  }
  return value;
}

// Each warp leaves its value in shared memory, which is this sum's alone; in a
// loop a barrier keeps the next round from writing before all have read.
Value RowDistribution::reduceBlock(vector::CombiningKind kind, Value value,
                                   bool inLoop) {
  value = reduceWarp(kind, value);
  if (threads == kWarp)
    return value;
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
  Value lane = arith::RemUIOp::create(b, thread(), index(kWarp));
  Value warp = arith::DivUIOp::create(b, thread(), index(kWarp));
  guarded(below(lane, index(1)),
          [&] { memref::StoreOp::create(b, value, shared, warp); });
  gpu::BarrierOp::create(b);
  SmallVector<Value> values;
  for (int64_t i = 0; i < warps; ++i)
    values.push_back(memref::LoadOp::create(b, shared, index(i)));
  return combineTree(kind, std::move(values));
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
