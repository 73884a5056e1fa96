// How unusual a step's loss or gradient norm is, compared with those before it.
#ifndef TNRT_TRAIN_MONITOR_H
#define TNRT_TRAIN_MONITOR_H

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

namespace tnrt {

// The z-score of each new value among the last kWindow: (value - mean) / their
// standard deviation. Part of a checkpoint, so that a resumed run decides as an
// uninterrupted one.
class Monitor {
public:
  static constexpr size_t kWindow = 128; // values compared with
  static constexpr size_t kFew = 16;     // fewer say nothing

  // The score of `value` among the values so far, then adds it; nothing while
  // they are few, or all equal and not to `value`.
  std::optional<double> score(double value);

  std::vector<double> values() const { return {window.begin(), window.end()}; }
  void restore(const std::vector<double> &values);

private:
  std::deque<double> window;
};

} // namespace tnrt

#endif // TNRT_TRAIN_MONITOR_H
