// Kernels of the cross entropy, which goes over the vocabulary in pieces: the
// statistics that make a log-sum-exp of them, the loss, and what turns a tile
// of logits into its gradient. The products are those of ProductKernel.cpp.
#include "GradKernels.h"
#include "ScoreKernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// Elements of the buffer of logits, and of a row of it. On a GPU no cache holds
// them, and more of them make fewer products, each of which adds to all of dx.
static constexpr int64_t kMostElements = 8 << 20, kMostOnGPU = 64 << 20,
                         kMostColumns = 4096, kFewestColumns = 256;

// A divisor of the vocabulary where there is a large one, so that no piece
// needs kernels of its own.
int64_t kernels::vocabularyPiece(int64_t vocabulary, int64_t rows,
                                 const TileSizes &sizes, bool isForGPU) {
  int64_t most = isForGPU ? kMostOnGPU : kMostElements;
  int64_t wanted = std::clamp(most / rows, kFewestColumns, kMostColumns);
  if (vocabulary <= wanted)
    return vocabulary;
  int64_t panel = sizes.panelWidth;
  wanted = std::max(panel, wanted / panel * panel);
  for (int64_t piece = wanted; piece >= wanted / 2 && piece > 0; piece -= panel)
    if (vocabulary % piece == 0)
      return piece;
  return wanted;
}

// Columns of the statistics of a row.
enum Statistic { Largest, Sum, Target };

static Value loadStatistic(KernelBuilder &k, Value statistics, Value row,
                           Statistic which) {
  return k.loadScalar(statistics, {row, k.index(which)});
}

static void storeStatistic(KernelBuilder &k, Value value, Value statistics,
                           Value row, Statistic which) {
  memref::StoreOp::create(k.b, value, statistics,
                          ValueRange{row, k.index(which)});
}

static Value maximum(KernelBuilder &k, Value x, Value y) {
  return arith::MaximumFOp::create(k.b, x, y);
}

// The largest element of a row.
static Value largestOfRow(KernelBuilder &k, Value x, Value row) {
  ImplicitLocOpBuilder &b = k.b;
  int64_t columns = columnsOf(x), width = std::min(k.sizes.panelWidth, columns);
  int64_t full = columns / width * width;
  auto reduce = [&](Value vector) {
    return vector::ReductionOp::create(b, vector::CombiningKind::MAXIMUMF,
                                       vector);
  };
  auto loop =
      scf::ForOp::create(b, k.index(width), k.index(full), k.index(width),
                         ValueRange{k.loadRow(x, row, k.index(0), width)});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value tile = k.loadRow(x, row, loop.getInductionVar(), width);
    scf::YieldOp::create(
        b, ValueRange{maximum(k, loop.getRegionIterArg(0), tile)});
  }
  Value largest = reduce(loop.getResult(0));
  if (full == columns)
    return largest;
  Value rest = k.loadRow(x, row, k.index(full), columns - full);
  return maximum(k, largest, reduce(rest));
}

// The label's logit, where the label is a word of this piece; else `before`.
static Value targetOf(KernelBuilder &k, Value logits, Value row, Value label,
                      Value first, Value before) {
  ImplicitLocOpBuilder &b = k.b;
  Value place = k.sub(label, first);
  Value isHere =
      k.compare(arith::CmpIPredicate::ult, place, k.index(columnsOf(logits)));
  auto target = scf::IfOp::create(
      b, isHere,
      [&](OpBuilder &, Location) {
        scf::YieldOp::create(b, k.loadScalar(logits, {row, place}));
      },
      [&](OpBuilder &, Location) { scf::YieldOp::create(b, before); });
  return target.getResult(0);
}

static Value labelOf(KernelBuilder &k, Value labels, Value row) {
  return arith::IndexCastOp::create(k.b, k.b.getIndexType(),
                                    k.loadScalar(labels, row));
}

void kernels::buildLogitStatistics(KernelBuilder &k, Value logits, Value labels,
                                   Value statistics, Value first, Value rows) {
  ImplicitLocOpBuilder &b = k.b;
  Value isFirst = k.compare(arith::CmpIPredicate::eq, first, k.index(0));
  Value zero = k.constant(b.getF32Type(), 0.0);
  forRowsOfTask(k, rows, [&](Value row) {
    // What the pieces before say, or nothing.
    auto before = [&](Statistic which, Value none) -> Value {
      return arith::SelectOp::create(b, isFirst, none,
                                     loadStatistic(k, statistics, row, which));
    };
    Value here = largestOfRow(k, logits, row);
    Value largestBefore = before(Largest, here);
    Value largest = maximum(k, largestBefore, here);
    Value factor = math::ExpOp::create(
        b, arith::SubFOp::create(b, largestBefore, largest));
    Value sum = sumOfColumns(
        k, columnsOf(logits), [&](Value column, int64_t width) -> Value {
          Value tile = k.loadRow(logits, row, column, width);
          auto type = cast<VectorType>(tile.getType());
          return math::ExpOp::create(
              b, arith::SubFOp::create(b, tile, k.broadcast(largest, type)));
        });
    sum = arith::AddFOp::create(
        b, arith::MulFOp::create(b, before(Sum, zero), factor), sum);
    storeStatistic(k, largest, statistics, row, Largest);
    storeStatistic(k, sum, statistics, row, Sum);
    storeStatistic(k,
                   targetOf(k, logits, row, labelOf(k, labels, row), first,
                            before(Target, zero)),
                   statistics, row, Target);
  });
  k.finish();
}

// True for a row that counts.
static Value counts(KernelBuilder &k, Value labels, Value row) {
  Value zero = arith::ConstantOp::create(k.b, k.b.getI32IntegerAttr(0));
  return k.compare(arith::CmpIPredicate::sge, k.loadScalar(labels, row), zero);
}

void kernels::buildRowLosses(KernelBuilder &k, Value statistics, Value labels,
                             Value logSumExp, Value rows) {
  ImplicitLocOpBuilder &b = k.b;
  forRowsOfTask(k, rows, [&](Value row) {
    Value logarithm =
        math::LogOp::create(b, loadStatistic(k, statistics, row, Sum));
    Value lse = arith::AddFOp::create(
        b, loadStatistic(k, statistics, row, Largest), logarithm);
    memref::StoreOp::create(b, lse, logSumExp, row);
    Value loss = arith::SubFOp::create(
        b, lse, loadStatistic(k, statistics, row, Target));
    Value none = k.constant(b.getF32Type(), 0.0);
    storeStatistic(
        k, arith::SelectOp::create(b, counts(k, labels, row), loss, none),
        statistics, row, Target);
  });
  k.finish();
}

void kernels::buildScores(KernelBuilder &k, Value logits, Value labels,
                          Value scores) {
  ImplicitLocOpBuilder &b = k.b;
  Value row = k.task();
  Value largest = largestOfRow(k, logits, row);
  Value sum = sumOfColumns(
      k, columnsOf(logits), [&](Value column, int64_t width) -> Value {
        Value tile = k.loadRow(logits, row, column, width);
        auto type = cast<VectorType>(tile.getType());
        return math::ExpOp::create(
            b, arith::SubFOp::create(b, tile, k.broadcast(largest, type)));
      });
  Value target = k.loadScalar(logits, {row, labelOf(k, labels, row)});
  Value above = arith::SubFOp::create(b, target, largest);
  memref::StoreOp::create(
      b, arith::SubFOp::create(b, above, math::LogOp::create(b, sum)), scores,
      row);
  k.finish();
}

// Over all rows, in f64: the sum of `term` where there is one, and the number
// of rows that count.
static std::pair<Value, Value>
sumAndCount(KernelBuilder &k, Value labels, Value rows,
            llvm::function_ref<Value(Value row)> term) {
  ImplicitLocOpBuilder &b = k.b;
  Type f64 = b.getF64Type();
  Value zero = k.constant(f64, 0.0), one = k.constant(f64, 1.0);
  auto loop = scf::ForOp::create(b, k.index(0), rows, k.index(1),
                                 ValueRange{zero, zero});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value row = loop.getInductionVar();
  Value sum = loop.getRegionIterArg(0);
  if (term)
    sum =
        arith::AddFOp::create(b, sum, arith::ExtFOp::create(b, f64, term(row)));
  Value count = arith::AddFOp::create(
      b, loop.getRegionIterArg(1),
      arith::SelectOp::create(b, counts(k, labels, row), one, zero));
  scf::YieldOp::create(b, ValueRange{sum, count});
  return {loop.getResult(0), loop.getResult(1)};
}

// sum / count in f32, 0 where nothing counts, to the one element of `result`.
static void storeMean(KernelBuilder &k, Value sum, Value count, Value result) {
  ImplicitLocOpBuilder &b = k.b;
  Value zero = k.constant(b.getF64Type(), 0.0);
  Value isAny =
      arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, count, zero);
  Value mean = arith::SelectOp::create(
      b, isAny, arith::DivFOp::create(b, sum, count), zero);
  memref::StoreOp::create(b, arith::TruncFOp::create(b, b.getF32Type(), mean),
                          result, k.index(0));
}

void kernels::buildMeanLoss(KernelBuilder &k, Value statistics, Value labels,
                            Value loss, Value rows) {
  auto [sum, count] = sumAndCount(k, labels, rows, [&](Value row) {
    return loadStatistic(k, statistics, row, Target);
  });
  storeMean(k, sum, count, loss);
  k.finish();
}

void kernels::buildLossScale(KernelBuilder &k, Value labels, Value gradient,
                             Value scale, Value rows) {
  auto [none, count] = sumAndCount(k, labels, rows, nullptr);
  Value whole = arith::ExtFOp::create(k.b, k.b.getF64Type(),
                                      k.loadScalar(gradient, k.index(0)));
  storeMean(k, whole, count, scale);
  k.finish();
}

namespace {
struct LogitGradBuffers {
  Value labels, logSumExp, scale, first;
};
} // namespace

// A tile of logits, its first column the word `first + place.column`, to their
// gradients.
static Value logitGradient(KernelBuilder &k, const LogitGradBuffers &in,
                           Value tile, const TilePlace &place) {
  ImplicitLocOpBuilder &b = k.b;
  auto type = VectorType::get({place.columns}, b.getF32Type());
  auto words = VectorType::get({place.columns}, b.getI32Type());
  auto toI32 = [&](Value value) -> Value {
    return arith::IndexCastOp::create(b, b.getI32Type(), value);
  };
  Value scale = k.loadScalar(in.scale, k.index(0));
  Value zero = k.constant(b.getF32Type(), 0.0);
  auto steps = llvm::to_vector(
      llvm::seq<int32_t>(0, static_cast<int32_t>(place.columns)));
  Value word = arith::AddIOp::create(
      b,
      arith::ConstantOp::create(
          b, words, DenseElementsAttr::get(words, ArrayRef<int32_t>(steps))),
      k.broadcast(toI32(k.add(in.first, place.column)), words));
  for (int64_t r = 0; r < place.rows; ++r) {
    Value row = k.add(place.row, k.index(r));
    Value logits = vector::ExtractOp::create(b, tile, ArrayRef<int64_t>{r});
    Value lse = k.broadcast(k.loadScalar(in.logSumExp, row), type);
    Value gradient =
        math::ExpOp::create(b, arith::SubFOp::create(b, logits, lse));
    Value label = k.loadScalar(in.labels, row);
    Value isLabel = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, word,
                                          k.broadcast(label, words));
    Value less = arith::SubFOp::create(b, gradient, k.constant(type, 1.0));
    gradient = arith::SelectOp::create(b, isLabel, less, gradient);
    Value factor =
        arith::SelectOp::create(b, counts(k, in.labels, row), scale, zero);
    gradient = arith::MulFOp::create(b, gradient, k.broadcast(factor, type));
    tile = vector::InsertOp::create(b, gradient, tile, ArrayRef<int64_t>{r});
  }
  return tile;
}

void kernels::buildLogitGradient(KernelBuilder &k, int64_t depth) {
  ProductBuffers in{k.argument(0), k.argument(1), k.argument(2)};
  in.transposeB = true;
  in.m = k.argument(6);
  in.depth = k.index(depth);
  in.bRow = k.argument(7);
  LogitGradBuffers rest{k.argument(3), k.argument(4), k.argument(5),
                        k.argument(7)};
  buildProduct(k, in, [&](Value tile, const TilePlace &place) {
    k.storeTile(logitGradient(k, rest, tile, place), in.c, place);
  });
}

// Of each logit z of a row: factor (exp(z - lse) - [z is the label's]), into
// the same row of `to`, which may be `logits`.
static void storeLogitGradients(KernelBuilder &k, Value logits, Value to,
                                Value row, Value lse, Value label,
                                Value factor) {
  ImplicitLocOpBuilder &b = k.b;
  k.forColumns(
      columnsOf(logits), k.sizes.panelWidth, [&](Value column, int64_t width) {
        auto type = VectorType::get({width}, b.getF32Type());
        auto places = VectorType::get({width}, b.getIndexType());
        Value tile = k.loadRow(logits, row, column, width);
        tile = math::ExpOp::create(
            b, arith::SubFOp::create(b, tile, k.broadcast(lse, type)));
        Value place = arith::AddIOp::create(
            b, vector::StepOp::create(b, places), k.broadcast(column, places));
        Value isLabel = arith::CmpIOp::create(
            b, arith::CmpIPredicate::eq, place, k.broadcast(label, places));
        Value less = arith::SubFOp::create(b, tile, k.constant(type, 1.0));
        tile = arith::SelectOp::create(b, isLabel, less, tile);
        tile = arith::MulFOp::create(b, tile, k.broadcast(factor, type));
        k.storeRow(tile, to, row, column);
      });
}

void kernels::buildLogitGradientRows(KernelBuilder &k) {
  ImplicitLocOpBuilder &b = k.b;
  Value logits = k.argument(0), labels = k.argument(1);
  Value logSumExp = k.argument(2), scale = k.argument(3);
  Value row = k.task();
  Value lse = k.loadScalar(logSumExp, row);
  Value zero = k.constant(b.getF32Type(), 0.0);
  Value factor = arith::SelectOp::create(b, counts(k, labels, row),
                                         k.loadScalar(scale, k.index(0)), zero);
  // The label's column, in this piece or not.
  Value target = k.sub(labelOf(k, labels, row), k.argument(4));
  storeLogitGradients(k, logits, k.argument(5), row, lse, target, factor);
  k.finish();
}

//===----------------------------------------------------------------------===//
// Of whole rows of logits
//===----------------------------------------------------------------------===//

void kernels::buildLossGradientRows(KernelBuilder &k) {
  ImplicitLocOpBuilder &b = k.b;
  Value logits = k.argument(0), labels = k.argument(1), losses = k.argument(2);
  Value row = k.task(), rowOfCall = k.add(row, k.argument(4));
  Value label = labelOf(k, labels, rowOfCall);
  Value zero = k.constant(b.getF32Type(), 0.0);
  Value isCounted = counts(k, labels, rowOfCall);
  // Before anything is stored: the sums below wait for all threads.
  Value target = targetOf(k, logits, row, label, k.index(0), zero);
  Value largest = largestOfRow(k, logits, row);
  Value sum = sumOfColumns(
      k, columnsOf(logits), [&](Value column, int64_t width) -> Value {
        Value tile = k.loadRow(logits, row, column, width);
        auto type = cast<VectorType>(tile.getType());
        return math::ExpOp::create(
            b, arith::SubFOp::create(b, tile, k.broadcast(largest, type)));
      });
  Value lse = arith::AddFOp::create(b, largest, math::LogOp::create(b, sum));
  Value loss = arith::SubFOp::create(b, lse, target);
  memref::StoreOp::create(b, arith::SelectOp::create(b, isCounted, loss, zero),
                          losses, rowOfCall);
  Value factor = arith::SelectOp::create(
      b, isCounted, k.loadScalar(k.argument(3), k.index(0)), zero);
  storeLogitGradients(k, logits, logits, row, lse, label, factor);
  k.finish();
}

void kernels::buildLossPartials(KernelBuilder &k, Value losses, Value labels,
                                Value partials, Value rows) {
  ImplicitLocOpBuilder &b = k.b;
  Type f64 = b.getF64Type();
  Value zero = k.constant(f64, 0.0), one = k.constant(f64, 1.0);
  Value from = k.mul(k.task(), k.index(kLossRows));
  Value end = k.min(k.add(from, k.index(kLossRows)), rows);
  auto loop =
      scf::ForOp::create(b, from, end, k.index(1), ValueRange{zero, zero});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value row = loop.getInductionVar(), sum = loop.getRegionIterArg(0);
    if (losses)
      sum = arith::AddFOp::create(
          b, sum, arith::ExtFOp::create(b, f64, k.loadScalar(losses, row)));
    Value count = arith::AddFOp::create(
        b, loop.getRegionIterArg(1),
        arith::SelectOp::create(b, counts(k, labels, row), one, zero));
    scf::YieldOp::create(b, ValueRange{sum, count});
  }
  for (auto [column, value] : llvm::enumerate(loop.getResults()))
    memref::StoreOp::create(b, value, partials,
                            ValueRange{k.task(), k.index(column)});
  k.finish();
}

void kernels::buildLossMean(KernelBuilder &k, Value partials, Value gradient,
                            Value result, Value blocks) {
  ImplicitLocOpBuilder &b = k.b;
  Value zero = k.constant(b.getF64Type(), 0.0);
  auto loop = scf::ForOp::create(b, k.index(0), blocks, k.index(1),
                                 ValueRange{zero, zero});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> sums;
    for (auto [column, before] : llvm::enumerate(loop.getRegionIterArgs()))
      sums.push_back(arith::AddFOp::create(
          b, before,
          memref::LoadOp::create(
              b, partials,
              ValueRange{loop.getInductionVar(), k.index(column)})));
    scf::YieldOp::create(b, sums);
  }
  Value sum = loop.getResult(0);
  if (gradient)
    sum = arith::ExtFOp::create(b, b.getF64Type(),
                                k.loadScalar(gradient, k.index(0)));
  storeMean(k, sum, loop.getResult(1), result);
  k.finish();
}
