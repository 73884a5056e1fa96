// Kernels that treat each row alone: norms, element-wise operations, the
// embedding and LRPE. A task does a block of rows.
#include "KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// Calls `body` for each row of the task's block; on a GPU, where there are as
// many tasks as rows, for the task's row.
static void forRowsOfTask(KernelBuilder &k, Value rows,
                          KernelBuilder::IndexBody body) {
  if (k.sizes.threads != 0)
    return body(k.task());
  Value block = k.index(k.sizes.rowBlock);
  Value begin = k.mul(k.task(), block);
  k.forLoop(begin, k.min(k.add(begin, block), rows), 1, body);
}

// Calls `body` for each head of each row of the task; on a GPU, where there is
// a task for each of them, for that one. `ofRow` computes what the heads of a
// row share.
static void forHeadsOfTask(
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

static int64_t columnsOf(Value buffer) {
  return cast<MemRefType>(buffer.getType()).getShape().back();
}

// Tiles of a row that a block of threads keeps in registers: 8 elements each of
// a thread.
static constexpr int64_t kKeptTiles = 4;

namespace {

// A row in tiles of the panel's width and one of the rest. On a GPU rows of a
// few tiles are loaded once and stay in registers; others are loaded again for
// each pass over them.
class RowOfTiles {
public:
  RowOfTiles(KernelBuilder &k, Value x, Value row)
      : k(k), b(k.b), x(x), row(row), columns(columnsOf(x)),
        width(k.sizes.panelWidth) {
    if (k.sizes.threads == 0 || columns > kKeptTiles * width)
      return;
    for (int64_t start = 0; start < columns; start += width)
      kept.push_back(
          k.loadRow(x, row, k.index(start), std::min(width, columns - start)));
  }

  // Sum of `term(tile)`: a vector of partial sums over the full tiles, then the
  // rest's, in a fixed order.
  Value sum(llvm::function_ref<Value(Value)> term);

  using TileBody = llvm::function_ref<void(Value column, Value tile)>;
  // Calls `body` with each tile, as vector<1xW>, and its first column.
  void forTiles(TileBody body);

private:
  Value reduce(Value vector) {
    return vector::ReductionOp::create(b, vector::CombiningKind::ADD, vector);
  }
  Value sumOfFullTiles(llvm::function_ref<Value(Value)> term);

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  Value x, row;
  int64_t columns, width;
  SmallVector<Value> kept; // empty where the row is loaded again
};

} // namespace

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

namespace {
// mean and 1/deviation of a row; no mean for the RMS norms.
struct RowStatistics {
  Value mean, inverse;
};
} // namespace

static RowStatistics statisticsOfRow(KernelBuilder &k, tn::NormOp op,
                                     RowOfTiles &row, int64_t columns) {
  ImplicitLocOpBuilder &b = k.b;
  Type f32 = b.getF32Type();
  Value count = k.constant(f32, columns);
  RowStatistics statistics;
  if (op.getKind() == tn::NormKind::Layer) {
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
  Value epsilon = k.constant(f32, op.getEpsilon().convertToFloat());
  Value deviation =
      math::SqrtOp::create(b, arith::AddFOp::create(b, variance, epsilon));
  statistics.inverse =
      arith::DivFOp::create(b, k.constant(f32, 1.0), deviation);
  return statistics;
}

void kernels::buildNorm(KernelBuilder &k, tn::NormOp op, Value x, Value weight,
                        Value bias, Value rows, const Epilogue &epilogue) {
  ImplicitLocOpBuilder &b = k.b;
  forRowsOfTask(k, rows, [&](Value row) {
    RowOfTiles tiles(k, x, row);
    RowStatistics statistics = statisticsOfRow(k, op, tiles, columnsOf(x));
    tiles.forTiles([&](Value column, Value tile) {
      auto type = cast<VectorType>(tile.getType());
      int64_t width = type.getDimSize(1);
      if (statistics.mean)
        tile =
            arith::SubFOp::create(b, tile, k.broadcast(statistics.mean, type));
      tile =
          arith::MulFOp::create(b, tile, k.broadcast(statistics.inverse, type));
      if (weight)
        tile = arith::MulFOp::create(
            b, tile, k.broadcastRow(k.loadRow(weight, {}, column, width), 1));
      if (bias)
        tile = arith::AddFOp::create(
            b, tile, k.broadcastRow(k.loadRow(bias, {}, column, width), 1));
      epilogue.apply(k, tile,
                     {row, column, 1, width, /*columnsInBounds=*/true});
    });
  });
  k.finish();
}

void kernels::buildElementwise(KernelBuilder &k, Value x, Value bias,
                               Value rows, const Epilogue &epilogue) {
  ImplicitLocOpBuilder &b = k.b;
  forRowsOfTask(k, rows, [&](Value row) {
    k.forColumns(
        columnsOf(x), k.sizes.panelWidth, [&](Value column, int64_t width) {
          TilePlace place{row, column, 1, width, /*columnsInBounds=*/true};
          Value tile = k.loadTile(x, place);
          if (bias)
            tile = arith::AddFOp::create(
                b, tile, k.broadcastRow(k.loadRow(bias, {}, column, width), 1));
          epilogue.apply(k, tile, place);
        });
  });
  k.finish();
}

void kernels::buildEmbedding(KernelBuilder &k, Value ids, Value table,
                             Value output, Value rows, double scale) {
  ImplicitLocOpBuilder &b = k.b;
  forRowsOfTask(k, rows, [&](Value row) {
    Value id =
        arith::IndexCastOp::create(b, b.getIndexType(), k.loadScalar(ids, row));
    k.forColumns(
        columnsOf(table), k.sizes.panelWidth, [&](Value column, int64_t width) {
          Value tile = k.loadTile(table, {id, column, 1, width, true});
          tile =
              arith::MulFOp::create(b, tile, k.constant(tile.getType(), scale));
          k.storeTile(tile, output, {row, column, 1, width, true});
        });
  });
  k.finish();
}

void kernels::buildShiftedExp(KernelBuilder &k, Value x, Value output,
                              Value rows, int64_t heads, int64_t width) {
  ImplicitLocOpBuilder &b = k.b;
  int64_t panel = k.sizes.panelWidth;
  auto nothing = [](Value) { return Value(); };
  forHeadsOfTask(k, rows, heads, nothing, [&](Value row, Value head, Value) {
    Value from = k.mul(head, k.index(width));
    Value maximum;
    for (int64_t column = 0; column < width; column += panel) {
      Value tile = k.loadRow(x, row, k.add(from, k.index(column)),
                             std::min(panel, width - column));
      Value largest =
          vector::ReductionOp::create(b, vector::CombiningKind::MAXIMUMF, tile);
      maximum = maximum
                    ? arith::MaximumFOp::create(b, maximum, largest).getResult()
                    : largest;
    }
    k.forColumns(width, panel, [&](Value column, int64_t columns) {
      TilePlace place{row, k.add(from, column), 1, columns, true};
      Value tile = k.loadTile(x, place);
      tile = arith::SubFOp::create(
          b, tile, k.broadcast(maximum, k.tileType(1, columns)));
      k.storeTile(math::ExpOp::create(b, tile), output, place);
    });
  });
  k.finish();
}

void kernels::buildLRPE(KernelBuilder &k, Value x, Value theta, Value positions,
                        Value output, Value rows, Value length, int64_t heads,
                        int64_t width) {
  ImplicitLocOpBuilder &b = k.b;
  auto positionOf = [&](Value row) -> Value {
    Value start = k.loadScalar(positions, k.div(row, length));
    Value offset =
        arith::IndexCastOp::create(b, b.getI64Type(), k.rem(row, length));
    // f32, as the published code counts positions: exact up to 2^24.
    return arith::SIToFPOp::create(b, b.getF32Type(),
                                   arith::AddIOp::create(b, start, offset));
  };
  forHeadsOfTask(
      k, rows, heads, positionOf, [&](Value row, Value head, Value position) {
        Value from = k.mul(head, k.index(width));
        Value to = k.mul(head, k.index(2 * width));
        k.forColumns(
            width, k.sizes.panelWidth, [&](Value column, int64_t columns) {
              VectorType type = k.tileType(1, columns);
              Value source = k.add(from, column), target = k.add(to, column);
              Value angle = arith::MulFOp::create(
                  b, k.broadcastRow(k.loadRow(theta, {}, source, columns), 1),
                  k.broadcast(position, type));
              Value tile = k.loadTile(x, {row, source, 1, columns, true});
              Value cosine =
                  arith::MulFOp::create(b, tile, math::CosOp::create(b, angle));
              Value sine =
                  arith::MulFOp::create(b, tile, math::SinOp::create(b, angle));
              k.storeTile(cosine, output, {row, target, 1, columns, true});
              k.storeTile(
                  sine, output,
                  {row, k.add(target, k.index(width)), 1, columns, true});
            });
      });
  k.finish();
}
