// Checks, and groups of sequences.
#include "TrainGroups.h"

#include "core/Manifest.h"

#include <algorithm>

namespace tnrt {

namespace {

// True for an id that is no token of a vocabulary of this size.
bool isPast(int32_t id, int64_t vocabulary) { return id >= vocabulary; }

Status check(const Manifest &manifest, const TrainBatch &batch) {
  const int64_t most = manifest.training.maxTokens;
  int64_t tokens = 0;
  if (batch.batch < 1 || batch.length < 1 ||
      __builtin_mul_overflow(batch.batch, batch.length, &tokens) ||
      tokens > most)
    return Error{"a batch of " + std::to_string(batch.batch) + " x " +
                 std::to_string(batch.length) + " tokens, expected 1 to " +
                 std::to_string(most) +
                 " in one call (tnllmc's --train-tokens)"};
  if (manifest.maxPositions > 0 && batch.length > manifest.maxPositions)
    return Error{"sequences of " + std::to_string(batch.length) +
                 " tokens, expected at most " +
                 std::to_string(manifest.maxPositions) +
                 ", the positions of the model (max_position_embeddings)"};
  const int64_t vocabulary = manifest.vocabSize;
  for (int64_t i = 0; i < tokens; ++i) {
    const int32_t id = batch.inputs[i], label = batch.targets[i];
    if (id < 0 || isPast(id, vocabulary))
      return Error{"token " + std::to_string(i) + " is " + std::to_string(id) +
                   ", expected a value in [0, " + std::to_string(vocabulary) +
                   ")"};
    if (isPast(label, vocabulary))
      return Error{"label " + std::to_string(i) + " is " +
                   std::to_string(label) + ", expected a value below " +
                   std::to_string(vocabulary) + ", or a negative one"};
  }
  return {};
}

} // namespace

Result<TrainLoss> runGroups(const Manifest &manifest, const TrainBatch &batch,
                            const GroupFunction &run) {
  if (Status status = check(manifest, batch); !status)
    return status.takeError();
  const int64_t most = manifest.training.maxSequences;
  TrainLoss total;
  for (int64_t row = 0; row < batch.batch; row += most) {
    const int64_t first = row * batch.length;
    const TrainBatch group{batch.inputs + first, batch.targets + first,
                           std::min(most, batch.batch - row), batch.length};
    const int64_t labels =
        std::count_if(group.targets, group.targets + group.batch * group.length,
                      [](int32_t label) { return label >= 0; });
    if (labels == 0) // a mean of nothing
      continue;
    Result<float> mean = run(group, labels);
    if (!mean)
      return mean.takeError();
    total.sum += static_cast<double>(*mean) * static_cast<double>(labels);
    total.tokens += labels;
  }
  return total;
}

} // namespace tnrt
