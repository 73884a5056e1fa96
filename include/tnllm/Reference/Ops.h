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

// x [..., K], weight [N, K], scales and bias [N] or null -> [..., N]:
// scales * (x W^T) + b.
Tensor linear(const Tensor &x, const Tensor &weight, const Tensor *scales,
              const Tensor *bias);

// Rows of an i8 parameter w [N, K], in f32 as the definition says
// (tn.row_scales): scales [N] are max_k |w[n, k]| / 127, at least the smallest
// normal f32, and 1 for a row of zeros; the quantised row is w / scale, rounded
// to nearest even.
Tensor rowScales(const Tensor &w);
Tensor quantiseRows(const Tensor &w, const Tensor &scales);

Tensor add(const Tensor &a, const Tensor &b);
Tensor mul(const Tensor &a, const Tensor &b);

double activate(tn::ActivationKind kind, double x);
// Applies `kind` to the columns [begin, end) of the last dimension.
Tensor activation(tn::ActivationKind kind, const Tensor &x, int64_t begin,
                  int64_t end);

// exp(x - max(x)), the maximum over the last dimension.
Tensor shiftedExp(const Tensor &x);

// Each element to f32, then to the nearest bf16, ties to even.
Tensor roundToBF16(const Tensor &x);

// x [..., D], weight and bias [D] or null.
Tensor norm(tn::NormKind kind, const Tensor &x, const Tensor *weight,
            const Tensor *bias, double epsilon);

// Columns [begin, end) of the last dimension.
Tensor slice(const Tensor &x, int64_t begin, int64_t end);

// [heads], rounded to f32 as the constants of a program are (arXiv
// 2307.14995, 3.1.1).
Tensor decaySlopes(tn::DecayAttr rule, int64_t heads);

// x [B, N, H, d], theta [H, 1, d], positions [B] -> [B, N, H, 2d].
Tensor lrpe(const Tensor &x, const Tensor &theta, const Tensor &positions);

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
// Chunks of `chunk` positions (arXiv 2401.04658):
//   out = [(Q K^T) . M] V + Lambda Q S,  S' = lambda^C S +
//   (diag(lambda^(C-1-j)) K)^T V.
AttentionResults attentionChunked(const AttentionOperands &in, int64_t chunk);

} // namespace tnllm::reference

#endif // TNLLM_REFERENCE_OPS_H
