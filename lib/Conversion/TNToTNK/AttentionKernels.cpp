// Kernels of tn.lightning_attention, one task per sequence and head, both from
// the recurrence S_t = lambda S_{t-1} + k_t v_t^T, o_t = S_t^T q_t:
//
// - recurrent: one position, the recurrence as it stands;
// - chunked (arXiv 2401.04658, algorithm 1): over n <= C positions, with
//   M_ij = lambda^(i-j) for i >= j and 0 else,
//     O  = [(Q K^T) * M] V + diag(lambda^(i+1)) Q S
//     S' = lambda^n S + (diag(lambda^(n-1-j)) K)^T V.
#include "AttentionHead.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

namespace {

class ChunkedAttention {
public:
  ChunkedAttention(KernelBuilder &k, const AttentionBuffers &buffers,
                   HeadPlace place)
      : k(k), b(k.b), in(buffers), at(place),
        chunk(chunkFor(k.sizes, buffers.keyWidth)),
        powers(k, place.slope, chunk) {}

  void build();

private:
  void scores(Value row, Value n);
  void outputs(Value row, Value n);
  void updateState(Value row, Value n);

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  const AttentionBuffers &in;
  HeadPlace at;
  int64_t chunk;
  DecayPowers powers;
  // Scratch of the task.
  Value keysTransposed; // [Dk, C]
  Value keysDecayed;    // [C, Dk]: lambda^(n-1-j) k_j
  Value probabilities;  // [C, C]: (Q K^T) * M
};

} // namespace

//===----------------------------------------------------------------------===//
// Chunked form
//===----------------------------------------------------------------------===//

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
          tile = powers.mask(tile, i, j);
          k.storeTile(tile, probabilities, {i, j, tileRows, width, true});
        });
      });
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
              tile = powers.scaleRows(
                  tile, [&](int64_t r) { return k.add(i, k.index(r)); });
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
  keysTransposed = k.scratch(in.keyWidth, chunk);
  keysDecayed = k.scratch(chunk, in.keyWidth);
  probabilities = k.scratch(chunk, chunk);
  powers.fill();
  if (!at.state) { // a sequence that begins and ends in this call
    at.state = k.scratch(in.keyWidth, in.valueWidth);
    fillZeros(k, at.state);
  }
  SequenceRows rows = rowsOfSequence(k, in.offsets, in.length, at.sequence);
  k.forLoop(k.index(0), rows.length, chunk, [&](Value start) {
    Value n = k.min(k.index(chunk), k.sub(rows.length, start));
    Value row = k.add(rows.first, start);
    transposeRows(k, in.k, row, at.key, n, in.keyWidth, keysTransposed);
    scaleRowsInto(
        k, in.k, row, at.key, n, in.keyWidth, keysDecayed,
        [&](Value j) { return powers.power(k.sub(k.sub(n, k.index(1)), j)); });
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
  // v, the sums and a row of the state are in registers, where a matrix kernel
  // has its tile: there is room for two panels, and the state is read in longer
  // runs.
  const int64_t twice = 2 * k.sizes.panelWidth;
  const int64_t columns =
      in.valueWidth % twice == 0 ? twice : k.sizes.panelWidth;
  k.forColumns(in.valueWidth, columns, [&](Value e, int64_t width) {
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
