// What the kernels of lightning attention share: a head's place, powers of its
// decay, and rows of a chunk copied as products want them.
#include "AttentionHead.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

Value kernels::stateOfHead(KernelBuilder &k, Value states, Value sequence,
                           Value head) {
  ImplicitLocOpBuilder &b = k.b;
  auto type = cast<MemRefType>(states.getType());
  ArrayRef<int64_t> matrix = type.getShape().drop_front(2);
  SmallVector<OpFoldResult> offsets = {sequence, head, b.getIndexAttr(0),
                                       b.getIndexAttr(0)};
  SmallVector<OpFoldResult> sizes = {b.getIndexAttr(1), b.getIndexAttr(1),
                                     b.getIndexAttr(matrix[0]),
                                     b.getIndexAttr(matrix[1])};
  SmallVector<OpFoldResult> strides(4, b.getIndexAttr(1));
  auto viewType =
      cast<MemRefType>(memref::SubViewOp::inferRankReducedResultType(
          matrix, type, offsets, sizes, strides));
  return memref::SubViewOp::create(b, viewType, states, offsets, sizes,
                                   strides);
}

SequenceRows kernels::rowsOfSequence(KernelBuilder &k, Value offsets,
                                     Value length, Value sequence) {
  if (!offsets)
    return {k.mul(sequence, length), length};
  auto load = [&](Value index) {
    return arith::IndexCastOp::create(k.b, k.b.getIndexType(),
                                      k.loadScalar(offsets, index));
  };
  Value first = load(sequence);
  return {first, k.sub(load(k.add(sequence, k.index(1))), first)};
}

HeadPlace kernels::placeOfHead(KernelBuilder &k, const AttentionBuffers &in,
                               Value number) {
  HeadPlace at;
  at.sequence = k.div(number, k.index(in.heads));
  at.head = k.rem(number, k.index(in.heads));
  at.key = k.mul(at.head, k.index(in.keyWidth));
  at.value = k.mul(at.head, k.index(in.valueWidth));
  at.slope = k.loadScalar(in.slopes, at.head);
  if (in.state)
    at.state = stateOfHead(k, in.state, at.sequence, at.head);
  return at;
}

Value kernels::decay(KernelBuilder &k, Value slope, Value exponent) {
  ImplicitLocOpBuilder &b = k.b;
  Value negative = arith::NegFOp::create(b, slope);
  if (auto type = dyn_cast<VectorType>(exponent.getType()))
    negative = k.broadcast(negative, type);
  return math::ExpOp::create(b, arith::MulFOp::create(b, negative, exponent));
}

// What a task may put on its thread's stack, a limit of the runtime and not of
// a cache.
constexpr int64_t kStackBytes = 1 << 20;

bool kernels::fitsOnStack(int64_t keyWidth, int64_t valueWidth) {
  return keyWidth <= kStackBytes / int64_t(sizeof(float)) / valueWidth;
}

int64_t kernels::chunkFor(const TileSizes &sizes, int64_t keyWidth) {
  int64_t limit = std::min(sizes.blockBytes, kStackBytes / 2);
  int64_t chunk = sizes.chunk;
  while (chunk % 32 == 0 && chunk * keyWidth * int64_t(sizeof(float)) > limit)
    chunk /= 2;
  return chunk;
}

//===----------------------------------------------------------------------===//
// Powers
//===----------------------------------------------------------------------===//

DecayPowers::DecayPowers(KernelBuilder &k, Value slope, int64_t chunk)
    : k(k), slope(slope), chunk(chunk), powers(k.scratch(1, 2 * chunk)) {}

// lambda^(C-1-t) for t < C from exponents that never go below zero, then zeros:
// row i of M is a contiguous piece, M_ij = powers[C-1-i+j].
void DecayPowers::fill() {
  ImplicitLocOpBuilder &b = k.b;
  VectorType type = VectorType::get({chunk}, b.getF32Type());
  SmallVector<float> exponents;
  for (int64_t t = 0; t < chunk; ++t)
    exponents.push_back(chunk - 1 - t);
  Value exponent = arith::ConstantOp::create(
      b, type, DenseElementsAttr::get(type, ArrayRef<float>(exponents)));
  auto store = [&](Value vector, int64_t column) {
    k.storeRow(vector, powers, k.index(0), k.index(column));
  };
  store(decay(k, slope, exponent), 0);
  store(k.constant(type, 0.0), chunk);
}

Value DecayPowers::power(Value exponent) {
  return k.loadScalar(powers,
                      {k.index(0), k.sub(k.index(chunk - 1), exponent)});
}

Value DecayPowers::scaleRows(Value tile,
                             llvm::function_ref<Value(int64_t)> exponentOf) {
  ImplicitLocOpBuilder &b = k.b;
  auto type = cast<VectorType>(tile.getType());
  int64_t columns = type.getDimSize(1);
  Value factors = k.constant(type, 0.0);
  for (int64_t r = 0; r < type.getDimSize(0); ++r) {
    Value factor = power(exponentOf(r));
    Value vector =
        k.broadcast(factor, VectorType::get({columns}, b.getF32Type()));
    factors =
        vector::InsertOp::create(b, vector, factors, ArrayRef<int64_t>{r});
  }
  return arith::MulFOp::create(b, tile, factors);
}

Value DecayPowers::mask(Value tile, Value i, Value j) {
  ImplicitLocOpBuilder &b = k.b;
  auto type = cast<VectorType>(tile.getType());
  Value mask = k.constant(type, 0.0);
  for (int64_t r = 0; r < type.getDimSize(0); ++r) {
    Value start = k.sub(k.add(j, k.index(chunk - 1 - r)), i);
    Value powersOfRow =
        k.loadRow(powers, k.index(0), start, type.getDimSize(1));
    mask = vector::InsertOp::create(b, powersOfRow, mask, ArrayRef<int64_t>{r});
  }
  Value zero = k.constant(type, 0.0);
  Value below = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, mask, zero);
  // Select rather than multiply alone: infinity times zero is not a number.
  return arith::SelectOp::create(b, below, arith::MulFOp::create(b, tile, mask),
                                 zero);
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

void kernels::fillZeros(KernelBuilder &k, Value matrix) {
  ArrayRef<int64_t> shape = cast<MemRefType>(matrix.getType()).getShape();
  k.forLoop(k.index(0), k.index(shape[0]), 1, [&](Value row) {
    k.forColumns(shape[1], k.sizes.panelWidth,
                 [&](Value column, int64_t width) {
                   auto type = VectorType::get({width}, k.b.getF32Type());
                   k.storeRow(k.constant(type, 0.0), matrix, row, column);
                 });
  });
}

void kernels::transposeRows(KernelBuilder &k, Value matrix, Value row,
                            Value column, Value count, int64_t width,
                            Value target) {
  // Tiles of 16 rows by 16 columns; the rest row by row.
  k.forTiles(count, {16, 1}, [&](Value j, int64_t rows) {
    k.forColumns(width, 16, [&](Value d, int64_t columns) {
      Value tile = k.loadTile(
          matrix, {k.add(row, j), k.add(column, d), rows, columns, true});
      Value transposed =
          vector::TransposeOp::create(k.b, tile, ArrayRef<int64_t>{1, 0});
      k.storeTile(transposed, target, {d, j, columns, rows, true});
    });
  });
}

void kernels::scaleRowsInto(KernelBuilder &k, Value matrix, Value row,
                            Value column, Value count, int64_t width,
                            Value target,
                            llvm::function_ref<Value(Value j)> factorOf) {
  k.forLoop(k.index(0), count, 1, [&](Value j) {
    Value factor = factorOf(j);
    k.forColumns(width, k.sizes.panelWidth, [&](Value d, int64_t columns) {
      Value tile = k.loadTile(
          matrix, {k.add(row, j), k.add(column, d), 1, columns, true});
      tile = arith::MulFOp::create(k.b, tile,
                                   k.broadcast(factor, k.tileType(1, columns)));
      k.storeTile(tile, target, {j, d, 1, columns, true});
    });
  });
}
