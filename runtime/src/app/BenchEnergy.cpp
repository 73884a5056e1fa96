// Where the counter moves, its reading is that of the moment.
#include "BenchEnergy.h"

#include <chrono>

namespace tnrt {

Result<std::optional<double>>
joulesOfRun(const std::function<Result<double>()> &read,
            const std::function<Result<bool>()> &work, double seconds) {
  using Clock = std::chrono::steady_clock;
  constexpr double kPatience = 5;
  const auto start = Clock::now();
  auto elapsed = [](Clock::time_point from) {
    return std::chrono::duration<double>(Clock::now() - from).count();
  };
  Result<double> last = read();
  if (!last)
    return last.takeError();
  std::optional<double> first; // after the movement that measuring began with
  auto began = start;
  for (int64_t runs = 0;;) {
    Result<bool> whole = work();
    if (!whole)
      return whole.takeError();
    if (!*whole)
      return std::optional<double>();
    Result<double> now = read();
    if (!now)
      return now.takeError();
    const bool moved = *now != *last;
    last = *now;
    runs += first ? 1 : 0;
    if (moved && first && elapsed(began) >= seconds)
      return std::optional<double>((*now - *first) / double(runs));
    if (moved && !first) {
      first = *now;
      began = Clock::now();
    }
    if (!moved && elapsed(began) > seconds + kPatience)
      return Error{"the GPU's energy counter stands still"};
  }
}

} // namespace tnrt
