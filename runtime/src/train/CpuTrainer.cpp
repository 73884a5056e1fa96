// Trains on the CPU: the generated code's gradients on the thread pool, and the
// optimizer on the same pool. Parameters, gradients and moments are four arrays
// of one layout.
#include "CreateBackend.h"
#include "Optimizer.h"

#include "core/CpuFeatures.h"
#include "core/Executor.h"
#include "core/Memory.h"
#include "core/Progress.h"
#include "core/ThreadPool.h"
#include "core/WeightSource.h"
#include "tnrt/abi.h"
#include "tnrt/formats/Text.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace tnrt {

namespace {

constexpr int64_t kAlignElements = 16; // 64 bytes

class CpuTrainer final : public TrainBackend, private Executor {
public:
  CpuTrainer(const tnrt_module &module, const Manifest &manifest, int threads)
      : module(module), manifest(manifest), pool(threads) {}
  Status load(const LoadOptions &options);

  const std::vector<TrainParameter> &parameters() const override {
    return table;
  }
  int64_t flatElements() const override { return elements; }
  int64_t maxTokens() const override { return manifest.training.maxTokens; }
  TrainMemory memory() const override;
  int threads() const override { return pool.size(); }

  Result<FloatSpan> view(TrainBuffer which) override {
    return FloatSpan{flat(which), elements};
  }
  Status commit(TrainBuffer) override { return {}; }

  Result<TrainLoss> accumulate(const TrainBatch &batch, double scale) override {
    return run(batch, &scale);
  }
  Result<TrainLoss> evaluate(const TrainBatch &batch) override {
    return run(batch, nullptr);
  }
  Status zeroGradients() override;
  Result<double> gradientNorm() override;
  Status adamw(const AdamWUpdate &update) override;

private:
  Status layOut();
  Status loadWeights(const LoadOptions &options);
  Status check(const TrainBatch &batch) const;
  Result<TrainLoss> run(const TrainBatch &batch, const double *scale);
  Status runGroup(const TrainBatch &group, const double *scale,
                  TrainLoss &total);
  float *flat(TrainBuffer which) const {
    return reinterpret_cast<float *>(
        buffers[static_cast<size_t>(which)].data());
  }

  // The ABI.
  void launch(void *kernel, int64_t tasks, void *const *args) override {
    pool.run(tasks, reinterpret_cast<tnrt_kernel>(kernel), args);
  }
  void *arena() override { return arenaMemory.data(); }
  void *parameter(int64_t index) override {
    return flat(TrainBuffer::Parameters) + offsetOf(index);
  }
  void *gradient(int64_t index) override {
    return flat(TrainBuffer::Gradients) + offsetOf(index);
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

  int64_t offsetOf(int64_t index) const {
    return table[static_cast<size_t>(index)].offset;
  }
  void fail(const char *what) {
    if (failure)
      failure = Error{std::string("the generated code of this trainer ") +
                      what + ": compile the model again"};
  }
  void *context() { return static_cast<Executor *>(this); }

  const tnrt_module &module;
  const Manifest &manifest;
  ThreadPool pool;
  std::vector<TrainParameter> table; // as manifest.parameters
  int64_t elements = 0;              // of each flat array
  Memory buffers[4];                 // by TrainBuffer
  Memory arenaMemory;
  std::vector<int64_t> positions; // zeros, one for each sequence
  Status failure;                 // of the generated code's call
};

Status CpuTrainer::layOut() {
  for (const Manifest::Parameter &parameter : manifest.parameters) {
    TrainParameter entry;
    entry.name = parameter.tensor;
    entry.shape = parameter.shape;
    entry.offset = elements;
    entry.elements = elementCount(parameter.shape).value_or(0);
    entry.decays = parameter.shape.size() == 2;
    const int64_t padded =
        (entry.elements + kAlignElements - 1) / kAlignElements * kAlignElements;
    if (__builtin_add_overflow(elements, padded, &elements) ||
        elements > INT64_MAX / int64_t(sizeof(float)))
      return Error{"manifest: the parameters overflow 64 bits"};
    table.push_back(std::move(entry));
  }
  return {};
}

Status CpuTrainer::load(const LoadOptions &options) {
  if (Status status = layOut(); !status)
    return status;
  const char *const purposes[] = {"the parameters", "the gradients",
                                  "the first moments", "the second moments"};
  auto allocate = [](Memory &memory, int64_t bytes, const char *purpose) {
    Result<Memory> got =
        Memory::allocate(static_cast<size_t>(bytes), purpose);
    if (!got)
      return Status(got.takeError());
    memory = std::move(*got);
    return Status();
  };
  for (size_t i = 0; i < 4; ++i)
    if (Status status = allocate(
            buffers[i], elements * int64_t(sizeof(float)), purposes[i]);
        !status)
      return status;
  if (Status status =
          allocate(arenaMemory, manifest.arenaBytes, "the values of a step");
      !status)
    return status;
  positions.assign(static_cast<size_t>(manifest.training.maxSequences), 0);
  return loadWeights(options);
}

Status CpuTrainer::loadWeights(const LoadOptions &options) {
  Result<WeightSource> source = WeightSource::open(manifest, options);
  if (!source)
    return source.takeError();
  std::vector<WeightSource::Task> tasks;
  for (size_t i = 0; i < table.size(); ++i)
    source->addTasks(i, tasks);
  Progress progress(source->isGenerated() ? "generating weights"
                                          : "loading weights",
                    elements * int64_t(sizeof(float)), Progress::Unit::Bytes,
                    options.progress);
  return WeightSource::forEach(
      tasks, pool, [&](const WeightSource::Task &task) -> Status {
        const Manifest::Parameter &parameter =
            manifest.parameters[task.parameter];
        char *destination =
            static_cast<char *>(
                this->parameter(static_cast<int64_t>(task.parameter))) +
            task.begin * packedUnitBytes(parameter.shape, parameter.dtype,
                                         parameter.layout);
        Status status = source->pack(task, destination, /*rowScales=*/nullptr);
        progress.advance(source->taskBytes(task));
        return status;
      });
}

TrainMemory CpuTrainer::memory() const {
  const int64_t bytes = elements * int64_t(sizeof(float));
  return {bytes, bytes, 2 * bytes, manifest.arenaBytes};
}

// True for an id that is no token of a vocabulary of this size.
bool isPast(int32_t id, int64_t vocabulary) { return id >= vocabulary; }

Status CpuTrainer::check(const TrainBatch &batch) const {
  int64_t tokens = 0;
  if (batch.batch < 1 || batch.length < 1 ||
      __builtin_mul_overflow(batch.batch, batch.length, &tokens) ||
      tokens > maxTokens())
    return Error{"a batch of " + std::to_string(batch.batch) + " x " +
                 std::to_string(batch.length) + " tokens, expected 1 to " +
                 std::to_string(maxTokens()) +
                 " in one call (tnllmc's --train-tokens)"};
  const int64_t vocabulary = manifest.vocabSize;
  for (int64_t i = 0; i < tokens; ++i) {
    const int32_t id = batch.inputs[i], label = batch.targets[i];
    if (id < 0 || isPast(id, vocabulary))
      return Error{"token " + std::to_string(i) + " is " + std::to_string(id) +
                   ", expected a value in [0, " + std::to_string(vocabulary) +
                   ")"};
    if (isPast(label, vocabulary))
      return Error{"label " + std::to_string(i) + " is " +
                   std::to_string(label) + ", expected a value below " +
                   std::to_string(vocabulary) + ", or a negative one"};
  }
  return {};
}

// As many sequences at a time as one call takes.
Result<TrainLoss> CpuTrainer::run(const TrainBatch &batch,
                                  const double *scale) {
  if (Status status = check(batch); !status)
    return status.takeError();
  const int64_t most = manifest.training.maxSequences;
  TrainLoss total;
  for (int64_t row = 0; row < batch.batch; row += most) {
    const int64_t first = row * batch.length;
    TrainBatch group{batch.inputs + first, batch.targets + first,
                     std::min(most, batch.batch - row), batch.length};
    if (Status status = runGroup(group, scale, total); !status)
      return status.takeError();
  }
  return total;
}

// The program's loss is a mean; without labels it has none.
Status CpuTrainer::runGroup(const TrainBatch &group, const double *scale,
                            TrainLoss &total) {
  const int64_t tokens = group.batch * group.length;
  const int64_t count = std::count_if(group.targets, group.targets + tokens,
                                      [](int32_t label) { return label >= 0; });
  if (count == 0)
    return {};
  float mean = 0;
  if (scale) {
    const float factor =
        static_cast<float>(*scale * static_cast<double>(count));
    module.gradient(context(), group.batch, group.length, group.inputs,
                    group.targets, positions.data(), &factor, &mean);
  } else {
    module.evaluate(context(), group.batch, group.length, group.inputs,
                    group.targets, positions.data(), &mean);
  }
  total.sum += static_cast<double>(mean) * static_cast<double>(count);
  total.tokens += count;
  return std::exchange(failure, Status());
}

Status CpuTrainer::zeroGradients() {
  float *gradients = flat(TrainBuffer::Gradients);
  const int64_t tasks = (elements + kOptimizerChunk - 1) / kOptimizerChunk;
  pool.forEach(tasks, [&](int64_t task) {
    const int64_t begin = task * kOptimizerChunk;
    std::fill(gradients + begin,
              gradients + std::min(begin + kOptimizerChunk, elements), 0.0f);
  });
  return {};
}

// What lies between parameters is zero and changes no sum.
Result<double> CpuTrainer::gradientNorm() {
  const float *gradients = flat(TrainBuffer::Gradients);
  const int64_t tasks = (elements + kOptimizerChunk - 1) / kOptimizerChunk;
  std::vector<double> sums(static_cast<size_t>(tasks));
  pool.forEach(tasks, [&](int64_t task) {
    const int64_t begin = task * kOptimizerChunk;
    sums[static_cast<size_t>(task)] = sumOfSquares(
        gradients + begin, std::min(kOptimizerChunk, elements - begin));
  });
  double sum = 0;
  for (double part : sums)
    sum += part;
  return std::sqrt(sum);
}

Status CpuTrainer::adamw(const AdamWUpdate &update) {
  const AdamWFactors factors(update);
  struct Range {
    const TrainParameter *parameter;
    int64_t begin, count;
  };
  std::vector<Range> ranges;
  for (const TrainParameter &parameter : table)
    for (int64_t at = 0; at < parameter.elements; at += kOptimizerChunk)
      ranges.push_back({&parameter, parameter.offset + at,
                        std::min(kOptimizerChunk, parameter.elements - at)});
  pool.forEach(static_cast<int64_t>(ranges.size()), [&](int64_t task) {
    const Range &range = ranges[static_cast<size_t>(task)];
    updateAdamW(factors, range.parameter->decays, range.count,
                flat(TrainBuffer::Gradients) + range.begin,
                flat(TrainBuffer::Parameters) + range.begin,
                flat(TrainBuffer::FirstMoment) + range.begin,
                flat(TrainBuffer::SecondMoment) + range.begin);
  });
  return {};
}

} // namespace

Result<std::unique_ptr<TrainBackend>>
createTrainBackend(const tnrt_module &module, const Manifest &manifest,
                   const LoadOptions &options) {
  if (!manifest.isTraining() || !module.gradient || !module.evaluate)
    return Error{"this program runs a model, expected one that trains it: "
                 "compiled with --train"};
  if (manifest.target.isGpu())
    return Error{"manifest: target: training runs on CPUs, found " +
                 manifest.target.chip};
  if (Status status = checkCpu(manifest.target); !status)
    return status.takeError();
  auto trainer = std::make_unique<CpuTrainer>(
      module, manifest, options.threads ? options.threads : availableThreads());
  if (Status status = trainer->load(options); !status)
    return status.takeError();
  return std::unique_ptr<TrainBackend>(std::move(trainer));
}

} // namespace tnrt
