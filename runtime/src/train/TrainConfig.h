// The options of `train` that a checkpoint keeps, so that --resume needs none
// of them and notices those that changed.
#ifndef TNRT_TRAIN_TRAINCONFIG_H
#define TNRT_TRAIN_TRAINCONFIG_H

#include "Schedule.h"
#include "TokenData.h"

#include "tnrt/Result.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace tnrt {

// What happens to a step whose loss is a spike.
enum class OnSpike { Flag, Skip, Rollback };

// Of AdamW: the smallest that is not 0 in f32, or flushed to it.
constexpr double kLeastEpsilon = std::numeric_limits<float>::min();

// When to save and to evaluate: may be others when a run is resumed.
struct TrainPace {
  int64_t saveEvery = 0, evalEvery = 0; // steps; 0: at the end alone
  int64_t evalTokens = 1 << 20;         // at most; 0: all
  int64_t keep = 3;                     // checkpoints
};

struct TrainConfig {
  std::vector<std::string> data, val; // patterns; absolute paths
  int64_t batchTokens = 0, length = 0, accumulate = 0; // 0: as few as fit
  Schedule schedule;
  double weightDecay = 0.1, beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  double clip = 1; // of the gradients' norm; 0: none
  int64_t seed = 1;
  OnSpike onSpike = OnSpike::Flag;
  double spikeZ = 6;        // a loss whose z-score is above it is a spike
  int64_t maxNonFinite = 5; // in a row; then the run stops
  TrainPace pace;

  int64_t rows() const { return batchTokens / length; }
  int64_t microRows() const { return rows() / accumulate; }
};

// Options by their names without dashes ("batch-tokens"), as a JSON object: the
// form in which they are given, saved and compared.
using ConfigJson = nlohmann::ordered_json;

// `given` over `saved` (null: nothing saved) over the defaults. Errors: an
// option that is needed and nowhere given, or values that do not go together.
Result<TrainConfig> resolveConfig(const ConfigJson &given,
                                  const ConfigJson &saved);
ConfigJson configJson(const TrainConfig &config);

// Chooses `accumulate` where it is 0 and checks that a micro batch fits, and a
// sequence the model's positions (0: any number).
Status fitToProgram(TrainConfig &config, int64_t maxTokens,
                    int64_t maxPositions = 0);

// The options that are both saved and given, with other values, and the shards
// that are others: "lr: 0.001 in the checkpoint, 0.002 now". Where the data lie
// and the pace do not matter.
std::vector<std::string> configDifferences(const ConfigJson &given,
                                           const ConfigJson &saved);
// The keys of a model (TrainState::model) that both have, with other values, or
// that only one has; none where either is null. What it is called does not
// matter, nor how its parameters begin.
std::vector<std::string> modelDifferences(const ConfigJson &now,
                                          const ConfigJson &saved);
std::vector<std::string>
dataDifferences(const std::vector<ShardIdentity> &now,
                const std::vector<ShardIdentity> &saved);

} // namespace tnrt

#endif // TNRT_TRAIN_TRAINCONFIG_H
