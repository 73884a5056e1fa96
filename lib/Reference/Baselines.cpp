// What ablations and baselines need: positions, RoPE and softmax attention in
// its two forms, with its adjoint.
#include "tnllm/Reference/Ops.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace tnllm;
using namespace tnllm::reference;

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

Tensor reference::positionIds(const Tensor &positions, int64_t length) {
  Tensor result({positions.dim(0), length});
  for (int64_t b = 0; b < positions.dim(0); ++b)
    for (int64_t n = 0; n < length; ++n)
      result.row(b)[n] = positions[b] + n;
  return result;
}

Tensor reference::rope(const Tensor &x, const Tensor &theta,
                       const Tensor &positions, bool inverse,
                       bool roundAngles) {
  Tensor result(x.shape());
  int64_t length = x.dim(1), heads = x.dim(2), half = x.dim(3) / 2;
  for (int64_t i = 0; i < x.rows(); ++i) {
    int64_t n = i / heads % length, b = i / heads / length;
    for (int64_t d = 0; d < half; ++d) {
      double angle = lrpeAngle(positions[b] + n, theta[d], roundAngles);
      double cosine = std::cos(angle), sine = std::sin(angle);
      if (inverse)
        sine = -sine;
      double first = x.row(i)[d], second = x.row(i)[half + d];
      result.row(i)[d] = first * cosine - second * sine;
      result.row(i)[half + d] = second * cosine + first * sine;
    }
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Softmax attention
//===----------------------------------------------------------------------===//

namespace {

using Row = llvm::ArrayRef<double>;

double dot(Row a, Row b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i)
    sum += a[i] * b[i];
  return sum;
}

void addScaled(llvm::MutableArrayRef<double> sum, double factor, Row x) {
  for (size_t i = 0; i < x.size(); ++i)
    sum[i] += factor * x[i];
}

// One head of one sequence; queries by their number n in the call, keys by
// their position s.
class Head {
public:
  Head(const SoftmaxOperands &in, int64_t b, int64_t h)
      : in(in), b(b), h(h),
        first(in.positions ? static_cast<int64_t>((*in.positions)[b]) : 0) {}

  int64_t length() const { return in.q.dim(1); }
  // Of the matrices of q, k, v and what has their shape.
  int64_t rowOf(int64_t n) const {
    return (b * length() + n) * in.q.dim(2) + h;
  }
  int64_t position(int64_t n) const { return first + n; }
  // The first position that the query n sees.
  int64_t begin(int64_t n) const {
    return in.block == 0 ? 0 : position(n) / in.block * in.block;
  }
  int64_t cacheRow(int64_t s) const {
    int64_t rows = in.cache->dim(2);
    return (b * in.q.dim(2) + h) * rows + s % rows;
  }

  Row q(int64_t n) const { return in.q.row(rowOf(n)); }
  Row key(int64_t s) const {
    return s < first ? in.cache->row(cacheRow(s)).take_front(in.k.dim(3))
                     : in.k.row(rowOf(s - first));
  }
  Row value(int64_t s) const {
    return s < first ? in.cache->row(cacheRow(s)).drop_front(in.k.dim(3))
                     : in.v.row(rowOf(s - first));
  }
  double product(int64_t n, int64_t s) const {
    return in.scale * dot(q(n), key(s));
  }

private:
  const SoftmaxOperands &in;
  int64_t b, h;
  int64_t first;
};

void forEachHead(const SoftmaxOperands &in,
                 llvm::function_ref<void(const Head &)> compute) {
  for (int64_t b = 0; b < in.q.dim(0); ++b)
    for (int64_t h = 0; h < in.q.dim(2); ++h)
      compute(Head(in, b, h));
}

SoftmaxResults emptyResults(const SoftmaxOperands &in) {
  return {Tensor(in.v.shape()), Tensor(in.q.shape().drop_back()),
          in.cache ? *in.cache : Tensor()};
}

void updateCache(const SoftmaxOperands &in, const Head &head,
                 SoftmaxResults &results) {
  if (!in.cache)
    return;
  for (int64_t n = 0; n < head.length(); ++n) {
    int64_t s = head.position(n);
    llvm::MutableArrayRef<double> row = results.newCache.row(head.cacheRow(s));
    llvm::copy(head.key(s), row.begin());
    llvm::copy(head.value(s), row.begin() + in.k.dim(3));
  }
}

} // namespace

SoftmaxResults reference::softmaxAttention(const SoftmaxOperands &in) {
  SoftmaxResults results = emptyResults(in);
  forEachHead(in, [&](const Head &head) {
    for (int64_t n = 0; n < head.length(); ++n) {
      double largest = -std::numeric_limits<double>::infinity(), sum = 0;
      for (int64_t s = head.begin(n); s <= head.position(n); ++s)
        largest = std::max(largest, head.product(n, s));
      for (int64_t s = head.begin(n); s <= head.position(n); ++s)
        sum += std::exp(head.product(n, s) - largest);
      double logSumExp = largest + std::log(sum);
      results.logSumExp[head.rowOf(n)] = logSumExp;
      for (int64_t s = head.begin(n); s <= head.position(n); ++s)
        addScaled(results.out.row(head.rowOf(n)),
                  std::exp(head.product(n, s) - logSumExp), head.value(s));
    }
    updateCache(in, head, results);
  });
  return results;
}

SoftmaxResults reference::softmaxAttentionOnline(const SoftmaxOperands &in,
                                                 int64_t chunk) {
  SoftmaxResults results = emptyResults(in);
  forEachHead(in, [&](const Head &head) {
    for (int64_t n = 0; n < head.length(); ++n) {
      double largest = -std::numeric_limits<double>::infinity(), sum = 0;
      llvm::MutableArrayRef<double> out = results.out.row(head.rowOf(n));
      for (int64_t from = head.begin(n); from <= head.position(n);
           from += chunk) {
        int64_t to = std::min(from + chunk, head.position(n) + 1);
        double before = largest;
        for (int64_t s = from; s < to; ++s)
          largest = std::max(largest, head.product(n, s));
        double factor = std::exp(before - largest);
        sum *= factor;
        for (double &value : out)
          value *= factor;
        for (int64_t s = from; s < to; ++s) {
          double p = std::exp(head.product(n, s) - largest);
          sum += p;
          addScaled(out, p, head.value(s));
        }
      }
      for (double &value : out)
        value /= sum;
      results.logSumExp[head.rowOf(n)] = largest + std::log(sum);
    }
    updateCache(in, head, results);
  });
  return results;
}

// With the weights p of a query's keys and c, the mean of dout . v under them.
static SoftmaxGradients gradientsFrom(
    const SoftmaxOperands &in, const Tensor &dout,
    llvm::function_ref<double(const Head &, int64_t n, int64_t s)> weight,
    llvm::function_ref<double(const Head &, int64_t n)> mean) {
  SoftmaxGradients results{Tensor(in.q.shape()), Tensor(in.k.shape()),
                           Tensor(in.v.shape())};
  forEachHead(in, [&](const Head &head) {
    for (int64_t n = 0; n < head.length(); ++n) {
      Row gradient = dout.row(head.rowOf(n));
      double c = mean(head, n);
      for (int64_t s = head.begin(n); s <= n; ++s) {
        double p = weight(head, n, s);
        double dz = in.scale * p * (dot(gradient, head.value(s)) - c);
        addScaled(results.dq.row(head.rowOf(n)), dz, head.key(s));
        addScaled(results.dk.row(head.rowOf(s)), dz, head.q(n));
        addScaled(results.dv.row(head.rowOf(s)), p, gradient);
      }
    }
  });
  return results;
}

SoftmaxGradients reference::softmaxAttentionGrad(const SoftmaxOperands &in,
                                                 const Tensor &out,
                                                 const Tensor &logSumExp,
                                                 const Tensor &dout) {
  return gradientsFrom(
      in, dout,
      [&](const Head &head, int64_t n, int64_t s) {
        return std::exp(head.product(n, s) - logSumExp[head.rowOf(n)]);
      },
      [&](const Head &head, int64_t n) {
        return dot(dout.row(head.rowOf(n)), out.row(head.rowOf(n)));
      });
}

SoftmaxGradients
reference::softmaxAttentionGradDirect(const SoftmaxOperands &in,
                                      const Tensor &dout) {
  auto weight = [](const Head &head, int64_t n, int64_t s) {
    double sum = 0; // of exp(z - z_ns)
    for (int64_t other = head.begin(n); other <= n; ++other)
      sum += std::exp(head.product(n, other) - head.product(n, s));
    return 1 / sum;
  };
  return gradientsFrom(in, dout, weight, [&](const Head &head, int64_t n) {
    double c = 0;
    for (int64_t s = head.begin(n); s <= n; ++s)
      c += weight(head, n, s) * dot(dout.row(head.rowOf(n)), head.value(s));
    return c;
  });
}
