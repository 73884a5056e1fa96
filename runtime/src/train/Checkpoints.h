// The checkpoints of a run: folders RUN/checkpoints/step-00000100 that are
// whole or not there. Each holds
//
//   parameters.safetensors  f32, the names of the model's checkpoint
//   optimizer.safetensors   f32, exp_avg.<name> and exp_avg_sq.<name>; absent:
//                           zeros
//   trainer.json            TrainState, and of each file a CRC-32C of its data
//
// A checkpoint is written into a folder aside (".step-..."), each file and the
// folder flushed to the disk, and renamed. One that a run which was stopped by
// numbers that are not finite cannot vouch for is "unproven-step-...".
#ifndef TNRT_TRAIN_CHECKPOINTS_H
#define TNRT_TRAIN_CHECKPOINTS_H

#include "TrainBackend.h"
#include "TrainState.h"

#include "tnrt/formats/Safetensors.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tnrt {

// A checkpoint on its way to the disk; removed unless committed.
class CheckpointWriter {
public:
  // In the folder `parent`. Errors: it cannot be written.
  static Result<CheckpointWriter> begin(const std::string &parent,
                                        int64_t step);
  CheckpointWriter(CheckpointWriter &&other) noexcept;
  CheckpointWriter &operator=(CheckpointWriter &&) = delete;
  ~CheckpointWriter();

  // Writes `file` with these f32 tensors; `data(i)` is tensor i's.
  Status write(const std::string &file, const std::vector<TensorSpec> &tensors,
               const std::function<const float *(size_t)> &data);
  // Writes trainer.json and puts the folder in its place.
  Status commit(const TrainState &state);

private:
  CheckpointWriter() = default;
  std::string parent, aside, target;
  nlohmann::ordered_json files = nlohmann::ordered_json::object();
};

// A checkpoint on the disk.
class SavedCheckpoint {
public:
  // Reads trainer.json and checks the files' checksums. Errors: what is missing
  // or damaged.
  static Result<SavedCheckpoint> open(const std::string &folder);

  const std::string &folder() const { return path; }
  const TrainState &state() const { return content; }
  const SafetensorsFile &parameters() const { return *weights; }
  // Copies everything into the backend. Errors: other parameters; they are
  // listed, and nothing has changed then.
  Status restore(TrainBackend &backend) const;

private:
  SavedCheckpoint() = default;
  std::string path;
  TrainState content;
  std::optional<SafetensorsFile> weights, optimizer;
};

// The tensors of parameters.safetensors, and of optimizer.safetensors.
std::vector<TensorSpec>
parameterSpecs(const std::vector<TrainParameter> &parameters,
               const std::string &prefix = "");
std::vector<TensorSpec>
momentSpecs(const std::vector<TrainParameter> &parameters);

// Writes both files of `backend`'s arrays.
Status writeCheckpoint(CheckpointWriter &writer, TrainBackend &backend);

// What of `file` differs from `expected` in name or shape, as words; empty:
// nothing.
std::string parameterDifference(const SafetensorsFile &file,
                                const std::vector<TensorSpec> &expected);

class CheckpointStore {
public:
  // Makes RUN and RUN/checkpoints where they are missing, locks the run and
  // removes what a killed process left there. Errors: another trainer has the
  // run; it cannot be written.
  static Result<CheckpointStore> open(const std::string &run);
  CheckpointStore(CheckpointStore &&other) noexcept;
  CheckpointStore &operator=(CheckpointStore &&) = delete;
  ~CheckpointStore();

  const std::string &run() const { return root; }
  // Those that are there, smallest first.
  std::vector<int64_t> steps() const;
  std::string pathOf(int64_t step) const;

  // Saves `state` and the backend's arrays as the checkpoint of state.step, in
  // place of one that is there, and removes old ones. Errors: as
  // CheckpointWriter; the earlier ones are as they were.
  Status save(const TrainState &state, TrainBackend &backend, int64_t keep);
  // Removes all but the newest `keep`, the newest regular one and the newest
  // that is known to be good (TrainState::lastFinite).
  Status removeOld(const TrainState &now, int64_t keep);
  // The newest one that is whole; `skipped` gets a line for each that is not.
  // Errors: there are some, and none is whole. Nothing: there is none.
  Result<std::optional<SavedCheckpoint>>
  latest(std::vector<std::string> &skipped) const;
  // The newest whole one up to `step`, and the newest regular one; nothing
  // where there is none.
  std::optional<SavedCheckpoint> latestWhole(int64_t step) const;
  std::optional<SavedCheckpoint> latestRegular(int64_t step) const;
  // Removes those after `step`.
  Status removeAfter(int64_t step);
  // Renames those after `step`, newest first, so that they are no checkpoints
  // of the run any more ("unproven-step-00000100"); returns where they are.
  Result<std::vector<std::string>> setAsideAfter(int64_t step);

private:
  CheckpointStore() = default;
  Status remove(int64_t step);
  template <typename Accepts>
  std::optional<SavedCheckpoint> latestThat(int64_t step,
                                            Accepts accepts) const;
  std::string folder() const { return root + "/checkpoints"; }

  std::string root;
  int lock = -1;
};

// The checkpoint that `path` means: a checkpoint, or the newest whole one of a
// run. Does not lock. Errors: neither is there.
Result<SavedCheckpoint> findCheckpoint(const std::string &path);

} // namespace tnrt

#endif // TNRT_TRAIN_CHECKPOINTS_H
