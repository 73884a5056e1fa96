// The GPU's training backend on the fake driver: the same loss as on the CPU,
// computed by a kernel on device memory.
#include "FakeDeviceModule.h"
#include "FakeTrainer.h"

#include "train/CreateBackend.h"
#include "train/Optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace tnrt;

namespace {

// args: table, bias, their gradients or null, tokens, labels, scale, loss,
// batch, length.
void runLoss(void **p, int64_t) {
  using fake::parameterOf;
  const auto *table = parameterOf<const float *>(p, 0);
  const auto *bias = parameterOf<const float *>(p, 1);
  auto *tableGradient = parameterOf<float *>(p, 2);
  auto *biasGradient = parameterOf<float *>(p, 3);
  const auto *tokens = parameterOf<const int32_t *>(p, 4);
  const auto *labels = parameterOf<const int32_t *>(p, 5);
  const int64_t count = parameterOf<int64_t>(p, 8) * parameterOf<int64_t>(p, 9);
  float sum = 0;
  int64_t counted = 0;
  for (int64_t i = 0; i < count; ++i)
    counted += labels[i] >= 0;
  for (int64_t i = 0; i < count; ++i) {
    if (labels[i] < 0)
      continue;
    const auto label = static_cast<float>(labels[i]);
    sum += table[3 * tokens[i]] * label + bias[1];
    if (!tableGradient)
      continue;
    const float share =
        *parameterOf<const float *>(p, 6) / static_cast<float>(counted);
    tableGradient[3 * tokens[i]] += share * label;
    biasGradient[1] += share;
  }
  *parameterOf<float *>(p, 7) = sum / static_cast<float>(counted);
}

void launchLoss(void *context, int64_t batch, int64_t length,
                const int32_t *tokens, const int32_t *labels,
                const float *scale, float *loss) {
  void *args[] = {tnrt_param(context, 0),
                  tnrt_param(context, 1),
                  scale ? tnrt_gradient(context, 0) : nullptr,
                  scale ? tnrt_gradient(context, 1) : nullptr,
                  const_cast<int32_t *>(tokens),
                  const_cast<int32_t *>(labels),
                  const_cast<float *>(scale),
                  loss,
                  reinterpret_cast<void *>(batch),
                  reinterpret_cast<void *>(length)};
  tnrt_launch_device(context, 0, 1, args);
}

void evaluate(void *context, int64_t batch, int64_t length,
              const int32_t *tokens, const int32_t *labels, const int64_t *,
              float *loss) {
  launchLoss(context, batch, length, tokens, labels, nullptr, loss);
}

void gradient(void *context, int64_t batch, int64_t length,
              const int32_t *tokens, const int32_t *labels, const int64_t *,
              const float *scale, float *loss) {
  launchLoss(context, batch, length, tokens, labels, scale, loss);
}

// args: gradients, norm, chunks.
void runNorm(void **p, int64_t) {
  using fake::parameterOf;
  const double sum =
      sumOfSquares(parameterOf<const float *>(p, 0),
                   parameterOf<int64_t>(p, 2) * TNRT_OPTIMIZER_CHUNK);
  *parameterOf<float *>(p, 1) = static_cast<float>(std::sqrt(sum));
}

// args: factors, decays, gradients, parameters, moments. A task is a chunk.
void runAdamW(void **p, int64_t tasks) {
  using fake::parameterOf;
  for (int64_t task = 0; task < tasks; ++task) {
    const int64_t at = task * TNRT_OPTIMIZER_CHUNK;
    updateAdamW(
        *parameterOf<const AdamWFactors *>(p, 0),
        parameterOf<const float *>(p, 1)[task] != 0, TNRT_OPTIMIZER_CHUNK,
        parameterOf<const float *>(p, 2) + at, parameterOf<float *>(p, 3) + at,
        parameterOf<float *>(p, 4) + at, parameterOf<float *>(p, 5) + at);
  }
}

void gradientNorm(void *context, int64_t chunks, const float *gradients,
                  float *, float *norm) {
  void *args[] = {const_cast<float *>(gradients), norm,
                  reinterpret_cast<void *>(chunks)};
  tnrt_launch_device(context, 1, 1, args);
}

void adamw(void *context, int64_t chunks, const float *factors,
           const float *decays, const float *gradients, float *parameters,
           float *first, float *second) {
  void *args[] = {const_cast<float *>(factors),
                  const_cast<float *>(decays),
                  const_cast<float *>(gradients),
                  parameters,
                  first,
                  second};
  tnrt_launch_device(context, 2, chunks, args);
}

class CudaTrainerTest : public testing::Test {
protected:
  void SetUp() override {
    fake::Cuda &cuda = fake::resetCuda();
    cuda.kernels["loss"] = {runLoss, std::vector<size_t>(10, 8)};
    cuda.kernels["norm"] = {runNorm, std::vector<size_t>(3, 8)};
    cuda.kernels["adamw"] = {runAdamW, std::vector<size_t>(6, 8)};
    text = fake::trainerManifest();
    fake::replaceIn(text, R"("target": {)",
                    R"("target": {"kind": "gpu", "chip": "sm_90a", )");
    module = fake::makeTrainer(text);
    module.evaluate = evaluate;
    module.gradient = gradient;
    module.gradient_norm = gradientNorm;
    module.adamw = adamw;
    module.device_image = image;
    module.device_image_size = sizeof image;
    module.device_kernels = kernels;
    module.num_device_kernels = 3;
    auto parsed = Manifest::parse(text);
    ASSERT_TRUE(parsed) << parsed.message();
    manifest = std::move(*parsed);
  }

  Result<std::unique_ptr<TrainBackend>> create() {
    LoadOptions options;
    options.threads = 2;
    options.progress = false;
    return createTrainBackend(module, manifest, options);
  }

  std::string text;
  const char image[4] = {'\x7f', 'E', 'L', 'F'};
  std::vector<uint8_t> kinds = std::vector<uint8_t>(10, TNRT_PARAM_SLOT);
  tnrt_device_kernel kernels[3] = {
      {"loss", 32, 0, 10, kinds.data(), 0, 0, 0, 0, 0},
      {"norm", 32, 0, 3, kinds.data(), 0, 0, 0, 0, 0},
      {"adamw", 32, 0, 6, kinds.data(), 0, 0, 0, 0, 0}};
  tnrt_module module{};
  Manifest manifest;
};

// Two backends lay parameters out with different gaps.
void expectSame(TrainBackend &a, TrainBackend &b, TrainBuffer which) {
  const FloatSpan x = *a.view(which), y = *b.view(which);
  ASSERT_EQ(a.parameters().size(), b.parameters().size());
  for (size_t i = 0; i < a.parameters().size(); ++i) {
    const TrainParameter &p = a.parameters()[i], &q = b.parameters()[i];
    ASSERT_EQ(p.elements, q.elements);
    for (int64_t at = 0; at < p.elements; ++at)
      EXPECT_EQ(x.data[p.offset + at], y.data[q.offset + at])
          << p.name << " " << at;
  }
}

TEST_F(CudaTrainerTest, TrainsAsTheCPUDoes) {
  const std::string cpuText = fake::trainerManifest();
  auto cpuManifest = Manifest::parse(cpuText);
  ASSERT_TRUE(cpuManifest);
  const tnrt_module cpuModule = fake::makeTrainer(cpuText);
  LoadOptions options;
  options.progress = false;
  auto expected = createTrainBackend(cpuModule, *cpuManifest, options);
  ASSERT_TRUE(expected) << expected.message();
  {
    fake::cuda().usedBytes = 1000000; // the driver's, say
    auto created = create();
    ASSERT_TRUE(created) << created.message();
    TrainBackend &backend = **created;
    EXPECT_EQ(backend.device(), "Fake H100");
    EXPECT_EQ(backend.memory().planned(), 4 * 2 * 1024 * 4 + 4096);
    // Ids, labels and some numbers come to it.
    EXPECT_EQ(backend.memory().planned() + backend.memory().beside,
              fake::cuda().usedBytes);
    EXPECT_GT(backend.memory().beside, 1000000);

    const int32_t inputs[] = {0, 1, 2, 3, 4, 5, 6, 7, 0, 0};
    const int32_t targets[] = {1, 2, 3, -1, 0, -1, 4, 5, -1, -1};
    const TrainBatch batch{inputs, targets, 5, 2};
    AdamWUpdate update;
    update.lr = 0.1;
    update.weightDecay = 0.01;
    for (int step = 1; step <= 3; ++step) {
      update.step = step;
      for (TrainBackend *each : {&backend, expected->get()}) {
        ASSERT_TRUE(each->zeroGradients());
        ASSERT_TRUE(each->accumulate(batch, 0.5));
        ASSERT_TRUE(each->accumulate(batch, 0.25));
      }
      EXPECT_FLOAT_EQ(static_cast<float>(*backend.gradientNorm()),
                      static_cast<float>(*(*expected)->gradientNorm()));
      EXPECT_EQ(backend.evaluate(batch)->sum,
                (*expected)->evaluate(batch)->sum);
      for (TrainBuffer which :
           {TrainBuffer::Gradients, TrainBuffer::Parameters,
            TrainBuffer::FirstMoment, TrainBuffer::SecondMoment})
        expectSame(backend, **expected, which);
      ASSERT_TRUE(backend.adamw(update));
      ASSERT_TRUE((*expected)->adamw(update));
    }
    // What is written into a view is what the GPU computes with.
    for (TrainBackend *each : {&backend, expected->get()}) {
      each->view(TrainBuffer::Parameters)->data[0] = 2;
      each->view(TrainBuffer::Gradients)->data[0] = 7;
      ASSERT_TRUE(each->commit(TrainBuffer::Parameters));
      ASSERT_TRUE(each->commit(TrainBuffer::Gradients));
      ASSERT_TRUE(each->accumulate(batch, 1));
    }
    EXPECT_EQ(backend.evaluate(batch)->sum, (*expected)->evaluate(batch)->sum);
    EXPECT_FLOAT_EQ(static_cast<float>(*backend.gradientNorm()),
                    static_cast<float>(*(*expected)->gradientNorm()));
    for (TrainBackend *each : {&backend, expected->get()}) {
      each->view(TrainBuffer::Gradients)->data[1] = 24;
      ASSERT_TRUE(each->commit(TrainBuffer::Gradients));
      EXPECT_GT(*each->gradientNorm(), 24); // not what was known before
    }
  }
  EXPECT_TRUE(fake::cuda().misuse.empty()) << fake::cuda().misuse.front();
  EXPECT_EQ(fake::cuda().heldInAll(), 0);
}

// From the third step on, one graph and one wait.
TEST_F(CudaTrainerTest, AStepWaitsOnce) {
  auto created = create();
  ASSERT_TRUE(created) << created.message();
  TrainBackend &backend = **created;
  const int32_t ids[] = {1, 2, 3, 4};
  const TrainBatch batch{ids, ids, 2, 2};
  auto countOf = [](const char *call) { return fake::cuda().count[call]; };
  int64_t waits = 0, graphs = 0, copies = 0;
  for (int step = 1; step <= 4; ++step) {
    waits = countOf("cuStreamSynchronize");
    graphs = countOf("cuGraphLaunch");
    copies = countOf("cuMemcpyHtoDAsync");
    ASSERT_TRUE(backend.zeroGradients());
    ASSERT_TRUE(backend.accumulate(batch, 0.25));
    ASSERT_TRUE(backend.gradientNorm());
    AdamWUpdate update;
    update.step = step;
    ASSERT_TRUE(backend.adamw(update));
    EXPECT_EQ(countOf("cuStreamSynchronize"), waits + 1) << step;
    EXPECT_EQ(countOf("cuGraphLaunch"), graphs + (step > 2)) << step;
  }
  EXPECT_EQ(countOf("cuMemcpyHtoDAsync"), copies + 1); // of the factors
  EXPECT_EQ(countOf("cuGraphInstantiateWithFlags"), 1);
  EXPECT_TRUE(fake::cuda().misuse.empty()) << fake::cuda().misuse.front();
}

// Whatever call fails is told, and nothing is left behind.
TEST_F(CudaTrainerTest, ReportsEveryFailure) {
  const int32_t ids[] = {1, 2};
  const TrainBatch batch{ids, ids, 1, 2};
  auto runAll = [&]() -> Status {
    auto backend = create();
    if (!backend)
      return backend.takeError();
    if (auto loss = (*backend)->accumulate(batch, 1); !loss)
      return loss.takeError();
    if (auto norm = (*backend)->gradientNorm(); !norm)
      return norm.takeError();
    if (Status status = (*backend)->adamw({}); !status)
      return status;
    return (*backend)->zeroGradients();
  };
  ASSERT_TRUE(runAll());
  const int64_t calls = fake::cuda().calls;
  ASSERT_GT(calls, 20);
  std::vector<std::string> survived;
  for (int64_t call = 1; call <= calls; ++call) {
    SetUp();
    fake::cuda().failAt = call;
    Status status = runAll();
    if (status)
      survived.push_back(fake::cuda().failedCall);
    EXPECT_EQ(fake::cuda().heldInAll(), 0) << fake::cuda().failedCall;
  }
  // A program without products can do without cuBLASLt and its workspace; the
  // last wait is the destructor's.
  EXPECT_EQ(survived, (std::vector<std::string>{"cuMemAlloc", "cublasLtCreate",
                                                "cuStreamSynchronize"}));
}

TEST_F(CudaTrainerTest, NeedsTheGPU) {
  fake::cuda().capability = 80;
  auto backend = create();
  ASSERT_FALSE(backend);
  EXPECT_NE(backend.message().find("sm_90a"), std::string::npos)
      << backend.message();
}

} // namespace
