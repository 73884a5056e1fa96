// A progress bar on stderr for work that takes noticeable time.
//
//   loading weights  [=========>          ]  47%  0.7 of 1.5 GB, 2 s left
#ifndef TNRT_CORE_PROGRESS_H
#define TNRT_CORE_PROGRESS_H

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace tnrt {

class Progress {
public:
  enum class Unit { Items, Bytes };

  // Shows nothing when `enabled` is false, when stderr is no terminal, or for
  // the first fifth of a second.
  Progress(std::string label, int64_t total, Unit unit, bool enabled = true);
  ~Progress(); // as finish()

  // From any thread.
  void advance(int64_t amount);
  // Removes the bar from the terminal until it is next drawn, so that something
  // else can be written there.
  void clear();
  // Removes it for good.
  void finish();

  // The bar's line when `done` of the total took `seconds`; for tests.
  std::string line(int64_t done, double seconds) const;

private:
  void draw();
  void erase();

  std::string label;
  int64_t total;
  Unit unit;
  bool visible;
  bool drawn = false;
  std::chrono::steady_clock::time_point start;
  std::atomic<int64_t> done{0};
  std::atomic<int64_t> nextDraw{0}; // milliseconds after start
  std::mutex mutex;
};

} // namespace tnrt

#endif // TNRT_CORE_PROGRESS_H
