// log softmax in f64.
#ifndef TNRT_APP_LOGPROB_H
#define TNRT_APP_LOGPROB_H

#include <cstdint>

namespace tnrt {

// Natural logarithm of softmax(logits)[id], logits [V]:
// logits[id] - max - log(sum exp(logits - max)), summed in f64.
double logProbability(const float *logits, int64_t vocabSize, int32_t id);

} // namespace tnrt

#endif // TNRT_APP_LOGPROB_H
