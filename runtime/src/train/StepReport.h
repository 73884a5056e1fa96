// What is said of a step: a line for people and one for programs.
#ifndef TNRT_TRAIN_STEPREPORT_H
#define TNRT_TRAIN_STEPREPORT_H

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace tnrt {

struct StepReport {
  // What became of the step: `Skipped` and `RolledBack` are spikes.
  enum class Fate { Applied, Spike, Skipped, RolledBack, NonFinite };

  Fate fate = Fate::Applied;
  int64_t step = 0, steps = 0; // 1-based
  int64_t tokens = 0;          // of all steps so far
  double loss = 0, norm = 0;   // of the gradients, before clipping
  std::optional<double> lossZ, normZ;
  double lr = 0, seconds = 0, tokensPerSecond = 0;
  std::optional<double> mfu; // part of the machine's peak, from 0 to 1
  int64_t memoryBytes = 0;

  // step   12/1000 | loss 2.3457 (+0.12z) | norm 0.812 (-0.31z) | lr 3.00e-04 |
  // 123.4 ms | 41.2% MFU | 13,245 tok/s | 412 MB   (one line; a spike, a
  // skipped step and the like are said at its end)
  std::string line() const;
  nlohmann::ordered_json json() const;
};

} // namespace tnrt

#endif // TNRT_TRAIN_STEPREPORT_H
