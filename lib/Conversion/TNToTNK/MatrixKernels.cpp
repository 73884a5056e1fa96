// The kernel of a linear map: a panel of the weight against all rows.
#include "KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// The panel `p` of packed weights [P, K, W], or [P, K/2, 2 W] in pairs, as a
// matrix.
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
        epilogue(epilogue), width(k.sizes.panelWidth),
        inBounds(in.columns % width == 0) {
    auto type = cast<MemRefType>(x.getType());
    depth = type.getDimSize(1);
    capacity = type.getDimSize(0);
    panel = panelOf(k, in.weight, k.task());
    pairs = cast<MemRefType>(panel.getType()).getDimSize(1) == 2 * width;
    column = k.mul(k.task(), k.index(width));
  }

  void build() {
    int64_t elementBytes =
        cast<MemRefType>(panel.getType()).getElementTypeBitWidth() / 8;
    // Even, for pairs.
    int64_t block = std::max<int64_t>(2, k.sizes.blockBytes /
                                             (width * elementBytes) / 2 * 2);
    int64_t last = (depth - 1) / block * block; // first depth of the last block
    if (last > 0)
      accumulateBlocks(block, last);
    forRowTiles([&](Value row, int64_t tileRows) {
      Value tile = contract(row, tileRows, k.index(last), depth - last);
      if (scales)
        tile = arith::MulFOp::create(k.b, tile, rowOf(scales, tileRows));
      if (bias)
        tile = arith::AddFOp::create(k.b, tile, rowOf(bias, tileRows));
      epilogue.apply(k, tile, {row, column, tileRows, width, inBounds});
    });
  }

private:
  // The tile's columns of a vector, repeated for each row.
  Value rowOf(Value vector, int64_t tileRows) {
    return k.broadcastRow(k.loadRow(vector, {}, column, width, inBounds),
                          tileRows);
  }

  void forRowTiles(KernelBuilder::TileBody body) {
    k.forTiles(rows, KernelBuilder::halvingSizes(k.sizes.tileRows), body);
  }

  // sums += x[:, 0..last) * panel[0..last), block by block.
  void accumulateBlocks(int64_t block, int64_t last) {
    sums = k.scratch(capacity, width);
    forRowTiles([&](Value row, int64_t tileRows) {
      Value zeros = k.constant(k.tileType(tileRows, width), 0.0);
      k.storeTile(zeros, sums, {row, k.index(0), tileRows, width, true});
    });
    k.forLoop(k.index(0), k.index(last), block, [&](Value start) {
      forRowTiles([&](Value row, int64_t tileRows) {
        Value tile = contract(row, tileRows, start, block);
        k.storeTile(tile, sums, {row, k.index(0), tileRows, width, true});
      });
    });
  }

  // The sums so far, plus those of `size` depths from `start`.
  Value contract(Value row, int64_t tileRows, Value start, int64_t size) {
    Value tile =
        sums ? k.loadTile(sums, {row, k.index(0), tileRows, width, true})
             : k.constant(k.tileType(tileRows, width), 0.0);
    Value panelRow = pairs ? k.div(start, k.index(2)) : start;
    return k.contract(x, {row, start}, panel, {panelRow, k.index(0)}, tile,
                      k.index(size), /*transposeA=*/false, pairs);
  }

  KernelBuilder &k;
  Value x, scales, bias, rows;
  const Epilogue &epilogue;
  int64_t width, depth, capacity;
  bool inBounds, pairs;
  Value panel, column;
  Value sums; // [capacity, width], where there is more than one block
};

} // namespace

void kernels::buildLinear(KernelBuilder &k, const LinearBuffers &buffers,
                          const Epilogue &epilogue) {
  LinearKernel(k, buffers, epilogue).build();
  k.finish();
}
