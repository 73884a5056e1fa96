// The adjoint of lightning attention in its three forms.
#include "tnllm/Reference/Ops.h"

#include <cmath>

using namespace tnllm;
using namespace tnllm::reference;

namespace {

using Row = llvm::MutableArrayRef<double>;

double dot(llvm::ArrayRef<double> a, llvm::ArrayRef<double> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i)
    sum += a[i] * b[i];
  return sum;
}

void addScaled(Row sum, double factor, llvm::ArrayRef<double> x) {
  for (size_t i = 0; i < x.size(); ++i)
    sum[i] += factor * x[i];
}

// One head of one sequence. R is what the positions behind say of the state:
// it lives where dState is returned.
class Head {
public:
  Head(const AttentionOperands &in, const Tensor &dout,
       AttentionGradients &results, int64_t b, int64_t h)
      : in(in), dout(dout), results(results), b(b), h(h), slope(in.slopes[h]) {}

  int64_t length() const { return in.q.dim(1); }
  int64_t keyWidth() const { return in.q.dim(3); }
  int64_t valueWidth() const { return in.v.dim(3); }
  double decay(int64_t n) const { return std::exp(-slope * n); }

  llvm::ArrayRef<double> q(int64_t t) const { return in.q.row(rowOf(t)); }
  llvm::ArrayRef<double> k(int64_t t) const { return in.k.row(rowOf(t)); }
  llvm::ArrayRef<double> v(int64_t t) const { return in.v.row(rowOf(t)); }
  llvm::ArrayRef<double> dO(int64_t t) const { return dout.row(rowOf(t)); }
  Row dq(int64_t t) { return results.dq.row(rowOf(t)); }
  Row dk(int64_t t) { return results.dk.row(rowOf(t)); }
  Row dv(int64_t t) { return results.dv.row(rowOf(t)); }
  Row r(int64_t i) { return results.dState.row(stateRow(i)); }

  // The states S_{-1}, S_0, ... of the forward, each [Dk, Dv].
  std::vector<Tensor> states() const {
    Tensor state({keyWidth(), valueWidth()});
    for (int64_t i = 0; i < keyWidth(); ++i)
      addScaled(state.row(i), 1, in.state.row(stateRow(i)));
    std::vector<Tensor> all = {state};
    for (int64_t t = 0; t < length(); ++t) {
      for (int64_t i = 0; i < keyWidth(); ++i)
        for (int64_t j = 0; j < valueWidth(); ++j)
          state.row(i)[j] = decay(1) * state.row(i)[j] + k(t)[i] * v(t)[j];
      all.push_back(state);
    }
    return all;
  }

  // R += factor q_t dO_t^T
  void addOuter(int64_t t, double factor) {
    for (int64_t i = 0; i < keyWidth(); ++i)
      addScaled(r(i), factor * q(t)[i], dO(t));
  }
  void scaleR(double factor) {
    for (int64_t i = 0; i < keyWidth(); ++i)
      for (double &value : r(i))
        value *= factor;
  }
  // dq_t += factor S dO_t
  void readState(int64_t t, const Tensor &state, double factor) {
    for (int64_t i = 0; i < keyWidth(); ++i)
      dq(t)[i] += factor * dot(state.row(i), dO(t));
  }
  // dk_t += factor R v_t, dv_t += factor R^T k_t
  void readR(int64_t t, double factor) {
    for (int64_t i = 0; i < keyWidth(); ++i) {
      dk(t)[i] += factor * dot(r(i), v(t));
      addScaled(dv(t), factor * k(t)[i], r(i));
    }
  }
  // What the pair of a query t and a key s <= t contributes.
  void addPair(int64_t t, int64_t s, double factor) {
    double dp = factor * dot(dO(t), v(s));
    addScaled(dq(t), dp, k(s));
    addScaled(dk(s), dp, q(t));
    addScaled(dv(s), factor * dot(q(t), k(s)), dO(t));
  }

private:
  int64_t rowOf(int64_t t) const {
    return (b * length() + t) * in.q.dim(2) + h;
  }
  int64_t stateRow(int64_t i) const {
    return (b * in.q.dim(2) + h) * in.q.dim(3) + i;
  }

  const AttentionOperands &in;
  const Tensor &dout;
  AttentionGradients &results;
  int64_t b, h;
  double slope;
};

AttentionGradients forEachHead(const AttentionOperands &in, const Tensor &dout,
                               const Tensor *dNewState,
                               llvm::function_ref<void(Head &)> compute) {
  AttentionGradients results{Tensor(in.q.shape()), Tensor(in.k.shape()),
                             Tensor(in.v.shape()),
                             dNewState ? *dNewState : Tensor(in.state.shape())};
  for (int64_t b = 0; b < in.q.dim(0); ++b)
    for (int64_t h = 0; h < in.q.dim(2); ++h) {
      Head head(in, dout, results, b, h);
      compute(head);
    }
  return results;
}

} // namespace

AttentionGradients
reference::attentionGradRecurrent(const AttentionOperands &in,
                                  const Tensor &dout, const Tensor *dNewState) {
  return forEachHead(in, dout, dNewState, [&](Head &head) {
    std::vector<Tensor> states = head.states();
    for (int64_t t = head.length() - 1; t >= 0; --t) {
      head.addOuter(t, in.scale);
      head.readState(t, states[t + 1], in.scale);
      head.readR(t, 1);
      head.scaleR(head.decay(1));
    }
  });
}

AttentionGradients
reference::attentionGradQuadratic(const AttentionOperands &in,
                                  const Tensor &dout, const Tensor *dNewState) {
  return attentionGradChunked(in, dout, dNewState, in.q.dim(1));
}

AttentionGradients reference::attentionGradChunked(const AttentionOperands &in,
                                                   const Tensor &dout,
                                                   const Tensor *dNewState,
                                                   int64_t chunk) {
  return forEachHead(in, dout, dNewState, [&](Head &head) {
    std::vector<Tensor> states = head.states();
    for (int64_t begin = (head.length() - 1) / chunk * chunk; begin >= 0;
         begin -= chunk) {
      int64_t size = std::min(chunk, head.length() - begin);
      for (int64_t i = 0; i < size; ++i) {
        head.readState(begin + i, states[begin], in.scale * head.decay(i + 1));
        head.readR(begin + i, head.decay(size - 1 - i));
        for (int64_t j = 0; j <= i; ++j)
          head.addPair(begin + i, begin + j, in.scale * head.decay(i - j));
      }
      head.scaleR(head.decay(size));
      for (int64_t i = 0; i < size; ++i)
        head.addOuter(begin + i, in.scale * head.decay(i + 1));
    }
  });
}
