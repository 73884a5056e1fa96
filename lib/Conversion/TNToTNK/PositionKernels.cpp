// Kernels of positions as numbers and of RoPE. A task does a block of rows.
#include "BaselineKernels.h"
#include "RowLoops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

void kernels::buildPositionIds(KernelBuilder &k, Value positions, Value result,
                               Value rows, Value length) {
  ImplicitLocOpBuilder &b = k.b;
  forRowsOfTask(k, rows, [&](Value row) {
    Value start = k.loadScalar(positions, k.div(row, length));
    Value offset =
        arith::IndexCastOp::create(b, b.getI64Type(), k.rem(row, length));
    Value position = arith::AddIOp::create(b, start, offset);
    memref::StoreOp::create(
        b, arith::TruncIOp::create(b, b.getI32Type(), position), result, row);
  });
  k.finish();
}

void kernels::buildRoPE(KernelBuilder &k, const RoPEBuffers &in) {
  ImplicitLocOpBuilder &b = k.b;
  int64_t half = in.width / 2;
  auto positionOf = [&](Value row) {
    return positionOfRow(k, in.positions, in.length, row);
  };
  forHeadsOfTask(
      k, in.rows, in.heads, positionOf,
      [&](Value row, Value head, Value position) {
        Value from = k.mul(head, k.index(in.width));
        k.forColumns(
            half, k.sizes.panelWidth, [&](Value column, int64_t columns) {
              auto type = VectorType::get({columns}, b.getF32Type());
              Value first = k.add(from, column);
              Value second = k.add(first, k.index(half));
              Value angle = arith::MulFOp::create(
                  b, k.loadRow(in.theta, {}, column, columns),
                  k.broadcast(position, type));
              Value cosine = math::CosOp::create(b, angle);
              Value sine = math::SinOp::create(b, angle);
              if (in.inverse)
                sine = arith::NegFOp::create(b, sine);
              Value x = k.loadRow(in.x, row, first, columns);
              Value y = k.loadRow(in.x, row, second, columns);
              Value turned =
                  arith::SubFOp::create(b, arith::MulFOp::create(b, x, cosine),
                                        arith::MulFOp::create(b, y, sine));
              k.storeRow(turned, in.result, row, first);
              turned =
                  arith::AddFOp::create(b, arith::MulFOp::create(b, y, cosine),
                                        arith::MulFOp::create(b, x, sine));
              k.storeRow(turned, in.result, row, second);
            });
      });
  k.finish();
}
