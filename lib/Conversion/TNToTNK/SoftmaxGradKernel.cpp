// The kernel of tn.softmax_attention_grad, one task per sequence and head. For
// a chunk of queries and one of keys, with c = dO . O of each query and what
// counts as in the forward,
//
//   P^T  = exp(scale K Q^T - logSumExp)      dZ^T = scale P^T (V dO^T - c)
//   dQ  += dZ K       dK += dZ^T Q           dV += P^T dO
//
// A query's keys are walked in order, and so are a key's queries: the sums wait
// in dq, dk and dv themselves.
#include "AttentionHead.h"
#include "BaselineKernels.h"
#include "RowLoops.h"
#include "SoftmaxChunks.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

namespace {

// Rows of the numbers of queries.
enum Number { LogSumExp, Mean, NumNumbers };

class SoftmaxGrad {
public:
  SoftmaxGrad(KernelBuilder &k, const SoftmaxGradBuffers &buffers)
      : k(k), b(k.b), in(buffers),
        chunks(k, std::max(buffers.keyWidth, buffers.valueWidth)) {}

  void build();

private:
  void startQueries(const SoftmaxChunk &queries);
  void startNumbers(const SoftmaxChunk &queries);
  void fillZeroRows(Value matrix, Value column, int64_t width, Value rows);
  void weights(const SoftmaxPiece &piece, const SoftmaxChunk &both);
  void productGradients(const SoftmaxChunk &both);
  void addTo(HeadColumns sum, Value row, Value rows, Value factors,
             HeadColumns other, Value otherRow, Value depth, bool transposed);

  // The number `which` of each query of a tile [keys, queries].
  Value ofQueries(Number which, const TilePlace &place) {
    Value row = k.loadRow(numbers, k.index(which), place.column, place.columns);
    return k.broadcastRow(row, place.rows);
  }

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  const SoftmaxGradBuffers &in;
  SoftmaxChunks chunks;
  Value head, key, value; // the head, and its first columns
  Value keyRow, queryRow; // of the piece and of the chunk, in the matrices
  // Scratch of the task.
  Value queriesTransposed, gradientsTransposed; // [Dk, C], [Dv, C]
  Value probabilities, dProducts;               // [keys C, queries C]
  Value numbers;                                // [NumNumbers, C]
};

} // namespace

void SoftmaxGrad::fillZeroRows(Value matrix, Value column, int64_t width,
                               Value rows) {
  k.forLoop(k.index(0), rows, 1, [&](Value row) {
    k.forColumns(width, k.sizes.panelWidth, [&](Value offset, int64_t size) {
      auto type = VectorType::get({size}, b.getF32Type());
      k.storeRow(k.constant(type, 0.0), matrix, k.add(queryRow, row),
                 k.add(column, offset));
    });
  });
}

// logSumExp and dO . O, each where its query has its lane.
void SoftmaxGrad::startNumbers(const SoftmaxChunk &queries) {
  k.forLoop(k.index(0), queries.queries, 1, [&](Value query) {
    Value row = k.add(queryRow, query);
    auto store = [&](Value number, Number which) {
      memref::StoreOp::create(b, number, numbers,
                              ValueRange{k.index(which), query});
    };
    store(k.loadScalar(in.logSumExp, {row, head}), LogSumExp);
    store(sumOfColumns(k, in.valueWidth,
                       [&](Value column, int64_t width) -> Value {
                         Value place = k.add(value, column);
                         return arith::MulFOp::create(
                             b, k.loadRow(in.dout, row, place, width),
                             k.loadRow(in.out, row, place, width));
                       }),
          Mean);
  });
}

// The first that is seen of these queries, as queries and as keys.
void SoftmaxGrad::startQueries(const SoftmaxChunk &queries) {
  transposeRows(k, in.q, queryRow, key, queries.queries, in.keyWidth,
                queriesTransposed);
  transposeRows(k, in.dout, queryRow, value, queries.queries, in.valueWidth,
                gradientsTransposed);
  startNumbers(queries);
  fillZeroRows(in.dq, key, in.keyWidth, queries.queries);
  fillZeroRows(in.dk, key, in.keyWidth, queries.queries);
  fillZeroRows(in.dv, value, in.valueWidth, queries.queries);
}

// P^T
void SoftmaxGrad::weights(const SoftmaxPiece &piece, const SoftmaxChunk &both) {
  chunks.forProducts(both, [&](TilePlace place) {
    VectorType type = k.tileType(place.rows, place.columns);
    Value row = k.add(k.add(keyRow, both.key), place.row);
    Value tile = k.contract(in.k, {row, key}, queriesTransposed,
                            {k.index(0), place.column}, k.constant(type, 0.0),
                            k.index(in.keyWidth));
    tile = arith::MulFOp::create(b, tile, k.constant(type, in.scale));
    tile = math::ExpOp::create(
        b, arith::SubFOp::create(b, tile, ofQueries(LogSumExp, place)));
    tile = arith::SelectOp::create(b, chunks.countsIn(piece, both, place), tile,
                                   k.constant(type, 0.0));
    k.storeTile(tile, probabilities, place);
  });
}

// dZ^T
void SoftmaxGrad::productGradients(const SoftmaxChunk &both) {
  chunks.forProducts(both, [&](TilePlace place) {
    VectorType type = k.tileType(place.rows, place.columns);
    Value row = k.add(k.add(keyRow, both.key), place.row);
    Value tile = k.contract(in.v, {row, value}, gradientsTransposed,
                            {k.index(0), place.column}, k.constant(type, 0.0),
                            k.index(in.valueWidth));
    tile = arith::SubFOp::create(b, tile, ofQueries(Mean, place));
    Value p = k.loadTile(probabilities, place);
    p = arith::MulFOp::create(b, p, k.constant(type, in.scale));
    k.storeTile(arith::MulFOp::create(b, tile, p), dProducts, place);
  });
}

// sum[row.., :] += factors x other[otherRow.., :] over the depth.
void SoftmaxGrad::addTo(HeadColumns sum, Value row, Value rows, Value factors,
                        HeadColumns other, Value otherRow, Value depth,
                        bool transposed) {
  chunks.forTilesOf(rows, sum.width, [&](TilePlace place) {
    TilePlace target = place;
    target.row = k.add(row, place.row);
    target.column = k.add(sum.column, place.column);
    SmallVector<Value> first = {place.row, k.index(0)};
    if (transposed)
      std::swap(first[0], first[1]);
    Value tile = k.contract(factors, first, other.matrix,
                            {otherRow, k.add(other.column, place.column)},
                            k.loadTile(sum.matrix, target), depth, transposed);
    k.storeTile(tile, sum.matrix, target);
  });
}

void SoftmaxGrad::build() {
  int64_t chunk = chunks.size();
  Value heads = k.index(in.heads), sequence = k.div(k.task(), heads);
  head = k.rem(k.task(), heads);
  key = k.mul(head, k.index(in.keyWidth));
  value = k.mul(head, k.index(in.valueWidth));
  queriesTransposed = k.scratch(in.keyWidth, chunk);
  gradientsTransposed = k.scratch(in.valueWidth, chunk);
  probabilities = k.scratch(chunk, chunk);
  dProducts = k.scratch(chunk, chunk);
  numbers = k.scratch(NumNumbers, chunk);
  for (Value scratch : {queriesTransposed, gradientsTransposed, numbers})
    fillZeros(k, scratch); // lanes without a query
  Value firstRow = k.mul(sequence, in.length);
  Value block = in.block > 0 ? k.index(in.block) : in.length;
  HeadColumns dq{in.dq, key, in.keyWidth}, dk{in.dk, key, in.keyWidth};
  HeadColumns dv{in.dv, value, in.valueWidth};
  HeadColumns q{in.q, key, in.keyWidth}, keys{in.k, key, in.keyWidth};
  HeadColumns dout{in.dout, value, in.valueWidth};
  chunks.forPieces(
      k.index(0), in.length, block, [&](const SoftmaxPiece &piece) {
        keyRow = k.add(firstRow, piece.start);
        chunks.forQueries(piece, [&](const SoftmaxChunk &queries) {
          queryRow = k.add(keyRow, queries.query);
          startQueries(queries);
          chunks.forKeys(piece, queries, [&](const SoftmaxChunk &both) {
            Value row = k.add(keyRow, both.key);
            weights(piece, both);
            productGradients(both);
            addTo(dq, queryRow, both.queries, dProducts, keys, row, both.keys,
                  /*transposed=*/true);
            addTo(dk, row, both.keys, dProducts, q, queryRow, both.queries,
                  /*transposed=*/false);
            addTo(dv, row, both.keys, probabilities, dout, queryRow,
                  both.queries,
                  /*transposed=*/false);
          });
        });
      });
}

void kernels::buildSoftmaxGrad(KernelBuilder &k,
                               const SoftmaxGradBuffers &buffers) {
  SoftmaxGrad(k, buffers).build();
  k.finish();
}
