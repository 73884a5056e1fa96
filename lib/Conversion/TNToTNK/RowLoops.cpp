// Rows of a task, sums over a row and the statistics of a norm.
#include "RowLoops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

void kernels::forRowsOfTask(KernelBuilder &k, Value rows,
                            KernelBuilder::IndexBody body) {
  if (k.sizes.threads != 0)
    return body(k.task());
  Value block = k.index(k.sizes.rowBlock);
  Value begin = k.mul(k.task(), block);
  k.forLoop(begin, k.min(k.add(begin, block), rows), 1, body);
}

void kernels::forHeadsOfTask(
    KernelBuilder &k, Value rows, int64_t heads,
    llvm::function_ref<Value(Value row)> ofRow,
    llvm::function_ref<void(Value row, Value head, Value shared)> body) {
  Value count = k.index(heads);
  if (k.sizes.threads != 0) {
    Value row = k.div(k.task(), count);
    return body(row, k.rem(k.task(), count), ofRow(row));
  }
  forRowsOfTask(k, rows, [&](Value row) {
    Value shared = ofRow(row);
    k.forLoop(k.index(0), count, 1,
              [&](Value head) { body(row, head, shared); });
  });
}

int64_t kernels::columnsOf(Value buffer) {
  return cast<MemRefType>(buffer.getType()).getShape().back();
}

Value kernels::sumOfColumns(
    KernelBuilder &k, int64_t columns,
    llvm::function_ref<Value(Value column, int64_t width)> term) {
  ImplicitLocOpBuilder &b = k.b;
  int64_t width = k.sizes.panelWidth;
  int64_t full = columns / width * width;
  auto reduce = [&](Value vector) {
    return vector::ReductionOp::create(b, vector::CombiningKind::ADD, vector);
  };
  Value sum;
  if (full > 0) {
    Value zero = k.constant(VectorType::get({width}, b.getF32Type()), 0.0);
    auto loop = scf::ForOp::create(b, k.index(0), k.index(full), k.index(width),
                                   ValueRange{zero});
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      Value value = term(loop.getInductionVar(), width);
      scf::YieldOp::create(b, ValueRange{arith::AddFOp::create(
                                  b, loop.getRegionIterArg(0), value)});
    }
    sum = reduce(loop.getResult(0));
  }
  if (full < columns) {
    Value rest = reduce(term(k.index(full), columns - full));
    sum = sum ? arith::AddFOp::create(b, sum, rest).getResult() : rest;
  }
  return sum;
}

// Tiles of a row that a block of threads keeps in registers: 8 elements each of
// a thread.
static constexpr int64_t kKeptTiles = 4;

RowOfTiles::RowOfTiles(KernelBuilder &k, Value x, Value row)
    : k(k), b(k.b), x(x), row(row), columns(columnsOf(x)),
      width(k.sizes.panelWidth) {
  if (k.sizes.threads == 0 || columns > kKeptTiles * width)
    return;
  for (int64_t start = 0; start < columns; start += width)
    kept.push_back(
        k.loadRow(x, row, k.index(start), std::min(width, columns - start)));
}

Value RowOfTiles::reduce(Value vector) {
  return vector::ReductionOp::create(b, vector::CombiningKind::ADD, vector);
}

// The partial sums.
Value RowOfTiles::sumOfFullTiles(llvm::function_ref<Value(Value)> term) {
  int64_t full = columns / width * width;
  Value sum = k.constant(VectorType::get({width}, b.getF32Type()), 0.0);
  if (!kept.empty()) {
    for (Value tile : ArrayRef(kept).take_front(full / width))
      sum = arith::AddFOp::create(b, sum, term(tile));
    return sum;
  }
  auto loop = scf::ForOp::create(b, k.index(0), k.index(full), k.index(width),
                                 ValueRange{sum});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value value = term(k.loadRow(x, row, loop.getInductionVar(), width));
  scf::YieldOp::create(
      b, ValueRange{arith::AddFOp::create(b, loop.getRegionIterArg(0), value)});
  return loop.getResult(0);
}

Value RowOfTiles::sum(llvm::function_ref<Value(Value)> term) {
  int64_t full = columns / width * width;
  Value sum;
  if (full > 0)
    sum = reduce(sumOfFullTiles(term));
  if (full < columns) {
    Value last = kept.empty() ? k.loadRow(x, row, k.index(full), columns - full)
                              : kept.back();
    Value rest = reduce(term(last));
    sum = sum ? arith::AddFOp::create(b, sum, rest).getResult() : rest;
  }
  return sum;
}

void RowOfTiles::forTiles(TileBody body) {
  for (auto [i, tile] : llvm::enumerate(kept))
    body(k.index(i * width), k.broadcastRow(tile, 1));
  if (!kept.empty())
    return;
  k.forColumns(columns, width, [&](Value column, int64_t size) {
    body(column,
         k.loadTile(x, {row, column, 1, size, /*columnsInBounds=*/true}));
  });
}

RowStatistics kernels::statisticsOfRow(KernelBuilder &k, NormRule norm,
                                       RowOfTiles &row) {
  ImplicitLocOpBuilder &b = k.b;
  Type f32 = b.getF32Type();
  Value count = k.constant(f32, row.size());
  RowStatistics statistics;
  if (norm.kind == tn::NormKind::Layer) {
    Value sum = row.sum([](Value tile) { return tile; });
    statistics.mean = arith::DivFOp::create(b, sum, count);
  }
  Value squares = row.sum([&](Value tile) -> Value {
    if (statistics.mean)
      tile = arith::SubFOp::create(
          b, tile,
          k.broadcast(statistics.mean, cast<VectorType>(tile.getType())));
    return arith::MulFOp::create(b, tile, tile);
  });
  Value variance = arith::DivFOp::create(b, squares, count);
  Value epsilon = k.constant(f32, norm.epsilon);
  Value deviation =
      math::SqrtOp::create(b, arith::AddFOp::create(b, variance, epsilon));
  statistics.inverse =
      arith::DivFOp::create(b, k.constant(f32, 1.0), deviation);
  return statistics;
}

Value kernels::normalise(KernelBuilder &k, const RowStatistics &statistics,
                         Value tile) {
  auto type = cast<VectorType>(tile.getType());
  if (statistics.mean)
    tile = arith::SubFOp::create(k.b, tile, k.broadcast(statistics.mean, type));
  return arith::MulFOp::create(k.b, tile,
                               k.broadcast(statistics.inverse, type));
}

Value kernels::positionOfRow(KernelBuilder &k, Value positions, Value length,
                             Value row) {
  ImplicitLocOpBuilder &b = k.b;
  Value start = k.loadScalar(positions, k.div(row, length));
  Value offset =
      arith::IndexCastOp::create(b, b.getI64Type(), k.rem(row, length));
  return arith::SIToFPOp::create(b, b.getF32Type(),
                                 arith::AddIOp::create(b, start, offset));
}
