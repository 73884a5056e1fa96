// One function for each operation of the tn dialect, in f64, written from the
// definitions in docs/Spec.md and not for speed. Shapes must satisfy the
// verifiers' constraints; the interpreter checks what only the run can tell.
#ifndef TNLLM_REFERENCE_OPS_H
#define TNLLM_REFERENCE_OPS_H

#include "TN/TNDialect.h"
#include "tnllm/Reference/Tensor.h"

namespace tnllm::reference {

// ids [...] -> [..., D]: scale * table[id, :]. The ids are rows of the table.
Tensor embedding(const Tensor &ids, const Tensor &table, double scale);

// x [..., K], weight [N, K], scales [N] or [N, K / 128] or null, bias [N] or
// null
// -> [..., N]: scales * (x W^T) + b, a group's scale times the group's sum.
Tensor linear(const Tensor &x, const Tensor &weight, const Tensor *scales,
              const Tensor *bias);

// The numbers of a quantised parameter w [N, K], in f32 as the definition says
// (tn.row_scales): scales, [N] or [N, K / 128] of i4, are the largest magnitude
// of their columns / L, at least the smallest normal f32, and 1 for zeros, with
// L the largest value of `element`: i8, f8E4M3FN or i4; the quantised row is w
// / scale, rounded to nearest even among the element's values.
Tensor rowScales(const Tensor &w, mlir::Type element);
Tensor quantiseRows(const Tensor &w, const Tensor &scales, mlir::Type element);

Tensor add(const Tensor &a, const Tensor &b);
Tensor mul(const Tensor &a, const Tensor &b);

double activate(tn::ActivationKind kind, double x);
// Applies `kind` to the columns [begin, end) of the last dimension.
Tensor activation(tn::ActivationKind kind, const Tensor &x, int64_t begin,
                  int64_t end);

// exp(x - max(x)), the maximum over the last dimension.
Tensor shiftedExp(const Tensor &x);

// logits [R, V], settings [R, 5] as tn.sample says -> tokens [R].
Tensor sample(const Tensor &logits, const Tensor &settings);

// Each element to f32, then to the nearest bf16, ties to even.
Tensor roundToBF16(const Tensor &x);

// Each `group` columns rounded to s * q with |q| <= 127, in f32 as the
// definition says (tn.round_groups): s is their largest magnitude / 127, at
// least the smallest normal f32, q is x / s rounded to nearest even.
Tensor roundGroups(const Tensor &x, int64_t group);

// x [..., D], weight and bias [D] or null.
Tensor norm(tn::NormKind kind, const Tensor &x, const Tensor *weight,
            const Tensor *bias, double epsilon);

// Columns [begin, end) of the last dimension.
Tensor slice(const Tensor &x, int64_t begin, int64_t end);

// [heads], rounded to f32 as the constants of a program are (arXiv
// 2307.14995, 3.1.1).
Tensor decaySlopes(tn::DecayAttr rule, int64_t heads);

// The angle of LRPE. The published code has position and angle in f32: far out,
// the rounding is part of the model. Unrounded, the angle can be
// differentiated.
double lrpeAngle(double position, double theta, bool rounded);

// x [B, N, H, d], theta [H, 1, d], positions [B] -> [B, N, H, 2d].
Tensor lrpe(const Tensor &x, const Tensor &theta, const Tensor &positions,
            bool roundAngles = true);

// q, k [B, N, H, Dk]; v [B, N, H, Dv]; slopes [H]; state [B, H, Dk, Dv].
struct AttentionOperands {
  const Tensor &q, &k, &v, &slopes, &state;
  double scale = 1;
};
struct AttentionResults {
  Tensor out;      // [B, N, H, Dv]
  Tensor newState; // [B, H, Dk, Dv]
};

// Lightning attention three times over. The recurrence is the definition:
//   S_t = lambda S_{t-1} + k_t v_t^T,  out_t = scale S_t^T q_t.
AttentionResults attentionRecurrent(const AttentionOperands &in);
// The sum over all pairs of positions, in O(N^2):
//   out_t = scale (sum_{s<=t} lambda^(t-s) (q_t . k_s) v_s + lambda^(t+1) S^T
//   q_t).
AttentionResults attentionQuadratic(const AttentionOperands &in);
// Of packed sequences: rows [R, 1, H, d], offsets [S + 1] (areOffsets), states
// [S, H, Dk, Dv].
AttentionResults attentionPacked(const AttentionOperands &in,
                                 const Tensor &offsets);
// Whether they begin with 0, never fall and end with `rows`.
bool areOffsets(const Tensor &offsets, int64_t rows);
// Chunks of `chunk` positions (arXiv 2401.04658):
//   out = [(Q K^T) . M] V + Lambda Q S,  S' = lambda^C S +
//   (diag(lambda^(C-1-j)) K)^T V.
AttentionResults attentionChunked(const AttentionOperands &in, int64_t chunk);

//===----------------------------------------------------------------------===//
// What training needs
//===----------------------------------------------------------------------===//

// x [..., D], weight [V, D], labels [...] -> loss [1], logSumExp [...].
struct CrossEntropyResults {
  Tensor loss, logSumExp;
};
CrossEntropyResults crossEntropy(const Tensor &x, const Tensor &weight,
                                 const Tensor &labels);

struct CrossEntropyGradients {
  Tensor dx, dweight;
};
CrossEntropyGradients crossEntropyGrad(const Tensor &x, const Tensor &weight,
                                       const Tensor &labels,
                                       const Tensor &logSumExp,
                                       double gradient);

// dy [..., N], weight [N, K] -> dy W, [..., K].
Tensor linearInputGrad(const Tensor &dy, const Tensor &weight);
// dy [..., N], x [..., K] -> dy^T x, [N, K].
Tensor linearWeightGrad(const Tensor &dy, const Tensor &x);
// [..., N] -> [N].
Tensor sumRows(const Tensor &x);
// ids [...], dy [..., D] -> [vocabulary, D]; the row `padding` is zero, -1:
// none.
Tensor embeddingGrad(const Tensor &ids, const Tensor &dy, int64_t vocabulary,
                     double scale, int64_t padding);

// The derivative, at a kink the one from below.
double activationDerivative(tn::ActivationKind kind, double x);
Tensor activationGrad(tn::ActivationKind kind, const Tensor &x,
                      const Tensor &dy, int64_t begin, int64_t end);

// x and dy [..., D], weight [D] or null.
Tensor normGrad(tn::NormKind kind, const Tensor &x, const Tensor *weight,
                const Tensor &dy, double epsilon);
Tensor normWeightGrad(tn::NormKind kind, const Tensor &x, const Tensor &dy,
                      double epsilon);

// Pieces [..., w] side by side in [..., width], zero elsewhere.
Tensor unslice(llvm::ArrayRef<const Tensor *> pieces,
               llvm::ArrayRef<int64_t> begins, int64_t width);

struct LRPEGradients {
  Tensor dx, dtheta;
};
// dy [B, N, H, 2d].
LRPEGradients lrpeGrad(const Tensor &x, const Tensor &theta,
                       const Tensor &positions, const Tensor &dy,
                       bool roundAngles = true);

// dout [B, N, H, Dv]; dNewState as the state, or null for zeros.
struct AttentionGradients {
  Tensor dq, dk, dv, dState;
};
// The adjoint of the recurrence, in the three forms of the forward; dState is
// the gradient of `in.state`. The recurrence walked backwards is the definition
// (tn.lightning_attention_grad).
AttentionGradients attentionGradRecurrent(const AttentionOperands &in,
                                          const Tensor &dout,
                                          const Tensor *dNewState);
AttentionGradients attentionGradQuadratic(const AttentionOperands &in,
                                          const Tensor &dout,
                                          const Tensor *dNewState);
AttentionGradients attentionGradChunked(const AttentionOperands &in,
                                        const Tensor &dout,
                                        const Tensor *dNewState, int64_t chunk);

//===----------------------------------------------------------------------===//
// What ablations and baselines need
//===----------------------------------------------------------------------===//

// positions [B] -> [B, length]: positions[b] + n.
Tensor positionIds(const Tensor &positions, int64_t length);

// x [B, N, H, d], theta [d / 2], positions [B].
Tensor rope(const Tensor &x, const Tensor &theta, const Tensor &positions,
            bool inverse, bool roundAngles = true);

// q, k [B, N, H, Dk]; v [B, N, H, Dv]. A cache [B, H, R, Dk + Dv] and positions
// [B] together, or neither. `block` 0: one block of all positions.
struct SoftmaxOperands {
  const Tensor &q, &k, &v;
  const Tensor *cache = nullptr, *positions = nullptr;
  int64_t block = 0;
  double scale = 1;
};
struct SoftmaxResults {
  Tensor out;       // [B, N, H, Dv]
  Tensor logSumExp; // [B, N, H]
  Tensor newCache;  // as the cache; empty without one
};

// Causal softmax attention, twice: over all keys of a query at once, which is
// the definition, and over `chunk` of them after the other, with the largest
// product, the sum and the output so far.
SoftmaxResults softmaxAttention(const SoftmaxOperands &in);
SoftmaxResults softmaxAttentionOnline(const SoftmaxOperands &in, int64_t chunk);

// Of the attention without a cache.
struct SoftmaxGradients {
  Tensor dq, dk, dv;
};
SoftmaxGradients softmaxAttentionGrad(const SoftmaxOperands &in,
                                      const Tensor &out,
                                      const Tensor &logSumExp,
                                      const Tensor &dout);
// Through the softmax's own derivative instead of the log-sum-exps.
SoftmaxGradients softmaxAttentionGradDirect(const SoftmaxOperands &in,
                                            const Tensor &dout);

} // namespace tnllm::reference

#endif // TNLLM_REFERENCE_OPS_H
