// Pieces, chunks and tiles of softmax attention.
#include "SoftmaxChunks.h"

#include "AttentionHead.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// Whole vectors of queries, and as few positions as leave room on the stack.
SoftmaxChunks::SoftmaxChunks(KernelBuilder &k, int64_t widest)
    : k(k), b(k.b), chunk(chunkFor(k.sizes, widest)),
      width(std::min(k.sizes.panelWidth, chunk)) {
  chunk = chunk / width * width;
}

void SoftmaxChunks::forPieces(
    Value first, Value length, Value block,
    llvm::function_ref<void(const SoftmaxPiece &)> body) {
  Value end = k.add(first, length);
  Value last = k.add(k.div(k.sub(end, k.index(1)), block), k.index(1));
  k.forLoop(k.div(first, block), last, 1, [&](Value number) {
    Value from = k.mul(number, block);
    Value begin = b.createOrFold<arith::MaxSIOp>(from, first);
    Value count = k.sub(k.min(k.add(from, block), end), begin);
    body({k.sub(begin, first), count, k.sub(begin, from)});
  });
}

void SoftmaxChunks::forQueries(
    const SoftmaxPiece &piece,
    llvm::function_ref<void(const SoftmaxChunk &)> body) {
  k.forLoop(k.index(0), piece.count, chunk, [&](Value query) {
    SoftmaxChunk queries;
    queries.query = query;
    queries.queries = k.min(k.index(chunk), k.sub(piece.count, query));
    body(queries);
  });
}

void SoftmaxChunks::forKeys(
    const SoftmaxPiece &piece, const SoftmaxChunk &queries,
    llvm::function_ref<void(const SoftmaxChunk &)> body) {
  Value end = k.add(k.add(piece.before, queries.query), queries.queries);
  k.forLoop(k.index(0), end, chunk, [&](Value key) {
    SoftmaxChunk both = queries;
    both.key = key;
    both.keys = k.min(k.index(chunk), k.sub(end, key));
    body(both);
  });
}

void SoftmaxChunks::forTilesOf(Value rows, int64_t columns,
                               llvm::function_ref<void(TilePlace)> body) {
  k.forTiles(rows, KernelBuilder::halvingSizes(k.sizes.tileRows),
             [&](Value row, int64_t tileRows) {
               k.forColumns(columns, k.sizes.panelWidth,
                            [&](Value column, int64_t tileColumns) {
                              body({row, column, tileRows, tileColumns, true});
                            });
             });
}

void SoftmaxChunks::forProducts(const SoftmaxChunk &both,
                                llvm::function_ref<void(TilePlace)> body) {
  k.forTiles(both.keys, KernelBuilder::halvingSizes(k.sizes.tileRows),
             [&](Value key, int64_t tileRows) {
               k.forColumns(chunk, width, [&](Value lane, int64_t lanes) {
                 body({key, lane, tileRows, lanes, true});
               });
             });
}

Value SoftmaxChunks::countsIn(const SoftmaxPiece &piece,
                              const SoftmaxChunk &both,
                              const TilePlace &place) {
  auto numbers = VectorType::get({place.columns}, b.getI32Type());
  SmallVector<int32_t> counted;
  for (int64_t lane = 0; lane < place.columns; ++lane)
    counted.push_back(lane);
  Value lanes = arith::ConstantOp::create(
      b, numbers, DenseElementsAttr::get(numbers, ArrayRef<int32_t>(counted)));
  // The lane of the query that is the tile's first key.
  Value query = k.add(k.add(piece.before, both.query), place.column);
  Value first = k.sub(k.add(both.key, place.row), query);
  first = arith::IndexCastOp::create(b, b.getI32Type(), first);
  auto type = VectorType::get({place.rows, place.columns}, b.getI1Type());
  Value counts = arith::ConstantOp::create(b, b.getZeroAttr(type));
  for (int64_t row = 0; row < place.rows; ++row) {
    Value offset = arith::ConstantOp::create(
        b, b.getI32IntegerAttr(static_cast<int32_t>(row)));
    Value from = vector::BroadcastOp::create(
        b, numbers, arith::AddIOp::create(b, first, offset));
    Value isLate =
        arith::CmpIOp::create(b, arith::CmpIPredicate::sge, lanes, from);
    counts =
        vector::InsertOp::create(b, isLate, counts, ArrayRef<int64_t>{row});
  }
  return counts;
}

Value SoftmaxChunks::loadLanes(Value numbers, int64_t row) {
  return k.loadRow(numbers, k.index(row), k.index(0), chunk);
}

void SoftmaxChunks::storeLanes(Value lanes, Value numbers, int64_t row) {
  k.storeRow(lanes, numbers, k.index(row), k.index(0));
}

Value SoftmaxChunks::scaleRows(Value tile, Value numbers, int64_t row,
                               Value firstQuery) {
  auto type = cast<VectorType>(tile.getType());
  auto rowType = VectorType::get({type.getDimSize(1)}, b.getF32Type());
  Value factors = k.constant(type, 0.0);
  for (int64_t r = 0; r < type.getDimSize(0); ++r) {
    Value factor =
        k.loadScalar(numbers, {k.index(row), k.add(firstQuery, k.index(r))});
    factors = vector::InsertOp::create(b, k.broadcast(factor, rowType), factors,
                                       ArrayRef<int64_t>{r});
  }
  return arith::MulFOp::create(b, tile, factors);
}
