// The kernel of tn.lightning_attention for tensor cores: chunks of 64 positions
// (arXiv 2401.04658, algorithm 1) of one head, with the state in registers.
//
// A block has three roles. One warp copies chunks of q, k and v into a ring.
// One warpgroup runs ahead with the scores P = (Q K^T) * M, M_ij = lambda^(i-j)
// for i >= j and 0 else, in bf16 to a second ring. Each value warpgroup owns 64
// value columns and keeps their state, transposed, as sums in f32:
//
//   O^T = bf16(S^T) Q^T, column i times lambda^(i+1), + V^T P^T
//   S^T = lambda^n S^T + (V^T diag(lambda^(n-1-j))) K        over n positions
//
// The state never leaves registers between chunks: its sums, rounded to bf16,
// are the register operand of the next product. Copies read zeros outside the
// tensors and write nothing there, so any width and length will do.
//
// In segments (AttentionPart) a block does the chunks of one: for the states
// alone there is neither q nor scores nor output.
//
// Backwards in time the chunks come from the last to the first, and within each
// position i is where 63 - i was: M_ij = lambda^(j-i) for i <= j, outputs weigh
// lambda^(64-i) and values lambda^j. Where one kernel does both directions, a
// block's own is known when it runs.
#include "AttentionHead.h"
#include "TiledKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

static constexpr int64_t kChunk = kAttentionChunk;
static constexpr int64_t kValueColumns = 64; // of a value warpgroup
static constexpr int64_t kGroupThreads = tnk::RoleOp::kGroupThreads;

TiledAttentionPlan kernels::planTiledAttention(int64_t keyWidth,
                                               int64_t valueWidth,
                                               AttentionPart part) {
  constexpr int64_t kSharedBytes = 227 * 1024; // of a block on sm_90
  constexpr int64_t kBarrierBytes = 1024;
  constexpr int64_t kMaxStages = 4;
  TiledAttentionPlan plan;
  plan.keyColumns = llvm::alignTo(keyWidth, 64);
  // Two value warpgroups share the scores where their states fit in registers.
  plan.valueGroups =
      valueWidth > kValueColumns && plan.keyColumns <= 128 ? 2 : 1;
  plan.valueSlices =
      llvm::divideCeil(valueWidth, plan.valueGroups * kValueColumns);
  bool statesOnly = part == AttentionPart::States;
  plan.threads = ((statesOnly ? 1 : 2) + plan.valueGroups) * kGroupThreads;
  int64_t keyBytes = 2 * kChunk * plan.keyColumns;
  int64_t valueBytes = 2 * kChunk * plan.valueGroups * kValueColumns;
  int64_t stageBytes = (statesOnly ? 1 : 2) * keyBytes + valueBytes;
  // Beside the stages: two of scores, and the outputs.
  int64_t fixedBytes = kBarrierBytes;
  if (!statesOnly)
    fixedBytes += 2 * 2 * kChunk * kChunk + valueBytes;
  plan.stages = std::min(kMaxStages, (kSharedBytes - fixedBytes) / stageBytes);
  return plan;
}

namespace {

class TiledAttention {
public:
  TiledAttention(KernelBuilder &k, const TiledAttentionBuffers &buffers)
      : k(k), b(k.b), in(buffers),
        plan(planTiledAttention(buffers.keyWidth, buffers.valueWidth,
                                buffers.part)) {}

  void build();

private:
  tnk::TileType tile(int64_t rows, int64_t columns) {
    return tnk::TileType::get(b.getContext(), rows, columns, b.getBF16Type());
  }
  VectorType tileOf(int64_t columns, Type element) {
    return VectorType::get({kChunk, columns}, element);
  }
  VectorType f32Tile(int64_t columns) {
    return tileOf(columns, b.getF32Type());
  }

  // Whether the state of 64 value columns takes half of the registers.
  bool isWide() const { return plan.keyColumns > 192; }
  // Whether some blocks go backwards in time.
  bool isAdjoint() const { return in.reversed || isMixed(); }
  bool isWhole() const { return in.part == AttentionPart::Whole; }
  bool isStatesOnly() const { return in.part == AttentionPart::States; }
  bool isPacked() const { return in.offsets != Value(); }
  // Whether blocks of both directions are side by side.
  bool isMixed() const { return !in.backwards.empty(); }
  Value isLastSegment() {
    return k.compare(arith::CmpIPredicate::eq, segment,
                     k.sub(in.segments.count, k.index(1)));
  }
  void locate();
  void makeRings();
  std::pair<int64_t, int64_t> sharesOfTwoGroups();
  void role(StringRef name, int64_t groups, int64_t warps, int64_t registers,
            function_ref<void()> body);
  void copyRole();
  void scoreRole();
  void valueRole();
  // One chunk: the state after it, from the state before.
  Value valueChunk(Value step, Value state, ArrayRef<Value> outWeights);
  Value segmentState();
  SmallVector<Value> outputWeights();
  Value multiplyState(Value state, Value q);
  Value powerOfChunk(Value n);
  Value decayState(Value state, Value n);
  Value weighValues(Value v, Value n, Value factor = {});
  void storeOutput(Value out, Value chunk, Value n);
  void storeRest();

  Value ringTile(Value ring, Value chunk, int64_t index) {
    auto type = cast<tnk::RingType>(ring.getType());
    return tnk::RingTileOp::create(b, type.getTiles()[index], ring, chunk,
                                   index);
  }
  Value indexTile(int64_t dimension, int64_t columns) {
    return tnk::IndexOp::create(b, tileOf(columns, b.getI32Type()), dimension);
  }
  // lambda^exponents, which are not negative.
  Value power(Value exponents);
  Value toBF16(Value value) {
    auto type = cast<VectorType>(value.getType());
    return arith::TruncFOp::create(b, type.clone(b.getBF16Type()), value);
  }
  Value mma(Value a, Value bTile, Value acc, bool transposeA, bool transposeB) {
    return tnk::MmaOp::create(b, acc.getType(), a, bTile, acc, transposeA,
                              transposeB);
  }
  // Waits for all products but the last `pending`.
  Value wait(Value sums, int64_t pending = 0) {
    return tnk::MmaWaitOp::create(b, sums.getType(), sums, pending)
        .getResult(0);
  }
  // The first position of the task's chunk number `step`. States go from the
  // last chunk to the first: what they read last, the outputs read first.
  // Backwards in time, chunks are counted from the end of the sequence.
  Value positionOf(Value step) {
    Value chunk = step;
    if (isStatesOnly())
      chunk = k.sub(k.sub(chunks, k.index(1)), step);
    if (!isWhole())
      chunk = k.add(firstChunk, chunk);
    if (in.reversed || isMixed()) {
      Value turned = k.sub(k.sub(allChunks, k.index(1)), chunk);
      chunk = ofDirection(chunk, turned);
    }
    return k.mul(chunk, k.index(kChunk));
  }
  // One of two scalars.
  Value ofDirection(Value forwards, Value backwards) {
    if (isMixed())
      return arith::SelectOp::create(b, isTurned, backwards, forwards);
    return in.reversed ? backwards : forwards;
  }
  Value i32(int32_t value) {
    return arith::ConstantOp::create(b, b.getI32IntegerAttr(value));
  }
  // The block's own of the maps of all attentions.
  Value ownMap(Value TiledAttentionBuffers::Maps::*map);
  // Of a map, from the sequence's position `position` on.
  SmallVector<Value> coordinates(Value position, Value column) {
    if (!isPacked())
      return {batch, position, head, column};
    return {zero, k.add(rows.first, position), head, column};
  }
  Value stateTransfer(Value value, bool ofSegment);
  void storeState(Value state);

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  const TiledAttentionBuffers &in;
  TiledAttentionPlan plan;
  Value batch, head, slice, zero;
  // Where blocks are of several attentions: which, and whether backwards.
  Value which, isTurned;
  SequenceRows rows;
  Value chunks, allChunks; // of this task, and of the sequence
  // In segments: its number, its first chunk and its place among the states.
  Value segment, firstChunk, place;
  Value decay; // log2(lambda), f32, not positive
  Value inputs, scores, stage;
  Value group, firstColumn, outMap; // of a value warpgroup
};

} // namespace

// The task's sequence, head and value columns.
void TiledAttention::locate() {
  zero = k.index(0);
  Value slices = k.index(plan.valueSlices), heads = k.index(in.heads);
  Value task = k.task();
  if (!isWhole()) {
    segment = k.rem(task, in.segments.count);
    task = k.div(task, in.segments.count);
  }
  Value attentions = k.index(in.numAttentions());
  if (isMixed()) {
    which = k.rem(task, attentions);
    task = k.div(task, attentions);
    isTurned = k.compare(arith::CmpIPredicate::ne, which, zero);
  }
  slice = k.rem(task, slices);
  Value sequence = k.div(task, slices);
  head = k.rem(sequence, heads);
  batch = k.div(sequence, heads);
  rows = {{}, in.length};
  if (isPacked())
    rows = rowsOfSequence(k, in.offsets, {}, batch);
  chunks = k.div(k.add(rows.length, k.index(kChunk - 1)), k.index(kChunk));
  allChunks = chunks;
  if (!isWhole()) {
    firstChunk = k.mul(segment, in.segments.chunks);
    Value number = sequence;
    if (isMixed())
      number = k.add(k.mul(sequence, attentions), which);
    place = k.add(k.mul(number, in.segments.count), segment);
    chunks = k.min(k.sub(chunks, firstChunk), in.segments.chunks);
  }
  if (isStatesOnly()) // nobody begins with the state of the last one
    chunks = arith::SelectOp::create(b, isLastSegment(), zero, chunks);
  Value slope = k.loadScalar(in.slopes, head);
  constexpr double kLog2E = 1.4426950408889634;
  decay = arith::MulFOp::create(b, slope, k.constant(b.getF32Type(), -kLog2E));
}

void TiledAttention::makeRings() {
  int64_t valueColumns = plan.valueGroups * kValueColumns;
  tnk::TileType keys = tile(kChunk, plan.keyColumns);
  SmallVector<tnk::TileType> tiles = {keys, tile(kChunk, valueColumns)};
  if (!isStatesOnly())
    tiles.insert(tiles.begin(), keys);
  inputs = tnk::RingOp::create(
      b, tnk::RingType::get(b.getContext(), plan.stages, tiles),
      tnk::RingFill::Copies, (isStatesOnly() ? 0 : 1) + plan.valueGroups);
  if (isStatesOnly())
    return;
  scores = tnk::RingOp::create(
      b, tnk::RingType::get(b.getContext(), 2, {tile(kChunk, kChunk)}),
      tnk::RingFill::Threads, plan.valueGroups);
  stage = tnk::ScratchOp::create(b, tile(kChunk, valueColumns));
}

void TiledAttention::role(StringRef name, int64_t groups, int64_t warps,
                          int64_t registers, function_ref<void()> body) {
  auto op = tnk::RoleOp::create(b, name, groups, warps, registers);
  OpBuilder::InsertionGuard guard(b);
  b.createBlock(&op.getBody());
  body();
}

// Chosen before the loop over chunks: with a branch for each attention inside
// of it, ptxas serialises the products (C7514).
Value TiledAttention::ownMap(Value TiledAttentionBuffers::Maps::*map) {
  Value own = TiledAttentionBuffers::Maps{in.q, in.k, in.v, in.out}.*map;
  for (auto [number, maps] : llvm::enumerate(in.backwards)) {
    Value isIt =
        k.compare(arith::CmpIPredicate::eq, which, k.index(number + 1));
    own = arith::SelectOp::create(b, isIt, maps.*map, own);
  }
  return own;
}

void TiledAttention::copyRole() {
  using Maps = TiledAttentionBuffers::Maps;
  SmallVector<std::pair<Value, Value>> copies; // a map, and the first column
  if (!isStatesOnly())
    copies.push_back({ownMap(&Maps::q), zero});
  copies.push_back({ownMap(&Maps::k), zero});
  Value valueColumn = k.mul(slice, k.index(plan.valueGroups * kValueColumns));
  copies.push_back({ownMap(&Maps::v), valueColumn});
  k.forLoop(zero, chunks, 1, [&](Value step) {
    tnk::RingAcquireOp::create(b, inputs, step);
    Value position = positionOf(step);
    for (auto [tile, copy] : llvm::enumerate(copies))
      tnk::LoadAsyncOp::create(b, copy.first,
                               coordinates(position, copy.second),
                               ringTile(inputs, step, tile), inputs, step);
  });
}

Value TiledAttention::power(Value exponents) {
  auto type = cast<VectorType>(exponents.getType()).clone(b.getF32Type());
  Value logarithm = arith::MulFOp::create(
      b, arith::SIToFPOp::create(b, type, exponents), k.broadcast(decay, type));
  return math::Exp2Op::create(b, logarithm);
}

void TiledAttention::scoreRole() {
  // M, with the output's scale.
  VectorType type = f32Tile(kChunk);
  Value query = indexTile(0, kChunk), key = indexTile(1, kChunk);
  Value distance = arith::SubIOp::create(b, in.reversed ? key : query,
                                         in.reversed ? query : key);
  if (isMixed())
    distance = arith::MulIOp::create(
        b, distance,
        k.broadcast(ofDirection(i32(1), i32(-1)),
                    cast<VectorType>(distance.getType())));
  Value none = arith::ConstantOp::create(b, b.getZeroAttr(distance.getType()));
  Value isPast =
      arith::CmpIOp::create(b, arith::CmpIPredicate::sge, distance, none);
  Value mask = power(arith::MaxSIOp::create(b, distance, none));
  if (in.scale != 1.0)
    mask = arith::MulFOp::create(b, mask, k.constant(type, in.scale));
  mask = arith::SelectOp::create(b, isPast, mask, k.constant(type, 0.0));
  k.forLoop(zero, chunks, 1, [&](Value chunk) {
    tnk::RingWaitOp::create(b, inputs, chunk);
    Value products =
        wait(mma(ringTile(inputs, chunk, 0), ringTile(inputs, chunk, 1),
                 k.constant(type, 0.0), false, /*transposeB=*/true));
    tnk::RingReleaseOp::create(b, inputs, chunk);
    Value masked = toBF16(arith::MulFOp::create(b, products, mask));
    tnk::RingAcquireOp::create(b, scores, chunk);
    tnk::WriteOp::create(b, masked, ringTile(scores, chunk, 0), false);
    tnk::RingCommitOp::create(b, scores, chunk);
  });
}

// Reads the state, transposed, if `value` is null; otherwise writes it: that of
// the sequence, or of the segment.
Value TiledAttention::stateTransfer(Value value, bool ofSegment) {
  MLIRContext *context = b.getContext();
  Value memory = ofSegment ? in.segments.states : in.state;
  SmallVector<Value> indices = {place, zero, firstColumn};
  if (!ofSegment)
    indices = {batch, head, zero, firstColumn};
  unsigned rank = indices.size();
  auto map = AffineMap::get(
      rank, 0, {b.getAffineDimExpr(rank - 1), b.getAffineDimExpr(rank - 2)},
      context);
  bool wholeSlices = in.valueWidth % (plan.valueGroups * kValueColumns) == 0;
  SmallVector<bool> inBounds = {wholeSlices, in.keyWidth == plan.keyColumns};
  if (value) {
    vector::TransferWriteOp::create(b, value, memory, indices, map,
                                    ArrayRef<bool>(inBounds));
    return {};
  }
  return vector::TransferReadOp::create(
      b, f32Tile(plan.keyColumns), memory, indices,
      std::optional<Value>(k.constant(b.getF32Type(), 0.0)), map,
      ArrayRef<bool>(inBounds));
}

void TiledAttention::storeState(Value state) {
  if (!in.state)
    return;
  if (isWhole()) {
    stateTransfer(state, /*ofSegment=*/false);
    return;
  }
  auto branch = scf::IfOp::create(b, isLastSegment(), /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  stateTransfer(state, /*ofSegment=*/false);
}

// The copy engine writes nothing outside of the tensor, but knows nothing of
// where a packed sequence ends: a chunk of fewer positions, `n`, goes nowhere,
// and is left in `stage`.
void TiledAttention::storeOutput(Value out, Value step, Value n) {
  Value position = positionOf(step);
  SmallVector<Value> at = coordinates(position, firstColumn);
  if (isPacked()) {
    constexpr int64_t kOutside = int64_t(1) << 30;
    Value isWholeChunk =
        k.compare(arith::CmpIPredicate::eq, n,
                  arith::ConstantOp::create(b, b.getI32IntegerAttr(kChunk)));
    at[1] = arith::SelectOp::create(b, isWholeChunk, at[1], k.index(kOutside));
  }
  Value part =
      tnk::PartOp::create(b, tile(kChunk, kValueColumns), stage, group);
  tnk::StoreWaitOp::create(b);
  tnk::WriteOp::create(b, toBF16(out), part, /*transpose=*/true);
  tnk::StoreAsyncOp::create(b, part, outMap, at);
}

// The end of a packed sequence, if it is this task's and no whole chunk. Each
// warp reads what it wrote itself. The tile is transposed: its columns are rows
// of the buffer.
void TiledAttention::storeRest() {
  Value position = positionOf(k.sub(chunks, k.index(1)));
  Value left = k.sub(rows.length, position);
  Value hasRest = arith::AndIOp::create(
      b, k.compare(arith::CmpIPredicate::ne, chunks, zero),
      k.compare(arith::CmpIPredicate::ult, left, k.index(kChunk)));
  auto branch = scf::IfOp::create(b, hasRest, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  Value part =
      tnk::PartOp::create(b, tile(kChunk, kValueColumns), stage, group);
  Value out = tnk::ReadOp::create(b, tileOf(kChunk, b.getBF16Type()), part,
                                  /*transpose=*/true);
  Value row = k.add(rows.first, position);
  Value column = k.add(k.mul(head, k.index(in.valueWidth)), firstColumn);
  Value columns =
      k.sub(k.index(in.valueWidth), k.min(firstColumn, k.index(in.valueWidth)));
  Value mask = vector::CreateMaskOp::create(
      b, tileOf(kChunk, b.getI1Type()),
      ValueRange{left, k.min(columns, k.index(kValueColumns))});
  auto map = AffineMap::getMultiDimMapWithTargets(2, {1, 0}, b.getContext());
  vector::TransferWriteOp::create(b, out, in.outRows, ValueRange{row, column},
                                  AffineMapAttr::get(map), mask,
                                  b.getBoolArrayAttr({true, true}));
}

// Starts S^T Q^T, the state rounded to bf16 as operand in registers. Where all
// of it at once would not fit, part by part.
Value TiledAttention::multiplyState(Value state, Value q) {
  int64_t columns = isWide() ? plan.keyColumns / 4 : plan.keyColumns;
  Value out = k.constant(f32Tile(kChunk), 0.0);
  for (int64_t first = 0; first < plan.keyColumns; first += columns) {
    if (first != 0)
      out = wait(out);
    Value part = state, queries = q;
    if (isWide()) {
      part = vector::ExtractStridedSliceOp::create(
          b, state, ArrayRef<int64_t>{0, first},
          ArrayRef<int64_t>{kChunk, columns}, ArrayRef<int64_t>{1, 1});
      queries = tnk::PartOp::create(b, tile(kChunk, columns), q,
                                    k.index(first / columns));
    }
    out = mma(toBF16(part), queries, out, false, /*transposeB=*/true);
  }
  return out;
}

// lambda^n over the positions of a chunk.
Value TiledAttention::powerOfChunk(Value n) {
  return math::Exp2Op::create(
      b, arith::MulFOp::create(b, arith::SIToFPOp::create(b, b.getF32Type(), n),
                               decay));
}

Value TiledAttention::decayState(Value state, Value n) {
  return arith::MulFOp::create(
      b, state,
      k.broadcast(powerOfChunk(n), cast<VectorType>(state.getType())));
}

// V^T diag(lambda^(n-1-j)), with nothing from n on; times a factor, if any.
// Backwards in time it is lambda^j, and the copies' zeros stand from n on;
// where blocks go both ways, lambda^|f-j| with f = n - 1 or 0.
Value TiledAttention::weighValues(Value v, Value n, Value factor) {
  VectorType type = f32Tile(kChunk);
  VectorType indices = tileOf(kChunk, b.getI32Type());
  Value last = arith::SubIOp::create(
      b, n, arith::ConstantOp::create(b, b.getI32IntegerAttr(1)));
  Value weights;
  Value column = indexTile(1, kChunk);
  if (in.reversed) {
    weights = power(column);
  } else if (isMixed()) {
    // Nothing is packed: zeros stand from n on in both directions.
    Value first = k.broadcast(ofDirection(last, i32(0)), indices);
    weights =
        power(math::AbsIOp::create(b, arith::SubIOp::create(b, first, column)));
  } else {
    Value after = arith::SubIOp::create(b, k.broadcast(last, indices), column);
    Value none = arith::ConstantOp::create(b, b.getZeroAttr(indices));
    weights = arith::SelectOp::create(
        b, arith::CmpIOp::create(b, arith::CmpIPredicate::sge, after, none),
        power(arith::MaxSIOp::create(b, after, none)), k.constant(type, 0.0));
  }
  if (factor)
    weights = arith::MulFOp::create(b, weights, factor);
  Value vt = tnk::ReadOp::create(b, tileOf(kChunk, b.getBF16Type()), v,
                                 /*transpose=*/true);
  return toBF16(
      arith::MulFOp::create(b, arith::ExtFOp::create(b, type, vt), weights));
}

// The two products with the state come first: what the next chunk waits for is
// under way while the output is finished.
Value TiledAttention::valueChunk(Value step, Value state,
                                 ArrayRef<Value> outWeights) {
  Value rest = k.sub(rows.length, positionOf(step));
  Value n = arith::IndexCastOp::create(b, b.getI32Type(),
                                       k.min(rest, k.index(kChunk)));
  tnk::RingWaitOp::create(b, inputs, step);
  Value q = ringTile(inputs, step, 0), keys = ringTile(inputs, step, 1);
  Value v = tnk::PartOp::create(b, tile(kChunk, kValueColumns),
                                ringTile(inputs, step, 2), group);
  // Sums change only while no product is under way: the state decays before
  // they start, or, where it is rounded part by part, between them.
  Value out, vt;
  if (isWide()) {
    out = multiplyState(state, q);
    if (!isMixed())
      vt = weighValues(v, n);
    auto both =
        tnk::MmaWaitOp::create(b, TypeRange{out.getType(), state.getType()},
                               ValueRange{out, state}, 0);
    out = both.getResult(0);
    state = both.getResult(1);
    // Of both directions, weights do not fit beside the last part of the state.
    if (isMixed())
      vt = weighValues(v, n);
    state = decayState(state, n);
  } else {
    Value decayed = decayState(state, n);
    out = multiplyState(state, q);
    state = decayed;
    vt = weighValues(v, n);
  }
  state = mma(vt, keys, state, false, false);
  out = isWide() ? out : wait(out, /*pending=*/1);
  for (Value weights : outWeights)
    out = arith::MulFOp::create(b, out, weights);
  tnk::RingWaitOp::create(b, scores, step);
  out = mma(v, ringTile(scores, step, 0), out, /*transposeA=*/true,
            /*transposeB=*/true);
  auto done = tnk::MmaWaitOp::create(
      b, TypeRange{out.getType(), state.getType()}, ValueRange{out, state}, 0);
  tnk::RingReleaseOp::create(b, scores, step);
  tnk::RingReleaseOp::create(b, inputs, step);
  storeOutput(done.getResult(0), step, n);
  return done.getResult(1);
}

// The state of a segment that is not the last one: its chunks are full. From
// the last chunk to the first, what grows is the power of lambda by which
// values are weighed; the state itself never changes but by products.
Value TiledAttention::segmentState() {
  VectorType type = f32Tile(kChunk);
  Value n = arith::ConstantOp::create(b, b.getI32IntegerAttr(kChunk));
  Value one = k.constant(b.getF32Type(), 1.0), lambda = powerOfChunk(n);
  Value zeros = k.constant(f32Tile(plan.keyColumns), 0.0);
  auto loop =
      scf::ForOp::create(b, zero, chunks, k.index(1), ValueRange{zeros, one});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value step = loop.getInductionVar(), weight = loop.getRegionIterArg(1);
  tnk::RingWaitOp::create(b, inputs, step);
  Value v = tnk::PartOp::create(b, tile(kChunk, kValueColumns),
                                ringTile(inputs, step, 1), group);
  Value vt = weighValues(v, n, k.broadcast(weight, type));
  Value state = wait(mma(vt, ringTile(inputs, step, 0),
                         loop.getRegionIterArg(0), false, false));
  tnk::RingReleaseOp::create(b, inputs, step);
  Value next = arith::MulFOp::create(b, weight, lambda);
  scf::YieldOp::create(b, ValueRange{state, next});
  return loop.getResult(0);
}

// lambda^(i+1) for column i, backwards in time lambda^(64-i), with the output's
// scale. A wide state leaves few registers, and backwards in time one that is
// less wide: there it is lambda^(8 (i / 8)) and lambda^(i % 8 + 1), which have
// few different values in a thread.
SmallVector<Value> TiledAttention::outputWeights() {
  VectorType type = f32Tile(kChunk);
  auto splat = [&](int32_t value) {
    return arith::ConstantOp::create(
        b, SplatElementsAttr::get(tileOf(kChunk, b.getI32Type()),
                                  b.getI32IntegerAttr(value)));
  };
  Value column = indexTile(1, kChunk);
  if (isMixed()) // |0 - i| or |63 - i|
    column = math::AbsIOp::create(
        b,
        arith::SubIOp::create(b,
                              k.broadcast(ofDirection(i32(0), i32(kChunk - 1)),
                                          cast<VectorType>(column.getType())),
                              column));
  if (in.reversed)
    column = arith::SubIOp::create(b, splat(kChunk - 1), column);
  SmallVector<Value> weights;
  if (isWide() || (in.reversed && plan.keyColumns > 128)) {
    weights.push_back(power(arith::AndIOp::create(b, column, splat(~7))));
    column = arith::AndIOp::create(b, column, splat(7));
  }
  Value weight = power(arith::AddIOp::create(b, column, splat(1)));
  if (in.scale != 1.0)
    weight = arith::MulFOp::create(b, weight, k.constant(type, in.scale));
  weights.push_back(weight);
  return weights;
}

void TiledAttention::valueRole() {
  group = tnk::GroupOp::create(b, b.getIndexType());
  firstColumn = k.mul(k.add(k.mul(slice, k.index(plan.valueGroups)), group),
                      k.index(kValueColumns));
  if (isStatesOnly()) {
    stateTransfer(segmentState(), /*ofSegment=*/true);
    return;
  }
  outMap = ownMap(&TiledAttentionBuffers::Maps::out);
  SmallVector<Value> outWeights = outputWeights();
  Value before = isWhole() && !in.state
                     ? k.constant(f32Tile(plan.keyColumns), 0.0)
                     : stateTransfer({}, /*ofSegment=*/!isWhole());
  auto loop =
      scf::ForOp::create(b, zero, chunks, k.index(1), ValueRange{before});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(b, valueChunk(loop.getInductionVar(),
                                       loop.getRegionIterArg(0), outWeights));
  }
  storeState(loop.getResult(0));
  if (isPacked())
    storeRest();
  tnk::StoreWaitOp::create(b);
}

// Registers of a thread of the scores and of the values, of which there are
// twice as many; with 24 of the copies they are at most what a multiprocessor
// has, 512. The values' grow with the state, and backwards in time, where their
// weights are the same for every chunk and stay in registers, or, of both
// directions, depend on the block's.
std::pair<int64_t, int64_t> TiledAttention::sharesOfTwoGroups() {
  if (plan.keyColumns <= 64)
    return {120, 176};
  return isAdjoint() ? std::pair(88, 200) : std::pair(104, 192);
}

void TiledAttention::build() {
  locate();
  makeRings();
  auto roles = tnk::RolesOp::create(b);
  {
    OpBuilder::InsertionGuard guard(b);
    b.createBlock(&roles.getBody());
    int64_t scoreRegisters = 128, valueRegisters = 240;
    if (plan.valueGroups == 2 && !isStatesOnly())
      std::tie(scoreRegisters, valueRegisters) = sharesOfTwoGroups();
    role("copy", 1, 1, 24, [&] { copyRole(); });
    if (!isStatesOnly())
      role("scores", 1, 4, scoreRegisters, [&] { scoreRole(); });
    role("values", plan.valueGroups, 4, valueRegisters, [&] { valueRole(); });
  }
  k.finish();
}

void kernels::setAdjoint(TiledAttentionBuffers &buffers, ArrayRef<Value> inputs,
                         ArrayRef<Value> outputs) {
  Value q = inputs[0], k = inputs[1], v = inputs[2], dout = inputs[3];
  auto output = [&](size_t number) {
    return outputs.empty() ? Value() : outputs[number];
  };
  buffers.q = dout;
  buffers.k = v;
  buffers.v = k;
  buffers.out = output(0);
  buffers.backwards = {{v, dout, q, output(1)}, {k, q, dout, output(2)}};
}

void kernels::buildTiledAttention(KernelBuilder &k,
                                  const TiledAttentionBuffers &buffers) {
  TiledAttention(k, buffers).build();
}
