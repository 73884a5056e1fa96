// Kernels of tn.lightning_attention on a GPU from the recurrence as it stands,
//   S_t = lambda S_{t-1} + k_t v_t^T,  o_t = S_t^T q_t,
// of one position or of any number of them.
//
// A task is some columns of the value, of one head of one sequence, so that
// many more tasks than heads keep the GPU busy. Of any number of positions a
// task is one warp, whose threads hold whole columns of the state: no thread
// waits for another's sum. One position is all the work that there is, and its
// time that of the memory: a task is four warps, which share the rows of the
// state and add up what they have.
#include "AttentionHead.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

static constexpr int64_t kWarp = 32;
// Warps that share the rows of a state, and rows whose loads a thread has in
// flight together.
static constexpr int64_t kRowWarps = 4;
static constexpr int64_t kStateRows = 64;
// Columns of a task where sequences are many, and elements of a state that a
// thread has in flight.
static constexpr int64_t kWideColumns = 4 * kWarp;
static constexpr int64_t kStateElements = 64;
// Rows of the state between two additions to the same partial sum.
static constexpr int64_t kSums = 4;

// What 32 threads hold of a vector, 8 elements each.
static constexpr int64_t kWarpElements = 8 * kWarp;

// Columns of a task: a divisor of the width, so that tasks are alike.
static int64_t columnsOfTask(int64_t valueWidth) {
  int64_t columns = std::min(kWarp, valueWidth);
  while (valueWidth % columns != 0)
    --columns;
  return columns;
}

int64_t kernels::recurrentTasksPerHead(int64_t valueWidth) {
  return valueWidth / columnsOfTask(valueWidth);
}

TileSizes kernels::recurrentSizes(TileSizes sizes) {
  sizes.threads = kWarp;
  return sizes;
}

namespace {

class RecurrentTask {
public:
  RecurrentTask(KernelBuilder &k, const AttentionBuffers &buffers)
      : k(k), b(k.b), in(buffers), columns(columnsOfTask(in.valueWidth)),
        // Their keys, queries and values wait in registers while they are
        // loaded.
        positions(in.keyWidth <= kWarpElements ? 8 : 4),
        type(VectorType::get({columns}, b.getF32Type())) {
    Value slices = k.index(in.valueWidth / columns);
    Value headTask = k.div(k.task(), slices);
    firstColumn = k.mul(k.rem(k.task(), slices), k.index(columns));
    at = placeOfHead(k, in, headTask);
    valueColumn = k.add(at.value, firstColumn);
    lambda =
        k.broadcast(decay(k, at.slope, k.constant(b.getF32Type(), 1.0)), type);
  }

  void buildAnyLength();

private:
  SmallVector<Value> zeros() {
    return SmallVector<Value>(kSums, k.constant(type, 0.0));
  }
  // S_t of a row from S_{t-1}.
  Value advance(Value state, Value key, Value v) {
    return math::FmaOp::create(b, k.broadcast(key, type), v,
                               arith::MulFOp::create(b, state, lambda));
  }
  void accumulate(Value &sum, Value query, Value state) {
    sum = math::FmaOp::create(b, k.broadcast(query, type), state, sum);
  }
  // The kSums sums as one, scaled.
  Value total(ArrayRef<Value> sums);
  SmallVector<Value> forStateRows(
      int64_t step,
      llvm::function_ref<void(Value, int64_t, MutableArrayRef<Value>)> body);

  // The row of a step's position.
  Value rowOf(Value step) {
    if (in.reversed)
      step = k.sub(k.sub(rows.length, k.index(1)), step);
    return k.add(rows.first, step);
  }
  Value shared(int64_t rows, int64_t width);
  void copyState(bool toShared);
  void stage(Value start);
  void position(Value row, Value p);

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  const AttentionBuffers &in;
  int64_t columns;
  int64_t positions; // that are loaded together
  VectorType type;
  HeadPlace at;
  SequenceRows rows;
  Value firstColumn; // of the task, in the head's value
  Value valueColumn; // the same in v and out
  Value lambda;
  // Of buildAnyLength: the task's part of the state [Dk, columns], and
  // rows of k, q and v.
  Value state, keys, queries, values;
};

} // namespace

Value RecurrentTask::total(ArrayRef<Value> sums) {
  Value even = arith::AddFOp::create(b, sums[0], sums[2]);
  Value odd = arith::AddFOp::create(b, sums[1], sums[3]);
  Value out = arith::AddFOp::create(b, even, odd);
  if (in.scale != 1.0)
    out = arith::MulFOp::create(b, out, k.constant(type, in.scale));
  return out;
}

// Calls `body` for blocks of `step` rows of the state and one of the rest; it
// adds to the sums that it is given. Returns them.
SmallVector<Value> RecurrentTask::forStateRows(
    int64_t step,
    llvm::function_ref<void(Value, int64_t, MutableArrayRef<Value>)> body) {
  int64_t full = in.keyWidth / step * step;
  SmallVector<Value> sums = zeros();
  if (full == step) {
    body(k.index(0), step, sums);
  } else if (full > 0) {
    auto loop =
        scf::ForOp::create(b, k.index(0), k.index(full), k.index(step), sums);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> next =
        llvm::to_vector_of<Value>(loop.getRegionIterArgs());
    body(loop.getInductionVar(), step, next);
    scf::YieldOp::create(b, next);
    sums = llvm::to_vector_of<Value>(loop.getResults());
  }
  if (full < in.keyWidth)
    body(k.index(full), in.keyWidth - full, sums);
  return sums;
}

//===----------------------------------------------------------------------===//
// One position
//===----------------------------------------------------------------------===//

static int64_t warpsOfRows(int64_t keyWidth) {
  int64_t warps = kRowWarps;
  while (keyWidth % warps != 0)
    warps /= 2;
  return warps;
}

TileSizes kernels::onePositionSizes(TileSizes sizes, int64_t keyWidth,
                                    int64_t valueWidth, bool isWide) {
  sizes.threads = kWarp * warpsOfRows(keyWidth);
  sizes.panelWidth = columnsOfTask(valueWidth);
  // Threads of four columns: loads of 16 bytes, and a key and a query for four
  // elements of the state.
  if (isWide && valueWidth % kWideColumns == 0)
    sizes.panelWidth = kWideColumns;
  return sizes;
}

namespace {

// The values are tiles [warp, column]: row r of a tile is row `first + r` of
// the state, and belongs to warp r.
class OnePositionTask {
public:
  OnePositionTask(KernelBuilder &k, const AttentionBuffers &buffers)
      : k(k), b(k.b), in(buffers), columns(k.sizes.panelWidth),
        warps(warpsOfRows(in.keyWidth)), type(k.tileType(warps, columns)) {
    Value slices = k.index(in.valueWidth / columns);
    firstColumn = k.mul(k.rem(k.task(), slices), k.index(columns));
    at = placeOfHead(k, in, k.div(k.task(), slices));
    valueColumn = k.add(at.value, firstColumn);
    lambda =
        k.broadcast(decay(k, at.slope, k.constant(b.getF32Type(), 1.0)), type);
  }

  void build();

private:
  TilePlace placeOf(Value first) {
    return {first, firstColumn, warps, columns, true};
  }
  SmallVector<Value> loadStates(Value first, int64_t tiles);
  // A tile whose rows or columns are those of a vector in row `at.sequence`.
  Value spread(Value buffer, Value column, bool alongRows);
  void advance(Value first, ArrayRef<Value> states, Value v,
               MutableArrayRef<Value> sums);
  void finish(ArrayRef<Value> sums);

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  const AttentionBuffers &in;
  int64_t columns, warps;
  VectorType type;
  HeadPlace at;
  Value firstColumn, valueColumn; // of the task in the head, and in v and out
  Value lambda;
};

} // namespace

SmallVector<Value> OnePositionTask::loadStates(Value first, int64_t tiles) {
  SmallVector<Value> states;
  for (int64_t i = 0; i < tiles; ++i)
    states.push_back(
        k.loadTile(at.state, placeOf(k.add(first, k.index(i * warps)))));
  return states;
}

Value OnePositionTask::spread(Value buffer, Value column, bool alongRows) {
  AffineExpr none = b.getAffineConstantExpr(0), along = b.getAffineDimExpr(1);
  auto map = AffineMap::get(2, 0,
                            alongRows ? ArrayRef<AffineExpr>{along, none}
                                      : ArrayRef<AffineExpr>{none, along},
                            b.getContext());
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  Value read = vector::TransferReadOp::create(
      b, type.clone(element), buffer, ValueRange{at.sequence, column},
      std::optional<Value>(k.constant(element, 0.0)), map,
      ArrayRef<bool>{true, true});
  if (element.isF32())
    return read;
  return arith::ExtFOp::create(b, type, read);
}

// The rows of the state from `first` on: all keys and queries are loaded before
// the first is used.
void OnePositionTask::advance(Value first, ArrayRef<Value> states, Value v,
                              MutableArrayRef<Value> sums) {
  SmallVector<Value> keys, queries;
  for (size_t i = 0; i < states.size(); ++i) {
    Value column = k.add(at.key, k.add(first, k.index(i * warps)));
    keys.push_back(spread(in.k, column, /*alongRows=*/true));
    queries.push_back(spread(in.q, column, /*alongRows=*/true));
  }
  for (auto [i, state] : llvm::enumerate(states)) {
    Value next = math::FmaOp::create(b, keys[i], v,
                                     arith::MulFOp::create(b, state, lambda));
    k.storeTile(next, at.state, placeOf(k.add(first, k.index(i * warps))));
    Value &sum = sums[i % kSums];
    sum = math::FmaOp::create(b, queries[i], next, sum);
  }
}

// The warps' sums, in their order.
void OnePositionTask::finish(ArrayRef<Value> sums) {
  Value even = arith::AddFOp::create(b, sums[0], sums[2]);
  Value odd = arith::AddFOp::create(b, sums[1], sums[3]);
  auto space =
      gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup);
  Value parts = tnk::SharedOp::create(
      b, MemRefType::get({warps, columns}, b.getF32Type(),
                         MemRefLayoutAttrInterface(), space));
  k.storeTile(arith::AddFOp::create(b, even, odd), parts,
              {k.index(0), k.index(0), warps, columns, true});
  gpu::BarrierOp::create(b);
  Value out;
  for (int64_t warp = 0; warp < warps; ++warp) {
    Value part = k.loadRow(parts, k.index(warp), k.index(0), columns);
    out = out ? arith::AddFOp::create(b, out, part).getResult() : part;
  }
  if (in.scale != 1.0)
    out = arith::MulFOp::create(b, out, k.constant(out.getType(), in.scale));
  k.storeRow(out, in.out, at.sequence, valueColumn);
}

// A state is written by this kernel alone in a step: its first rows are loaded
// before what keys and values come from has ended.
void OnePositionTask::build() {
  int64_t tiles = in.keyWidth / warps;
  int64_t together = std::min(
      {tiles, kStateRows, kStateElements / std::max<int64_t>(1, columns / kWarp)});
  SmallVector<Value> states = loadStates(k.index(0), together);
  tnk::WaitInputsOp::create(b);
  Value v = spread(in.v, valueColumn, /*alongRows=*/false);
  SmallVector<Value> sums(kSums, k.constant(type, 0.0));
  for (int64_t done = 0; done < tiles;) {
    Value first = k.index(done * warps);
    if (done > 0)
      states = loadStates(first, std::min(together, tiles - done));
    advance(first, states, v, sums);
    done += static_cast<int64_t>(states.size());
  }
  finish(sums);
}

//===----------------------------------------------------------------------===//
// Any number of positions
//===----------------------------------------------------------------------===//

Value RecurrentTask::shared(int64_t rows, int64_t width) {
  auto space =
      gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup);
  return tnk::SharedOp::create(b, MemRefType::get({rows, width}, b.getF32Type(),
                                                  MemRefLayoutAttrInterface(),
                                                  space));
}

// The state between global and shared memory. A thread touches its own columns
// alone.
void RecurrentTask::copyState(bool toShared) {
  k.forLoop(k.index(0), k.index(in.keyWidth), 1, [&](Value d) {
    if (toShared)
      k.storeRow(k.loadRow(at.state, d, firstColumn, columns), state, d,
                 k.index(0));
    else
      k.storeRow(k.loadRow(state, d, k.index(0), columns), at.state, d,
                 firstColumn);
  });
}

// Loads k, q and v of `positions` positions from `start` on, then stores them;
// past the end, the last position again.
void RecurrentTask::stage(Value start) {
  Value last = k.sub(rows.length, k.index(1));
  // A buffer to load from, one to store to, and where.
  struct Piece {
    Value vector, target, p, column;
  };
  SmallVector<Piece> pieces;
  for (int64_t i = 0; i < positions; ++i) {
    Value p = k.index(i);
    Value row = rowOf(k.min(k.add(start, p), last));
    for (int64_t c = 0; c < in.keyWidth; c += kWarpElements) {
      Value column = k.index(c);
      int64_t width = std::min(kWarpElements, in.keyWidth - c);
      Value source = k.add(at.key, column);
      pieces.push_back({k.loadRow(in.k, row, source, width), keys, p, column});
      pieces.push_back(
          {k.loadRow(in.q, row, source, width), queries, p, column});
    }
    pieces.push_back(
        {k.loadRow(in.v, row, valueColumn, columns), values, p, k.index(0)});
  }
  gpu::BarrierOp::create(b); // the positions before have been read
  for (const Piece &piece : pieces)
    k.storeRow(piece.vector, piece.target, piece.p, piece.column);
  gpu::BarrierOp::create(b);
}

// The staged position `p`, which is row `row` of the output.
void RecurrentTask::position(Value row, Value p) {
  constexpr int64_t kRows = 16; // whose loads are in flight together
  Value v = k.loadRow(values, p, k.index(0), columns);
  SmallVector<Value> sums = forStateRows(
      kRows, [&](Value first, int64_t rows, MutableArrayRef<Value> sums) {
        SmallVector<Value> places, states, key, query;
        for (int64_t i = 0; i < rows; ++i) {
          Value d = k.add(first, k.index(i));
          places.push_back(d);
          states.push_back(k.loadRow(state, d, k.index(0), columns));
          key.push_back(k.loadScalar(keys, {p, d}));
          query.push_back(k.loadScalar(queries, {p, d}));
        }
        for (int64_t i = 0; i < rows; ++i) {
          Value next = advance(states[i], key[i], v);
          k.storeRow(next, state, places[i], k.index(0));
          accumulate(sums[i % kSums], query[i], next);
        }
      });
  k.storeRow(total(sums), in.out, row, valueColumn);
}

void RecurrentTask::buildAnyLength() {
  state = shared(in.keyWidth, columns);
  keys = shared(positions, in.keyWidth);
  queries = shared(positions, in.keyWidth);
  values = shared(positions, columns);
  copyState(/*toShared=*/true);
  rows = rowsOfSequence(k, in.offsets, in.length, at.sequence);
  k.forLoop(k.index(0), rows.length, positions, [&](Value start) {
    stage(start);
    Value count = k.min(k.index(positions), k.sub(rows.length, start));
    k.forLoop(k.index(0), count, 1,
              [&](Value p) { position(rowOf(k.add(start, p)), p); });
  });
  copyState(/*toShared=*/false);
}

void kernels::buildOnePositionAttention(KernelBuilder &k,
                                        const AttentionBuffers &buffers) {
  OnePositionTask(k, buffers).build();
  k.finish();
}

void kernels::buildSequentialAttention(KernelBuilder &k,
                                       const AttentionBuffers &buffers) {
  RecurrentTask(k, buffers).buildAnyLength();
  k.finish();
}
