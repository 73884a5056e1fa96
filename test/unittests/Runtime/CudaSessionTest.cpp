// GPU programs on a fake driver: the same floats as the CPU program, decoding
// as a graph, and what is queued.
#include "core/Session.h"
#include "core/WeightSource.h"
#include "cuda/Device.h"
#include "cuda/WeightUpload.h"
#include "tnrt/formats/Pack.h"
#include "tnrt/formats/RandomInit.h"

#include "FakeDeviceModule.h"
#include "TestFiles.h"

#include <algorithm>
#include <cstring>

using namespace tnrt;
using namespace tnrt::test;

namespace {

const LoadOptions kQuiet = {"", 2, false};

class CudaSessionTest : public ::testing::Test {
protected:
  void SetUp() override { fake::resetCuda(); }
  void TearDown() override {
    session.reset();
    model.reset();
    EXPECT_EQ(fake::cuda().misuse, std::vector<std::string>());
    for (const auto &[kind, count] : fake::cuda().held)
      EXPECT_EQ(count, 0) << kind << " that nobody released";
    EXPECT_EQ(fake::cuda().usedBytes, 0);
    EXPECT_FALSE(fake::running().exceeded);
  }

  void load(const tnrt_module &module, int64_t batch) {
    session.reset();
    model.reset();
    Result<std::unique_ptr<Model>> loaded = Model::load(module, kQuiet);
    ASSERT_TRUE(loaded) << loaded.message();
    model = std::move(*loaded);
    Result<std::unique_ptr<Session>> made = Session::create(*model, batch);
    ASSERT_TRUE(made) << made.message();
    session = std::move(*made);
  }

  static std::vector<int32_t> makeTokens(int64_t count) {
    std::vector<int32_t> tokens;
    for (int64_t i = 0; i < count; ++i)
      tokens.push_back(static_cast<int32_t>(i * 37 % 256));
    return tokens;
  }

  // Everything a session computes, one float after the other.
  std::vector<float> computeAll(int64_t batch, int64_t length) {
    const std::vector<int32_t> tokens = makeTokens(batch * length);
    std::vector<float> all;
    auto add = [&](const float *data, int64_t count) {
      all.insert(all.end(), data, data + count);
    };
    std::vector<float> hidden(static_cast<size_t>(batch * length * 16));
    EXPECT_TRUE(session->forward(tokens.data(), length, hidden.data(),
                                 [&](int64_t, const float *data, int64_t row,
                                     int64_t offset, int64_t rows,
                                     int64_t stepLength, int64_t columns) {
                                   all.push_back(float(row * 1000 + offset));
                                   add(data, rows * stepLength * columns);
                                 }));
    add(hidden.data(), batch * length * 16);
    std::vector<float> logits(static_cast<size_t>(batch * length * 256));
    EXPECT_TRUE(session->logits(hidden.data(), batch * length, logits.data()));
    add(logits.data(), batch * length * 256);
    std::vector<int32_t> next(tokens.begin(), tokens.begin() + batch);
    for (int step = 0; step < 3; ++step) {
      Result<float *> decoded = session->decode(next.data());
      EXPECT_TRUE(decoded) << decoded.message();
      add(*decoded, batch * 256);
      for (int64_t row = 0; row < batch; ++row)
        next[size_t(row)] = static_cast<int32_t>(
            std::max_element(*decoded + row * 256, *decoded + (row + 1) * 256) -
            (*decoded + row * 256));
    }
    Result<float *> last =
        session->forwardRowToLogits(batch - 1, tokens.data(), length);
    EXPECT_TRUE(last) << last.message();
    add(*last, 256);
    computePacked(batch, tokens, add);
    // A state that is taken over to another sequence.
    std::vector<float> state(12);
    EXPECT_TRUE(session->readState(1, batch - 1, state.data()));
    EXPECT_TRUE(session->writeState(1, 0, state.data()));
    for (int64_t layer = 0; layer < 2; ++layer) {
      std::vector<float> states(static_cast<size_t>(batch * 12));
      EXPECT_TRUE(session->readStates(layer, states.data()));
      add(states.data(), batch * 12);
    }
    for (int64_t position : session->positions())
      all.push_back(float(position));
    return all;
  }

  // Row r has r tokens, but the last one has at least one.
  template <typename Add>
  void computePacked(int64_t batch, std::vector<int32_t> tokens, Add add) {
    std::vector<int64_t> lengths;
    int64_t total = 0;
    for (int64_t row = 0; row < batch; ++row) {
      lengths.push_back(row + 1 < batch ? row : row + 1);
      total += lengths.back();
    }
    tokens.resize(static_cast<size_t>(total), 7);
    std::vector<float> hidden(static_cast<size_t>(total * 16));
    EXPECT_TRUE(session->forwardPacked(
        tokens.data(), lengths.data(), hidden.data(),
        [&](int64_t, const float *data, int64_t, int64_t, int64_t,
            int64_t count, int64_t columns) { add(data, count * columns); }));
    add(hidden.data(), total * 16);
    Result<float *> logits =
        session->forwardPackedToLogits(tokens.data(), lengths.data());
    ASSERT_TRUE(logits) << logits.message();
    for (int64_t row = 0; row < batch; ++row)
      if (lengths[static_cast<size_t>(row)] > 0)
        add(*logits + row * 256, 256);
  }

  std::unique_ptr<Model> model;
  std::unique_ptr<Session> session;
};

TEST_F(CudaSessionTest, ComputesWhatTheCpuProgramComputes) {
  // Batches below and above what one decode step takes, lengths around what one
  // prefill step takes.
  for (int64_t batch : {1, 2, 3, 5, 7})
    for (int64_t length : {1, 2, 7, 8, 9, 17}) {
      SCOPED_TRACE(std::to_string(batch) + " x " + std::to_string(length));
      load(fake::makeModule(), batch);
      const std::vector<float> onCpu = computeAll(batch, length);
      load(fake::makeDeviceModule(), batch);
      const std::vector<float> onGpu = computeAll(batch, length);
      EXPECT_EQ(onCpu, onGpu);
    }
}

TEST_F(CudaSessionTest, DecodesByOneGraphForEachGroup) {
  load(fake::makeDeviceModule(), 5); // groups of 3 and 2
  const std::vector<int32_t> tokens = makeTokens(5);
  auto &count = fake::cuda().count;
  ASSERT_TRUE(session->decode(tokens.data()));
  EXPECT_EQ(count["cuGraphLaunch"], 0) << "the first one warms up";
  ASSERT_TRUE(session->decode(tokens.data()));
  EXPECT_EQ(count["cuStreamBeginCapture"], 2);
  EXPECT_EQ(count["cuGraphLaunch"], 2);
  const int64_t launches = count["cuLaunchKernelEx"];
  const int64_t copies = count["cuMemcpyHtoDAsync"];
  for (int step = 0; step < 10; ++step)
    ASSERT_TRUE(session->decode(tokens.data()));
  EXPECT_EQ(count["cuStreamBeginCapture"], 2);
  EXPECT_EQ(count["cuGraphLaunch"], 22);
  EXPECT_EQ(count["cuLaunchKernelEx"], launches) << "a token is one launch";
  EXPECT_EQ(count["cuMemcpyHtoDAsync"], copies);
  EXPECT_EQ(fake::running().decodeCalls, 4) << "and while capturing";
  EXPECT_EQ(session->positions(), std::vector<int64_t>(5, 12));
  float state[12];
  ASSERT_TRUE(session->readState(0, 4, state));
  EXPECT_EQ(state[0], 12) << "tokens seen";
}

// A kernel that waits by itself may start while the one before it runs; what
// follows a copy may not.
TEST_F(CudaSessionTest, KernelsOverlapTheOneBefore) {
  tnrt_module &module = fake::makeDeviceModule();
  load(module, 1);
  const std::vector<int32_t> tokens = makeTokens(1);
  int64_t &overlapping = fake::cuda().overlapping;
  ASSERT_TRUE(session->decode(tokens.data()));
  EXPECT_EQ(overlapping, 1) << "the second kernel";
  ASSERT_TRUE(session->decode(tokens.data()));
  EXPECT_EQ(overlapping, 2) << "while capturing too";
  fake::deviceTables().kernels[1].overlaps = 0;
  ASSERT_TRUE(session->forward(tokens.data(), 1, nullptr));
  EXPECT_EQ(overlapping, 2);
}

TEST_F(CudaSessionTest, GraphsOutliveAReset) {
  load(fake::makeDeviceModule(), 2);
  const std::vector<int32_t> tokens = makeTokens(2);
  Result<float *> decoded = session->decode(tokens.data());
  ASSERT_TRUE(decoded);
  const std::vector<float> first(*decoded, *decoded + 512);
  ASSERT_TRUE(session->decode(tokens.data()));
  ASSERT_TRUE(session->reset());
  EXPECT_EQ(session->positions(), std::vector<int64_t>(2, 0));
  decoded = session->decode(tokens.data());
  ASSERT_TRUE(decoded);
  EXPECT_EQ(std::vector<float>(*decoded, *decoded + 512), first);
  EXPECT_EQ(fake::cuda().count["cuStreamBeginCapture"], 1);
}

TEST_F(CudaSessionTest, ZeroesTheArenaAndTheStates) {
  load(fake::makeDeviceModule(), 2);
  float state[12] = {1};
  ASSERT_TRUE(session->readState(1, 1, state));
  for (float value : state)
    EXPECT_EQ(value, 0);
  // The fake fills memory with 0xCD; the toy counts in the arena from 0.
  const int32_t token = 1;
  const std::vector<int32_t> tokens = makeTokens(2);
  ASSERT_TRUE(session->forward(tokens.data(), 1, nullptr));
  ASSERT_TRUE(session->forwardRow(0, &token, 1, nullptr));
  // Arena, states, hidden rows and logits.
  EXPECT_EQ(fake::cuda().count["cuMemsetD8Async"], 5);
}

TEST_F(CudaSessionTest, EncodesTensorMaps) {
  load(fake::makeDeviceModule(), 1);
  const std::vector<int32_t> tokens = makeTokens(4);
  ASSERT_TRUE(session->forward(tokens.data(), 4, nullptr));
  // Type and rank; sizes; stride; box; element strides; no interleaving,
  // 128-byte swizzle, promotion to 256 bytes, zeros.
  EXPECT_EQ(fake::cuda().tensorMap,
            (std::vector<int64_t>{7, 2, 16, 4, 64, 32, 64, 1, 1, 0, 3, 3, 0}));
}

TEST_F(CudaSessionTest, RaisesTheSharedMemoryLimitOnce) {
  load(fake::makeDeviceModule(), 1);
  const std::vector<int32_t> tokens = makeTokens(4);
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(session->forward(tokens.data(), 4, nullptr));
  EXPECT_EQ(fake::cuda().sharedLimit,
            (std::map<std::string, int64_t>{{"mapped", 100000}}));
  EXPECT_EQ(fake::cuda().count["cuFuncSetAttribute"], 1);
}

TEST_F(CudaSessionTest, KeepsWhatCublasLtChoseForAShape) {
  load(fake::makeDeviceModule(), 1);
  std::vector<float> hidden(4 * 16), logits(4 * 256);
  for (int i = 0; i < 3; ++i)
    for (int64_t rows : {1, 3, 4})
      ASSERT_TRUE(session->logits(hidden.data(), rows, logits.data()));
  EXPECT_EQ(fake::cuda().count["cublasLtMatmul"], 9);
  EXPECT_EQ(fake::cuda().count["cublasLtMatmulAlgoGetHeuristic"], 3);
  EXPECT_EQ(fake::cuda().count["cublasLtCreate"], 1);
}

TEST_F(CudaSessionTest, UploadsACheckpoint) {
  TempDir dir;
  std::vector<float> embedding(4096), head(4096);
  for (size_t i = 0; i < 4096; ++i) {
    embedding[i] = float(i % 1000);
    head[i] = 2 * float(i % 1000);
  }
  writeTensors(dir.path("model.safetensors"),
               {{"model.embed_tokens.weight", {256, 16}, embedding},
                {"lm_head.weight", {256, 16}, head}});
  fake::Config config;
  config.weights = R"({"kind": "link", "path": ")" + dir.path() + R"("})";
  load(fake::makeModule(config), 2);
  const std::vector<float> onCpu = computeAll(2, 3);
  load(fake::makeDeviceModule(config), 2);
  EXPECT_EQ(computeAll(2, 3), onCpu);
  EXPECT_EQ(model->parameterBytes(), 2 * 4096 * 4);
  EXPECT_EQ(model->device(), "Fake H100");
  EXPECT_GT(model->deviceBytes(), 2 * 4096 * 4 + 4096 + (32 << 20));
}

// Quantised rows and, found in the same pass, their scales are what packing
// gives.
TEST_F(CudaSessionTest, UploadsQuantisedTensors) {
  constexpr int64_t N = 3001, K = 256;
  const InitSpec init{InitSpec::Kind::Normal, 0.1, 0};
  Manifest manifest;
  manifest.weights = {Manifest::Weights::Kind::Random, "", 5};
  for (DType dtype : {DType::I8, DType::F8E4M3, DType::I4}) {
    const std::string tensor = dtypeName(dtype);
    manifest.parameters.push_back(
        {tensor, {N, K}, DType::F32, scalesLayout(dtype), init});
    manifest.parameters.push_back({tensor, {N, K}, dtype, {}, init});
  }
  auto device = cuda::Device::open(0);
  ASSERT_TRUE(device) << device.message();
  auto source = WeightSource::open(manifest, kQuiet);
  ASSERT_TRUE(source) << source.message();
  auto plan = cuda::planWeights(manifest, *source);
  ASSERT_TRUE(plan) << plan.message();
  auto memory = cuda::DeviceMemory::allocate(*device, plan->bytes, "weights");
  ASSERT_TRUE(memory) << memory.message();
  ThreadPool pool(3);
  ASSERT_TRUE(cuda::uploadWeights(*device, manifest, *source, *plan,
                                  memory->address(), pool, false));
  std::vector<float> values(N * K);
  TensorView view{"w", DType::F32, {N, K}, nullptr, N * K * sizeof(float)};
  view.data = reinterpret_cast<const unsigned char *>(values.data());
  for (size_t i = 0; i < manifest.parameters.size(); ++i) {
    const Manifest::Parameter &parameter = manifest.parameters[i];
    randomFill(init, randomKey(5, parameter.tensor), N * K, 0, N * K,
               values.data());
    std::vector<char> expected(static_cast<size_t>(
        packedBytes(parameter.shape, parameter.dtype, parameter.layout)));
    ASSERT_TRUE(packRange(view, parameter.dtype, parameter.layout, 0, N,
                          expected.data()));
    EXPECT_EQ(std::memcmp(static_cast<const char *>(memory->data()) +
                              plan->offsets[i],
                          expected.data(), expected.size()),
              0)
        << parameter.tensor << " " << layoutName(parameter.layout);
  }
}

// Two parameters of the same tensor are one in device memory.
TEST_F(CudaSessionTest, SharesTiedParameters) {
  fake::Config config;
  config.headTensor = "model.embed_tokens.weight";
  load(fake::makeDeviceModule(config), 1);
  EXPECT_EQ(model->parameterBytes(), 4096 * 4);
}

// Two rows of two sequences, then the head; the choice of tokens where the
// program has it. What a launch costs is counted by rows and sequences.
TEST_F(CudaSessionTest, ProfilesEachKindOfLaunch) {
  fake::Config config;
  config.sampling = true;
  load(fake::makeDeviceModule(config), 3);
  const std::vector<int32_t> tokens = makeTokens(3);
  ASSERT_TRUE(session->forward(tokens.data(), 1, nullptr));
  auto profile = session->profile(2, 2, 3);
  ASSERT_TRUE(profile) << profile.message();
  const std::vector<KernelTime> &times = profile->kernels;
  ASSERT_EQ(times.size(), 4u);
  const KernelTime &forward = times[0], &product = times[2], &sample = times[3];
  EXPECT_EQ(forward.name, "forward");
  EXPECT_EQ(forward.tasks, 2);
  EXPECT_EQ(forward.threads, 128);
  EXPECT_EQ(forward.count, 1);
  EXPECT_GT(forward.seconds, 0);
  EXPECT_EQ(forward.bytes, 1000 + 4 * 100 + 2 * 10);
  EXPECT_EQ(forward.flops, 4 * 7);
  EXPECT_EQ(times[1].name, "mapped");
  EXPECT_EQ(product.name, "matmul 4x256x16");
  EXPECT_EQ(product.flops, 2 * 4 * 256 * 16);
  EXPECT_EQ(product.bytes, (4 * 16 + 256 * 16 + 4 * 256) * 4);
  EXPECT_EQ(sample.name, "sample");
  EXPECT_EQ(sample.tasks, 2);
  EXPECT_EQ(sample.bytes, 2 * 1024);
  // The fake machine has no room to measure what a copy does at best.
  EXPECT_EQ(profile->copyBytesPerSecond, 0);
  // As new afterwards.
  EXPECT_EQ(session->positions(), std::vector<int64_t>(3, 0));
  float state[12];
  ASSERT_TRUE(session->readState(0, 1, state));
  EXPECT_EQ(state[0], 0);
}

TEST_F(CudaSessionTest, ChoosesTokensOnTheDevice) {
  // Groups of decoding of 3 and 2, of the head 3 and 2.
  constexpr int64_t batch = 5;
  const std::vector<int32_t> tokens = makeTokens(batch);
  fake::Config config;
  load(fake::makeDeviceModule(config), batch);
  EXPECT_FALSE(session->canSample());
  std::vector<std::vector<int32_t>> best;
  for (int step = 0; step < 4; ++step) {
    Result<float *> logits = session->decode(tokens.data());
    ASSERT_TRUE(logits);
    best.emplace_back();
    for (int64_t row = 0; row < batch; ++row) {
      const float *of = *logits + row * 256;
      best.back().push_back(
          static_cast<int32_t>(std::max_element(of, of + 256) - of));
    }
  }
  config.sampling = true;
  load(fake::makeDeviceModule(config), batch);
  ASSERT_TRUE(session->canSample());
  fake::cuda().copiedToHost.clear();
  const int64_t launches = fake::cuda().count["cuGraphLaunch"];
  for (int step = 0; step < 4; ++step) {
    // Another draw for each sequence and step: what the graph reads is not what
    // it was made with.
    std::vector<Draw> draws(batch);
    for (int64_t row = 1; row < batch; ++row) {
      draws[size_t(row)].inverseTemperature = 1;
      draws[size_t(row)].uniform = float(row + 10 * step) / 1000 + 1e-4f;
    }
    auto chosen = session->decodeToTokens(tokens.data(), draws.data());
    ASSERT_TRUE(chosen) << chosen.message();
    EXPECT_EQ((*chosen)[0], best[size_t(step)][0]);
    for (int64_t row = 1; row < batch; ++row)
      EXPECT_EQ((*chosen)[row],
                (best[size_t(step)][size_t(row)] + row + 10 * step) % 256);
  }
  EXPECT_EQ(fake::cuda().count["cuGraphLaunch"] - launches, 6);
  // 4 bytes for each sequence, as queued once and as captured once.
  EXPECT_EQ(fake::cuda().copiedToHost, (std::vector<int64_t>{12, 8, 12, 8}));
}

TEST_F(CudaSessionTest, ChoosesTheTokenAfterAPrompt) {
  fake::Config config;
  config.sampling = true;
  load(fake::makeDeviceModule(config), 3);
  const std::vector<int32_t> tokens = makeTokens(19); // three steps
  Result<float *> logits = session->forwardRowToLogits(1, tokens.data(), 19);
  ASSERT_TRUE(logits);
  const auto best =
      static_cast<int32_t>(std::max_element(*logits, *logits + 256) - *logits);
  ASSERT_TRUE(session->reset());
  Draw draw;
  draw.inverseTemperature = 1;
  draw.uniform = 0.0071f;
  auto token = session->forwardRowToToken(1, tokens.data(), 19, draw);
  ASSERT_TRUE(token) << token.message();
  EXPECT_EQ(*token, (best + 7) % 256);
  EXPECT_EQ(session->positions(), (std::vector<int64_t>{0, 19, 0}));
  EXPECT_EQ(fake::running().sampleCalls, 1);
  // Logits and tokens may be asked for in turn.
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(session->decode(tokens.data()));
    const std::vector<Draw> draws(3);
    ASSERT_TRUE(session->decodeToTokens(tokens.data(), draws.data()));
  }
  EXPECT_FALSE(session->forwardRowToToken(3, tokens.data(), 1, draw));
}

} // namespace
