// First the largest value, then where it stands.
#include "Likeliest.h"

#include <algorithm>
#include <limits>

namespace tnrt {

int32_t likeliest(const float *logits, int64_t count) {
  constexpr int64_t lanes = 32;
  constexpr float lowest = -std::numeric_limits<float>::infinity();
  float peaks[lanes];
  std::fill(peaks, peaks + lanes, lowest);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    for (int64_t j = 0; j < lanes; ++j)
      peaks[j] = logits[i + j] > peaks[j] ? logits[i + j] : peaks[j];
  float peak = *std::max_element(peaks, peaks + lanes);
  for (; i < count; ++i)
    peak = logits[i] > peak ? logits[i] : peak;
  if (peak == lowest)
    return -1;
  for (i = 0; i + lanes <= count; i += lanes) {
    int found = 0;
    for (int64_t j = 0; j < lanes; ++j)
      found |= logits[i + j] == peak;
    if (found)
      break;
  }
  while (logits[i] != peak)
    ++i;
  return static_cast<int32_t>(i);
}

} // namespace tnrt
