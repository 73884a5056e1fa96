// The training loop: batches through a backend, an update a step, checkpoints,
// evaluation, and what happens when numbers go wrong.
#ifndef TNRT_TRAIN_TRAINER_H
#define TNRT_TRAIN_TRAINER_H

#include "BatchLoader.h"
#include "Checkpoints.h"
#include "Metrics.h"
#include "Monitor.h"
#include "StepReport.h"
#include "TrainBackend.h"
#include "TrainConfig.h"
#include "TrainState.h"

#include <memory>
#include <string>

namespace tnrt {

struct EvalReport {
  int64_t step = 0;
  TrainLoss loss;
  double seconds = 0;

  std::string line() const;
  nlohmann::ordered_json json() const;
};

// Who is told how the run goes, on the thread that runs it.
class TrainListener {
public:
  virtual ~TrainListener() = default;
  virtual void onStep(const StepReport &report) = 0;
  virtual void onEval(const EvalReport &report) = 0;
  virtual void onNote(const std::string &line) = 0;
  // Whether the run shall end after the current step.
  virtual bool isInterrupted() = 0;
};

class Trainer {
public:
  // All references must outlive it. `val` may be null. `flopsPerToken` of a
  // step and `peakFlops` of the machine (0: not known) give the MFU.
  Trainer(const TrainConfig &config, TrainBackend &backend,
          CheckpointStore &store, const TokenData &data, const TokenData *val,
          TrainListener &listener);

  void setFlops(double perToken, double peak) {
    flopsPerToken = perToken;
    peakFlops = peak;
  }

  // Goes on from `start`, whose arrays the backend holds; saves it first where
  // the run has no checkpoint yet. Returns when the steps are done or the run
  // was interrupted; the state is saved then. Errors: too many steps that are
  // not finite, too many rollbacks, unusable data, a full disk; the message
  // names the checkpoint to go on from.
  Status run(TrainState start);

  const TrainState &state() const { return now; }

private:
  Status runSteps();
  Result<StepReport> step();
  Status computeGradients(StepReport &report);
  void judge(StepReport &report);
  Status update(const StepReport &report);
  Status rollBack(int64_t batch);
  Status record(const StepReport &report);
  Status evaluate();
  Status save(bool regular);
  Error giveUp(Error error);
  Error stopNotFinite();
  int64_t batchAfter(int64_t batch) const;
  std::string lastCheckpoint() const;

  const TrainConfig &config;
  const TrainPace &pace;
  TrainBackend &backend;
  CheckpointStore &store;
  const TokenData *val;
  TrainListener &listener;
  BatchLoader loader;
  std::unique_ptr<Metrics> metrics;
  Monitor losses, norms;
  TrainState now;
  int64_t savedStep = -1, evaluatedStep = -1;
  int64_t rollbacksInRow = 0; // without a regular checkpoint between
  double flopsPerToken = 0, peakFlops = 0;
};

} // namespace tnrt

#endif // TNRT_TRAIN_TRAINER_H
