// The kernel of a linear map: a panel of the weight against all rows.
#include "KernelBuilder.h"
#include "RoundedRows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// The panel `p` of packed weights [P, K / step, step W] as a matrix.
static Value panelOf(KernelBuilder &k, Value weight, Value p) {
  ImplicitLocOpBuilder &b = k.b;
  auto type = cast<MemRefType>(weight.getType());
  ArrayRef<int64_t> shape = type.getShape();
  SmallVector<OpFoldResult> offsets(shape.size(), b.getIndexAttr(0));
  SmallVector<OpFoldResult> strides(shape.size(), b.getIndexAttr(1));
  SmallVector<OpFoldResult> sizes = {b.getIndexAttr(1)};
  for (int64_t size : shape.drop_front())
    sizes.push_back(b.getIndexAttr(size));
  offsets[0] = p;
  auto panelType =
      cast<MemRefType>(memref::SubViewOp::inferRankReducedResultType(
          shape.drop_front(), type, offsets, sizes, strides));
  return memref::SubViewOp::create(b, panelType, weight, offsets, sizes,
                                   strides);
}

namespace {

// A panel against all rows, block by block of the depth.
class LinearKernel {
public:
  LinearKernel(KernelBuilder &k, const LinearBuffers &in,
               const Epilogue &epilogue)
      : k(k), x(in.x), scales(in.scales), bias(in.bias), rows(in.rows),
        epilogue(epilogue), width(k.sizes.panelWidth), depth(in.depth),
        group(in.group), inBounds(in.columns % width == 0) {
    if (group)
      rounded = roundedRows(k, x, depth, group);
    capacity =
        cast<MemRefType>((group ? rounded.codes : x).getType()).getDimSize(0);
    panel = panelOf(k, in.weight, k.task());
    auto panelType = cast<MemRefType>(panel.getType());
    step = panelType.getDimSize(1) / width;
    isNarrow = panelType.getElementTypeBitWidth() < 32;
    rowBytes = panelType.getDimSize(1) * panelType.getElementTypeBitWidth() / 8;
    column = k.mul(k.task(), k.index(width));
  }

  void build() {
    Value block = chooseBlock();
    if (!block) {
      forRowTiles([&](Value row, int64_t tileRows) {
        Value zeros = k.constant(k.tileType(tileRows, width), 0.0);
        finish(row, tileRows, contract(row, zeros, k.index(0), k.index(depth)));
      });
      return;
    }
    sums = k.scratch(capacity, width);
    k.forLoop(k.index(0), k.index(depth), block, [&](Value start) {
      addBlock(start, k.min(block, k.sub(k.index(depth), start)));
    });
  }

private:
  // Depths that `bytes` of the panel hold: whole groups; even, for pairs.
  int64_t depthsOf(int64_t bytes) {
    int64_t unit = group ? group : 2;
    int64_t depths = bytes / rowBytes * step;
    return std::max(unit, depths / unit * unit);
  }

  // Depths of a block, or none where one block holds all of them.
  Value chooseBlock() {
    int64_t large = depthsOf(k.sizes.blockBytes);
    int64_t small = depthsOf(k.sizes.streamBlockBytes);
    bool mayHaveFew = capacity > 1 && k.sizes.streamRows > 1;
    if (depth <= large && (depth <= small || !mayHaveFew))
      return {};
    if (!mayHaveFew)
      return k.index(large);
    using Predicate = arith::CmpIPredicate;
    // One row passes over the panel once, in any block.
    hasFew = arith::AndIOp::create(
        k.b, k.compare(Predicate::ugt, rows, k.index(1)),
        k.compare(Predicate::ule, rows, k.index(k.sizes.streamRows)));
    return arith::SelectOp::create(k.b, hasFew, k.index(small), k.index(large));
  }

  // The block's products for all rows: onto the sums so far, and on to the end
  // of the kernel after the last one.
  void addBlock(Value start, Value size) {
    using Predicate = arith::CmpIPredicate;
    Value isFirst = k.compare(Predicate::eq, start, k.index(0));
    Value isLast = k.compare(Predicate::eq, k.add(start, size), k.index(depth));
    forRowTiles([&](Value row, int64_t tileRows) {
      TilePlace place{row, k.index(0), tileRows, width, true};
      VectorType type = k.tileType(tileRows, width);
      auto begin = scf::IfOp::create(
          k.b, isFirst,
          [&](OpBuilder &, Location) {
            scf::YieldOp::create(k.b, k.constant(type, 0.0));
          },
          [&](OpBuilder &, Location) {
            scf::YieldOp::create(k.b, k.loadTile(sums, place));
          });
      Value tile = contract(row, begin.getResult(0), start, size);
      scf::IfOp::create(
          k.b, isLast,
          [&](OpBuilder &, Location) {
            finish(row, tileRows, tile);
            scf::YieldOp::create(k.b);
          },
          [&](OpBuilder &, Location) {
            k.storeTile(tile, sums, place);
            scf::YieldOp::create(k.b);
          });
    });
  }

  void finish(Value row, int64_t tileRows, Value tile) {
    if (scales)
      tile = arith::MulFOp::create(k.b, tile, rowOf(scales, tileRows));
    if (bias)
      tile = arith::AddFOp::create(k.b, tile, rowOf(bias, tileRows));
    epilogue.apply(k, tile, {row, column, tileRows, width, inBounds});
  }

  // The tile's columns of a vector, repeated for each row.
  Value rowOf(Value vector, int64_t tileRows) {
    return k.broadcastRow(k.loadRow(vector, {}, column, width, inBounds),
                          tileRows);
  }

  void forRowTiles(KernelBuilder::TileBody body) {
    k.forTiles(rows, KernelBuilder::halvingSizes(k.sizes.tileRows), body);
  }

  // `tile` plus the products of `size` depths from `start`. Whole tiles are
  // most of the work of many rows, which find the panel in a cache and would
  // only lose by asking for it. One row of f32 alone is read as fast as memory
  // gives it; of narrower weights a fourth of a block is asked for ahead.
  Value contract(Value row, Value tile, Value start, Value size) {
    int64_t tileRows = cast<VectorType>(tile.getType()).getDimSize(0);
    int64_t ahead = k.sizes.streamBlockBytes / rowBytes;
    if (tileRows == 1)
      return contractAhead(row, tile, start, size, isNarrow ? ahead / 4 : 0);
    if (!hasFew)
      return contractAhead(row, tile, start, size, 0);
    if (tileRows < k.sizes.tileRows)
      return contractAhead(row, tile, start, size, ahead);
    auto branch = scf::IfOp::create(
        k.b, hasFew,
        [&](OpBuilder &, Location) {
          scf::YieldOp::create(k.b,
                               contractAhead(row, tile, start, size, ahead));
        },
        [&](OpBuilder &, Location) {
          scf::YieldOp::create(k.b, contractAhead(row, tile, start, size, 0));
        });
    return branch.getResult(0);
  }

  Value contractAhead(Value row, Value tile, Value start, Value size,
                      int64_t ahead) {
    Value panelRow = step > 1 ? k.div(start, k.index(step)) : start;
    if (group)
      return k.contractGroups(rounded, row, start, panel, panelRow, tile, size,
                              group, ahead);
    return k.contract(x, {row, start}, panel, {panelRow, k.index(0)}, tile,
                      size, /*transposeA=*/false, /*pairs=*/step == 2, ahead);
  }

  KernelBuilder &k;
  Value x, scales, bias, rows;
  RoundedRows rounded; // x, where it is
  const Epilogue &epilogue;
  int64_t width, depth, group, capacity;
  int64_t step;     // columns of the weight that stand together
  int64_t rowBytes; // of the panel
  bool inBounds, isNarrow;
  Value panel, column;
  Value hasFew; // whether the call has 2 to streamRows rows; null: never
  Value sums;   // [capacity, width], where there is more than one block
};

} // namespace

void kernels::buildLinear(KernelBuilder &k, const LinearBuffers &buffers,
                          const Epilogue &epilogue) {
  LinearKernel(k, buffers, epilogue).build();
  k.finish();
}
