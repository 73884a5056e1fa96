// The arithmetic of an optimizer step on ranges of flat arrays: what tasks of a
// thread pool do. Each element, and each range's sum, is computed in one order,
// so that results do not depend on who computes which range.
#ifndef TNRT_TRAIN_OPTIMIZER_H
#define TNRT_TRAIN_OPTIMIZER_H

#include "TrainBackend.h"

#include <cstdint>

namespace tnrt {

// Elements of one task.
constexpr int64_t kOptimizerChunk = 1 << 16;

// The factors of one AdamWUpdate, rounded once to f32 as torch.optim.AdamW
// rounds them.
struct AdamWFactors {
  explicit AdamWFactors(const AdamWUpdate &update);

  float gradientScale;
  float decay;            // 1 - lr * weightDecay
  float beta1Rest;        // 1 - beta1
  float beta2, beta2Rest; // and 1 - beta2
  float stepSize;         // lr / (1 - beta1^t)
  float rootOfBias2;      // sqrt(1 - beta2^t)
  float epsilon;
};

// Updates `count` elements of parameters p and moments m, v by gradients g.
void updateAdamW(const AdamWFactors &factors, bool decays, int64_t count,
                 const float *g, float *p, float *m, float *v);

// The sum of squares, in f64.
double sumOfSquares(const float *values, int64_t count);

} // namespace tnrt

#endif // TNRT_TRAIN_OPTIMIZER_H
