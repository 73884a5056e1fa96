// The loop, and the decisions in it.
#include "Trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>

namespace tnrt {
namespace {

using Clock = std::chrono::steady_clock;

// Going back again and again without reaching a checkpoint helps no one.
constexpr int64_t kMaxRollbacks = 10;

double secondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// The most memory of this process so far; 0 where /proc does not tell. Not
// getrusage's: that begins with what the process that started this one had.
int64_t peakResidentBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmHWM:", 0) == 0)
      return std::strtoll(line.c_str() + 6, nullptr, 10) * 1024;
  return 0;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", value);
  return text;
}

} // namespace

std::string EvalReport::line() const {
  return "step " + std::to_string(step) + " | validation loss " +
         number(loss.mean()) + " | perplexity " +
         number(std::exp(loss.mean())) + " | " + std::to_string(loss.tokens) +
         " tokens";
}

nlohmann::ordered_json EvalReport::json() const {
  return {{"step", step},
          {"val_loss", loss.mean()},
          {"val_perplexity", std::exp(loss.mean())},
          {"val_tokens", loss.tokens},
          {"val_seconds", seconds}};
}

Trainer::Trainer(const TrainConfig &config, TrainBackend &backend,
                 CheckpointStore &store, const TokenData &data,
                 const TokenData *val, TrainListener &listener)
    : config(config), pace(config.pace), backend(backend), store(store),
      val(val), listener(listener),
      loader(data, static_cast<uint64_t>(config.seed), config.rows()) {}

Status Trainer::run(TrainState start) {
  now = std::move(start);
  losses.restore(now.losses);
  norms.restore(now.gradientNorms);
  Result<Metrics> opened =
      Metrics::open(store.run(), now.metricsBytes, now.step);
  if (!opened)
    return opened.takeError();
  metrics = std::make_unique<Metrics>(std::move(*opened));
  if (!store.steps().empty())
    savedStep = now.step;
  else if (Status status = save(true); !status)
    return status;
  return runSteps();
}

Status Trainer::runSteps() {
  auto isDue = [this](int64_t every) {
    return every > 0 && now.step % every == 0;
  };
  // Not while steps are passed over: the update before them may be what broke
  // the parameters, and each save would push a good checkpoint out.
  auto isSaveDue = [&] {
    return isDue(pace.saveEvery) && now.nonFiniteInRow == 0;
  };
  while (now.step < config.schedule.steps) {
    if (listener.isInterrupted())
      return savedStep == now.step ? Status() : save(false);
    const int64_t batch = now.nextBatch;
    Result<StepReport> report = step();
    if (!report)
      return giveUp(report.takeError());
    if (Status status = record(*report); !status)
      return giveUp(status.takeError());
    if (now.nonFiniteInRow >= config.maxNonFinite)
      return stopNotFinite();
    if (report->fate == StepReport::Fate::RolledBack) {
      if (Status status = rollBack(batch); !status)
        return status;
      continue;
    }
    // This step has shown the newest checkpoint to be good: one that stayed
    // because it was not known yet is old now.
    if (now.nonFiniteInRow == 0 && savedStep == now.step - 1)
      if (Status status = store.removeOld(now, pace.keep); !status)
        return giveUp(status.takeError());
    if (isDue(pace.evalEvery))
      if (Status status = evaluate(); !status)
        return giveUp(status.takeError());
    if (isSaveDue())
      if (Status status = save(true); !status)
        return status;
  }
  if (evaluatedStep != now.step)
    if (Status status = evaluate(); !status)
      return giveUp(status.takeError());
  if (now.nonFiniteInRow > 0)
    listener.onNote("the last " + std::to_string(now.nonFiniteInRow) +
                    " steps were not finite: " + lastCheckpoint());
  return savedStep == now.step ? Status() : save(isSaveDue());
}

Result<StepReport> Trainer::step() {
  const Clock::time_point begin = Clock::now();
  StepReport report;
  report.step = now.step + 1;
  report.steps = config.schedule.steps;
  report.lr = config.schedule.at(now.step);
  if (Status status = computeGradients(report); !status)
    return status.takeError();
  judge(report);
  const bool isApplied = report.fate == StepReport::Fate::Applied ||
                         report.fate == StepReport::Fate::Spike;
  if (isApplied) {
    if (Status status = update(report); !status)
      return status.takeError();
    now.tokens += config.batchTokens;
  }
  ++now.step;
  now.nextBatch = batchAfter(now.nextBatch);

  report.tokens = now.tokens;
  report.seconds = secondsSince(begin);
  report.tokensPerSecond =
      static_cast<double>(config.batchTokens) / report.seconds;
  if (peakFlops > 0)
    report.mfu = flopsPerToken * report.tokensPerSecond / peakFlops;
  report.memoryBytes = backend.device().empty() ? peakResidentBytes()
                                                : backend.memory().planned();
  return report;
}

Status Trainer::computeGradients(StepReport &report) {
  Result<const LoadedBatch *> batch =
      loader.get(now.nextBatch, batchAfter(now.nextBatch));
  if (!batch)
    return batch.takeError();
  if (Status status = backend.zeroGradients(); !status)
    return status;
  const int64_t micro = config.microRows() * config.length;
  // Every label counts, so the mean over the step is known beforehand.
  const double scale = 1 / static_cast<double>(config.batchTokens);
  TrainLoss total;
  for (int64_t k = 0; k < config.accumulate; ++k) {
    TrainBatch part;
    part.inputs = (*batch)->inputs.data() + k * micro;
    part.targets = (*batch)->labels.data() + k * micro;
    part.batch = config.microRows();
    part.length = config.length;
    Result<TrainLoss> loss = backend.accumulate(part, scale);
    if (!loss)
      return loss.takeError();
    total.sum += loss->sum;
    total.tokens += loss->tokens;
  }
  Result<double> norm = backend.gradientNorm();
  if (!norm)
    return norm.takeError();
  report.loss = total.mean();
  report.norm = *norm;
  return {};
}

void Trainer::judge(StepReport &report) {
  if (!std::isfinite(report.loss) || !std::isfinite(report.norm)) {
    report.fate = StepReport::Fate::NonFinite;
    ++now.nonFinite;
    ++now.nonFiniteInRow;
    return;
  }
  now.nonFiniteInRow = 0;
  report.lossZ = losses.score(report.loss);
  report.normZ = norms.score(report.norm);
  if (!report.lossZ || *report.lossZ <= config.spikeZ)
    return;
  ++now.spikes;
  report.fate = config.onSpike == OnSpike::Flag ? StepReport::Fate::Spike
                : config.onSpike == OnSpike::Skip
                    ? StepReport::Fate::Skipped
                    : StepReport::Fate::RolledBack;
}

Status Trainer::update(const StepReport &report) {
  AdamWUpdate update;
  update.lr = report.lr;
  update.beta1 = config.beta1;
  update.beta2 = config.beta2;
  update.epsilon = config.epsilon;
  update.weightDecay = config.weightDecay;
  update.step = ++now.updates;
  if (config.clip > 0 && report.norm > config.clip)
    update.gradientScale = config.clip / report.norm;
  return backend.adamw(update);
}

int64_t Trainer::batchAfter(int64_t batch) const {
  do
    ++batch;
  while (now.skippedBatches.count(batch) != 0);
  return batch;
}

Status Trainer::rollBack(int64_t batch) {
  std::optional<SavedCheckpoint> target = store.latestRegular(now.step - 1);
  if (!target)
    return Error{"step " + std::to_string(now.step) +
                 " is a spike, and there is no checkpoint to go back to"};
  if (++rollbacksInRow > kMaxRollbacks)
    return Error{"went back " + std::to_string(kMaxRollbacks) +
                 " times without reaching another checkpoint, last from step " +
                 std::to_string(now.step) + ": stopped; " + lastCheckpoint()};
  if (Status status = target->restore(backend); !status)
    return status;
  TrainState back = target->state();
  listener.onNote("step " + std::to_string(now.step) +
                  " is a spike: back to step " + std::to_string(back.step) +
                  ", without batch " + std::to_string(batch));
  back.skippedBatches.insert(now.skippedBatches.begin(),
                             now.skippedBatches.end());
  back.skippedBatches.insert(batch);
  back.config = now.config;
  back.program = now.program;
  back.model = now.model;
  back.data = now.data;
  back.spikes = now.spikes;
  back.rollbacks = now.rollbacks + 1;
  now = std::move(back);
  now.nextBatch = batchAfter(now.nextBatch - 1);
  losses.restore(now.losses);
  norms.restore(now.gradientNorms);
  savedStep = now.step;
  evaluatedStep = -1;
  // Those of the way that was left, made by interruptions; newest first, so
  // that a kill in between leaves a run that comes to the same point again.
  if (Status status = store.removeAfter(now.step); !status)
    return status;
  return metrics->restart(now.step);
}

Status Trainer::record(const StepReport &report) {
  listener.onStep(report);
  return metrics->write(report.step, report.json());
}

Status Trainer::evaluate() {
  if (!val)
    return {};
  const Clock::time_point begin = Clock::now();
  const int64_t length = config.length;
  int64_t windows = val->windows();
  if (pace.evalTokens > 0)
    windows = std::min(windows, std::max<int64_t>(1, pace.evalTokens / length));
  const int64_t rows =
      std::min(windows, std::max<int64_t>(1, backend.maxTokens() / length));
  std::vector<int32_t> window(static_cast<size_t>(length + 1)), inputs, labels;
  EvalReport report;
  for (int64_t first = 0; first < windows; first += rows) {
    const int64_t count = std::min(rows, windows - first);
    inputs.clear();
    labels.clear();
    for (int64_t i = 0; i < count; ++i) {
      if (Status status = val->read(first + i, window.data()); !status)
        return status;
      inputs.insert(inputs.end(), window.begin(), window.end() - 1);
      labels.insert(labels.end(), window.begin() + 1, window.end());
    }
    Result<TrainLoss> loss =
        backend.evaluate({inputs.data(), labels.data(), count, length});
    if (!loss)
      return loss.takeError();
    report.loss.sum += loss->sum;
    report.loss.tokens += loss->tokens;
    if (listener.isInterrupted())
      return {}; // of no use unless it is of all
  }
  report.step = evaluatedStep = now.step;
  report.seconds = secondsSince(begin);
  listener.onEval(report);
  return metrics->write(report.step, report.json());
}

Status Trainer::save(bool regular) {
  now.losses = losses.values();
  now.gradientNorms = norms.values();
  now.regular = regular;
  Status status = metrics->flush();
  now.metricsBytes = metrics->size();
  if (status)
    status = store.save(now, backend, pace.keep);
  if (!status)
    return Error{"cannot save step " + std::to_string(now.step) + ": " +
                 status.message() + "; " + lastCheckpoint()};
  savedStep = now.step;
  if (regular)
    rollbacksInRow = 0;
  return {};
}

// An error that has nothing to do with the parameters: they are saved first.
Error Trainer::giveUp(Error error) {
  if (savedStep != now.step)
    if (Status status = save(false); !status)
      return Error{error.message + "; and " + status.message()};
  return Error{error.message + "; " + lastCheckpoint()};
}

// What goes on from here must not begin with parameters that nobody has seen a
// finite loss of: they may be what went wrong.
Error Trainer::stopNotFinite() {
  Error error{"the loss or the norm of the gradients was not finite in " +
              std::to_string(now.nonFiniteInRow) +
              " steps in a row, up to step " + std::to_string(now.step) +
              ": stopped; "};
  auto good = store.latestWhole(now.lastFinite() - 1);
  if (!good)
    return Error{error.message + "no checkpoint is known to be good"};
  error.message += "the last good checkpoint is " + good->folder();
  auto places = store.setAsideAfter(good->state().step);
  if (!places)
    return Error{error.message +
                 "; later ones cannot be set aside: " + places.message()};
  for (const std::string &place : *places)
    listener.onNote("no step from this checkpoint was finite: set aside as " +
                    place);
  return error;
}

// For errors that have nothing to do with the numbers. While steps are passed
// over, only a checkpoint that is known to be good is called so.
std::string Trainer::lastCheckpoint() const {
  if (store.steps().empty())
    return "there is no checkpoint yet";
  auto good = store.latestWhole(now.nonFiniteInRow > 0 ? now.lastFinite() - 1
                                                       : now.step);
  return good ? "the last good checkpoint is " + good->folder()
              : "no checkpoint is known to be good";
}

} // namespace tnrt
