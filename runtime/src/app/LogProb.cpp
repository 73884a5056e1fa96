// log softmax in f64.
#include "LogProb.h"

#include <algorithm>
#include <cmath>

namespace tnrt {

double logProbability(const float *logits, int64_t vocabSize, int32_t id) {
  double peak = *std::max_element(logits, logits + vocabSize);
  double sum = 0;
  for (int64_t i = 0; i < vocabSize; ++i)
    sum += std::exp(double(logits[i]) - peak);
  return double(logits[id]) - peak - std::log(sum);
}

} // namespace tnrt
