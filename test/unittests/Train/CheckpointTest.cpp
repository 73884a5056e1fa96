// Checkpoints: whole or not there, checked when they are read.
#include "TrainTest.h"

#include "train/Checkpoints.h"
#include "train/Folders.h"

#include <csignal>
#include <filesystem>
#include <sys/resource.h>

namespace tnrt::test {
namespace {

constexpr TrainBuffer kSaved[] = {TrainBuffer::Parameters,
                                  TrainBuffer::FirstMoment,
                                  TrainBuffer::SecondMoment};

void fill(TrainBackend &backend, float start) {
  for (TrainBuffer buffer : kSaved) {
    auto view = backend.view(buffer);
    ASSERT_TRUE(view);
    for (const TrainParameter &p : backend.parameters())
      for (int64_t i = 0; i < p.elements; ++i)
        view->data[p.offset + i] = start += 0.25f;
    ASSERT_TRUE(backend.commit(buffer));
  }
}

TrainState stateAt(int64_t step, bool regular = true) {
  TrainState state;
  state.step = step;
  state.regular = regular;
  return state;
}

class CheckpointTest : public ::testing::Test {
protected:
  void SetUp() override {
    auto opened = CheckpointStore::open(dir.path("run"));
    ASSERT_TRUE(opened) << opened.message();
    store.emplace(std::move(*opened));
    backend = openBigram();
  }
  void save(int64_t step, int64_t keep = 100, bool regular = true) {
    Status status = store->save(stateAt(step, regular), *backend, keep);
    EXPECT_TRUE(status) << status.message();
  }
  std::string openMessage(int64_t step) {
    auto saved = SavedCheckpoint::open(store->pathOf(step));
    return saved ? std::string() : saved.message();
  }
  // Nothing but checkpoints in the folder, hidden or not.
  void expectOnly(const std::vector<int64_t> &steps) {
    EXPECT_EQ(store->steps(), steps);
    size_t entries = 0;
    for ([[maybe_unused]] const auto &entry :
         std::filesystem::directory_iterator(dir.path("run/checkpoints")))
      ++entries;
    EXPECT_EQ(entries, steps.size());
  }

  TempDir dir;
  std::optional<CheckpointStore> store;
  std::unique_ptr<TrainBackend> backend;
};

TEST(TrainState, IsReadAsItWasWritten) {
  TrainState state;
  state.step = 7;
  state.updates = 6;
  state.nextBatch = 9;
  state.tokens = 1LL << 50;
  state.skippedBatches = {3, 5};
  state.nonFinite = 1;
  state.nonFiniteInRow = 1;
  state.spikes = 2;
  state.rollbacks = 1;
  state.losses = {0.1, 1.0 / 3, 2.5e-300};
  state.gradientNorms = {1e30};
  state.metricsBytes = 12345;
  state.regular = false;
  state.program = "abc";
  state.model = {{"glu_dim", 7}};
  state.config = {{"lr", 0.1}};
  state.data = {{"a.bin", 1ULL << 40, 0xFFFFFFFF}};
  auto json = nlohmann::ordered_json::parse(state.toJson().dump());
  auto read = TrainState::parse(json);
  ASSERT_TRUE(read) << read.message();
  EXPECT_EQ(read->toJson(), state.toJson());
  EXPECT_EQ(read->losses, state.losses); // to the last bit
  EXPECT_EQ(read->skippedBatches, state.skippedBatches);
  EXPECT_EQ(read->data, state.data);
  // Every key is needed, but for one that there was not always, and each in its
  // type.
  for (const auto &[key, value] : json.items()) {
    auto without = json;
    without.erase(key);
    if (key == "model")
      EXPECT_TRUE(TrainState::parse(without)->model.is_null());
    else
      EXPECT_TRUE(contains(TrainState::parse(without).message(), key));
    auto wrong = json;
    wrong[key] = "?";
    if (key != "program")
      EXPECT_TRUE(contains(TrainState::parse(wrong).message(), key));
    // Nothing overflows: counts have an end.
    wrong[key] = int64_t(1) << 62 | 1;
    EXPECT_FALSE(TrainState::parse(wrong)) << key;
  }
}

TEST(TrainState, RefusesTextOfSomethingElse) {
  const std::string text = TrainState().toJson().dump();
  auto json = TrainState::readText(text);
  ASSERT_TRUE(json) << json.message();
  EXPECT_TRUE(TrainState::parse(*json));
  EXPECT_EQ(TrainState::readText("[1]").message(), "is not a JSON object");
  EXPECT_EQ(TrainState::readText(text.substr(1)).message(),
            "is not a JSON object");
  // Copies and prints of it would recurse.
  const std::string deep(1000000, '[');
  EXPECT_EQ(TrainState::readText("{\"config\":" + deep +
                                 std::string(deep.size(), ']') + "}")
                .message(),
            "is nested too deeply");
}

TEST_F(CheckpointTest, RestoresEveryNumber) {
  fill(*backend, 1);
  save(5);
  std::vector<std::vector<float>> before;
  for (TrainBuffer buffer : kSaved)
    before.push_back(copyOf(*backend, buffer));
  fill(*backend, 1000);
  auto saved = SavedCheckpoint::open(store->pathOf(5));
  ASSERT_TRUE(saved) << saved.message();
  EXPECT_EQ(saved->state().step, 5);
  Status status = saved->restore(*backend);
  ASSERT_TRUE(status) << status.message();
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(copyOf(*backend, kSaved[i]), before[i]);
  expectOnly({5});
}

TEST_F(CheckpointTest, KeepsTheNewestAndARegularOne) {
  for (int64_t step : {10, 20, 30, 40})
    save(step, 2);
  expectOnly({30, 40});
  for (int64_t step : {41, 42, 43})
    save(step, 2, /*regular=*/false);
  expectOnly({40, 42, 43}); // 40 is what a rollback needs
  save(50, 2);
  expectOnly({43, 50});
  ASSERT_TRUE(store->latestRegular(50));
  EXPECT_EQ(store->latestRegular(50)->state().step, 50);
  EXPECT_FALSE(store->latestRegular(49)); // 43 is not regular
  ASSERT_TRUE(store->removeAfter(43));
  expectOnly({43});
}

// While steps are not finite, only those from which one was are known good.
TEST_F(CheckpointTest, KeepsTheNewestThatIsKnownGood) {
  for (int64_t step : {10, 20})
    save(step, 1);
  expectOnly({10, 20}); // of 20 nobody knows yet
  save(30, 1);
  expectOnly({20, 30});
  TrainState state = stateAt(33, /*regular=*/false);
  state.nonFiniteInRow = 3;
  ASSERT_TRUE(store->save(state, *backend, 1));
  expectOnly({20, 30, 33});
  state.step = 34;
  state.nonFiniteInRow = 4;
  ASSERT_TRUE(store->save(state, *backend, 1));
  expectOnly({20, 30, 34});
  EXPECT_EQ(store->latestWhole(state.lastFinite() - 1)->state().step, 20);
  auto aside = store->setAsideAfter(20);
  ASSERT_TRUE(aside) << aside.message();
  EXPECT_EQ(*aside, (std::vector<std::string>{
                        dir.path("run/checkpoints/unproven-step-00000034"),
                        dir.path("run/checkpoints/unproven-step-00000030")}));
  EXPECT_EQ(store->steps(), std::vector<int64_t>{20});
  EXPECT_EQ(findCheckpoint(aside->back())->state().step, 30);
  // The newer one of a name stays.
  fill(*backend, 7);
  const auto written = copyOf(*backend, TrainBuffer::Parameters);
  save(30);
  fill(*backend, 8);
  ASSERT_TRUE(store->setAsideAfter(20));
  ASSERT_TRUE(findCheckpoint(aside->back())->restore(*backend));
  EXPECT_EQ(copyOf(*backend, TrainBuffer::Parameters), written);
  EXPECT_FALSE(store->latestWhole(19));
}

TEST_F(CheckpointTest, ReplacesOneOfTheSameStep) {
  fill(*backend, 1);
  save(5);
  fill(*backend, 2);
  save(5);
  auto first = copyOf(*backend, TrainBuffer::Parameters);
  fill(*backend, 3);
  ASSERT_TRUE(SavedCheckpoint::open(store->pathOf(5))->restore(*backend));
  EXPECT_EQ(copyOf(*backend, TrainBuffer::Parameters), first);
  expectOnly({5});
}

TEST_F(CheckpointTest, PassesOverDamagedOnes) {
  for (int64_t step : {1, 2, 3, 4})
    save(step);
  const std::string file = store->pathOf(4) + "/parameters.safetensors";
  std::string bytes = readFile(file);
  bytes[bytes.size() - 2] ^= 1;
  writeFile(file, bytes);
  EXPECT_TRUE(contains(openMessage(4), "is damaged"));
  std::filesystem::resize_file(store->pathOf(3) + "/optimizer.safetensors",
                               1000);
  EXPECT_NE(openMessage(3), "");
  std::filesystem::remove(store->pathOf(2) + "/trainer.json");
  EXPECT_TRUE(contains(openMessage(2), "trainer.json"));
  std::vector<std::string> skipped;
  auto latest = store->latest(skipped);
  ASSERT_TRUE(latest) << latest.message();
  ASSERT_TRUE(*latest);
  EXPECT_EQ((*latest)->state().step, 1);
  EXPECT_EQ(skipped.size(), 3u);
  // findCheckpoint() takes a run or a checkpoint.
  EXPECT_EQ(findCheckpoint(dir.path("run"))->state().step, 1);
  EXPECT_EQ(findCheckpoint(store->pathOf(1))->state().step, 1);
  EXPECT_TRUE(contains(findCheckpoint(dir.path("none")).message(),
                       "is not there, expected a run"));

  writeFile(store->pathOf(1) + "/trainer.json", "{}");
  latest = store->latest(skipped);
  ASSERT_FALSE(latest);
  EXPECT_TRUE(contains(latest.message(), "no checkpoint of "));
}

TEST_F(CheckpointTest, ListsWhatIsOfAnotherModel) {
  save(1);
  const std::string folder = store->pathOf(2);
  auto writer = CheckpointWriter::begin(dir.path("run/checkpoints"), 2);
  ASSERT_TRUE(writer);
  const std::vector<float> values(16);
  ASSERT_TRUE(writer->write(
      "parameters.safetensors",
      {{"bigram.weight", DType::F32, {4, 4}}, {"other", DType::F32, {2}}},
      [&](size_t) { return values.data(); }));
  ASSERT_TRUE(writer->commit(stateAt(2)));
  auto saved = SavedCheckpoint::open(folder);
  ASSERT_TRUE(saved) << saved.message();
  const auto before = copyOf(*backend, TrainBuffer::Parameters);
  EXPECT_EQ(saved->restore(*backend).message(),
            folder + ": is of another model: 'bigram.weight' is [4, 4], "
                     "expected [256, 256], 'bigram.bias' is missing, 'other' "
                     "is not the model's");
  EXPECT_EQ(copyOf(*backend, TrainBuffer::Parameters), before);
}

TEST_F(CheckpointTest, WithoutMomentsTheyAreZero) {
  auto writer = CheckpointWriter::begin(dir.path("run/checkpoints"), 0);
  ASSERT_TRUE(writer);
  const std::vector<float> values(256 * 256, 0.5f);
  ASSERT_TRUE(writer->write("parameters.safetensors",
                            parameterSpecs(backend->parameters()),
                            [&](size_t) { return values.data(); }));
  ASSERT_TRUE(writer->commit(stateAt(0)));
  fill(*backend, 1);
  ASSERT_TRUE(SavedCheckpoint::open(store->pathOf(0))->restore(*backend));
  EXPECT_EQ(copyOf(*backend, TrainBuffer::Parameters)[0], 0.5f);
  for (TrainBuffer buffer :
       {TrainBuffer::FirstMoment, TrainBuffer::SecondMoment})
    for (float value : copyOf(*backend, buffer))
      ASSERT_EQ(value, 0.0f);
}

// A file that may not grow is a disk that is full.
TEST_F(CheckpointTest, AFullDiskLeavesTheEarlierOne) {
  fill(*backend, 1);
  save(1);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  // The parameters' file fits, the moments' does not; then neither does.
  for (rlim_t bytes : {rlim_t(400000), rlim_t(5000)}) {
    rlimit small = limit;
    small.rlim_cur = bytes;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    Status status = store->save(stateAt(2), *backend, 3);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    EXPECT_FALSE(status);
    EXPECT_TRUE(contains(status.message(), "File too large"));
    expectOnly({1});
    EXPECT_EQ(openMessage(1), "");
  }
  std::signal(SIGXFSZ, SIG_DFL);
  save(2);
  expectOnly({1, 2});
}

TEST_F(CheckpointTest, ARunHasOneTrainer) {
  auto other = CheckpointStore::open(dir.path("run"));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.message(),
            dir.path("run") + ": another trainer is at work there");
  store.reset();
  EXPECT_TRUE(CheckpointStore::open(dir.path("run")));
}

TEST_F(CheckpointTest, ClearsWhatAKilledOneLeft) {
  save(1);
  const std::string folder = dir.path("run/checkpoints");
  for (const char *name : {".step-00000002.tmp-99", ".step-00000001.old-99"}) {
    std::filesystem::create_directory(folder + "/" + name);
    writeFile(folder + "/" + name + "/parameters.safetensors", "half");
  }
  EXPECT_EQ(store->steps(), std::vector<int64_t>{1});
  store.reset();
  auto again = CheckpointStore::open(dir.path("run"));
  ASSERT_TRUE(again);
  store.emplace(std::move(*again));
  expectOnly({1});
}

TEST(Folders, NamesOfCheckpoints) {
  EXPECT_EQ(checkpointName(100), "step-00000100");
  EXPECT_EQ(checkpointName(123456789012), "step-123456789012");
  for (int64_t step : {int64_t(0), int64_t(7), int64_t(123456789012)})
    EXPECT_EQ(parseCheckpointName(checkpointName(step)), step);
  for (const char *name :
       {"step-", "step-1", "step-000000001", "step-0000000x", "step--0000001",
        "other", "", "step-9999999999999999999999"})
    EXPECT_FALSE(parseCheckpointName(name)) << name;
}

} // namespace
} // namespace tnrt::test
