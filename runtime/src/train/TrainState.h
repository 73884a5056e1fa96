// All that a run is beside its arrays of numbers: what a checkpoint's
// trainer.json holds (docs/TrainingFormats.md).
#ifndef TNRT_TRAIN_TRAINSTATE_H
#define TNRT_TRAIN_TRAINSTATE_H

#include "TokenData.h"

#include "tnrt/Result.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace tnrt {

struct TrainState {
  int64_t step = 0;      // steps done
  int64_t updates = 0;   // of them, those that changed the parameters
  int64_t nextBatch = 0; // the number of the next batch, if it is not skipped
  int64_t tokens = 0;    // trained on
  std::set<int64_t> skippedBatches; // those that rollbacks left out
  int64_t nonFinite = 0, nonFiniteInRow = 0;
  int64_t spikes = 0, rollbacks = 0;
  std::vector<double> losses, gradientNorms; // what their z-scores compare with
  int64_t metricsBytes = 0;                  // of metrics.jsonl
  // Saved where the options say so, and not because a run was interrupted:
  // what rollbacks go back to, so that an interruption changes nothing.
  bool regular = true;
  std::string program; // fingerprint of the executable
  // The keys of the spec that it was compiled from, and "amp"; null: not known.
  nlohmann::ordered_json model;
  nlohmann::ordered_json config; // what determines the result; null: imported
  std::vector<ShardIdentity> data;

  // The last step whose loss and gradients were finite; 0: none was. Every
  // checkpoint before it is known to be good: the first finite step after it
  // computed with its parameters. Of later ones nobody knows.
  int64_t lastFinite() const { return step - nonFiniteInRow; }

  nlohmann::ordered_json toJson() const;
  // The text of a trainer.json as JSON. Errors: it is no object, or nested
  // deeper than any that toJson() gives.
  static Result<nlohmann::ordered_json> readText(const std::string &text);
  // Errors name the key that is missing or wrong, or beyond what counts can be
  // computed with.
  static Result<TrainState> parse(const nlohmann::ordered_json &json);
};

} // namespace tnrt

#endif // TNRT_TRAIN_TRAINSTATE_H
