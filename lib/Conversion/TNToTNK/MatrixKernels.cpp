// The kernel of a linear map: a panel of the weight against all rows.
#include "KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// The panel `p` of packed weights [P, K, W], or [P, K/2, 2 W] in pairs, as a matrix.
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
  auto panelType = cast<MemRefType>(memref::SubViewOp::inferRankReducedResultType(
      shape.drop_front(), type, offsets, sizes, strides));
  return memref::SubViewOp::create(b, panelType, weight, offsets, sizes, strides);
}

void kernels::buildLinear(KernelBuilder &k, Value x, Value weight, Value bias,
                          Value rows, int64_t columns, const Epilogue &epilogue) {
  int64_t width = k.sizes.panelWidth;
  bool inBounds = columns % width == 0;
  Value panel = panelOf(k, weight, k.task());
  Value column = k.mul(k.task(), k.index(width));
  Value zero = k.index(0);
  Value depth = k.index(cast<MemRefType>(x.getType()).getDimSize(1));
  bool pairs = cast<MemRefType>(panel.getType()).getDimSize(1) == 2 * width;
  k.forTiles(rows, KernelBuilder::halvingSizes(k.sizes.tileRows),
             [&](Value row, int64_t tileRows) {
               Value acc = k.constant(k.tileType(tileRows, width), 0.0);
               Value tile = k.contract(x, {row, zero}, panel, {zero, zero}, acc, depth,
                                      /*transposeA=*/false, pairs);
               if (bias) {
                 Value values = k.loadRow(bias, {}, column, width, inBounds);
                 tile = arith::AddFOp::create(k.b, tile,
                                              k.broadcastRow(values, tileRows));
               }
               epilogue.apply(k, tile, {row, column, tileRows, width, inBounds});
             });
  k.finish();
}
