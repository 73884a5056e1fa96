// The kernels of tn.softmax_attention and its adjoint on a GPU. A task is one
// head of one position: its query, or in the adjoint its key, stays in the
// registers of a warp, and what it is multiplied with passes by, a few
// positions at a time so that their sums over the head's columns overlap.
//
// They are what ablations of some hundred positions need: keys and values are
// read once a query, from the cache, and no tensor core takes part.
#include "BaselineKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <limits>

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// Positions that are multiplied together.
static constexpr int64_t kPositions = 4;

namespace {

// The task's head and position, and which positions it sees.
class SoftmaxRow {
public:
  SoftmaxRow(KernelBuilder &k, int64_t heads, int64_t keyWidth,
             int64_t valueWidth, int64_t block, Value length)
      : k(k), b(k.b), keyWidth(keyWidth), valueWidth(valueWidth) {
    row = k.div(k.task(), k.index(heads));
    head = k.rem(k.task(), k.index(heads));
    key = k.mul(head, k.index(keyWidth));
    value = k.mul(head, k.index(valueWidth));
    Value position = k.rem(row, length);
    Value sequence = k.sub(row, position);
    first = sequence;
    end = k.add(sequence, length);
    if (block <= 0)
      return;
    Value start = k.sub(position, k.rem(position, k.index(block)));
    first = k.add(sequence, start);
    end = k.min(end, k.add(first, k.index(block)));
  }

  Value loadKey(Value matrix, Value at) {
    return k.loadRow(matrix, at, key, keyWidth);
  }
  Value loadValue(Value matrix, Value at) {
    return k.loadRow(matrix, at, value, valueWidth);
  }
  Value times(Value x, double factor) {
    if (factor == 1.0)
      return x;
    return arith::MulFOp::create(b, x, k.constant(x.getType(), factor));
  }
  Value dot(Value x, Value y) {
    return vector::ReductionOp::create(b, vector::CombiningKind::ADD,
                                       arith::MulFOp::create(b, x, y));
  }
  // sum + factor x, a scalar times a vector.
  Value addTo(Value sum, Value factor, Value x) {
    auto type = cast<VectorType>(x.getType());
    return math::FmaOp::create(b, k.broadcast(factor, type), x, sum);
  }
  Value zeros(int64_t width) {
    return k.constant(VectorType::get({width}, b.getF32Type()), 0.0);
  }
  // exp(x - y)
  Value expOf(Value x, Value y) {
    return math::ExpOp::create(b, arith::SubFOp::create(b, x, y));
  }

  // Carries `sums` through positions [from, to), in order: `body` gets the
  // first of `count` of them.
  using Body = llvm::function_ref<void(Value at, int64_t count,
                                       MutableArrayRef<Value> sums)>;
  SmallVector<Value> forPositions(Value from, Value to, SmallVector<Value> sums,
                                  Body body);

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  const int64_t keyWidth, valueWidth;
  Value row, head;  // the task's
  Value key, value; // the head's first columns
  Value first, end; // rows of the task's sequence, or of its block
};

} // namespace

SmallVector<Value> SoftmaxRow::forPositions(Value from, Value to,
                                            SmallVector<Value> sums,
                                            Body body) {
  auto loop = [&](Value begin, Value stop, int64_t count) {
    auto made = scf::ForOp::create(b, begin, stop, k.index(count), sums);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(made.getBody());
    SmallVector<Value> next =
        llvm::to_vector_of<Value>(made.getRegionIterArgs());
    body(made.getInductionVar(), count, next);
    scf::YieldOp::create(b, next);
    sums = llvm::to_vector_of<Value>(made.getResults());
  };
  Value extent = k.sub(to, from);
  Value whole = k.sub(to, k.rem(extent, k.index(kPositions)));
  loop(from, whole, kPositions);
  loop(whole, to, 1);
  return sums;
}

//===----------------------------------------------------------------------===//
// Forward
//===----------------------------------------------------------------------===//

// The largest product so far, the sum of exponentials and the output, both
// relative to it.
void kernels::buildSoftmaxOfRow(KernelBuilder &k, const SoftmaxBuffers &in) {
  SoftmaxRow at(k, in.heads, in.keyWidth, in.valueWidth, in.block, in.length);
  ImplicitLocOpBuilder &b = k.b;
  Type f32 = b.getF32Type();
  Value query = at.times(at.loadKey(in.q, at.row), in.scale);
  Value none = k.constant(f32, -std::numeric_limits<double>::infinity());
  SmallVector<Value> sums = at.forPositions(
      at.first, k.add(at.row, k.index(1)),
      {none, k.constant(f32, 0.0), at.zeros(in.valueWidth)},
      [&](Value from, int64_t count, MutableArrayRef<Value> sums) {
        SmallVector<Value> products, values;
        for (int64_t i = 0; i < count; ++i) {
          Value position = k.add(from, k.index(i));
          products.push_back(at.dot(query, at.loadKey(in.k, position)));
          values.push_back(at.loadValue(in.v, position));
        }
        Value largest = sums[0];
        for (Value product : products)
          largest = arith::MaximumFOp::create(b, largest, product);
        Value factor = at.expOf(sums[0], largest);
        sums[0] = largest;
        sums[1] = arith::MulFOp::create(b, sums[1], factor);
        sums[2] = arith::MulFOp::create(
            b, sums[2],
            k.broadcast(factor, cast<VectorType>(sums[2].getType())));
        for (auto [product, value] : llvm::zip_equal(products, values)) {
          Value weight = at.expOf(product, largest);
          sums[1] = arith::AddFOp::create(b, sums[1], weight);
          sums[2] = at.addTo(sums[2], weight, value);
        }
      });
  auto type = cast<VectorType>(sums[2].getType());
  k.storeRow(arith::DivFOp::create(b, sums[2], k.broadcast(sums[1], type)),
             in.out, at.row, at.value);
  if (in.logSumExp)
    memref::StoreOp::create(
        b, arith::AddFOp::create(b, sums[0], math::LogOp::create(b, sums[1])),
        in.logSumExp, ValueRange{at.row, at.head});
  k.finish();
}

//===----------------------------------------------------------------------===//
// Adjoint
//===----------------------------------------------------------------------===//

// dz = p (dout . v - c), and p where somebody wants it.
static Value productGradient(SoftmaxRow &at, const SoftmaxGradBuffers &in,
                             Value product, Value gradient, Value logSumExp,
                             Value mean, Value *weight = nullptr) {
  Value p = at.expOf(at.times(product, in.scale), logSumExp);
  if (weight)
    *weight = p;
  return arith::MulFOp::create(at.b, p,
                               arith::SubFOp::create(at.b, gradient, mean));
}

void kernels::buildSoftmaxGradOfQuery(KernelBuilder &k,
                                      const SoftmaxGradBuffers &in,
                                      Value means) {
  SoftmaxRow at(k, in.heads, in.keyWidth, in.valueWidth, in.block, in.length);
  ImplicitLocOpBuilder &b = k.b;
  Value query = at.loadKey(in.q, at.row), dout = at.loadValue(in.dout, at.row);
  Value mean = at.dot(dout, at.loadValue(in.out, at.row));
  memref::StoreOp::create(b, mean, means, ValueRange{at.row, at.head});
  Value logSumExp = k.loadScalar(in.logSumExp, {at.row, at.head});
  SmallVector<Value> sums = at.forPositions(
      at.first, k.add(at.row, k.index(1)), {at.zeros(in.keyWidth)},
      [&](Value from, int64_t count, MutableArrayRef<Value> sums) {
        SmallVector<Value> keys, products, gradients;
        for (int64_t i = 0; i < count; ++i) {
          Value position = k.add(from, k.index(i));
          keys.push_back(at.loadKey(in.k, position));
          products.push_back(at.dot(query, keys.back()));
          gradients.push_back(at.dot(dout, at.loadValue(in.v, position)));
        }
        for (auto [key, product, gradient] :
             llvm::zip_equal(keys, products, gradients))
          sums[0] = at.addTo(
              sums[0],
              productGradient(at, in, product, gradient, logSumExp, mean), key);
      });
  k.storeRow(at.times(sums[0], in.scale), in.dq, at.row, at.key);
  k.finish();
}

void kernels::buildSoftmaxGradOfKey(KernelBuilder &k,
                                    const SoftmaxGradBuffers &in, Value means) {
  SoftmaxRow at(k, in.heads, in.keyWidth, in.valueWidth, in.block, in.length);
  Value key = at.loadKey(in.k, at.row), value = at.loadValue(in.v, at.row);
  SmallVector<Value> sums = at.forPositions(
      at.row, at.end, {at.zeros(in.keyWidth), at.zeros(in.valueWidth)},
      [&](Value from, int64_t count, MutableArrayRef<Value> sums) {
        SmallVector<Value> positions, queries, douts, products, gradients;
        for (int64_t i = 0; i < count; ++i) {
          Value position = k.add(from, k.index(i));
          positions.push_back(position);
          queries.push_back(at.loadKey(in.q, position));
          douts.push_back(at.loadValue(in.dout, position));
          products.push_back(at.dot(key, queries.back()));
          gradients.push_back(at.dot(value, douts.back()));
        }
        for (int64_t i = 0; i < count; ++i) {
          Value logSumExp = k.loadScalar(in.logSumExp, {positions[i], at.head});
          Value mean = k.loadScalar(means, {positions[i], at.head});
          Value weight;
          Value gradient = productGradient(at, in, products[i], gradients[i],
                                           logSumExp, mean, &weight);
          sums[0] = at.addTo(sums[0], gradient, queries[i]);
          sums[1] = at.addTo(sums[1], weight, douts[i]);
        }
      });
  k.storeRow(at.times(sums[0], in.scale), in.dk, at.row, at.key);
  k.storeRow(sums[1], in.dv, at.row, at.value);
  k.finish();
}
