// Loading models: link, random, tied heads, and everything that does not fit.
#include "core/Session.h"
#include "core/ThreadPool.h"
#include "core/WeightLoader.h"
#include "tnrt/formats/Convert.h"
#include "tnrt/formats/RandomInit.h"

#include "FakeModule.h"
#include "TestFiles.h"

#include <cmath>

using namespace tnrt;
using namespace tnrt::test;

namespace {

std::vector<float> ramp(int64_t count, float scale) {
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = scale * static_cast<float>(i % 1000);
  return values;
}

class ModelTest : public ::testing::Test {
protected:
  void writeCheckpoint(std::vector<NamedTensor> tensors) {
    writeTensors(dir.path("model.safetensors"), tensors);
  }
  fake::Config linked() {
    fake::Config config;
    config.weights = R"({"kind": "link", "path": ")" + dir.path() + "\"}";
    return config;
  }
  std::string errorOf(const fake::Config &config) {
    Result<std::unique_ptr<Model>> model =
        Model::load(fake::makeModule(config), quiet);
    return model ? "" : model.message();
  }

  TempDir dir;
  LoadOptions quiet{"", 2, false};
};

TEST_F(ModelTest, LoadsLinkedWeights) {
  writeCheckpoint({{"model.embed_tokens.weight", {256, 16}, ramp(4096, 1)},
                   {"lm_head.weight", {256, 16}, ramp(4096, 2)}});
  Result<std::unique_ptr<Model>> model =
      Model::load(fake::makeModule(linked()), quiet);
  ASSERT_TRUE(model) << model.message();
  EXPECT_EQ((*model)->parameterBytes(), 2 * 4096 * 4);
  EXPECT_EQ((*model)->stateBytes(), 2 * 12 * 4);
  EXPECT_EQ((*model)->threads(), 2);
  Result<std::unique_ptr<Session>> session = Session::create(**model, 1);
  ASSERT_TRUE(session);
  const int32_t token = 3;
  std::vector<float> hidden(16), logits(256);
  ASSERT_TRUE((*session)->forward(&token, 1, hidden.data()));
  EXPECT_EQ(hidden[0], 48 + 2 * 4 / 1024.0f);
  std::fill(hidden.begin(), hidden.end(), 0.0f);
  hidden[5] = 1;
  ASSERT_TRUE((*session)->logits(hidden.data(), 1, logits.data()));
  for (int64_t v = 0; v < 256; ++v)
    EXPECT_EQ(logits[size_t(v)], 2 * float((v * 16 + 5) % 1000));
}

TEST_F(ModelTest, TiedHeadUsesOneTensorTwice) {
  writeCheckpoint({{"model.embed_tokens.weight", {256, 16}, ramp(4096, 1)}});
  fake::Config config = linked();
  config.headTensor = "model.embed_tokens.weight";
  EXPECT_EQ(errorOf(config), "");
}

TEST_F(ModelTest, ListsAllThatIsMissing) {
  writeCheckpoint({{"other", {1}, {1}}});
  const std::string error = errorOf(linked());
  EXPECT_TRUE(contains(error,
                       "model.safetensors: does not fit the compiled model: "
                       "missing tensors: 'model.embed_tokens.weight', "
                       "'lm_head.weight'"));
  EXPECT_TRUE(contains(error, "--weights"));
}

TEST_F(ModelTest, ListsAllThatIsMisshapen) {
  writeCheckpoint({{"model.embed_tokens.weight", {16, 256}, ramp(4096, 1)}});
  const std::string error = errorOf(linked());
  EXPECT_TRUE(contains(error, "missing tensors: 'lm_head.weight'"));
  EXPECT_TRUE(contains(
      error,
      "'model.embed_tokens.weight' has shape [16, 256], expected [256, 16]"));
}

TEST_F(ModelTest, RefusesOtherDtypes) {
  const std::string path = dir.path("model.safetensors");
  Result<SafetensorsWriter> writer = SafetensorsWriter::create(
      path, {{"model.embed_tokens.weight", DType::I32, {256, 16}},
             {"lm_head.weight", DType::F16, {256, 16}}});
  const std::string data(4096 * 6, '\0');
  ASSERT_TRUE(writer->write(data.data(), data.size()) && writer->commit());
  EXPECT_TRUE(contains(errorOf(linked()),
                       "'model.embed_tokens.weight' has dtype I32, "
                       "expected F32, F16 or BF16"));
}

TEST_F(ModelTest, OtherErrors) {
  fake::Config config = linked();
  EXPECT_TRUE(contains(errorOf(config), "--weights"));
  config.weights = R"({"kind": "embed"})";
  EXPECT_TRUE(contains(errorOf(config), "embedded weights"));
  config.weights = R"({"kind": "random", "seed": 1})";
  config.required = R"("avx1024")";
  EXPECT_TRUE(contains(errorOf(config), "this CPU lacks avx1024"));
  config.required = "";
  EXPECT_EQ(errorOf(config), "");
  quiet.threads = -1;
  EXPECT_TRUE(contains(errorOf(config), "threads"));
  quiet.threads = 1;
  quiet.weightsPath = dir.path("nowhere");
  EXPECT_TRUE(contains(errorOf(config), "nowhere: cannot open"));
  tnrt_module module = fake::makeModule();
  module.abi_version = 99;
  EXPECT_TRUE(contains(Model::load(module, quiet).message(), "ABI version 99"));
}

TEST_F(ModelTest, RandomWeightsDoNotDependOnLayoutOrThreads) {
  Manifest manifest;
  manifest.weights = {Manifest::Weights::Kind::Random, "", 5};
  const std::vector<int64_t> shape{1000, 300};
  const Layout panels{Layout::Kind::Panels, 64, 2};
  const InitSpec init{InitSpec::Kind::Normal, 0.1, 0};
  manifest.parameters = {
      {"w", shape, DType::F32, {}, init},
      {"w", shape, DType::BF16, panels, init},
      {"w", shape, DType::F32, {}, init},
      {"s", {}, DType::F32, {}, {InitSpec::Kind::Constant, 0, 2}}};
  std::vector<float> values(300000);
  randomFill(init, randomKey(5, "w"), 300000, 0, 300000, values.data());
  TensorView view{"w", DType::F32, shape,
                  reinterpret_cast<const unsigned char *>(values.data()),
                  1200000};
  std::vector<uint16_t> packed(
      static_cast<size_t>(packedBytes(shape, DType::BF16, panels)) / 2);
  ASSERT_TRUE(packRange(view, DType::BF16, panels, 0, packUnits(shape, panels),
                        packed.data()));
  for (int threads : {1, 3}) {
    ThreadPool pool(threads);
    Result<LoadedWeights> weights = loadWeights(manifest, quiet, pool);
    ASSERT_TRUE(weights) << weights.message();
    EXPECT_EQ(std::memcmp(weights->parameters[0], values.data(), 1200000), 0);
    EXPECT_EQ(
        std::memcmp(weights->parameters[1], packed.data(), packed.size() * 2),
        0);
    EXPECT_EQ(weights->parameters[2], weights->parameters[0]) << "shared";
    EXPECT_EQ(*static_cast<float *>(weights->parameters[3]), 2);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(weights->parameters[1]) % 64, 0u);
  }
}

TEST_F(ModelTest, MapsRowsAndPacksTheRest) {
  writeCheckpoint({{"e", {300, 70}, ramp(21000, 1)}, {"h", {}, {7}}});
  Manifest manifest;
  manifest.weights = {Manifest::Weights::Kind::Link, dir.path(), 0};
  const std::vector<int64_t> shape{300, 70};
  manifest.parameters = {
      {"e", shape, DType::F32, {}, {}},
      {"e", shape, DType::BF16, {}, {}},
      {"e", shape, DType::F32, {Layout::Kind::Panels, 48, 1}, {}},
      {"h", {}, DType::BF16, {}, {}}};
  ThreadPool pool(2);
  Result<LoadedWeights> weights = loadWeights(manifest, quiet, pool);
  ASSERT_TRUE(weights) << weights.message();
  ASSERT_TRUE(weights->source->mapped(0));
  EXPECT_EQ(weights->parameters[0], weights->source->mapped(0))
      << "used where it is mapped";
  EXPECT_FALSE(weights->source->mapped(1));
  const auto *brain = static_cast<const uint16_t *>(weights->parameters[1]);
  const auto *panel = static_cast<const float *>(weights->parameters[2]);
  for (int64_t n = 0; n < 300; ++n)
    for (int64_t k = 0; k < 70; ++k) {
      const float value = float((n * 70 + k) % 1000);
      ASSERT_EQ(brain[n * 70 + k], bf16FromF32(value));
      ASSERT_EQ(panel[(n / 48 * 70 + k) * 48 + n % 48], value);
    }
  EXPECT_EQ(*static_cast<const uint16_t *>(weights->parameters[3]),
            bf16FromF32(7));
}

// What the compiler stores is what a linked start packs, bit for bit.
class StoredWeightsTest : public ModelTest {
protected:
  void SetUp() override {
    writeCheckpoint(
        {{"e", {300, 70}, ramp(21000, 0.01f)}, {"v", {5}, ramp(5, 1)}});
    const std::vector<int64_t> shape{300, 70};
    manifest.parameters = {
        {"v", {5}, DType::F32, {}, {}},
        {"e", shape, DType::F32, {Layout::Kind::Panels, 48, 1}, {}},
        {"e", shape, DType::BF16, {Layout::Kind::Panels, 64, 2}, {}},
        {"e", shape, DType::I8, {Layout::Kind::Panels, 64, 1}, {}},
        {"e", shape, DType::F32, {Layout::Kind::RowScales}, {}},
        {"e", shape, DType::F32, {Layout::Kind::Panels, 48, 1}, {}}};
    writeFile(dir.path("exe"), "an executable");
    Result<Checkpoint> checkpoint = Checkpoint::open(dir.path());
    std::vector<StoredParameter> stored;
    for (const Manifest::Parameter &parameter : manifest.parameters)
      stored.push_back({checkpoint->find(parameter.tensor), parameter.dtype,
                        parameter.layout});
    ASSERT_TRUE(appendPayload(dir.path("exe"), &stored, nullptr));
  }
  Result<LoadedWeights> load(Manifest::Weights::Kind kind) {
    ThreadPool pool(2);
    manifest.weights = {kind, dir.path(), 0};
    return loadWeights(manifest, quiet, pool, dir.path("exe"));
  }

  Manifest manifest;
};

TEST_F(StoredWeightsTest, AreWhatALinkedStartPacks) {
  Result<LoadedWeights> linked = load(Manifest::Weights::Kind::Link);
  Result<LoadedWeights> embedded = load(Manifest::Weights::Kind::Embed);
  ASSERT_TRUE(linked && embedded) << embedded.message();
  EXPECT_EQ(embedded->bytes, linked->bytes);
  EXPECT_EQ(embedded->packed.size(), 0u) << "nothing is copied";
  EXPECT_EQ(embedded->parameters[1], embedded->parameters[5]) << "shared";
  for (size_t i = 0; i < manifest.parameters.size(); ++i) {
    const Manifest::Parameter &parameter = manifest.parameters[i];
    EXPECT_EQ(
        std::memcmp(embedded->parameters[i], linked->parameters[i],
                    static_cast<size_t>(packedBytes(
                        parameter.shape, parameter.dtype, parameter.layout))),
        0)
        << i;
    EXPECT_EQ(
        reinterpret_cast<uintptr_t>(embedded->parameters[i]) %
            static_cast<uintptr_t>(parameter.layout.kind == Layout::Kind::Panels
                                       ? 64
                                       : dtypeBytes(parameter.dtype)),
        0u)
        << i;
  }
}

TEST_F(StoredWeightsTest, OtherLayoutsAreRefused) {
  manifest.parameters[1].layout.width = 64;
  Result<LoadedWeights> weights = load(Manifest::Weights::Kind::Embed);
  ASSERT_FALSE(weights);
  EXPECT_TRUE(contains(weights.message(),
                       "not packed as the generated code reads them: missing "
                       "'e F32 [300, 70] panels 64 1'"));
}

} // namespace
