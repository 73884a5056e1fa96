// train: from options and a run's folder to a trainer that goes.
#include "Interrupt.h"
#include "Text.h"
#include "TrainCommands.h"

#include "core/Progress.h"
#include "tnrt/formats/Text.h"
#include "train/Flops.h"
#include "train/Folders.h"

#include <filesystem>

namespace tnrt {
namespace {

// Lines to standard output, the bar and notes to stderr.
class Listener : public TrainListener {
public:
  Listener(Environment &environment, const TrainOptions &options,
           int64_t remaining)
      : environment(environment), options(options),
        bar("training", remaining, Progress::Unit::Items,
            !environment.options.quiet) {}

  void onStep(const StepReport &report) override {
    const bool isDue = report.step % options.logEvery == 0 ||
                       report.step == report.steps || report.step == 1 ||
                       report.fate != StepReport::Fate::Applied;
    if (isDue)
      print(report);
    bar.advance(1);
  }
  void onEval(const EvalReport &report) override { print(report); }
  void onNote(const std::string &line) override {
    bar.clear();
    environment.note(line);
  }
  bool isInterrupted() override {
    return interrupted() || environment.out.failed();
  }
  void finish() { bar.finish(); }

private:
  template <typename Report> void print(const Report &report) {
    bar.clear();
    environment.out.write(
        (options.json ? dumpJson(report.json()) : report.line()) + "\n");
  }

  Environment &environment;
  const TrainOptions &options;
  Progress bar;
};

// The patterns as they are found from any folder.
ConfigJson absolutePatterns(const std::vector<std::string> &patterns) {
  ConfigJson list = ConfigJson::array();
  for (const std::string &pattern : patterns) {
    std::error_code error;
    auto path = std::filesystem::absolute(pattern, error);
    list.push_back(error ? pattern : path.string());
  }
  return list;
}

// What the program computes, as a checkpoint keeps it.
ConfigJson modelOf(const Manifest &manifest) {
  ConfigJson model = manifest.raw["model"];
  const bool isMixed = manifest.training.amp == Manifest::Training::Amp::BF16;
  model["amp"] = isMixed ? "bf16" : "off";
  return model;
}

// What the run's folder holds, if it is one.
struct Found {
  std::optional<CheckpointStore> store;
  std::optional<SavedCheckpoint> checkpoint;

  // Null: nothing was trained there yet.
  ConfigJson config() const {
    return checkpoint ? checkpoint->state().config : ConfigJson();
  }
};

Status find(Environment &environment, const TrainOptions &options,
            Found &found) {
  if (!isFolder(options.run + "/checkpoints"))
    return {};
  Result<CheckpointStore> store = CheckpointStore::open(options.run);
  if (!store)
    return store.takeError();
  found.store.emplace(std::move(*store));
  std::vector<std::string> skipped;
  auto latest = found.store->latest(skipped);
  if (!latest)
    return latest.takeError();
  for (const std::string &line : skipped)
    environment.note("passed over: " + line);
  if (*latest)
    found.checkpoint.emplace(std::move(**latest));
  if (!found.config().is_null() && !options.resume)
    return Error{"--out " + options.run + " holds a run, at step " +
                 std::to_string(found.checkpoint->state().step) +
                 ": --resume goes on with it"};
  return {};
}

Status requireSame(std::vector<std::string> differences,
                   const std::string &checkpoint) {
  if (differences.empty())
    return {};
  return Error{"--resume: not what " + checkpoint + " was made with: " +
               joined(differences) + "; --change goes on all the same"};
}

// What shards must say of their tokenizer; nothing: anything.
std::optional<uint64_t> expectedTokenizer(const Environment &environment) {
  const Manifest &manifest = environment.manifest;
  // More ids than bytes have are those of a tokenizer that the model lacks.
  if (manifest.tokenizer.kind == Manifest::Tokenizer::Kind::Bytes)
    return manifest.vocabSize > 256 ? std::nullopt : std::optional<uint64_t>(0);
  Result<std::optional<TokenizerFile>> file = environment.readTokenizer();
  if (file && *file)
    return tokenizerHash((*file)->bytes);
  environment.note("the tokenizer of the shards is not checked: " +
                   (file ? "the model has none" : file.message()));
  return std::nullopt;
}

Result<TokenData> openData(const std::vector<std::string> &patterns,
                           const TrainConfig &config, int64_t vocabulary,
                           std::optional<uint64_t> tokenizer, int64_t rows,
                           const std::string &option) {
  Result<TokenData> data =
      TokenData::open(patterns, config.length, vocabulary, tokenizer);
  if (!data)
    return data;
  if (data->windows() < rows)
    return Error{option + ": " + std::to_string(data->tokens()) +
                 " tokens are too few: they make " +
                 std::to_string(data->windows()) + " sequences of " +
                 std::to_string(config.length) + " and a label, expected " +
                 std::to_string(rows) + " for one batch"};
  return data;
}

Status verify(const Environment &environment, const TokenData &data,
              int64_t vocabulary) {
  Progress bar("checking shards", static_cast<int64_t>(data.tokens()),
               Progress::Unit::Items, !environment.options.quiet);
  for (const TokenShard &shard : data.shards()) {
    if (Status status = shard.verify(vocabulary); !status)
      return status;
    bar.advance(static_cast<int64_t>(shard.header().tokens));
  }
  return {};
}

// The training and validation data of a run.
struct Data {
  std::optional<TokenData> train, val;
};

Status openAll(Environment &environment, const TrainOptions &options,
               const TrainConfig &config, Data &data) {
  const int64_t vocabulary = environment.manifest.vocabSize;
  const std::optional<uint64_t> tokenizer = expectedTokenizer(environment);
  auto train = openData(config.data, config, vocabulary, tokenizer,
                        config.rows(), "--data");
  if (!train)
    return train.takeError();
  data.train.emplace(std::move(*train));
  if (!config.val.empty()) {
    auto val = openData(config.val, config, vocabulary, tokenizer, 1, "--val");
    if (!val)
      return val.takeError();
    if (val->tokenizer() != data.train->tokenizer())
      return Error{"--val was made by tokenizer " +
                   tokenizerText(val->tokenizer()) + ", --data by " +
                   tokenizerText(data.train->tokenizer())};
    data.val.emplace(std::move(*val));
  }
  if (!options.verify)
    return {};
  if (Status status = verify(environment, *data.train, vocabulary); !status)
    return status;
  return data.val ? verify(environment, *data.val, vocabulary) : Status();
}

// What a GPU holds that nobody planned.
std::string besideText(int64_t bytes) {
  if (bytes == 0)
    return "";
  return ", beside " + formatBytes(double(bytes)) +
         " of the driver, the library and other programs";
}

void describe(const Environment &environment, const TrainBackend &backend,
              const TrainConfig &config, const TokenData &data) {
  int64_t parameters = 0;
  for (const TrainParameter &parameter : backend.parameters())
    parameters += parameter.elements;
  environment.note(environment.manifest.name + ": " + groupDigits(parameters) +
                   " parameters, " +
                   formatBytes(double(backend.memory().planned())) +
                   " planned" + besideText(backend.memory().beside));
  const int64_t batches = data.windows() / config.rows();
  environment.note("data: " + groupDigits(static_cast<int64_t>(data.tokens())) +
                   " tokens in " + std::to_string(data.shards().size()) +
                   " shard" + (data.shards().size() == 1 ? "" : "s") + ", " +
                   groupDigits(batches) + " batches of " +
                   groupDigits(config.batchTokens) + " = " +
                   std::to_string(config.accumulate) + " x " +
                   std::to_string(config.microRows()) + " x " +
                   std::to_string(config.length) + " an epoch");
}

Status start(const Environment &environment, const Found &found,
             const TrainConfig &config, const TokenData &data,
             TrainBackend &backend, TrainState &state) {
  if (found.checkpoint) {
    if (Status status = found.checkpoint->restore(backend); !status)
      return status;
    state = found.checkpoint->state();
    environment.note("going on from " + found.checkpoint->folder());
    if (!state.program.empty() &&
        state.program != environment.manifest.fingerprint)
      environment.note("the checkpoint was made by another program: results "
                       "may differ in their rounding");
  }
  state.config = configJson(config);
  state.program = environment.manifest.fingerprint;
  state.model = modelOf(environment.manifest);
  state.data = data.identity();
  return {};
}

double peakOf(const Environment &environment, const TrainOptions &options,
              const TrainBackend &backend) {
  if (options.peakTflops > 0)
    return options.peakTflops * 1e12;
  if (backend.device().empty())
    return measurePeakFlops(backend.threads());
  const Manifest::Training &training = environment.manifest.training;
  return statedPeakFlops(backend.device(),
                         training.amp == Manifest::Training::Amp::BF16);
}

} // namespace

Result<int> trainCommand(Environment &environment,
                         const TrainOptions &options) {
  ConfigJson given = options.given;
  if (!options.data.empty())
    given["data"] = absolutePatterns(options.data);
  if (!options.val.empty())
    given["val"] = absolutePatterns(options.val);
  Found found;
  if (Status status = find(environment, options, found); !status)
    return status.takeError();
  const ConfigJson saved = found.config();
  if (!options.change && !saved.is_null()) {
    std::vector<std::string> differences = modelDifferences(
        modelOf(environment.manifest), found.checkpoint->state().model);
    for (std::string &line : configDifferences(given, saved))
      differences.push_back(std::move(line));
    if (Status status =
            requireSame(std::move(differences), found.checkpoint->folder());
        !status)
      return status.takeError();
  }
  Result<TrainConfig> resolved = resolveConfig(given, saved);
  if (!resolved)
    return resolved.takeError();
  TrainConfig config = std::move(*resolved);
  Data data;
  if (Status status = openAll(environment, options, config, data); !status)
    return status.takeError();
  if (!options.change && !saved.is_null())
    if (Status status =
            requireSame(dataDifferences(data.train->identity(),
                                        found.checkpoint->state().data),
                        found.checkpoint->folder());
        !status)
      return status.takeError();

  auto backend = environment.loadTrainBackend();
  if (!backend)
    return backend.takeError();
  if (Status status = fitToProgram(config, (*backend)->maxTokens(),
                                   environment.manifest.maxPositions);
      !status)
    return status.takeError();
  if (!found.store) {
    Result<CheckpointStore> store = CheckpointStore::open(options.run);
    if (!store)
      return store.takeError();
    found.store.emplace(std::move(*store));
  }
  describe(environment, **backend, config, *data.train);
  TrainState state;
  if (Status status =
          start(environment, found, config, *data.train, **backend, state);
      !status)
    return status.takeError();
  if (state.step >= config.schedule.steps)
    environment.note("all " + std::to_string(config.schedule.steps) +
                     " steps are done: --steps with --change goes on");

  InterruptScope interrupts;
  Listener listener(environment, options,
                    std::max<int64_t>(1, config.schedule.steps - state.step));
  Trainer trainer(config, **backend, *found.store, *data.train,
                  data.val ? &*data.val : nullptr, listener);
  trainer.setFlops(trainingFlopsPerToken((*backend)->parameters(),
                                         environment.manifest.raw["model"],
                                         config.length),
                   peakOf(environment, options, **backend));
  Status status = trainer.run(std::move(state));
  listener.finish();
  if (!status)
    return status.takeError();
  const int64_t step = trainer.state().step;
  environment.note((listener.isInterrupted() ? "interrupted; " : "") +
                   std::string("saved ") + found.store->pathOf(step));
  return interrupted() ? interruptCode() : int(kOk);
}

} // namespace tnrt
