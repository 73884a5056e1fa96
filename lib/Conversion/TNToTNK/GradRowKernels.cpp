// Kernels of training that treat each row alone: adjoints of activations,
// norms, slices and LRPE. A task does a block of rows.
#include "GradKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

// True of what is bf16 in memory, on a GPU: exp2 is an instruction there, off
// by 2^-22 and, as log2 e times x is rounded, 2^-23 |x|, where bf16 is off by
// 2^-9.
static bool isCoarse(KernelBuilder &k, Value x) {
  auto widened = x.getDefiningOp<arith::ExtFOp>();
  return k.sizes.threads != 0 && widened &&
         getElementTypeOrSelf(widened.getIn().getType()).isBF16();
}

static Value sigmoid(KernelBuilder &k, Value x) {
  if (!isCoarse(k, x))
    return k.activate(tn::ActivationKind::Sigmoid, x);
  ImplicitLocOpBuilder &b = k.b;
  constexpr double kLog2E = 1.4426950408889634;
  Value one = k.constant(x.getType(), 1.0);
  Value exponential = math::Exp2Op::create(
      b, arith::MulFOp::create(b, x, k.constant(x.getType(), -kLog2E)));
  return arith::DivFOp::create(b, one,
                               arith::AddFOp::create(b, one, exponential));
}

Value kernels::activated(KernelBuilder &k, tn::ActivationKind kind, Value x) {
  if (kind != tn::ActivationKind::SiLU)
    return k.activate(kind, x);
  return arith::MulFOp::create(k.b, x, sigmoid(k, x));
}

// `above` where x > 0, else `below`: kinks take the derivative from below.
static Value selectPositive(KernelBuilder &k, Value x, Value above,
                            Value below) {
  Value isPositive = arith::CmpFOp::create(k.b, arith::CmpFPredicate::OGT, x,
                                           k.constant(x.getType(), 0.0));
  return arith::SelectOp::create(k.b, isPositive, above, below);
}

// 0.5 (1 + erf(x / sqrt 2)) + x exp(-x^2 / 2) / sqrt(2 pi)
static Value geluDerivative(KernelBuilder &k, Value x) {
  ImplicitLocOpBuilder &b = k.b;
  Type type = x.getType();
  auto times = [&](Value value, double factor) -> Value {
    return arith::MulFOp::create(b, value, k.constant(type, factor));
  };
  Value erf = math::ErfOp::create(b, times(x, 0.70710678118654752));
  Value area = times(arith::AddFOp::create(b, erf, k.constant(type, 1.0)), 0.5);
  Value density =
      math::ExpOp::create(b, times(arith::MulFOp::create(b, x, x), -0.5));
  Value slope =
      times(arith::MulFOp::create(b, x, density), 0.39894228040143268);
  return arith::AddFOp::create(b, area, slope);
}

Value kernels::derivative(KernelBuilder &k, tn::ActivationKind kind, Value x) {
  ImplicitLocOpBuilder &b = k.b;
  Value one = k.constant(x.getType(), 1.0);
  switch (kind) {
  case tn::ActivationKind::None:
    return one;
  case tn::ActivationKind::SiLU: { // s (1 + x (1 - s))
    Value s = sigmoid(k, x);
    Value rest = arith::MulFOp::create(b, x, arith::SubFOp::create(b, one, s));
    return arith::MulFOp::create(b, s, arith::AddFOp::create(b, one, rest));
  }
  case tn::ActivationKind::Sigmoid: {
    Value s = sigmoid(k, x);
    return arith::MulFOp::create(b, s, arith::SubFOp::create(b, one, s));
  }
  case tn::ActivationKind::GELU:
    return geluDerivative(k, x);
  case tn::ActivationKind::ReLU:
    return selectPositive(k, x, one, k.constant(x.getType(), 0.0));
  case tn::ActivationKind::LeakyReLU:
    return selectPositive(k, x, one, k.constant(x.getType(), 0.01));
  case tn::ActivationKind::ELU:
  case tn::ActivationKind::OnePlusELU:
  case tn::ActivationKind::TwoPlusELU: {
    // Of the non-positive part alone: the other side could overflow.
    Value zero = k.constant(x.getType(), 0.0);
    Value negative = arith::MinimumFOp::create(b, x, zero);
    return selectPositive(k, x, one, math::ExpOp::create(b, negative));
  }
  }
  llvm_unreachable("unknown activation");
}

void kernels::buildActivationGrad(KernelBuilder &k, tn::ActivationKind kind,
                                  int64_t begin, int64_t end,
                                  const ActivationGradBuffers &in) {
  // Columns [from, to) of a row.
  auto segment = [&](Value row, int64_t from, int64_t to, bool isInside) {
    k.forColumns(
        to - from, k.sizes.panelWidth, [&](Value offset, int64_t width) {
          TilePlace place{row, k.add(offset, k.index(from)), 1, width,
                          /*columnsInBounds=*/true};
          Value tile = k.loadTile(in.dy, place);
          if (isInside)
            tile = arith::MulFOp::create(
                k.b, tile, derivative(k, kind, k.loadTile(in.x, place)));
          k.storeTile(tile, in.result, place);
        });
  };
  forRowsOfTask(k, in.rows, [&](Value row) {
    segment(row, 0, begin, false);
    segment(row, begin, end, true);
    segment(row, end, columnsOf(in.x), false);
  });
  k.finish();
}

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

// g = dy * weight, of a vector.
static Value scaledGradient(KernelBuilder &k, const NormGradBuffers &in,
                            Value row, Value column, int64_t width) {
  Value g = k.loadRow(in.dy, row, column, width);
  if (!in.weight)
    return g;
  return arith::MulFOp::create(k.b, g, k.loadRow(in.weight, {}, column, width));
}

// dx = r (g - y mean(g y) - mean(g)), the last for the layer norm alone.
void kernels::buildNormGrad(KernelBuilder &k, NormRule norm,
                            const NormGradBuffers &in) {
  ImplicitLocOpBuilder &b = k.b;
  int64_t columns = columnsOf(in.x);
  forRowsOfTask(k, in.rows, [&](Value row) {
    RowOfTiles tiles(k, in.x, row);
    RowStatistics statistics = statisticsOfRow(k, norm, tiles);
    auto g = [&](Value column, int64_t width) {
      return scaledGradient(k, in, row, column, width);
    };
    auto y = [&](Value column, int64_t width) {
      return normalise(k, statistics, k.loadRow(in.x, row, column, width));
    };
    auto mean = [&](Value sum) -> Value {
      return arith::DivFOp::create(b, sum, k.constant(b.getF32Type(), columns));
    };
    Value meanGY = mean(
        sumOfColumns(k, columns, [&](Value column, int64_t width) -> Value {
          return arith::MulFOp::create(b, g(column, width), y(column, width));
        }));
    Value meanG;
    if (norm.kind == tn::NormKind::Layer)
      meanG = mean(sumOfColumns(k, columns, g));
    k.forColumns(columns, k.sizes.panelWidth, [&](Value column, int64_t width) {
      auto type = VectorType::get({width}, b.getF32Type());
      Value projection =
          arith::MulFOp::create(b, y(column, width), k.broadcast(meanGY, type));
      Value tile = arith::SubFOp::create(b, g(column, width), projection);
      if (meanG)
        tile = arith::SubFOp::create(b, tile, k.broadcast(meanG, type));
      tile =
          arith::MulFOp::create(b, tile, k.broadcast(statistics.inverse, type));
      k.storeRow(tile, in.dx, row, column);
    });
  });
  k.finish();
}

void kernels::buildNormStatistics(KernelBuilder &k, NormRule norm, Value x,
                                  Value statistics, Value rows) {
  forRowsOfTask(k, rows, [&](Value row) {
    RowOfTiles tiles(k, x, row);
    RowStatistics values = statisticsOfRow(k, norm, tiles);
    Value mean = values.mean ? values.mean : k.constant(k.b.getF32Type(), 0.0);
    memref::StoreOp::create(k.b, mean, statistics, ValueRange{row, k.index(0)});
    memref::StoreOp::create(k.b, values.inverse, statistics,
                            ValueRange{row, k.index(1)});
  });
  k.finish();
}

//===----------------------------------------------------------------------===//
// Views and zeros
//===----------------------------------------------------------------------===//

static void zeroColumns(KernelBuilder &k, Value result, Value row, int64_t from,
                        int64_t to) {
  k.forColumns(to - from, k.sizes.panelWidth, [&](Value offset, int64_t width) {
    auto type = VectorType::get({width}, k.b.getF32Type());
    k.storeRow(k.constant(type, 0.0), result, row,
               k.add(offset, k.index(from)));
  });
}

void kernels::buildUnslice(KernelBuilder &k, ArrayRef<Value> pieces,
                           ArrayRef<int64_t> begins, Value result, Value rows) {
  forRowsOfTask(k, rows, [&](Value row) {
    int64_t end = 0; // of the pieces before
    for (auto [piece, begin] : llvm::zip(pieces, begins)) {
      zeroColumns(k, result, row, end, begin);
      k.forColumns(
          columnsOf(piece), k.sizes.panelWidth,
          [&, piece = piece, begin = begin](Value column, int64_t width) {
            k.storeRow(k.loadRow(piece, row, column, width), result, row,
                       k.add(column, k.index(begin)));
          });
      end = begin + columnsOf(piece);
    }
    zeroColumns(k, result, row, end, columnsOf(result));
  });
  k.finish();
}

void kernels::buildZeros(KernelBuilder &k, Value result, Value rows) {
  forRowsOfTask(k, rows, [&](Value row) {
    zeroColumns(k, result, row, 0, columnsOf(result));
  });
  k.finish();
}

void kernels::buildAccumulate(KernelBuilder &k, Value x, Value result) {
  auto shape = cast<MemRefType>(result.getType()).getShape();
  bool isVector = shape.size() == 1;
  auto ofRow = [&](Value row) { // null: the only one
    SmallVector<Value> indices;
    if (row)
      indices.push_back(row);
    k.forColumns(
        shape.back(), k.sizes.panelWidth, [&](Value column, int64_t width) {
          auto type = VectorType::get({width}, k.b.getF32Type());
          Value value = k.constant(type, 0.0);
          if (x)
            value = arith::AddFOp::create(k.b,
                                          k.loadRow(result, row, column, width),
                                          k.loadRow(x, row, column, width));
          SmallVector<Value> place(indices);
          place.push_back(column);
          vector::TransferWriteOp::create(k.b, value, result, place,
                                          ArrayRef<bool>{true});
        });
  };
  if (isVector)
    ofRow({});
  else
    forRowsOfTask(k, k.index(shape[0]), ofRow);
  k.finish();
}

//===----------------------------------------------------------------------===//
// LRPE
//===----------------------------------------------------------------------===//

// dx = dy1 cos(a) + dy2 sin(a)
void kernels::buildLRPEInputGrad(KernelBuilder &k, const LRPEGradBuffers &in) {
  ImplicitLocOpBuilder &b = k.b;
  auto positionOf = [&](Value row) {
    return positionOfRow(k, in.positions, in.length, row);
  };
  forHeadsOfTask(
      k, in.rows, in.heads, positionOf,
      [&](Value row, Value head, Value position) {
        Value from = k.mul(head, k.index(in.width));
        Value twice = k.mul(head, k.index(2 * in.width));
        k.forColumns(
            in.width, k.sizes.panelWidth, [&](Value column, int64_t width) {
              auto type = VectorType::get({width}, b.getF32Type());
              Value target = k.add(from, column), first = k.add(twice, column);
              Value second = k.add(first, k.index(in.width));
              Value angle = arith::MulFOp::create(
                  b, k.loadRow(in.theta, {}, target, width),
                  k.broadcast(position, type));
              Value cosine =
                  arith::MulFOp::create(b, k.loadRow(in.dy, row, first, width),
                                        math::CosOp::create(b, angle));
              Value sine =
                  arith::MulFOp::create(b, k.loadRow(in.dy, row, second, width),
                                        math::SinOp::create(b, angle));
              k.storeRow(arith::AddFOp::create(b, cosine, sine), in.output, row,
                         target);
            });
      });
  k.finish();
}
