// The learning rate of each step.
#ifndef TNRT_TRAIN_SCHEDULE_H
#define TNRT_TRAIN_SCHEDULE_H

#include <cstdint>
#include <optional>
#include <string_view>

namespace tnrt {

// With s the step from 0 on, W warmup steps, T all steps, and D the steps of
// the final decay (of WSD):
//
//   s < W:   peak * (s + 1) / W
//   cosine:  floor + (peak - floor) * (1 + cos(pi * x)) / 2
//   linear:  peak + (floor - peak) * x          x = (s - W) / (T - W)
//   WSD:     peak until s = T - D, then peak + (floor - peak) * x with
//            x = (s - (T - D)) / D
//   constant: peak
struct Schedule {
  enum class Kind { Cosine, Linear, Wsd, Constant };
  Kind kind = Kind::Cosine;
  double peak = 0, floor = 0;
  int64_t warmup = 0, steps = 1, decay = 0;

  // Past the last step it is that of the last step's end.
  double at(int64_t step) const;
};

const char *scheduleName(Schedule::Kind kind); // "cosine"
std::optional<Schedule::Kind> parseSchedule(std::string_view name);

} // namespace tnrt

#endif // TNRT_TRAIN_SCHEDULE_H
