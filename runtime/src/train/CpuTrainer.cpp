// Trains on the CPU: the generated code's gradients on the thread pool, and the
// optimizer on the same pool.
#include "CpuTrainer.h"

#include "TrainArrays.h"
#include "TrainGroups.h"

#include "core/Executor.h"
#include "core/Session.h"
#include "tnrt/abi.h"

#include <utility>

namespace tnrt {

namespace {

class CpuTrainer final : public TrainBackend, private Executor {
public:
  CpuTrainer(const tnrt_module &module, const Manifest &manifest, int threads)
      : module(module), manifest(manifest), pool(threads),
        arrays(manifest, pool) {}

  Status load(const LoadOptions &options) {
    Result<Memory> memory = Memory::allocate(
        static_cast<size_t>(manifest.arenaBytes), "the values of a step");
    if (!memory)
      return memory.takeError();
    arenaMemory = std::move(*memory);
    positions.assign(static_cast<size_t>(manifest.training.maxSequences), 0);
    if (Status status = arrays.allocate(); !status)
      return status;
    return arrays.load(options);
  }

  const std::vector<TrainParameter> &parameters() const override {
    return arrays.parameters();
  }
  int64_t flatElements() const override { return arrays.size(); }
  int64_t maxTokens() const override { return manifest.training.maxTokens; }
  TrainMemory memory() const override {
    const int64_t bytes = arrays.bytes();
    return {bytes, bytes, 2 * bytes, manifest.arenaBytes};
  }
  int threads() const override { return pool.size(); }

  Result<FloatSpan> view(TrainBuffer which) override {
    return FloatSpan{arrays.data(which), arrays.size()};
  }
  Status commit(TrainBuffer) override { return {}; }

  Result<TrainLoss> accumulate(const TrainBatch &batch, double scale) override {
    return run(batch, &scale);
  }
  Result<TrainLoss> evaluate(const TrainBatch &batch) override {
    return run(batch, nullptr);
  }
  Status zeroGradients() override { return arrays.zeroGradients(), Status(); }
  Result<double> gradientNorm() override { return arrays.gradientNorm(); }
  Status adamw(const AdamWUpdate &update) override {
    return arrays.adamw(update), Status();
  }

private:
  Result<TrainLoss> run(const TrainBatch &batch, const double *scale);

  // The ABI.
  void launch(void *kernel, int64_t tasks, void *const *args) override {
    pool.run(tasks, reinterpret_cast<tnrt_kernel>(kernel), args);
  }
  void *arena() override { return arenaMemory.data(); }
  void *parameter(int64_t index) override {
    return arrays.data(TrainBuffer::Parameters) + arrays.offsetOf(index);
  }
  void *gradient(int64_t index) override {
    return arrays.data(TrainBuffer::Gradients) + arrays.offsetOf(index);
  }
  void probe(int64_t, const void *, int64_t, int64_t) override {}
  void *state(int64_t) override { return fail("asks for a state"), nullptr; }
  void *constants() override {
    return fail("asks for the GPU's constants"), nullptr;
  }
  void launchDevice(int64_t, int64_t, void *const *) override {
    fail("launches a GPU kernel");
  }
  void matmul(const MatmulCall &) override {
    fail("calls the GPU's matrix product");
  }
  void tensorMap(const TensorMapCall &) override { fail("makes a tensor map"); }

  void fail(const char *what) {
    if (failure)
      failure = Error{std::string("the generated code of this trainer ") +
                      what + ": compile the model again"};
  }
  void *context() { return static_cast<Executor *>(this); }

  const tnrt_module &module;
  const Manifest &manifest;
  ThreadPool pool;
  TrainArrays arrays;
  Memory arenaMemory;
  std::vector<int64_t> positions; // zeros, one for each sequence
  Status failure;                 // of the generated code's call
};

Result<TrainLoss> CpuTrainer::run(const TrainBatch &batch,
                                  const double *scale) {
  return runGroups(
      manifest, batch,
      [&](const TrainBatch &group, int64_t labels) -> Result<float> {
        float mean = 0;
        if (scale) {
          const float factor =
              static_cast<float>(*scale * static_cast<double>(labels));
          module.gradient(context(), group.batch, group.length, group.inputs,
                          group.targets, positions.data(), &factor, &mean);
        } else {
          module.evaluate(context(), group.batch, group.length, group.inputs,
                          group.targets, positions.data(), &mean);
        }
        if (Status status = std::exchange(failure, Status()); !status)
          return status.takeError();
        return mean;
      });
}

} // namespace

Result<std::unique_ptr<TrainBackend>>
createCpuTrainer(const tnrt_module &module, const Manifest &manifest,
                 const LoadOptions &options) {
  auto trainer = std::make_unique<CpuTrainer>(
      module, manifest, options.threads ? options.threads : availableThreads());
  if (Status status = trainer->load(options); !status)
    return status.takeError();
  return std::unique_ptr<TrainBackend>(std::move(trainer));
}

} // namespace tnrt
