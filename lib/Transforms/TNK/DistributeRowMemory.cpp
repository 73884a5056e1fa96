// Loads and stores of row vectors by the threads of a block.
#include "RowDistribution.h"

using namespace mlir;
using namespace tnllm;

static constexpr int64_t kAccessBytes = 16; // most that one load moves

// A unit is what a thread loads at once: 16 bytes of the widest elements that
// vectors of this length are loaded from or stored to.
void RowDistribution::collectUnits() {
  llvm::DenseMap<int64_t, int64_t> widest; // in bits
  kernel.walk([&](Operation *op) {
    if (!isa<VectorTransferOpInterface, vector::LoadOp, vector::StoreOp>(op))
      return;
    auto note = [&](Value value) {
      if (std::optional<int64_t> length = getRowLength(value.getType())) {
        int64_t &bits = widest[*length];
        bits = std::max<int64_t>(
            bits, cast<VectorType>(value.getType()).getElementTypeBitWidth());
      }
    };
    llvm::for_each(op->getOperands(), note);
    llvm::for_each(op->getResults(), note);
  });
  for (auto [length, bits] : widest)
    maxUnits[length] = std::max<int64_t>(1, kAccessBytes * 8 / bits);
}

FailureOr<Access> RowDistribution::accessOf(Operation *op, Value memory,
                                            ValueRange indices, Type vector,
                                            bool inBounds) {
  FailureOr<RowLayout> layout = layoutOf(op, vector);
  if (failed(layout))
    return failure();
  auto type = dyn_cast<MemRefType>(memory.getType());
  if (!type || indices.empty() || !type.isLastDimUnitStride()) {
    (void)cannot(op, "its elements are not neighbours in memory");
    return failure();
  }
  Access access{memory, llvm::to_vector(indices), *layout, inBounds};
  auto transfer = dyn_cast<VectorTransferOpInterface>(op);
  auto shape = cast<VectorType>(vector).getShape();
  access.isRepeated =
      transfer && !transfer.getPermutationMap().isMinorIdentity();
  if (shape.size() == 2 && (shape[0] != 1 || access.isRepeated)) {
    access.columns = shape[1];
    access.columnIndex = static_cast<int64_t>(indices.size()) - 1;
    access.rowIndex = access.columnIndex - 1;
    // A unit must not go from one row to the next.
    if (access.rowIndex < 0 || shape[1] % layout->unit != 0) {
      (void)cannot(op, "its rows are no multiple of what a thread holds");
      return failure();
    }
  }
  if (access.isRepeated) {
    auto indexOf = [&](unsigned result) -> int64_t {
      auto dim = dyn_cast<AffineDimExpr>(
          transfer.getPermutationMap().getResult(result));
      return dim ? static_cast<int64_t>(dim.getPosition()) : -1;
    };
    access.rowIndex = indexOf(0);
    access.columnIndex = indexOf(1);
  }
  if (transfer && transfer.getMask())
    access.rowsLeft =
        transfer.getMask().getDefiningOp<vector::CreateMaskOp>().getOperand(0);
  return access;
}

// The indices of the element `offset` of the vector.
SmallVector<Value> RowDistribution::place(const Access &access, Value offset) {
  SmallVector<Value> indices = access.indices;
  if (access.columns == 0) {
    indices.back() = add(indices.back(), offset);
    return indices;
  }
  Value columns = index(access.columns);
  auto advance = [&](int64_t along, Value steps) {
    if (along >= 0)
      indices[along] = add(indices[along], steps);
  };
  advance(access.rowIndex, b.createOrFold<arith::DivUIOp>(offset, columns));
  advance(access.columnIndex, b.createOrFold<arith::RemUIOp>(offset, columns));
  return indices;
}

// Elements that one load or store moves: a unit, or less where the address is
// not known to be aligned to it.
int64_t RowDistribution::loadWidth(const Access &access) {
  auto type = cast<MemRefType>(access.memory.getType());
  int64_t bytes = std::max<int64_t>(1, type.getElementTypeBitWidth() / 8);
  int64_t aligned = getKnownAlignment(access.memory, access.indices) / bytes;
  return std::max<int64_t>(1, std::min(access.layout.unit, aligned));
}

Value RowDistribution::readUnits(const Access &access, VectorType type) {
  const RowLayout &layout = access.layout;
  int64_t width = loadWidth(access);
  auto part = VectorType::get({width}, type.getElementType());
  int64_t bytes = width * type.getElementTypeBitWidth() / 8;
  Value value;
  for (int64_t i = 0; i < layout.elements; i += width) {
    Value loaded = vector::LoadOp::create(
        b, part, access.memory, place(access, elementIndex(layout, i)),
        /*nontemporal=*/false, llvm::MaybeAlign(bytes));
    if (width == layout.elements)
      return loaded;
    if (!value)
      value = arith::ConstantOp::create(b, b.getZeroAttr(type));
    value = vector::InsertStridedSliceOp::create(
        b, loaded, value, ArrayRef<int64_t>{i}, ArrayRef<int64_t>{1});
  }
  return value;
}

// True in threads whose element `i` is one of the vector and of the memory;
// null where that is always so.
Value RowDistribution::elementExists(const Access &access, int64_t i,
                                     Value index) {
  const RowLayout &layout = access.layout;
  Value exists;
  if (layout.isRagged())
    exists = below(index, this->index(layout.length));
  else if (layout.hasIdleThreads())
    exists = isActive(layout);
  if (access.rowsLeft) {
    Value row =
        b.createOrFold<arith::DivUIOp>(index, this->index(access.columns));
    Value isLeft = below(row, access.rowsLeft);
    exists =
        exists ? arith::AndIOp::create(b, exists, isLeft).getResult() : isLeft;
  }
  if (!access.inBounds) {
    int64_t columns =
        cast<MemRefType>(access.memory.getType()).getShape().back();
    Value inside =
        below(add(access.indices.back(), index), this->index(columns));
    exists =
        exists ? arith::AndIOp::create(b, exists, inside).getResult() : inside;
  }
  return exists;
}

// Element by element, where not every element of a thread exists.
Value RowDistribution::readElements(const Access &access, VectorType type,
                                    Value padding) {
  SmallVector<Value> elements;
  for (int64_t i = 0; i < access.layout.elements; ++i) {
    Value at = elementIndex(access.layout, i);
    auto load = [&]() -> Value {
      return memref::LoadOp::create(b, access.memory, place(access, at));
    };
    Value exists = elementExists(access, i, at);
    elements.push_back(exists ? guarded(exists, padding, load) : load());
  }
  return vector::FromElementsOp::create(b, type, elements);
}

LogicalResult RowDistribution::read(Operation *op, Value memory,
                                    ValueRange indices, Value padding,
                                    bool inBounds) {
  Value result = op->getResult(0);
  FailureOr<Access> access =
      accessOf(op, memory, indices, result.getType(), inBounds);
  if (failed(access))
    return failure();
  Type element = cast<VectorType>(result.getType()).getElementType();
  VectorType type = pieceType(access->layout, element);
  if (!padding)
    padding = arith::ConstantOp::create(b, b.getZeroAttr(element));
  Value value;
  if (isPartial(*access)) {
    value = readElements(*access, type, padding);
  } else if (access->layout.hasIdleThreads()) {
    Value none = vector::BroadcastOp::create(b, type, padding);
    value = guarded(isActive(access->layout), none,
                    [&] { return readUnits(*access, type); });
  } else {
    value = readUnits(*access, type);
  }
  pieces.map(result, value);
  return success();
}

void RowDistribution::writeUnits(const Access &access, Value value) {
  const RowLayout &layout = access.layout;
  int64_t width = loadWidth(access);
  auto type = cast<VectorType>(value.getType());
  int64_t bytes = width * type.getElementTypeBitWidth() / 8;
  for (int64_t i = 0; i < layout.elements; i += width) {
    Value part = value;
    if (width != layout.elements)
      part = vector::ExtractStridedSliceOp::create(
          b, value, ArrayRef<int64_t>{i}, ArrayRef<int64_t>{width},
          ArrayRef<int64_t>{1});
    vector::StoreOp::create(b, part, access.memory,
                            place(access, elementIndex(layout, i)),
                            /*nontemporal=*/false, llvm::MaybeAlign(bytes));
  }
}

void RowDistribution::writeElements(const Access &access, Value value) {
  for (int64_t i = 0; i < access.layout.elements; ++i) {
    Value at = elementIndex(access.layout, i);
    guarded(elementExists(access, i, at), [&] {
      Value element = vector::ExtractOp::create(b, value, i);
      memref::StoreOp::create(b, element, access.memory, place(access, at));
    });
  }
}

LogicalResult RowDistribution::write(Operation *op, Value vector, Value memory,
                                     ValueRange indices, bool inBounds) {
  FailureOr<Access> access =
      accessOf(op, memory, indices, vector.getType(), inBounds);
  if (failed(access))
    return failure();
  Value value = piece(vector);
  if (isPartial(*access))
    writeElements(*access, value);
  else if (access->layout.hasIdleThreads())
    guarded(isActive(access->layout), [&] { writeUnits(*access, value); });
  else
    writeUnits(*access, value);
  return success();
}
