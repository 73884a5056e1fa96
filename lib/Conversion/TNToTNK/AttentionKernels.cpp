// Kernels of tn.lightning_attention, one task per sequence and head, both from
// the recurrence S_t = lambda S_{t-1} + k_t v_t^T, o_t = S_t^T q_t:
//
// - recurrent: one position, the recurrence as it stands;
// - chunked (arXiv 2401.04658, algorithm 1): over n <= C positions, with
//   M_ij = lambda^(i-j) for i >= j and 0 else,
//     O  = [(Q K^T) * M] V + diag(lambda^(i+1)) Q S
//     S' = lambda^n S + (diag(lambda^(n-1-j)) K)^T V.
//
// Nothing is ever divided by a power of lambda: it would overflow.
#include "AttentionHead.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// Positions of a chunk: as asked for, halved while the two key matrices would
// take more than a megabyte of the task's stack.
static int64_t chunkFor(int64_t wanted, int64_t keyWidth) {
  constexpr int64_t kScratchBytes = 1 << 20;
  int64_t chunk = wanted;
  while (chunk % 32 == 0 &&
         2 * chunk * keyWidth * int64_t(sizeof(float)) > kScratchBytes)
    chunk /= 2;
  return chunk;
}

namespace {

class ChunkedAttention {
public:
  ChunkedAttention(KernelBuilder &k, const AttentionBuffers &buffers,
                   HeadPlace place)
      : k(k), b(k.b), in(buffers), at(place),
        chunk(chunkFor(k.sizes.chunk, buffers.keyWidth)) {}

  void build();

private:
  void fillPowers();
  Value power(Value exponent);
  Value powersFrom(Value exponent, int64_t columns);
  void transposeKeys(Value row, Value n);
  void scores(Value row, Value n);
  void outputs(Value row, Value n);
  void updateState(Value row, Value n);
  Value scaleRows(Value tile, Value firstExponent, int64_t rows,
                  int64_t columns);

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  const AttentionBuffers &in;
  HeadPlace at;
  int64_t chunk;
  // Scratch of the task.
  Value powers;         // [1, 2C]: lambda^(C-1-t) for t < C, then zeros
  Value keysTransposed; // [Dk, C]
  Value keysDecayed;    // [C, Dk]: lambda^(n-1-j) k_j
  Value probabilities;  // [C, C]: (Q K^T) * M
};

} // namespace

HeadPlace kernels::placeOfHead(KernelBuilder &k, const AttentionBuffers &in,
                               Value number) {
  HeadPlace at;
  ImplicitLocOpBuilder &b = k.b;
  at.sequence = k.div(number, k.index(in.heads));
  at.head = k.rem(number, k.index(in.heads));
  at.key = k.mul(at.head, k.index(in.keyWidth));
  at.value = k.mul(at.head, k.index(in.valueWidth));
  at.slope = k.loadScalar(in.slopes, at.head);
  auto type = cast<MemRefType>(in.state.getType());
  SmallVector<OpFoldResult> offsets = {at.sequence, at.head, b.getIndexAttr(0),
                                       b.getIndexAttr(0)};
  SmallVector<OpFoldResult> sizes = {b.getIndexAttr(1), b.getIndexAttr(1),
                                     b.getIndexAttr(in.keyWidth),
                                     b.getIndexAttr(in.valueWidth)};
  SmallVector<OpFoldResult> strides(4, b.getIndexAttr(1));
  auto viewType =
      cast<MemRefType>(memref::SubViewOp::inferRankReducedResultType(
          {in.keyWidth, in.valueWidth}, type, offsets, sizes, strides));
  at.state =
      memref::SubViewOp::create(b, viewType, in.state, offsets, sizes, strides);
  return at;
}

Value kernels::decay(KernelBuilder &k, Value slope, Value exponent) {
  ImplicitLocOpBuilder &b = k.b;
  Value negative = arith::NegFOp::create(b, slope);
  if (auto type = dyn_cast<VectorType>(exponent.getType()))
    negative = k.broadcast(negative, type);
  return math::ExpOp::create(b, arith::MulFOp::create(b, negative, exponent));
}

//===----------------------------------------------------------------------===//
// Chunked form
//===----------------------------------------------------------------------===//

// lambda^(C-1-t) for t < C from exponents that never go below zero, then zeros:
// row i of M is a contiguous piece, M_ij = powers[C-1-i+j].
void ChunkedAttention::fillPowers() {
  VectorType type = VectorType::get({chunk}, b.getF32Type());
  SmallVector<float> exponents;
  for (int64_t t = 0; t < chunk; ++t)
    exponents.push_back(chunk - 1 - t);
  Value exponent = arith::ConstantOp::create(
      b, type, DenseElementsAttr::get(type, ArrayRef<float>(exponents)));
  auto store = [&](Value vector, int64_t column) {
    k.storeRow(vector, powers, k.index(0), k.index(column));
  };
  store(decay(k, at.slope, exponent), 0);
  store(k.constant(type, 0.0), chunk);
}

// lambda^exponent for an index exponent in [0, C).
Value ChunkedAttention::power(Value exponent) {
  return k.loadScalar(powers,
                      {k.index(0), k.sub(k.index(chunk - 1), exponent)});
}

void ChunkedAttention::transposeKeys(Value row, Value n) {
  // Tiles of 16 positions by 16 features; the rest position by position.
  k.forTiles(n, {16, 1}, [&](Value j, int64_t positions) {
    k.forColumns(in.keyWidth, 16, [&](Value d, int64_t features) {
      Value tile = k.loadTile(
          in.k, {k.add(row, j), k.add(at.key, d), positions, features, true});
      Value transposed =
          vector::TransposeOp::create(b, tile, ArrayRef<int64_t>{1, 0});
      k.storeTile(transposed, keysTransposed,
                  {d, j, features, positions, true});
    });
  });
  k.forLoop(k.index(0), n, 1, [&](Value j) {
    Value factor = power(k.sub(k.sub(n, k.index(1)), j));
    k.forColumns(
        in.keyWidth, k.sizes.panelWidth, [&](Value d, int64_t features) {
          Value tile = k.loadTile(
              in.k, {k.add(row, j), k.add(at.key, d), 1, features, true});
          tile = arith::MulFOp::create(
              b, tile, k.broadcast(factor, k.tileType(1, features)));
          k.storeTile(tile, keysDecayed, {j, d, 1, features, true});
        });
  });
}

// (Q K^T) * M for the tiles on and below the diagonal.
void ChunkedAttention::scores(Value row, Value n) {
  k.forTiles(
      n, KernelBuilder::halvingSizes(k.sizes.tileRows),
      [&](Value i, int64_t tileRows) {
        Value end = k.add(i, k.index(tileRows)); // past the last column needed
        int64_t width = std::min(k.sizes.panelWidth, chunk);
        k.forLoop(k.index(0), end, width, [&](Value j) {
          VectorType type = k.tileType(tileRows, width);
          Value tile = k.contract(in.q, {k.add(row, i), at.key}, keysTransposed,
                                  {k.index(0), j}, k.constant(type, 0.0),
                                  k.index(in.keyWidth));
          Value mask = k.constant(type, 0.0);
          for (int64_t r = 0; r < tileRows; ++r) {
            Value start = k.sub(k.add(j, k.index(chunk - 1 - r)), i);
            Value powersOfRow = k.loadRow(powers, k.index(0), start, width);
            mask = vector::InsertOp::create(b, powersOfRow, mask,
                                            ArrayRef<int64_t>{r});
          }
          Value zero = k.constant(type, 0.0);
          Value below =
              arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, mask, zero);
          // Select rather than multiply alone: infinity times zero is not a
          // number.
          tile = arith::SelectOp::create(
              b, below, arith::MulFOp::create(b, tile, mask), zero);
          k.storeTile(tile, probabilities, {i, j, tileRows, width, true});
        });
      });
}

// Multiplies row r of the tile by lambda^(firstExponent + r).
Value ChunkedAttention::scaleRows(Value tile, Value firstExponent, int64_t rows,
                                  int64_t columns) {
  VectorType type = k.tileType(rows, columns);
  Value factors = k.constant(type, 0.0);
  for (int64_t r = 0; r < rows; ++r) {
    Value factor = power(k.add(firstExponent, k.index(r)));
    Value vector =
        k.broadcast(factor, VectorType::get({columns}, b.getF32Type()));
    factors =
        vector::InsertOp::create(b, vector, factors, ArrayRef<int64_t>{r});
  }
  return arith::MulFOp::create(b, tile, factors);
}

void ChunkedAttention::outputs(Value row, Value n) {
  // lambda^(i+1) = lambda * lambda^i, with i in the table.
  Value lambda = decay(k, at.slope, k.constant(b.getF32Type(), 1.0));
  k.forTiles(
      n, KernelBuilder::halvingSizes(k.sizes.tileRows),
      [&](Value i, int64_t tileRows) {
        k.forColumns(
            in.valueWidth, k.sizes.panelWidth, [&](Value e, int64_t width) {
              VectorType type = k.tileType(tileRows, width);
              Value tile = k.contract(in.q, {k.add(row, i), at.key}, at.state,
                                      {k.index(0), e}, k.constant(type, 0.0),
                                      k.index(in.keyWidth));
              tile = scaleRows(tile, i, tileRows, width);
              tile = arith::MulFOp::create(b, tile, k.broadcast(lambda, type));
              tile = k.contract(probabilities, {i, k.index(0)}, in.v,
                                {row, k.add(at.value, e)}, tile,
                                k.add(i, k.index(tileRows)));
              if (in.scale != 1.0)
                tile =
                    arith::MulFOp::create(b, tile, k.constant(type, in.scale));
              k.storeTile(
                  tile, in.out,
                  {k.add(row, i), k.add(at.value, e), tileRows, width, true});
            });
      });
}

void ChunkedAttention::updateState(Value row, Value n) {
  Value count = arith::SIToFPOp::create(
      b, b.getF32Type(), arith::IndexCastOp::create(b, b.getI64Type(), n));
  Value whole = decay(k, at.slope, count);
  k.forTiles(
      k.index(in.keyWidth), KernelBuilder::halvingSizes(k.sizes.tileRows),
      [&](Value d, int64_t tileRows) {
        k.forColumns(
            in.valueWidth, k.sizes.panelWidth, [&](Value e, int64_t width) {
              TilePlace place{d, e, tileRows, width, true};
              Value tile = k.loadTile(at.state, place);
              tile = arith::MulFOp::create(
                  b, tile, k.broadcast(whole, k.tileType(tileRows, width)));
              tile = k.contract(keysDecayed, {k.index(0), d}, in.v,
                                {row, k.add(at.value, e)}, tile, n,
                                /*transposeA=*/true);
              k.storeTile(tile, at.state, place);
            });
      });
}

void ChunkedAttention::build() {
  powers = k.scratch(1, 2 * chunk);
  keysTransposed = k.scratch(in.keyWidth, chunk);
  keysDecayed = k.scratch(chunk, in.keyWidth);
  probabilities = k.scratch(chunk, chunk);
  fillPowers();
  Value firstRow = k.mul(at.sequence, in.length);
  k.forLoop(k.index(0), in.length, chunk, [&](Value start) {
    Value n = k.min(k.index(chunk), k.sub(in.length, start));
    Value row = k.add(firstRow, start);
    transposeKeys(row, n);
    scores(row, n);
    outputs(row, n);
    updateState(row, n);
  });
}

void kernels::buildChunkedAttention(KernelBuilder &k,
                                    const AttentionBuffers &buffers) {
  ChunkedAttention(k, buffers, placeOfHead(k, buffers, k.task())).build();
  k.finish();
}

//===----------------------------------------------------------------------===//
// Recurrent form
//===----------------------------------------------------------------------===//

void kernels::buildRecurrentAttention(KernelBuilder &k,
                                      const AttentionBuffers &in) {
  ImplicitLocOpBuilder &b = k.b;
  HeadPlace at = placeOfHead(k, in, k.task());
  Value lambda = decay(k, at.slope, k.constant(b.getF32Type(), 1.0));
  Value row = at.sequence;
  k.forColumns(in.valueWidth, k.sizes.panelWidth, [&](Value e, int64_t width) {
    VectorType type = VectorType::get({width}, b.getF32Type());
    Value column = k.add(at.value, e);
    Value v = k.loadRow(in.v, row, column, width);
    Value lambdas = k.broadcast(lambda, type);
    // The update fused with the read: one pass over the state.
    auto loop =
        scf::ForOp::create(b, k.index(0), k.index(in.keyWidth), k.index(1),
                           ValueRange{k.constant(type, 0.0)});
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      Value d = loop.getInductionVar();
      Value key =
          k.broadcast(k.loadScalar(in.k, {row, k.add(at.key, d)}), type);
      Value query =
          k.broadcast(k.loadScalar(in.q, {row, k.add(at.key, d)}), type);
      Value state =
          arith::MulFOp::create(b, k.loadRow(at.state, d, e, width), lambdas);
      state = math::FmaOp::create(b, key, v, state);
      k.storeRow(state, at.state, d, e);
      Value sum =
          math::FmaOp::create(b, query, state, loop.getRegionIterArg(0));
      scf::YieldOp::create(b, ValueRange{sum});
    }
    Value out = loop.getResult(0);
    if (in.scale != 1.0)
      out = arith::MulFOp::create(b, out, k.constant(type, in.scale));
    k.storeRow(out, in.out, row, column);
  });
  k.finish();
}
