// Loops that the compiler vectorises (with -fno-math-errno, for the root).
#include "Optimizer.h"

#include <cmath>

namespace tnrt {

AdamWFactors::AdamWFactors(const AdamWUpdate &update)
    : gradientScale(static_cast<float>(update.gradientScale)),
      decay(static_cast<float>(1 - update.lr * update.weightDecay)),
      beta1Rest(static_cast<float>(1 - update.beta1)),
      beta2(static_cast<float>(update.beta2)),
      beta2Rest(static_cast<float>(1 - update.beta2)),
      stepSize(static_cast<float>(
          update.lr /
          (1 - std::pow(update.beta1, static_cast<double>(update.step))))),
      rootOfBias2(static_cast<float>(std::sqrt(
          1 - std::pow(update.beta2, static_cast<double>(update.step))))),
      epsilon(static_cast<float>(update.epsilon)) {}

void updateAdamW(const AdamWFactors &factors, bool decays, int64_t count,
                 const float *__restrict g, float *__restrict p,
                 float *__restrict m, float *__restrict v) {
  const AdamWFactors f = factors; // in registers, whatever p points to
  const float decay = decays ? f.decay : 1.0f;
  for (int64_t i = 0; i < count; ++i) {
    const float gradient = f.gradientScale * g[i];
    const float first = m[i] + f.beta1Rest * (gradient - m[i]);
    const float second = f.beta2 * v[i] + f.beta2Rest * gradient * gradient;
    m[i] = first;
    v[i] = second;
    p[i] =
        decay * p[i] -
        f.stepSize * (first / (std::sqrt(second) / f.rootOfBias2 + f.epsilon));
  }
}

double sumOfSquares(const float *values, int64_t count) {
  // As many sums as a vector register or two hold.
  constexpr int64_t kLanes = 16;
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const double value = values[i + lane];
      lanes[lane] += value * value;
    }
  double sum = 0;
  for (double lane : lanes)
    sum += lane;
  for (; i < count; ++i)
    sum += static_cast<double>(values[i]) * values[i];
  return sum;
}

} // namespace tnrt
