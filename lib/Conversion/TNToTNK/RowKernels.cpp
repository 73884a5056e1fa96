// Kernels that treat each row alone: norms, element-wise operations, the
// embedding and LRPE. A task does a block of rows.
#include "RowLoops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

void kernels::buildNorm(KernelBuilder &k, tn::NormOp op, Value x, Value weight,
                        Value bias, Value rows, const Epilogue &epilogue) {
  ImplicitLocOpBuilder &b = k.b;
  forRowsOfTask(k, rows, [&](Value row) {
    RowOfTiles tiles(k, x, row);
    RowStatistics statistics = statisticsOfRow(
        k, {op.getKind(), op.getEpsilon().convertToFloat()}, tiles);
    tiles.forTiles([&](Value column, Value tile) {
      int64_t width = cast<VectorType>(tile.getType()).getDimSize(1);
      tile = normalise(k, statistics, tile);
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
  auto positionOf = [&](Value row) {
    return positionOfRow(k, positions, length, row);
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
