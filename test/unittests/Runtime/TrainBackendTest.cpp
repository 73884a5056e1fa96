// The CPU's training backend on a loss whose gradient is known, and the
// optimizer's arithmetic.
#include "train/CreateBackend.h"
#include "train/Optimizer.h"

#include "FakeModule.h"
#include "FakeTrainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

using namespace tnrt;

namespace {

class TrainBackendTest : public testing::Test {
protected:
  void SetUp() override { open(2); }

  void open(int threads) {
    text = fake::trainerManifest();
    module = fake::makeTrainer(text);
    auto parsed = Manifest::parse(text);
    ASSERT_TRUE(parsed) << parsed.message();
    manifest = std::move(*parsed);
    LoadOptions options;
    options.threads = threads;
    options.progress = false;
    auto created = createTrainBackend(module, manifest, options);
    ASSERT_TRUE(created) << created.message();
    backend = std::move(*created);
  }

  float *view(TrainBuffer which) { return backend->view(which)->data; }

  std::string text;
  tnrt_module module{};
  Manifest manifest;
  std::unique_ptr<TrainBackend> backend;
};

TEST_F(TrainBackendTest, LaysOutTheParameters) {
  const auto &table = backend->parameters();
  ASSERT_EQ(table.size(), 2u);
  EXPECT_EQ(table[0].name, "table");
  EXPECT_EQ(table[0].offset, 0);
  EXPECT_EQ(table[0].elements, 24);
  EXPECT_TRUE(table[0].decays);
  EXPECT_EQ(table[1].offset, 32); // the next multiple of 16
  EXPECT_FALSE(table[1].decays);
  EXPECT_EQ(backend->flatElements(), 48);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(view(TrainBuffer::Gradients)) % 64, 0u);
  EXPECT_EQ(view(TrainBuffer::Parameters)[33], 0.25f); // as `init` says
  EXPECT_EQ(view(TrainBuffer::Parameters)[34], 0.0f);  // between
  EXPECT_NE(view(TrainBuffer::Parameters)[0], 0.0f);
  EXPECT_EQ(backend->memory().planned(), 4 * 48 * 4 + 4096);
  EXPECT_EQ(backend->threads(), 2);
}

// Five sequences of two are three calls; labels below 0 do not count.
TEST_F(TrainBackendTest, AddsScaledGradientsOfTheSum) {
  const int32_t inputs[] = {0, 1, 2, 3, 4, 5, 6, 7, 0, 0};
  const int32_t targets[] = {1, 2, 3, -1, -1, -1, 4, 5, -1, -1};
  const float *table = view(TrainBuffer::Parameters);
  double sum = 0;
  for (int i = 0; i < 10; ++i)
    if (targets[i] >= 0)
      sum += table[3 * inputs[i]] * targets[i] + 0.25;

  const TrainBatch batch{inputs, targets, 5, 2};
  auto evaluated = backend->evaluate(batch);
  ASSERT_TRUE(evaluated) << evaluated.message();
  EXPECT_NEAR(evaluated->sum, sum, 1e-5);
  EXPECT_EQ(evaluated->tokens, 5);
  // The last sequence has no labels and is not computed.
  EXPECT_EQ(fake::trainerRun().calls, 2);
  EXPECT_EQ(fake::trainerRun().mostSequences, 2);
  EXPECT_EQ(*backend->gradientNorm(), 0.0);

  for (int repeat = 1; repeat <= 2; ++repeat) {
    auto loss = backend->accumulate(batch, 0.5);
    ASSERT_TRUE(loss) << loss.message();
    EXPECT_NEAR(loss->mean(), sum / 5, 1e-5);
    const float *gradients = view(TrainBuffer::Gradients);
    EXPECT_FLOAT_EQ(gradients[0], 0.5f * 1 * repeat);
    EXPECT_FLOAT_EQ(gradients[3 * 7], 0.5f * 5 * repeat);
    EXPECT_EQ(gradients[3 * 5], 0.0f);
    EXPECT_FLOAT_EQ(gradients[33], 0.5f * 5 * repeat);
  }
  const double squares = 1 + 4 + 9 + 16 + 25 + 25;
  EXPECT_NEAR(*backend->gradientNorm(), std::sqrt(squares), 1e-6);
  ASSERT_TRUE(backend->zeroGradients());
  EXPECT_EQ(*backend->gradientNorm(), 0.0);
}

TEST_F(TrainBackendTest, NoLabelsNoLoss) {
  const int32_t inputs[] = {1}, targets[] = {-1};
  auto loss = backend->accumulate({inputs, targets, 1, 1}, 1);
  ASSERT_TRUE(loss);
  EXPECT_EQ(loss->tokens, 0);
  EXPECT_EQ(loss->mean(), 0.0);
  EXPECT_EQ(fake::trainerRun().calls, 0);
}

TEST_F(TrainBackendTest, RefusesBadBatches) {
  const std::vector<int32_t> ids(13, 1);
  auto message = [&](const int32_t *inputs, const int32_t *targets,
                     int64_t batch, int64_t length) {
    auto loss = backend->accumulate({inputs, targets, batch, length}, 1);
    return loss ? std::string() : loss.message();
  };
  EXPECT_EQ(message(ids.data(), ids.data(), 1, 13),
            "a batch of 1 x 13 tokens, expected 1 to 12 in one call (tnllmc's "
            "--train-tokens)");
  EXPECT_NE(message(ids.data(), ids.data(), 0, 1), "");
  EXPECT_NE(message(ids.data(), ids.data(), 1, 0), "");
  EXPECT_NE(message(ids.data(), ids.data(), int64_t(1) << 62, 8), "");
  std::vector<int32_t> bad = ids;
  bad[2] = 8;
  EXPECT_EQ(message(bad.data(), ids.data(), 2, 2),
            "token 2 is 8, expected a value in [0, 8)");
  EXPECT_EQ(message(ids.data(), bad.data(), 2, 2),
            "label 2 is 8, expected a value below 8, or a negative one");
  bad[2] = -1;
  EXPECT_EQ(message(bad.data(), ids.data(), 2, 2),
            "token 2 is -1, expected a value in [0, 8)");
  EXPECT_EQ(*backend->gradientNorm(), 0.0); // nothing was added
}

TEST_F(TrainBackendTest, StepsAsTheFormulaSays) {
  std::vector<double> p(48), m(48), v(48);
  for (int i = 0; i < 48; ++i)
    p[i] = view(TrainBuffer::Parameters)[i];
  AdamWUpdate update;
  update.lr = 0.01;
  update.beta1 = 0.8;
  update.beta2 = 0.9;
  update.weightDecay = 0.1;
  update.gradientScale = 0.5;
  for (int step = 1; step <= 3; ++step) {
    update.step = step;
    for (const TrainParameter &parameter : backend->parameters())
      for (int64_t k = 0; k < parameter.elements; ++k) {
        const auto i = static_cast<size_t>(parameter.offset + k);
        const float gradient = static_cast<float>(std::sin(double(i * step)));
        view(TrainBuffer::Gradients)[i] = gradient;
        const double g = 0.5 * gradient;
        m[i] = 0.8 * m[i] + 0.2 * g;
        v[i] = 0.9 * v[i] + 0.1 * g * g;
        if (parameter.decays)
          p[i] -= 0.01 * 0.1 * p[i];
        p[i] -= 0.01 * (m[i] / (1 - std::pow(0.8, step))) /
                (std::sqrt(v[i] / (1 - std::pow(0.9, step))) + 1e-8);
      }
    ASSERT_TRUE(backend->adamw(update));
    for (int i = 0; i < 48; ++i) {
      EXPECT_NEAR(view(TrainBuffer::Parameters)[i], p[i], 2e-6) << i;
      EXPECT_NEAR(view(TrainBuffer::FirstMoment)[i], m[i], 1e-6) << i;
      EXPECT_NEAR(view(TrainBuffer::SecondMoment)[i], v[i], 1e-6) << i;
    }
  }
}

TEST_F(TrainBackendTest, ShowsGradientsThatAreNoNumbers) {
  view(TrainBuffer::Gradients)[3] = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isinf(*backend->gradientNorm()));
  view(TrainBuffer::Gradients)[4] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(*backend->gradientNorm()));
}

// The squares of f32 would overflow f32, and a remainder follows full vectors.
TEST(Optimizer, SumsSquaresInF64) {
  std::vector<float> values(37, 1e30f);
  EXPECT_NEAR(sumOfSquares(values.data(), 37) / 37e60, 1, 1e-6);
  EXPECT_EQ(sumOfSquares(values.data(), 0), 0.0);
}

TEST(TrainBackend, NeedsATrainingProgram) {
  const tnrt_module &inference = fake::makeModule();
  auto manifest = Manifest::parse(fake::manifestText({}));
  ASSERT_TRUE(manifest);
  auto backend = createTrainBackend(inference, *manifest, {});
  ASSERT_FALSE(backend);
  EXPECT_EQ(backend.message(), "this program runs a model, expected one that "
                               "trains it: compiled with --train");
  const std::string text = fake::trainerManifest();
  auto model = Model::load(fake::makeTrainer(text), {});
  ASSERT_FALSE(model);
  EXPECT_EQ(model.message(), "this program trains a model, expected one that "
                             "runs it: compiled without --train");
}

} // namespace
