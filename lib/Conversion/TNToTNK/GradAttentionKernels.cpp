// The kernel of tn.lightning_attention_grad, one task per sequence and head, in
// chunks of n <= C positions. With scale folded into the masked products
//
//   P = scale (dO V^T) * M     W = scale (Q K^T) * M     M_ij = lambda^(i-j)
//
// a sweep forwards carries S^T, the state before the chunk, and gives
//
//   dQ = P K + scale diag(lambda^(i+1)) dO S^T,
//
// and a sweep backwards carries R, what the positions behind say of the state:
//
//   dK = P^T Q + diag(lambda^(n-1-j)) V R^T
//   dV = W^T dO + diag(lambda^(n-1-j)) K R
//   R' = lambda^n R + scale (diag(lambda^(i+1)) Q)^T dO.
//
// The states of the forward are computed again, chunk by chunk, instead of
// being kept: that costs one product of six.
#include "GradKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

namespace {

// Rows of the chunk in a matrix of activations: the head's columns of them.
struct HeadRows {
  Value matrix, column;
  int64_t width;
};

class AttentionGrad {
public:
  AttentionGrad(KernelBuilder &k, const AttentionGradBuffers &buffers,
                HeadPlace place)
      : k(k), b(k.b), in(buffers), at(place),
        chunk(
            chunkFor(k.sizes, std::max(buffers.keyWidth, buffers.valueWidth))),
        powers(k, place.slope, chunk), q{in.q, at.key, in.keyWidth},
        keys{in.k, at.key, in.keyWidth}, v{in.v, at.value, in.valueWidth},
        dout{in.dout, at.value, in.valueWidth} {}

  void build();

private:
  void maskedProduct(HeadRows a, HeadRows c, Value transposed, Value product);
  void queryGradients();
  void updateTransposedState();
  void keyGradients();
  void valueGradients();
  void updateR();
  void decayMatrix(Value matrix, llvm::function_ref<Value(Value, TilePlace)>);
  void startStates();
  void forChunk(Value start, llvm::function_ref<void()> body);

  // Tiles of the chunk's rows by the columns of `rows`.
  void forTilesOf(int64_t width,
                  llvm::function_ref<void(TilePlace place)> body) {
    k.forTiles(n, KernelBuilder::halvingSizes(k.sizes.tileRows),
               [&](Value i, int64_t tileRows) {
                 k.forColumns(width, k.sizes.panelWidth,
                              [&](Value column, int64_t columns) {
                                body({i, column, tileRows, columns, true});
                              });
               });
  }
  Value zeros(TilePlace place) {
    return k.constant(k.tileType(place.rows, place.columns), 0.0);
  }
  Value times(Value tile, Value factor) {
    return arith::MulFOp::create(
        b, tile, k.broadcast(factor, cast<VectorType>(tile.getType())));
  }
  // A chunk's tile to its place among a head's columns.
  void store(Value tile, Value matrix, Value column, TilePlace place) {
    place.row = k.add(row, place.row);
    place.column = k.add(column, place.column);
    k.storeTile(tile, matrix, place);
  }
  // lambda^(n-1-j) for the rows of a tile from j on.
  Value decayToEnd(Value tile, TilePlace place) {
    return powers.scaleRows(tile, [&](int64_t r) {
      return k.sub(k.sub(n, k.index(r + 1)), place.row);
    });
  }
  // lambda^n
  Value wholeDecay() {
    Value count = arith::SIToFPOp::create(
        b, b.getF32Type(), arith::IndexCastOp::create(b, b.getI64Type(), n));
    return decay(k, at.slope, count);
  }

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  const AttentionGradBuffers &in;
  HeadPlace at;
  int64_t chunk;
  DecayPowers powers;
  HeadRows q, keys, v, dout;
  // Of the chunk: its first row in the matrices and its positions.
  Value row, n;
  Value lambda, scaledLambda;
  // Scratch of the task.
  Value valuesTransposed; // [Dv, C]
  Value keysTransposed;   // [Dk, C]
  Value p, w;             // [C, C]
  Value decayed;          // [C, max(Dk, Dv)]
  Value transposedState;  // [Dv, Dk]: S^T, then R^T
  Value r;                // [Dk, Dv]
};

} // namespace

// product = scale (A C^T) * M for the tiles on and below the diagonal.
void AttentionGrad::maskedProduct(HeadRows a, HeadRows c, Value transposed,
                                  Value product) {
  transposeRows(k, c.matrix, row, c.column, n, c.width, transposed);
  k.forTiles(
      n, KernelBuilder::halvingSizes(k.sizes.tileRows),
      [&](Value i, int64_t tileRows) {
        Value end = k.add(i, k.index(tileRows));
        int64_t width = std::min(k.sizes.panelWidth, chunk);
        k.forLoop(k.index(0), end, width, [&](Value j) {
          VectorType type = k.tileType(tileRows, width);
          Value tile = k.contract(a.matrix, {k.add(row, i), a.column},
                                  transposed, {k.index(0), j},
                                  k.constant(type, 0.0), k.index(a.width));
          tile = powers.mask(tile, i, j);
          if (in.scale != 1.0)
            tile = arith::MulFOp::create(b, tile, k.constant(type, in.scale));
          k.storeTile(tile, product, {i, j, tileRows, width, true});
        });
      });
}

// dQ = scale diag(lambda^(i+1)) dO S^T + P K
void AttentionGrad::queryGradients() {
  forTilesOf(in.keyWidth, [&](TilePlace place) {
    Value tile = k.contract(dout.matrix, {k.add(row, place.row), dout.column},
                            transposedState, {k.index(0), place.column},
                            zeros(place), k.index(in.valueWidth));
    tile = powers.scaleRows(
        tile, [&](int64_t r) { return k.add(place.row, k.index(r)); });
    tile = times(tile, scaledLambda);
    tile = k.contract(p, {place.row, k.index(0)}, keys.matrix,
                      {row, k.add(keys.column, place.column)}, tile,
                      k.add(place.row, k.index(place.rows)));
    store(tile, in.dq, at.key, place);
  });
}

// S^T' = lambda^n S^T + (diag(lambda^(n-1-j)) V)^T K
void AttentionGrad::updateTransposedState() {
  scaleRowsInto(k, v.matrix, row, v.column, n, v.width, decayed, [&](Value j) {
    return powers.power(k.sub(k.sub(n, k.index(1)), j));
  });
  decayMatrix(transposedState, [&](Value tile, TilePlace place) {
    return k.contract(decayed, {k.index(0), place.row}, keys.matrix,
                      {row, k.add(keys.column, place.column)}, tile, n,
                      /*transposeA=*/true);
  });
}

// Each tile of the matrix: lambda^n times it, and what `add` adds.
void AttentionGrad::decayMatrix(
    Value matrix, llvm::function_ref<Value(Value, TilePlace)> add) {
  Value whole = wholeDecay();
  ArrayRef<int64_t> shape = cast<MemRefType>(matrix.getType()).getShape();
  k.forTiles(k.index(shape[0]), KernelBuilder::halvingSizes(k.sizes.tileRows),
             [&](Value i, int64_t tileRows) {
               k.forColumns(shape[1], k.sizes.panelWidth,
                            [&](Value column, int64_t columns) {
                              TilePlace place{i, column, tileRows, columns,
                                              true};
                              Value tile = k.loadTile(matrix, place);
                              tile = add(times(tile, whole), place);
                              k.storeTile(tile, matrix, place);
                            });
             });
}

// dK = diag(lambda^(n-1-j)) V R^T + P^T Q
void AttentionGrad::keyGradients() {
  forTilesOf(in.keyWidth, [&](TilePlace place) {
    Value tile = k.contract(v.matrix, {k.add(row, place.row), v.column},
                            transposedState, {k.index(0), place.column},
                            zeros(place), k.index(in.valueWidth));
    tile = decayToEnd(tile, place);
    tile = k.contract(p, {place.row, place.row}, q.matrix,
                      {k.add(row, place.row), k.add(q.column, place.column)},
                      tile, k.sub(n, place.row), /*transposeA=*/true);
    store(tile, in.dk, at.key, place);
  });
}

// dV = diag(lambda^(n-1-j)) K R + W^T dO
void AttentionGrad::valueGradients() {
  forTilesOf(in.valueWidth, [&](TilePlace place) {
    Value tile = k.contract(keys.matrix, {k.add(row, place.row), keys.column},
                            r, {k.index(0), place.column}, zeros(place),
                            k.index(in.keyWidth));
    tile = decayToEnd(tile, place);
    tile = k.contract(w, {place.row, place.row}, dout.matrix,
                      {k.add(row, place.row), k.add(dout.column, place.column)},
                      tile, k.sub(n, place.row), /*transposeA=*/true);
    store(tile, in.dv, at.value, place);
  });
}

// R' = lambda^n R + scale (diag(lambda^(i+1)) Q)^T dO
void AttentionGrad::updateR() {
  scaleRowsInto(k, q.matrix, row, q.column, n, q.width, decayed, [&](Value i) {
    return arith::MulFOp::create(b, powers.power(i), scaledLambda).getResult();
  });
  decayMatrix(r, [&](Value tile, TilePlace place) {
    return k.contract(decayed, {k.index(0), place.row}, dout.matrix,
                      {row, k.add(dout.column, place.column)}, tile, n,
                      /*transposeA=*/true);
  });
}

// S^T and R as they are before the first and behind the last position.
void AttentionGrad::startStates() {
  Value zero = k.index(0);
  if (in.state)
    transposeRows(k, stateOfHead(k, in.state, at.sequence, at.head), zero, zero,
                  k.index(in.keyWidth), in.valueWidth, transposedState);
  else
    fillZeros(k, transposedState);
  if (!in.dNewState)
    return fillZeros(k, r);
  Value given = stateOfHead(k, in.dNewState, at.sequence, at.head);
  Value one = k.constant(b.getF32Type(), 1.0);
  scaleRowsInto(k, given, zero, zero, k.index(in.keyWidth), in.valueWidth, r,
                [&](Value) { return one; });
}

// One chunk, from the position `start` of the sequence on.
void AttentionGrad::forChunk(Value start, llvm::function_ref<void()> body) {
  n = k.min(k.index(chunk), k.sub(in.length, start));
  row = k.add(k.mul(at.sequence, in.length), start);
  body();
}

void AttentionGrad::build() {
  int64_t widest = std::max(in.keyWidth, in.valueWidth);
  valuesTransposed = k.scratch(in.valueWidth, chunk);
  keysTransposed = k.scratch(in.keyWidth, chunk);
  p = k.scratch(chunk, chunk);
  w = k.scratch(chunk, chunk);
  decayed = k.scratch(chunk, widest);
  transposedState = in.transposed
                        ? stateOfHead(k, in.transposed, at.sequence, at.head)
                        : k.scratch(in.valueWidth, in.keyWidth);
  r = in.dState ? stateOfHead(k, in.dState, at.sequence, at.head)
                : k.scratch(in.keyWidth, in.valueWidth);
  powers.fill();
  lambda = decay(k, at.slope, k.constant(b.getF32Type(), 1.0));
  scaledLambda = lambda;
  if (in.scale != 1.0)
    scaledLambda =
        arith::MulFOp::create(b, lambda, k.constant(b.getF32Type(), in.scale));
  startStates();
  k.forLoop(k.index(0), in.length, chunk, [&](Value start) {
    forChunk(start, [&] {
      maskedProduct(dout, v, valuesTransposed, p);
      queryGradients();
      updateTransposedState();
    });
  });
  Value chunks = arith::CeilDivUIOp::create(b, in.length, k.index(chunk));
  k.forLoop(k.index(0), chunks, 1, [&](Value number) {
    Value fromEnd = k.sub(k.sub(chunks, k.index(1)), number);
    forChunk(k.mul(fromEnd, k.index(chunk)), [&] {
      transposeRows(k, r, k.index(0), k.index(0), k.index(in.keyWidth),
                    in.valueWidth, transposedState);
      maskedProduct(dout, v, valuesTransposed, p);
      maskedProduct(q, keys, keysTransposed, w);
      keyGradients();
      valueGradients();
      updateR();
    });
  });
}

void kernels::buildAttentionGrad(KernelBuilder &k,
                                 const AttentionGradBuffers &in) {
  AttentionBuffers head{};
  head.slopes = in.slopes;
  head.heads = in.heads;
  head.keyWidth = in.keyWidth;
  head.valueWidth = in.valueWidth;
  AttentionGrad(k, in, placeOfHead(k, head, k.task())).build();
  k.finish();
}

void kernels::buildCopyStates(KernelBuilder &k, Value from, Value to) {
  auto shape = cast<MemRefType>(to.getType()).getShape();
  Value heads = k.index(shape[1]), zero = k.index(0);
  Value sequence = k.div(k.task(), heads), head = k.rem(k.task(), heads);
  Value target = stateOfHead(k, to, sequence, head);
  if (!from) {
    fillZeros(k, target);
    return k.finish();
  }
  Value one = k.constant(k.b.getF32Type(), 1.0);
  scaleRowsInto(k, stateOfHead(k, from, sequence, head), zero, zero,
                k.index(shape[2]), shape[3], target,
                [&](Value) { return one; });
  k.finish();
}
