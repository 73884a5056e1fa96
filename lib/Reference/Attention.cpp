// Lightning attention in its three forms.
#include "tnllm/Reference/Ops.h"

#include <cmath>

using namespace tnllm;
using namespace tnllm::reference;

namespace {

// One head of one sequence: rows by position, and the state.
class Head {
public:
  Head(const AttentionOperands &in, AttentionResults &results, int64_t b,
       int64_t h)
      : in(in), results(results), b(b), h(h), slope(in.slopes[h]) {}

  int64_t length() const { return in.q.dim(1); }
  int64_t keyWidth() const { return in.q.dim(3); }
  int64_t valueWidth() const { return in.v.dim(3); }

  llvm::ArrayRef<double> q(int64_t t) const { return in.q.row(rowOf(t)); }
  llvm::ArrayRef<double> k(int64_t t) const { return in.k.row(rowOf(t)); }
  llvm::ArrayRef<double> v(int64_t t) const { return in.v.row(rowOf(t)); }
  llvm::MutableArrayRef<double> out(int64_t t) {
    return results.out.row(rowOf(t));
  }
  // Row i of S, which holds the state as the walk goes on; [Dk, Dv].
  llvm::MutableArrayRef<double> state(int64_t i) {
    return results.newState.row((b * in.q.dim(2) + h) * keyWidth() + i);
  }
  // lambda^n, never by multiplying: it must not drift over long distances.
  double decay(int64_t n) const { return std::exp(-slope * n); }

  // out_t += factor * S^T q_t
  void readState(int64_t t, double factor) {
    for (int64_t i = 0; i < keyWidth(); ++i)
      for (int64_t j = 0; j < valueWidth(); ++j)
        out(t)[j] += factor * q(t)[i] * state(i)[j];
  }
  // S = factor * S
  void scaleState(double factor) {
    for (int64_t i = 0; i < keyWidth(); ++i)
      for (double &value : state(i))
        value *= factor;
  }
  // S += factor * k_t v_t^T
  void writeState(int64_t t, double factor) {
    for (int64_t i = 0; i < keyWidth(); ++i)
      for (int64_t j = 0; j < valueWidth(); ++j)
        state(i)[j] += factor * k(t)[i] * v(t)[j];
  }
  // out_t += factor * (q_t . k_s) v_s
  void addPair(int64_t t, int64_t s, double factor) {
    double product = 0;
    for (int64_t i = 0; i < keyWidth(); ++i)
      product += q(t)[i] * k(s)[i];
    for (int64_t j = 0; j < valueWidth(); ++j)
      out(t)[j] += factor * product * v(s)[j];
  }

private:
  int64_t rowOf(int64_t t) const {
    return (b * length() + t) * in.q.dim(2) + h;
  }

  const AttentionOperands &in;
  AttentionResults &results;
  int64_t b, h;
  double slope;
};

} // namespace

static AttentionResults forEachHead(const AttentionOperands &in,
                                    llvm::function_ref<void(Head &)> compute) {
  AttentionResults results{Tensor(in.v.shape()), in.state};
  for (int64_t b = 0; b < in.q.dim(0); ++b)
    for (int64_t h = 0; h < in.q.dim(2); ++h) {
      Head head(in, results, b, h);
      compute(head);
    }
  for (int64_t i = 0; i < results.out.size(); ++i)
    results.out[i] *= in.scale;
  return results;
}

AttentionResults reference::attentionRecurrent(const AttentionOperands &in) {
  return forEachHead(in, [](Head &head) {
    for (int64_t t = 0; t < head.length(); ++t) {
      head.scaleState(head.decay(1));
      head.writeState(t, 1);
      head.readState(t, 1);
    }
  });
}

AttentionResults reference::attentionQuadratic(const AttentionOperands &in) {
  return forEachHead(in, [](Head &head) {
    int64_t length = head.length();
    for (int64_t t = 0; t < length; ++t) {
      head.readState(t, head.decay(t + 1));
      for (int64_t s = 0; s <= t; ++s)
        head.addPair(t, s, head.decay(t - s));
    }
    head.scaleState(head.decay(length));
    for (int64_t t = 0; t < length; ++t)
      head.writeState(t, head.decay(length - 1 - t));
  });
}

AttentionResults reference::attentionChunked(const AttentionOperands &in,
                                             int64_t chunk) {
  return forEachHead(in, [chunk](Head &head) {
    for (int64_t begin = 0; begin < head.length(); begin += chunk) {
      int64_t size = std::min(chunk, head.length() - begin);
      for (int64_t i = 0; i < size; ++i) {
        head.readState(begin + i, head.decay(i + 1));
        for (int64_t j = 0; j <= i; ++j)
          head.addPair(begin + i, begin + j, head.decay(i - j));
      }
      head.scaleState(head.decay(size));
      for (int64_t j = 0; j < size; ++j)
        head.writeState(begin + j, head.decay(size - 1 - j));
    }
  });
}

bool reference::areOffsets(const Tensor &offsets, int64_t rows) {
  if (offsets.size() < 1 || offsets[0] != 0 ||
      offsets[offsets.size() - 1] != static_cast<double>(rows))
    return false;
  for (int64_t s = 1; s < offsets.size(); ++s)
    if (!(offsets[s] >= offsets[s - 1]))
      return false;
  return true;
}

// Each sequence by itself, as a batch of one.
AttentionResults reference::attentionPacked(const AttentionOperands &in,
                                            const Tensor &offsets) {
  AttentionResults all{Tensor(in.v.shape()), in.state};
  // Rows [begin, begin + count) of the first dimension, in the shape given.
  auto piece = [](const Tensor &from, int64_t begin,
                  llvm::ArrayRef<int64_t> shape) {
    Tensor to{shape};
    int64_t step = from.size() / std::max<int64_t>(from.dim(0), 1);
    for (int64_t i = 0; i < to.size(); ++i)
      to[i] = from[begin * step + i];
    return to;
  };
  auto putBack = [](const Tensor &from, Tensor &to, int64_t begin) {
    int64_t step = to.size() / std::max<int64_t>(to.dim(0), 1);
    for (int64_t i = 0; i < from.size(); ++i)
      to[begin * step + i] = from[i];
  };
  for (int64_t s = 0; s + 1 < offsets.size(); ++s) {
    auto begin = static_cast<int64_t>(offsets[s]);
    auto count = static_cast<int64_t>(offsets[s + 1]) - begin;
    if (count == 0)
      continue;
    int64_t heads = in.q.dim(2), keys = in.q.dim(3), values = in.v.dim(3);
    Tensor q = piece(in.q, begin, {1, count, heads, keys});
    Tensor k = piece(in.k, begin, {1, count, heads, keys});
    Tensor v = piece(in.v, begin, {1, count, heads, values});
    Tensor state = piece(in.state, s, {1, heads, keys, values});
    AttentionResults one =
        attentionRecurrent({q, k, v, in.slopes, state, in.scale});
    putBack(one.out, all.out, begin);
    putBack(one.newState, all.newState, s);
  }
  return all;
}
