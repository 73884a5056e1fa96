// The loop: updates, resuming to the last bit, and numbers that go wrong.
#include "TrainTest.h"

#include "train/Trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

namespace tnrt::test {
namespace {

using Fate = StepReport::Fate;

class Recorder : public TrainListener {
public:
  void onStep(const StepReport &report) override { steps.push_back(report); }
  void onEval(const EvalReport &report) override { evals.push_back(report); }
  void onNote(const std::string &line) override { notes.push_back(line); }
  bool isInterrupted() override {
    return stopAfter >= 0 && static_cast<int64_t>(steps.size()) >= stopAfter;
  }
  int64_t stopAfter = -1;
  std::vector<StepReport> steps;
  std::vector<EvalReport> evals;
  std::vector<std::string> notes;
};

class TrainerTest : public ::testing::Test {
protected:
  void SetUp() override {
    writeTextShard(dir.path("a.bin"), learnableText(4001));
    auto opened = TokenData::open({dir.path("a.bin")}, 16, 256);
    ASSERT_TRUE(opened) << opened.message();
    data.emplace(std::move(*opened)); // 250 windows
    config.length = 16;
    config.batchTokens = 128;
    config.accumulate = 1;
    config.schedule.peak = 0.02;
    config.schedule.floor = 0.002;
    config.schedule.warmup = 5;
    config.schedule.steps = 60;
    config.pace.saveEvery = 10;
  }

  // Runs on a fresh backend from the run's newest checkpoint, if there is one.
  Status train(const std::string &run, const TokenData *val = nullptr) {
    backend = std::make_unique<TamperedBackend>();
    if (prepare)
      prepare(*backend);
    recorder.steps.clear();
    recorder.notes.clear();
    auto store = CheckpointStore::open(dir.path(run));
    EXPECT_TRUE(store) << store.message();
    std::vector<std::string> skipped;
    auto latest = store->latest(skipped);
    EXPECT_TRUE(latest) << latest.message();
    TrainState state;
    if (*latest) {
      state = (*latest)->state();
      EXPECT_TRUE((*latest)->restore(*backend));
    }
    Trainer trainer(config, *backend, *store, *data, val, recorder);
    Status status = trainer.run(state);
    end = trainer.state();
    steps = store->steps();
    return status;
  }
  std::vector<std::vector<float>> arrays() {
    std::vector<std::vector<float>> all;
    for (TrainBuffer buffer :
         {TrainBuffer::Parameters, TrainBuffer::FirstMoment,
          TrainBuffer::SecondMoment})
      all.push_back(copyOf(*backend, buffer));
    return all;
  }
  void expectDone(const std::string &run) {
    Status status = train(run);
    EXPECT_TRUE(status) << status.message();
    EXPECT_EQ(end.step, config.schedule.steps);
  }

  TempDir dir;
  std::optional<TokenData> data;
  TrainConfig config;
  Recorder recorder;
  std::function<void(TamperedBackend &)> prepare;
  std::unique_ptr<TamperedBackend> backend;
  TrainState end;
  std::vector<int64_t> steps;
};

TEST_F(TrainerTest, Learns) {
  auto val = TokenData::open({dir.path("a.bin")}, 16, 256);
  ASSERT_TRUE(val);
  config.pace.evalEvery = 25;
  Status status = train("run", &*val);
  ASSERT_TRUE(status) << status.message();
  ASSERT_EQ(recorder.steps.size(), 60u);
  EXPECT_NEAR(recorder.steps[0].loss, std::log(256), 0.1);
  EXPECT_LT(recorder.steps.back().loss, 3.5);
  EXPECT_EQ(end.updates, 60);
  EXPECT_EQ(end.tokens, 60 * 128);
  EXPECT_EQ(end.nextBatch, 60);
  for (size_t i = 0; i < 60; ++i) {
    const StepReport &report = recorder.steps[i];
    EXPECT_EQ(report.fate, Fate::Applied);
    EXPECT_EQ(report.step, static_cast<int64_t>(i) + 1);
    EXPECT_EQ(report.lr, config.schedule.at(static_cast<int64_t>(i)));
    EXPECT_EQ(report.lossZ.has_value(), i >= Monitor::kFew);
    EXPECT_GT(report.memoryBytes, 1000000);
    const AdamWUpdate &update = backend->updates[i];
    EXPECT_EQ(update.step, report.step);
    EXPECT_EQ(update.lr, report.lr);
    EXPECT_EQ(update.weightDecay, 0.1);
  }
  ASSERT_EQ(recorder.evals.size(), 3u); // 25, 50, and the end
  EXPECT_EQ(recorder.evals[0].step, 25);
  EXPECT_EQ(recorder.evals[2].step, 60);
  EXPECT_EQ(recorder.evals[2].loss.tokens, 250 * 16);
  EXPECT_LT(recorder.evals[2].loss.mean(), recorder.evals[0].loss.mean());
  EXPECT_EQ(steps, (std::vector<int64_t>{40, 50, 60}));
}

TEST_F(TrainerTest, ClipsTheGradients) {
  config.clip = 0.25;
  expectDone("run");
  for (size_t i = 0; i < 60; ++i) {
    const double norm = recorder.steps[i].norm;
    EXPECT_DOUBLE_EQ(backend->updates[i].gradientScale,
                     norm > 0.25 ? 0.25 / norm : 1);
  }
  EXPECT_GT(recorder.steps[0].norm, 0.25);
  config.clip = 0;
  expectDone("other");
  for (const AdamWUpdate &update : backend->updates)
    EXPECT_EQ(update.gradientScale, 1);
}

// Parts of a step add up to the step.
TEST_F(TrainerTest, AccumulatesWhatOneCallWouldGive) {
  expectDone("one");
  const auto whole = arrays();
  config.accumulate = 4;
  expectDone("four");
  EXPECT_EQ(backend->calls, 240);
  EXPECT_EQ(backend->sequences, 60 * 8);
  const auto parts = arrays();
  for (size_t i = 0; i < whole[0].size(); ++i)
    ASSERT_NEAR(whole[0][i], parts[0][i], 2e-4);
}

TEST_F(TrainerTest, ResumesToTheLastBit) {
  expectDone("whole");
  const auto expected = arrays();
  const TrainState expectedEnd = end;
  // Stopped at each of these, on and off the checkpoints' steps.
  for (int64_t stop : {7, 10, 23}) {
    const std::string run = "stopped" + std::to_string(stop);
    recorder.stopAfter = stop;
    for (int turns = 0; end.step < 60 || turns == 0; ++turns) {
      ASSERT_LT(turns, 100);
      ASSERT_TRUE(train(run));
      EXPECT_EQ(steps.back(), end.step); // saved where it stopped
    }
    recorder.stopAfter = -1;
    EXPECT_EQ(arrays(), expected);
    EXPECT_EQ(end.losses, expectedEnd.losses);
    EXPECT_EQ(end.gradientNorms, expectedEnd.gradientNorms);
    EXPECT_EQ(end.tokens, expectedEnd.tokens);
  }
}

TEST_F(TrainerTest, MetricsOfAResumedRunHaveEachStepOnce) {
  recorder.stopAfter = 17;
  ASSERT_TRUE(train("run"));
  recorder.stopAfter = -1;
  // What a killed process wrote after its last checkpoint.
  std::ofstream(dir.path("run/metrics.jsonl"), std::ios::app)
      << "{\"step\":18,\"loss\":1}\n{\"step\":19,\"lo";
  expectDone("run");
  std::istringstream lines(readFile(dir.path("run/metrics.jsonl")));
  int64_t step = 0;
  for (std::string line; std::getline(lines, line);) {
    auto json = nlohmann::json::parse(line, nullptr, false);
    ASSERT_FALSE(json.is_discarded()) << line;
    EXPECT_EQ(json["step"], ++step);
  }
  EXPECT_EQ(step, 60);
}

TEST_F(TrainerTest, SkipsStepsThatAreNotFinite) {
  int64_t call = 0;
  prepare = [&](TamperedBackend &b) {
    call = 0;
    b.tamperLoss = [&](const TrainBatch &, double sum) {
      ++call;
      return call == 3 ? std::numeric_limits<double>::quiet_NaN() : sum;
    };
    b.tamperNorm = [&](double norm) {
      return call == 5 || call == 6 ? std::numeric_limits<double>::infinity()
                                    : norm;
    };
  };
  config.maxNonFinite = 3;
  expectDone("run");
  EXPECT_EQ(end.nonFinite, 3);
  EXPECT_EQ(end.nonFiniteInRow, 0);
  EXPECT_EQ(end.updates, 57);
  EXPECT_EQ(backend->updates.back().step, 57);
  for (int64_t i = 0; i < 60; ++i)
    EXPECT_EQ(recorder.steps[static_cast<size_t>(i)].fate,
              i == 2 || i == 4 || i == 5 ? Fate::NonFinite : Fate::Applied);
  const std::vector<float> values = arrays()[0];
  for (float value : values)
    ASSERT_TRUE(std::isfinite(value));
}

// Nothing is finite any more from update number `last` on.
std::function<void(TamperedBackend &)> brokenAfter(int64_t last) {
  return [last](TamperedBackend &b) {
    b.tamperNorm = [&b, last](double norm) {
      const int64_t done = b.updates.empty() ? 0 : b.updates.back().step;
      return done >= last ? std::nan("") : norm;
    };
  };
}

TEST_F(TrainerTest, StopsWhereNothingIsFinite) {
  prepare = brokenAfter(14);
  Status status = train("run");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.message(),
            "the loss or the norm of the gradients was not finite in 5 steps "
            "in a row, up to step 19: stopped; the last good checkpoint is " +
                dir.path("run/checkpoints/step-00000010"));
}

// Longer than the way between checkpoints: none of the streak is saved, and
// none from before it makes room.
TEST_F(TrainerTest, SavesNothingWhileNothingIsFinite) {
  prepare = brokenAfter(14);
  config.maxNonFinite = 20;
  config.pace.saveEvery = 3;
  for (int64_t keep : {1, 2}) {
    config.pace.keep = keep;
    Status status = train("run" + std::to_string(keep));
    ASSERT_FALSE(status);
    EXPECT_TRUE(contains(status.message(), "in 20 steps in a row, up to step "
                                           "34: stopped; the last good"));
    EXPECT_TRUE(contains(status.message(), "step-00000012"));
    EXPECT_EQ(steps, keep == 1 ? std::vector<int64_t>{12}
                               : std::vector<int64_t>({9, 12}));
    EXPECT_TRUE(recorder.notes.empty());
  }
}

// The checkpoint just before the streak may hold the very parameters that
// nothing finite comes from. The one that is named does not, is there with
// --keep 1 too, and is where --resume begins.
TEST_F(TrainerTest, NamesACheckpointThatAFiniteStepBeganFrom) {
  config.pace.saveEvery = 7;
  expectDone("whole");
  const auto expected = arrays();
  config.pace.keep = 1;
  prepare = brokenAfter(14);
  Status status = train("run");
  ASSERT_FALSE(status);
  EXPECT_TRUE(contains(status.message(),
                       "the last good checkpoint is " +
                           dir.path("run/checkpoints/step-00000007")));
  EXPECT_EQ(steps, std::vector<int64_t>{7});
  const std::string aside = dir.path("run/checkpoints/unproven-step-00000014");
  EXPECT_EQ(
      recorder.notes,
      std::vector<std::string>{
          "no step from this checkpoint was finite: set aside as " + aside});
  EXPECT_TRUE(findCheckpoint(aside)); // it is not lost
  // Again the same way, and to the same end where nothing breaks.
  EXPECT_EQ(train("run").message(), status.message());
  prepare = nullptr;
  expectDone("run");
  EXPECT_EQ(arrays(), expected);
}

// What an interruption saves in the midst of it takes no good one's place.
TEST_F(TrainerTest, InterruptedWhileNothingIsFinite) {
  config.pace.saveEvery = 7;
  config.pace.keep = 1;
  prepare = brokenAfter(14);
  recorder.stopAfter = 16;
  ASSERT_TRUE(train("run"));
  EXPECT_EQ(end.nonFiniteInRow, 2);
  EXPECT_EQ(steps, (std::vector<int64_t>{7, 14, 16}));
  recorder.stopAfter = -1;
  prepare = brokenAfter(0);
  Status status = train("run");
  ASSERT_FALSE(status);
  EXPECT_EQ(end.step, 19); // those before count
  EXPECT_TRUE(contains(status.message(), "step-00000007"));
  EXPECT_EQ(steps, std::vector<int64_t>{7});
}

TEST_F(TrainerTest, SaysWhereNoCheckpointIsGood) {
  prepare = brokenAfter(0);
  Status status = train("run");
  ASSERT_FALSE(status);
  EXPECT_TRUE(
      contains(status.message(), "stopped; no checkpoint is known to be good"));
  EXPECT_EQ(steps, std::vector<int64_t>{0});
}

TEST_F(TrainerTest, SaysWhereTheEndIsNotFinite) {
  prepare = brokenAfter(57);
  expectDone("run");
  EXPECT_EQ(recorder.notes,
            std::vector<std::string>{
                "the last 3 steps were not finite: the last good checkpoint "
                "is " +
                dir.path("run/checkpoints/step-00000050")});
  EXPECT_EQ(steps.back(), 60);
}

// The loss of the batch in which window `bad` comes first is raised.
std::function<void(TamperedBackend &)> spikeAtCall(int64_t bad) {
  return [bad](TamperedBackend &b) {
    b.tamperLoss = [bad, &b](const TrainBatch &, double sum) {
      return b.calls == bad ? sum * 20 : sum;
    };
  };
}

TEST_F(TrainerTest, FlagsSpikes) {
  prepare = spikeAtCall(35);
  expectDone("run");
  EXPECT_EQ(end.spikes, 1);
  EXPECT_EQ(recorder.steps[34].fate, Fate::Spike);
  EXPECT_GT(*recorder.steps[34].lossZ, 6);
  EXPECT_EQ(end.updates, 60); // applied all the same
  config.onSpike = OnSpike::Skip;
  expectDone("skip");
  EXPECT_EQ(recorder.steps[34].fate, Fate::Skipped);
  EXPECT_EQ(end.updates, 59);
}

// The inputs that come first in a batch.
std::vector<int32_t> firstWindow(const TokenData &data, int64_t number) {
  std::vector<int32_t> window(static_cast<size_t>(data.length() + 1));
  EXPECT_TRUE(
      data.read(shuffledWindow(1, data.windows(), number * 8), window.data()));
  window.pop_back();
  return window;
}

// Raises the loss of one batch whenever it comes, as bad data would.
std::function<void(TamperedBackend &)> badBatch(const TokenData &data,
                                                int64_t number) {
  const std::vector<int32_t> window = firstWindow(data, number);
  return [window](TamperedBackend &b) {
    b.tamperLoss = [window](const TrainBatch &batch, double sum) {
      return std::equal(window.begin(), window.end(), batch.inputs) ? sum * 20
                                                                    : sum;
    };
  };
}

TEST_F(TrainerTest, RollsBackAndLeavesTheBatchOut) {
  config.onSpike = OnSpike::Rollback;
  // A run that never sees batch 25 ends in the same place.
  config.schedule.steps = 40;
  prepare = badBatch(*data, 25);
  expectDone("run");
  EXPECT_EQ(end.spikes, 1);
  EXPECT_EQ(end.rollbacks, 1);
  EXPECT_EQ(end.skippedBatches, std::set<int64_t>{25});
  EXPECT_EQ(end.nextBatch, 41);
  EXPECT_EQ(end.updates, 40);
  EXPECT_EQ(recorder.steps.size(), 46u); // 26, and 21 to 40
  EXPECT_EQ(recorder.steps[25].fate, Fate::RolledBack);
  EXPECT_EQ(recorder.steps[26].step, 21);
  ASSERT_EQ(recorder.notes.size(), 1u);
  EXPECT_EQ(recorder.notes[0],
            "step 26 is a spike: back to step 20, without batch 25");
  const auto expected = arrays();

  // Interrupted before, at and after the spike: the same end.
  for (int64_t stop : {4, 9, 22, 26, 27}) {
    const std::string name = "stop" + std::to_string(stop);
    recorder.stopAfter = stop;
    int turns = 0;
    do {
      ASSERT_LT(++turns, 50);
      ASSERT_TRUE(train(name));
      // No turn starts with more than it can do.
      recorder.stopAfter = std::max<int64_t>(stop, 12);
    } while (end.step < 40);
    recorder.stopAfter = -1;
    EXPECT_EQ(arrays(), expected) << stop;
    EXPECT_EQ(end.skippedBatches, std::set<int64_t>{25});
  }
}

// A due save that is left out changes no bit of a run that is resumed.
TEST_F(TrainerTest, ResumesWithinStepsThatAreNotFinite) {
  const std::vector<std::vector<int32_t>> bad = [&] {
    std::vector<std::vector<int32_t>> windows;
    for (int64_t number : {17, 18, 19, 20})
      windows.push_back(firstWindow(*data, number));
    return windows;
  }();
  prepare = [bad](TamperedBackend &b) {
    b.tamperLoss = [bad](const TrainBatch &batch, double sum) {
      for (const std::vector<int32_t> &window : bad)
        if (std::equal(window.begin(), window.end(), batch.inputs))
          return std::nan("");
      return sum;
    };
  };
  config.schedule.steps = 31; // an epoch: no window comes twice
  expectDone("whole");
  EXPECT_EQ(end.nonFinite, 4);
  EXPECT_EQ(steps, (std::vector<int64_t>{10, 30, 31}));
  const auto expected = arrays();
  for (int64_t stop : {18, 20, 21}) {
    const std::string run = "stopped" + std::to_string(stop);
    recorder.stopAfter = stop;
    ASSERT_TRUE(train(run));
    recorder.stopAfter = -1;
    expectDone(run);
    EXPECT_EQ(arrays(), expected) << stop;
    EXPECT_EQ(end.nonFinite, 4);
  }
}

TEST_F(TrainerTest, GivesUpRollingBackForEver) {
  config.onSpike = OnSpike::Rollback;
  prepare = [](TamperedBackend &b) {
    b.tamperLoss = [&b](const TrainBatch &, double sum) {
      return b.updates.size() >= 25 ? sum * 20 : sum;
    };
  };
  Status status = train("run");
  ASSERT_FALSE(status);
  EXPECT_TRUE(contains(status.message(),
                       "went back 10 times without reaching another "
                       "checkpoint"));
  EXPECT_TRUE(contains(status.message(), "step-00000020"));
}

// Data that goes away under a run: what was done is saved first.
TEST_F(TrainerTest, SavesBeforeItGivesUp) {
  recorder.stopAfter = -1;
  prepare = [&](TamperedBackend &b) {
    b.tamperLoss = [&](const TrainBatch &, double sum) {
      if (b.calls == 15)
        std::filesystem::resize_file(dir.path("a.bin"), 64);
      return sum;
    };
  };
  Status status = train("run");
  ASSERT_FALSE(status);
  EXPECT_TRUE(contains(status.message(), "a.bin: was cut short"));
  EXPECT_TRUE(contains(status.message(), "the last good checkpoint is "));
  EXPECT_GE(steps.back(), 15);
  EXPECT_LE(steps.back(), 16); // one batch may have been read ahead
}

TEST(TrainConfig, TakesWhatIsGivenThenWhatWasSaved) {
  auto message = [](const ConfigJson &given) {
    auto config = resolveConfig(given, {});
    return config ? std::string() : config.message();
  };
  ConfigJson given = {{"data", {"a"}}};
  EXPECT_EQ(message(ConfigJson::object()),
            "--data is missing: expected shards to train on");
  EXPECT_EQ(message(given), "--batch-tokens is missing");
  given["batch-tokens"] = 128;
  given["seq"] = 16;
  EXPECT_EQ(message(given), "--steps is missing");
  given["steps"] = 100;
  auto config = resolveConfig(given, {});
  ASSERT_TRUE(config) << config.message();
  EXPECT_EQ(config->schedule.warmup, 2);
  EXPECT_EQ(config->schedule.decay, 20);
  EXPECT_EQ(config->schedule.peak, 3e-4);
  EXPECT_EQ(config->schedule.floor, 3e-4 / 10);
  EXPECT_EQ(config->rows(), 8);
  EXPECT_EQ(config->pace.saveEvery, 10);

  const ConfigJson saved = configJson(*config);
  auto again = resolveConfig({{"lr", 1.0}}, saved);
  ASSERT_TRUE(again) << again.message();
  EXPECT_EQ(again->schedule.peak, 1);
  EXPECT_EQ(again->schedule.floor, 3e-4 / 10); // as it was
  EXPECT_EQ(again->batchTokens, 128);
  EXPECT_EQ(
      configDifferences({{"lr", 1.0}, {"seq", 16}, {"data", {"b"}}}, saved),
      std::vector<std::string>{"lr: 0.0003 in the checkpoint, 1.0 now"});

  for (auto [key, value, words] :
       {std::tuple("batch-tokens", 100, "expected a multiple of --seq 16"),
        std::tuple("accumulate", 3, "expected a divisor of the 8 sequences"),
        std::tuple("warmup", 101, "expected at most --steps 100"),
        std::tuple("decay-steps", 101, "expected at most --steps 100"),
        std::tuple("min-lr", 1, "--min-lr is above --lr")}) {
    ConfigJson bad = given;
    bad[key] = value;
    EXPECT_TRUE(contains(message(bad), words));
  }
}

// What the command line refuses may still stand in a file.
TEST(TrainConfig, RefusesWhatNoCheckpointHolds) {
  const ConfigJson sound = {
      {"data", {"a"}}, {"batch-tokens", 128}, {"seq", 16}, {"steps", 100}};
  ASSERT_TRUE(resolveConfig({}, sound));
  for (auto [key, value, words] :
       {std::tuple("seq", ConfigJson(), "--seq is missing"),
        std::tuple("seq", ConfigJson(0), "--seq: expected an integer from 1"),
        std::tuple("seq", ConfigJson("16"), "--seq: expected an integer"),
        std::tuple("seq", ConfigJson(1.5), "--seq: expected an integer"),
        std::tuple("batch-tokens", ConfigJson(uint64_t(1) << 63),
                   "--batch-tokens: expected an integer from 1 to 1000000000"),
        std::tuple("steps", ConfigJson(-1), "--steps: expected an integer"),
        std::tuple("accumulate", ConfigJson(-8), "--accumulate: expected"),
        std::tuple("lr", ConfigJson(-1.0), "--lr: expected a number"),
        std::tuple("lr", ConfigJson::array(), "--lr: expected a number"),
        std::tuple("schedule", ConfigJson("steep"), "--schedule: expected"),
        std::tuple("on-spike", ConfigJson(1), "--on-spike: expected flag")}) {
    ConfigJson bad = sound;
    bad[key] = value;
    auto config = resolveConfig({}, bad);
    ASSERT_FALSE(config) << key << " " << value;
    EXPECT_TRUE(contains(config.message(), words)) << config.message();
  }
}

TEST(TrainConfig, FitsStepsToTheProgram) {
  TrainConfig config;
  config.length = 100;
  config.batchTokens = 1200; // 12 sequences
  ASSERT_TRUE(fitToProgram(config, 500));
  EXPECT_EQ(config.accumulate, 3); // 4 at a time; 5 would not divide
  config.accumulate = 2;
  EXPECT_EQ(fitToProgram(config, 500).message(),
            "--accumulate 2 leaves 600 tokens at a time: this program was "
            "compiled for at most 500");
  config.accumulate = 0;
  config.batchTokens = int64_t(100) * 9999991; // a prime number of sequences
  ASSERT_TRUE(fitToProgram(config, 500));
  EXPECT_EQ(config.accumulate, 9999991);
  config.accumulate = 0;
  EXPECT_EQ(fitToProgram(config, 99).message(),
            "--seq 100: this program was compiled for at most 99 tokens at a "
            "time");
  EXPECT_EQ(fitToProgram(config, 500, 64).message(),
            "--seq 100: the model has positions for at most 64 tokens "
            "(max_position_embeddings)");
  EXPECT_TRUE(fitToProgram(config, 500, 100));
}

TEST(TrainConfig, NamesShardsThatAreOthers) {
  const std::vector<ShardIdentity> saved = {{"a", 10, 1}, {"b", 20, 2}};
  EXPECT_TRUE(dataDifferences(saved, saved).empty());
  EXPECT_EQ(dataDifferences({{"a", 10, 9}, {"c", 30, 2}, {"d", 5, 5}}, saved),
            (std::vector<std::string>{
                "shard 1: a (10 tokens) in the checkpoint, one with other "
                "tokens now",
                "shard 2: b (20 tokens) in the checkpoint, c (30 tokens) now",
                "shard 3: none in the checkpoint, d (5 tokens) now"}));
}

} // namespace
} // namespace tnrt::test
