// The formulas of Schedule.h.
#include "Schedule.h"

#include <algorithm>
#include <cmath>

namespace tnrt {
namespace {

constexpr const char *kNames[] = {"cosine", "linear", "wsd", "constant"};

// How far `step` is from `begin` to `end`, in [0, 1].
double part(int64_t step, int64_t begin, int64_t end) {
  if (end <= begin)
    return step >= end ? 1 : 0;
  double x =
      static_cast<double>(step - begin) / static_cast<double>(end - begin);
  return std::clamp(x, 0.0, 1.0);
}

} // namespace

double Schedule::at(int64_t step) const {
  if (step < warmup)
    return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  const double pi = std::acos(-1.0);
  switch (kind) {
  case Kind::Cosine:
    return floor +
           (peak - floor) * (1 + std::cos(pi * part(step, warmup, steps))) / 2;
  case Kind::Linear:
    return peak + (floor - peak) * part(step, warmup, steps);
  case Kind::Wsd:
    return peak +
           (floor - peak) * part(step, std::max(warmup, steps - decay), steps);
  case Kind::Constant:
    break;
  }
  return peak;
}

const char *scheduleName(Schedule::Kind kind) {
  return kNames[static_cast<int>(kind)];
}

std::optional<Schedule::Kind> parseSchedule(std::string_view name) {
  for (int i = 0; i < 4; ++i)
    if (name == kNames[i])
      return static_cast<Schedule::Kind>(i);
  return std::nullopt;
}

} // namespace tnrt
