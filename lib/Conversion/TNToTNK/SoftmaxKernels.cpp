// Kernels of tn.softmax_attention. A chunk of queries walks over its keys in
// chunks, with m the largest product, l the sum and O the output so far of each
// query (arXiv 2205.14135):
//
//   Z = scale K Q^T          m' = max(m, max over keys of Z)
//   P = exp(Z - m')          l' = exp(m - m') l + sum over keys of P
//                            O' = exp(m - m') O + P^T V
//
// and out = O / l, logSumExp = m + log l. Keys begin at row 0 of a piece
// whatever the call, so a query's sums have one order however the prompt is
// cut.
#include "AttentionHead.h"
#include "BaselineKernels.h"
#include "RowLoops.h"
#include "SoftmaxChunks.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <limits>

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// Below any product.
static constexpr float kLeast = std::numeric_limits<float>::lowest();

namespace {

// Where a task's head of a sequence lies.
struct Place {
  Value sequence, head, firstRow; // of the sequence, in the matrices
  Value cache;                    // [R, Dk + Dv], or null
};

// Rows of the numbers of queries.
enum Number { Largest, Sum, Factor, NumNumbers };

class SoftmaxAttention {
public:
  SoftmaxAttention(KernelBuilder &k, const SoftmaxBuffers &buffers)
      : k(k), b(k.b), in(buffers),
        chunks(k, std::max(buffers.keyWidth, buffers.valueWidth)) {}

  void build();

private:
  void findPlace();
  void appendToCache(const SoftmaxPiece &piece);
  void copyColumns(const SoftmaxPiece &piece, HeadColumns from, int64_t to);
  void attend(const SoftmaxPiece &piece);
  void startQueries(const SoftmaxPiece &piece, const SoftmaxChunk &queries);
  void products(const SoftmaxPiece &piece, const SoftmaxChunk &both);
  void weights(const SoftmaxChunk &both);
  void addValues(const SoftmaxChunk &both);
  void finishQueries(const SoftmaxPiece &piece, const SoftmaxChunk &queries);
  Value firstRowOf(const SoftmaxPiece &piece, const SoftmaxChunk &queries) {
    return k.add(k.add(at.firstRow, piece.start), queries.query);
  }

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  const SoftmaxBuffers &in;
  SoftmaxChunks chunks;
  Place at;
  HeadColumns q, keys, values;
  Value keyRow; // in the matrix of keys, of a piece's row 0
  // Scratch of the task.
  Value queriesTransposed; // [Dk, C]
  Value probabilities;     // [keys C, queries C]: Z, then P
  Value output;            // [C, Dv]: O
  Value numbers;           // [NumNumbers, C]
};

} // namespace

void SoftmaxAttention::findPlace() {
  Value heads = k.index(in.heads);
  at.sequence = k.div(k.task(), heads);
  at.head = k.rem(k.task(), heads);
  at.firstRow = k.mul(at.sequence, in.length);
  Value key = k.mul(at.head, k.index(in.keyWidth));
  Value value = k.mul(at.head, k.index(in.valueWidth));
  q = {in.q, key, in.keyWidth};
  keys = {in.k, key, in.keyWidth};
  values = {in.v, value, in.valueWidth};
  if (in.cache)
    at.cache = stateOfHead(k, in.cache, at.sequence, at.head);
}

// Columns `to` and on of the cache's rows = the call's rows of the piece.
void SoftmaxAttention::copyColumns(const SoftmaxPiece &piece, HeadColumns from,
                                   int64_t to) {
  k.forLoop(k.index(0), piece.count, 1, [&](Value row) {
    Value source = k.add(k.add(at.firstRow, piece.start), row);
    k.forColumns(
        from.width, k.sizes.panelWidth, [&](Value column, int64_t width) {
          k.storeRow(
              k.loadRow(from.matrix, source, k.add(from.column, column), width),
              at.cache, k.add(piece.before, row), k.add(column, k.index(to)));
        });
  });
}

void SoftmaxAttention::appendToCache(const SoftmaxPiece &piece) {
  copyColumns(piece, {in.k, q.column, in.keyWidth}, 0);
  copyColumns(piece,
              {in.v, k.mul(at.head, k.index(in.valueWidth)), in.valueWidth},
              in.keyWidth);
}

void SoftmaxAttention::startQueries(const SoftmaxPiece &piece,
                                    const SoftmaxChunk &queries) {
  transposeRows(k, q.matrix, firstRowOf(piece, queries), q.column,
                queries.queries, q.width, queriesTransposed);
  auto lanes = VectorType::get({chunks.size()}, b.getF32Type());
  chunks.storeLanes(k.constant(lanes, kLeast), numbers, Largest);
  chunks.storeLanes(k.constant(lanes, 0.0), numbers, Sum);
  fillZeros(k, output);
}

// Z, and the least number where a key comes after its query.
void SoftmaxAttention::products(const SoftmaxPiece &piece,
                                const SoftmaxChunk &both) {
  chunks.forProducts(both, [&](TilePlace place) {
    VectorType type = k.tileType(place.rows, place.columns);
    Value row = k.add(k.add(keyRow, both.key), place.row);
    Value tile = k.contract(keys.matrix, {row, keys.column}, queriesTransposed,
                            {k.index(0), place.column}, k.constant(type, 0.0),
                            k.index(in.keyWidth));
    tile = arith::MulFOp::create(b, tile, k.constant(type, in.scale));
    tile = arith::SelectOp::create(b, chunks.countsIn(piece, both, place), tile,
                                   k.constant(type, kLeast));
    k.storeTile(tile, probabilities, place);
  });
}

// P in the place of Z; m, l and the factor of O.
void SoftmaxAttention::weights(const SoftmaxChunk &both) {
  Value before = chunks.loadLanes(numbers, Largest);
  auto overKeys = [&](Value start,
                      llvm::function_ref<Value(Value, Value)> step) {
    auto loop = scf::ForOp::create(b, k.index(0), both.keys, k.index(1),
                                   ValueRange{start});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value next = step(loop.getInductionVar(), loop.getRegionIterArg(0));
    scf::YieldOp::create(b, next);
    return loop.getResult(0);
  };
  auto loadProducts = [&](Value key) {
    return k.loadRow(probabilities, key, k.index(0), chunks.size());
  };
  Value largest = overKeys(before, [&](Value key, Value so_far) -> Value {
    return arith::MaximumFOp::create(b, so_far, loadProducts(key));
  });
  Value factor =
      math::ExpOp::create(b, arith::SubFOp::create(b, before, largest));
  Value sum = arith::MulFOp::create(b, chunks.loadLanes(numbers, Sum), factor);
  sum = overKeys(sum, [&](Value key, Value so_far) -> Value {
    Value p = math::ExpOp::create(
        b, arith::SubFOp::create(b, loadProducts(key), largest));
    k.storeRow(p, probabilities, key, k.index(0));
    return arith::AddFOp::create(b, so_far, p);
  });
  chunks.storeLanes(largest, numbers, Largest);
  chunks.storeLanes(sum, numbers, Sum);
  chunks.storeLanes(factor, numbers, Factor);
}

void SoftmaxAttention::addValues(const SoftmaxChunk &both) {
  chunks.forTilesOf(both.queries, in.valueWidth, [&](TilePlace place) {
    Value tile = k.loadTile(output, place);
    tile = chunks.scaleRows(tile, numbers, Factor, place.row);
    tile = k.contract(
        probabilities, {k.index(0), place.row}, values.matrix,
        {k.add(keyRow, both.key), k.add(values.column, place.column)}, tile,
        both.keys, /*transposeA=*/true);
    k.storeTile(tile, output, place);
  });
}

void SoftmaxAttention::finishQueries(const SoftmaxPiece &piece,
                                     const SoftmaxChunk &queries) {
  Value sum = chunks.loadLanes(numbers, Sum);
  Value one = k.constant(sum.getType(), 1.0);
  chunks.storeLanes(arith::DivFOp::create(b, one, sum), numbers, Factor);
  Value row = firstRowOf(piece, queries);
  Value column = k.mul(at.head, k.index(in.valueWidth));
  chunks.forTilesOf(queries.queries, in.valueWidth, [&](TilePlace place) {
    Value tile = k.loadTile(output, place);
    tile = chunks.scaleRows(tile, numbers, Factor, place.row);
    place.row = k.add(row, place.row);
    place.column = k.add(column, place.column);
    k.storeTile(tile, in.out, place);
  });
  if (!in.logSumExp)
    return;
  Value logSumExp = arith::AddFOp::create(b, chunks.loadLanes(numbers, Largest),
                                          math::LogOp::create(b, sum));
  chunks.storeLanes(logSumExp, numbers, Factor);
  k.forLoop(k.index(0), queries.queries, 1, [&](Value query) {
    Value value = k.loadScalar(numbers, {k.index(Factor), query});
    memref::StoreOp::create(b, value, in.logSumExp,
                            ValueRange{k.add(row, query), at.head});
  });
}

void SoftmaxAttention::attend(const SoftmaxPiece &piece) {
  chunks.forQueries(piece, [&](const SoftmaxChunk &queries) {
    startQueries(piece, queries);
    chunks.forKeys(piece, queries, [&](const SoftmaxChunk &both) {
      products(piece, both);
      weights(both);
      addValues(both);
    });
    finishQueries(piece, queries);
  });
}

void SoftmaxAttention::build() {
  findPlace();
  queriesTransposed = k.scratch(in.keyWidth, chunks.size());
  probabilities = k.scratch(chunks.size(), chunks.size());
  output = k.scratch(chunks.size(), in.valueWidth);
  numbers = k.scratch(NumNumbers, chunks.size());
  fillZeros(k, queriesTransposed); // lanes without a query
  Value first = k.index(0), block = in.length;
  if (in.block > 0)
    block = k.index(in.block);
  if (in.cache) {
    first = arith::IndexCastOp::create(b, b.getIndexType(),
                                       k.loadScalar(in.positions, at.sequence));
    block = k.index(cast<MemRefType>(at.cache.getType()).getDimSize(0));
    keys = {at.cache, k.index(0), in.keyWidth};
    values = {at.cache, k.index(in.keyWidth), in.valueWidth};
  }
  chunks.forPieces(first, in.length, block, [&](const SoftmaxPiece &piece) {
    keyRow = in.cache ? k.index(0) : k.add(at.firstRow, piece.start);
    if (in.cache)
      appendToCache(piece);
    attend(piece);
  });
}

void kernels::buildSoftmaxAttention(KernelBuilder &k,
                                    const SoftmaxBuffers &buffers) {
  SoftmaxAttention(k, buffers).build();
  k.finish();
}

//===----------------------------------------------------------------------===//
// One position
//===----------------------------------------------------------------------===//

namespace {

// A query alone: its products with a chunk of keys are a vector.
class OnePosition {
public:
  OnePosition(KernelBuilder &k, const SoftmaxBuffers &buffers)
      : k(k), b(k.b), in(buffers), chunk(chunkFor(k.sizes, buffers.keyWidth)) {}

  void build();

private:
  Value loadNumber(Number which) {
    return k.loadScalar(numbers, {k.index(0), k.index(which)});
  }
  void storeNumber(Value value, Number which) {
    memref::StoreOp::create(b, value, numbers,
                            ValueRange{k.index(0), k.index(which)});
  }
  void append();
  void products(Value key, Value keys);
  void weights();
  void addValues(Value key, Value keys);
  void finish();

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  const SoftmaxBuffers &in;
  int64_t chunk;
  Value row, head, cache, place; // of the position in the cache
  Value keyColumn, valueColumn;
  Value probabilities; // [1, C]
  Value output;        // [1, Dv]
  Value numbers;       // [1, NumNumbers]
};

} // namespace

void OnePosition::append() {
  auto copy = [&](Value matrix, Value from, int64_t to, int64_t width) {
    k.forColumns(width, k.sizes.panelWidth, [&](Value column, int64_t size) {
      k.storeRow(k.loadRow(matrix, row, k.add(from, column), size), cache,
                 place, k.add(column, k.index(to)));
    });
  };
  copy(in.k, keyColumn, 0, in.keyWidth);
  copy(in.v, valueColumn, in.keyWidth, in.valueWidth);
}

void OnePosition::products(Value key, Value keys) {
  auto lanes = VectorType::get({chunk}, b.getF32Type());
  k.storeRow(k.constant(lanes, kLeast), probabilities, k.index(0), k.index(0));
  k.forLoop(k.index(0), keys, 1, [&](Value number) {
    Value product =
        sumOfColumns(k, in.keyWidth, [&](Value column, int64_t width) -> Value {
          return arith::MulFOp::create(
              b, k.loadRow(in.q, row, k.add(keyColumn, column), width),
              k.loadRow(cache, k.add(key, number), column, width));
        });
    product =
        arith::MulFOp::create(b, product, k.constant(b.getF32Type(), in.scale));
    memref::StoreOp::create(b, product, probabilities,
                            ValueRange{k.index(0), number});
  });
}

void OnePosition::weights() {
  Value products = k.loadRow(probabilities, k.index(0), k.index(0), chunk);
  auto type = cast<VectorType>(products.getType());
  Value before = loadNumber(Largest);
  Value largest = arith::MaximumFOp::create(
      b, before,
      vector::ReductionOp::create(b, vector::CombiningKind::MAXIMUMF,
                                  products));
  Value factor =
      math::ExpOp::create(b, arith::SubFOp::create(b, before, largest));
  Value p = math::ExpOp::create(
      b, arith::SubFOp::create(b, products, k.broadcast(largest, type)));
  k.storeRow(p, probabilities, k.index(0), k.index(0));
  Value sum = arith::MulFOp::create(b, loadNumber(Sum), factor);
  sum = arith::AddFOp::create(
      b, sum, vector::ReductionOp::create(b, vector::CombiningKind::ADD, p));
  storeNumber(largest, Largest);
  storeNumber(sum, Sum);
  storeNumber(factor, Factor);
}

void OnePosition::addValues(Value key, Value keys) {
  Value factor = loadNumber(Factor);
  k.forColumns(
      in.valueWidth, k.sizes.panelWidth, [&](Value column, int64_t width) {
        auto type = VectorType::get({width}, b.getF32Type());
        Value start = arith::MulFOp::create(
            b, k.loadRow(output, k.index(0), column, width),
            k.broadcast(factor, type));
        auto loop = scf::ForOp::create(b, k.index(0), keys, k.index(1),
                                       ValueRange{start});
        {
          OpBuilder::InsertionGuard guard(b);
          b.setInsertionPointToStart(loop.getBody());
          Value number = loop.getInductionVar();
          Value p = k.loadScalar(probabilities, {k.index(0), number});
          Value value = k.loadRow(cache, k.add(key, number),
                                  k.add(column, k.index(in.keyWidth)), width);
          Value sum = math::FmaOp::create(b, k.broadcast(p, type), value,
                                          loop.getRegionIterArg(0));
          scf::YieldOp::create(b, sum);
        }
        k.storeRow(loop.getResult(0), output, k.index(0), column);
      });
}

void OnePosition::finish() {
  Value sum = loadNumber(Sum);
  Value factor = arith::DivFOp::create(b, k.constant(b.getF32Type(), 1.0), sum);
  k.forColumns(in.valueWidth, k.sizes.panelWidth,
               [&](Value column, int64_t width) {
                 Value out = k.loadRow(output, k.index(0), column, width);
                 auto type = cast<VectorType>(out.getType());
                 out = arith::MulFOp::create(b, out, k.broadcast(factor, type));
                 k.storeRow(out, in.out, row, k.add(valueColumn, column));
               });
  if (!in.logSumExp)
    return;
  Value logSumExp = arith::AddFOp::create(b, loadNumber(Largest),
                                          math::LogOp::create(b, sum));
  memref::StoreOp::create(b, logSumExp, in.logSumExp, ValueRange{row, head});
}

void OnePosition::build() {
  Value heads = k.index(in.heads);
  row = k.div(k.task(), heads);
  head = k.rem(k.task(), heads);
  keyColumn = k.mul(head, k.index(in.keyWidth));
  valueColumn = k.mul(head, k.index(in.valueWidth));
  cache = stateOfHead(k, in.cache, row, head);
  int64_t capacity = cast<MemRefType>(cache.getType()).getDimSize(0);
  Value position = arith::IndexCastOp::create(b, b.getIndexType(),
                                              k.loadScalar(in.positions, row));
  place = k.rem(position, k.index(capacity));
  probabilities = k.scratch(1, chunk);
  output = k.scratch(1, in.valueWidth);
  numbers = k.scratch(1, NumNumbers);
  storeNumber(k.constant(b.getF32Type(), kLeast), Largest);
  storeNumber(k.constant(b.getF32Type(), 0.0), Sum);
  fillZeros(k, output);
  append();
  Value count = k.add(place, k.index(1));
  k.forLoop(k.index(0), count, chunk, [&](Value key) {
    Value keys = k.min(k.index(chunk), k.sub(count, key));
    products(key, keys);
    weights();
    addValues(key, keys);
  });
  finish();
}

void kernels::buildOnePositionSoftmax(KernelBuilder &k,
                                      const SoftmaxBuffers &buffers) {
  OnePosition(k, buffers).build();
  k.finish();
}
