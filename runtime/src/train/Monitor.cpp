// Mean and deviation over a window, computed afresh: sums kept from step to
// step would drift, and differ after a resume.
#include "Monitor.h"

#include <cmath>

namespace tnrt {

std::optional<double> Monitor::score(double value) {
  std::optional<double> result;
  const auto count = static_cast<double>(window.size());
  if (window.size() >= kFew) {
    double mean = 0, squares = 0;
    for (double v : window)
      mean += v / count;
    for (double v : window)
      squares += (v - mean) * (v - mean);
    const double deviation = std::sqrt(squares / (count - 1));
    const double distance = value - mean;
    if (deviation > 0)
      result = distance / deviation;
    else if (distance == 0)
      result = 0;
  }
  window.push_back(value);
  if (window.size() > kWindow)
    window.pop_front();
  return result;
}

void Monitor::restore(const std::vector<double> &values) {
  window.assign(values.begin(), values.end());
  while (window.size() > kWindow)
    window.pop_front();
}

} // namespace tnrt
