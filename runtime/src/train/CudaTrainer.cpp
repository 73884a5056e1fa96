// Trains on a GPU. Parameters, gradients and moments are there, and the host's
// arrays are copies, made when somebody wants to see or change them. What a
// call does to the device is one graph for each shape of a batch: ids and scale
// to the device, the program, the norm of the gradients so far, loss and norm
// back. Nothing else of a step waits for the GPU. Gradients that begin as zeros
// are made so by the call that adds to them first, which knows which ones it
// writes whole (GradientZeros.h).
#include "CudaTrainer.h"

#include "GradientZeros.h"
#include "Optimizer.h"
#include "TrainArrays.h"
#include "TrainGroups.h"

#include "core/Executor.h"
#include "core/Session.h"
#include "cuda/CudaModel.h"
#include "cuda/TensorMap.h"
#include "tnrt/abi.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

namespace tnrt {
namespace cuda {

namespace {

// More threads than this do not make the bus or the host's memory faster.
constexpr int kMaxThreads = 16;

// Of a piece of memory for one number or a few.
constexpr int64_t kAlignment = 256;

// Shapes whose graphs are kept.
constexpr size_t kMostGraphs = 16;

static_assert(sizeof(AdamWFactors) == TNRT_ADAMW_FACTORS * sizeof(float),
              "the program takes the factors as they lie");

int64_t aligned(int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

class CudaTrainer final : public TrainBackend, private Executor {
public:
  CudaTrainer(const tnrt_module &module, const Manifest &manifest, int threads)
      : module(module), manifest(manifest), pool(threads),
        arrays(manifest, pool, TNRT_OPTIMIZER_CHUNK) {}
  ~CudaTrainer() override {
    // What still runs must not lose its memory.
    if (stream.get())
      driver().cuStreamSynchronize(stream.get());
  }
  Status load(const LoadOptions &options);

  const std::vector<TrainParameter> &parameters() const override {
    return arrays.parameters();
  }
  int64_t flatElements() const override { return arrays.size(); }
  int64_t maxTokens() const override { return manifest.training.maxTokens; }
  TrainMemory memory() const override {
    return {arrays.bytes(), arrays.bytes(), 2 * arrays.bytes(),
            manifest.arenaBytes, usedBeside};
  }
  int threads() const override { return pool.size(); }
  std::string device() const override { return gpu->name(); }

  Result<FloatSpan> view(TrainBuffer which) override;
  Status commit(TrainBuffer which) override;
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
  // Of a call: what its graph depends on.
  struct Shape {
    int64_t batch, length;
    bool hasGradients;
    bool fromZeros = false; // the gradients

    int64_t idBytes() const {
      return aligned(batch * length * int64_t(sizeof(int32_t)));
    }
    // What goes to the device: the scale, inputs and targets.
    int64_t inputBytes() const { return kAlignment + 2 * idBytes(); }
    bool operator<(const Shape &other) const {
      return std::tie(batch, length, hasGradients, fromZeros) <
             std::tie(other.batch, other.length, other.hasGradients,
                      other.fromZeros);
    }
  };
  // What is known of a shape.
  struct KnownShape {
    int calls = 0;
    GraphExec graph; // empty at first
    std::optional<GradientZeros> zeros;
  };
  // What comes back: the loss, and the norm at kAlignment.
  static constexpr int64_t kResultBytes = kAlignment + sizeof(float);

  Status allocate();
  Status allocateArrays();
  Status fill();
  Status upload(DevicePointer to, const void *from, int64_t bytes);
  Status download(void *to, DevicePointer from, int64_t bytes);
  Status clear(const DeviceMemory &memory);
  Status clearPending();
  Status finish();

  Result<TrainLoss> run(const TrainBatch &batch, const double *scale);
  Result<float> runGroup(const TrainBatch &group, const float *scale);
  Status launchStep(const Shape &shape);
  Status queueStep(const Shape &shape);
  Status queueZeros(KnownShape &known);
  Status queueNorm();
  Status queueResults();
  float result(int64_t offset) const {
    float value = 0;
    std::memcpy(&value, static_cast<const char *>(results.data()) + offset,
                sizeof value);
    return value;
  }

  const DeviceMemory &deviceArray(TrainBuffer which) const {
    return deviceArrays[static_cast<size_t>(which)];
  }
  float *deviceData(TrainBuffer which) const {
    return static_cast<float *>(deviceArray(which).data());
  }
  bool &isCurrent(TrainBuffer which) {
    return current[static_cast<size_t>(which)];
  }
  int64_t chunks() const { return arrays.size() / TNRT_OPTIMIZER_CHUNK; }

  // The ABI.
  void launch(void *, int64_t, void *const *) override {
    fail("launches a CPU kernel");
  }
  void *arena() override { return arenaMemory.data(); }
  void *parameter(int64_t index) override {
    return deviceData(TrainBuffer::Parameters) + arrays.offsetOf(index);
  }
  void *gradient(int64_t index) override {
    return deviceData(TrainBuffer::Gradients) + arrays.offsetOf(index);
  }
  void probe(int64_t, const void *, int64_t, int64_t) override {}
  void *state(int64_t) override { return fail("asks for a state"), nullptr; }
  void *constants() override { return constantMemory.data(); }
  void launchDevice(int64_t kernel, int64_t tasks, void *const *args) override;
  void matmul(const MatmulCall &call) override;
  void tensorMap(const TensorMapCall &call) override {
    if (failure)
      note(encodeTensorMap(driver(), call));
  }

  // Keeps the first failure.
  void note(Status status) {
    if (failure && !status)
      failure = std::move(status);
  }
  void fail(const char *what) {
    note(Error{std::string("the generated code of this trainer ") + what +
               ": compile the model again"});
  }
  Status takeFailure() { return std::exchange(failure, Status()); }
  void *context() { return static_cast<Executor *>(this); }
  const Driver &driver() const { return gpu->driver(); }

  const tnrt_module &module;
  const Manifest &manifest;
  ThreadPool pool;
  TrainArrays arrays;
  bool current[4] = {}; // the host's arrays are the device's, by TrainBuffer
  std::shared_ptr<Device> gpu;
  std::unique_ptr<Kernels> kernels;
  std::unique_ptr<Matmul> products;
  std::string productsError; // where there are none
  Stream stream;
  DeviceMemory deviceArrays[4]; // by TrainBuffer
  DeviceMemory arenaMemory, constantMemory;
  DeviceMemory positions;    // zeros
  DeviceMemory decays, sums; // of the optimizer, a number for each chunk
  int64_t usedBeside = 0;    // TrainMemory::beside
  DeviceMemory deviceInput, deviceFactors, deviceResults;
  PinnedMemory input, factors, results;
  bool factorsAreRead = true; // by the device, or never written
  std::map<Shape, KnownShape> shapes;
  GradientZeros *zeros = nullptr; // of a step from zeros that is being queued
  bool zerosArePending = false;   // the gradients are zeros, but not yet there
  double norm = 0;                // of the gradients so far
  bool hasNorm = false;
  bool afterKernel = false; // see CudaSession
  Status failure;
};

Status CudaTrainer::load(const LoadOptions &options) {
  Result<std::shared_ptr<Device>> opened =
      openDevice(module, manifest, options.device);
  if (!opened)
    return opened.takeError();
  gpu = std::move(*opened);
  Result<std::unique_ptr<Kernels>> loaded = Kernels::load(gpu, module);
  if (!loaded)
    return loaded.takeError();
  kernels = std::move(*loaded);
  // A program without products does not need the library.
  Result<std::unique_ptr<Matmul>> made = Matmul::create(gpu);
  if (made)
    products = std::move(*made);
  else
    productsError = made.message();
  Result<Stream> created = createStream(gpu);
  if (!created)
    return created.takeError();
  stream = std::move(*created);
  Result<DeviceMemory> constant = uploadConstants(gpu, module);
  if (!constant)
    return constant.takeError();
  constantMemory = std::move(*constant);
  if (Status status = arrays.allocate(); !status)
    return status;
  if (Status status = allocate(); !status)
    return status;
  if (Status status = arrays.load(options); !status)
    return status;
  if (Status status = fill(); !status)
    return status;
  Result<int64_t> free = gpu->freeBytes();
  if (!free)
    return free.takeError();
  usedBeside =
      std::max<int64_t>(gpu->totalBytes() - *free - memory().planned(), 0);
  return {};
}

Status CudaTrainer::allocateArrays() {
  const char *const purposes[] = {"the parameters", "the gradients",
                                  "the first moments", "the second moments"};
  for (size_t i = 0; i < 4; ++i) {
    Result<DeviceMemory> memory =
        DeviceMemory::allocate(gpu, arrays.bytes(), purposes[i]);
    if (!memory)
      return memory.takeError();
    deviceArrays[i] = std::move(*memory);
  }
  return {};
}

Status CudaTrainer::allocate() {
  if (Status status = allocateArrays(); !status)
    return status;
  const Manifest::Training &capacity = manifest.training;
  const int64_t inputBytes = Shape{1, capacity.maxTokens, true}.inputBytes();
  const int64_t chunkBytes = chunks() * int64_t(sizeof(float));
  struct {
    DeviceMemory &memory;
    int64_t bytes;
    const char *purpose;
  } const blocks[] = {
      {arenaMemory, manifest.arenaBytes, "the values of a step"},
      {positions, capacity.maxSequences * int64_t(sizeof(int64_t)),
       "positions"},
      {decays, chunkBytes, "the optimizer"},
      {sums, chunkBytes, "the optimizer"},
      {deviceInput, inputBytes, "tokens and labels"},
      {deviceFactors, sizeof(AdamWFactors), "the optimizer"},
      {deviceResults, kResultBytes, "the loss"}};
  for (const auto &block : blocks) {
    Result<DeviceMemory> memory =
        DeviceMemory::allocate(gpu, block.bytes, block.purpose);
    if (!memory)
      return memory.takeError();
    block.memory = std::move(*memory);
  }
  struct {
    PinnedMemory &memory;
    int64_t bytes;
    const char *purpose;
  } const pinned[] = {{input, inputBytes, "tokens and labels"},
                      {factors, sizeof(AdamWFactors), "the optimizer"},
                      {results, kResultBytes, "the loss"}};
  for (const auto &block : pinned) {
    Result<PinnedMemory> memory =
        PinnedMemory::allocate(gpu, block.bytes, block.purpose);
    if (!memory)
      return memory.takeError();
    block.memory = std::move(*memory);
  }
  return {};
}

// What the device's memory holds before the first call.
Status CudaTrainer::fill() {
  std::vector<float> flags(static_cast<size_t>(chunks()));
  for (const TrainParameter &parameter : arrays.parameters()) {
    const int64_t first = parameter.offset / TNRT_OPTIMIZER_CHUNK;
    const int64_t end =
        (parameter.offset + parameter.elements + TNRT_OPTIMIZER_CHUNK - 1) /
        TNRT_OPTIMIZER_CHUNK;
    std::fill(flags.begin() + first, flags.begin() + end,
              parameter.decays ? 1.0f : 0.0f);
  }
  if (Status status = upload(decays.address(), flags.data(), decays.size());
      !status)
    return status;
  const DeviceMemory *const zeros[] = {&positions, &deviceResults,
                                       &deviceArray(TrainBuffer::FirstMoment),
                                       &deviceArray(TrainBuffer::SecondMoment)};
  for (const DeviceMemory *memory : zeros)
    if (Status status = clear(*memory); !status)
      return status;
  isCurrent(TrainBuffer::FirstMoment) = true;
  isCurrent(TrainBuffer::SecondMoment) = true;
  if (Status status = zeroGradients(); !status)
    return status;
  return commit(TrainBuffer::Parameters);
}

Status CudaTrainer::upload(DevicePointer to, const void *from, int64_t bytes) {
  if (Status status = TNRT_CUDA_CALL(driver(), cuMemcpyHtoDAsync_v2, to, from,
                                     static_cast<size_t>(bytes), stream.get());
      !status)
    return status;
  return finish();
}

Status CudaTrainer::download(void *to, DevicePointer from, int64_t bytes) {
  if (Status status = TNRT_CUDA_CALL(driver(), cuMemcpyDtoHAsync_v2, to, from,
                                     static_cast<size_t>(bytes), stream.get());
      !status)
    return status;
  return finish();
}

Status CudaTrainer::clear(const DeviceMemory &memory) {
  return TNRT_CUDA_CALL(driver(), cuMemsetD8Async, memory.address(), 0,
                        static_cast<size_t>(memory.size()), stream.get());
}

Status CudaTrainer::finish() {
  Status status = TNRT_CUDA_CALL(driver(), cuStreamSynchronize, stream.get());
  if (!status)
    return Error{"a step failed on device " + std::to_string(gpu->index()) +
                 ": " + status.message()};
  factorsAreRead = true;
  return status;
}

Result<FloatSpan> CudaTrainer::view(TrainBuffer which) {
  if (which == TrainBuffer::Gradients)
    if (Status status = clearPending(); !status)
      return status.takeError();
  if (!isCurrent(which))
    if (Status status = download(arrays.data(which),
                                 deviceArray(which).address(), arrays.bytes());
        !status)
      return status.takeError();
  isCurrent(which) = true;
  return FloatSpan{arrays.data(which), arrays.size()};
}

Status CudaTrainer::commit(TrainBuffer which) {
  if (Status status = upload(deviceArray(which).address(), arrays.data(which),
                             arrays.bytes());
      !status)
    return status;
  isCurrent(which) = true;
  hasNorm = hasNorm && which != TrainBuffer::Gradients;
  zerosArePending = zerosArePending && which != TrainBuffer::Gradients;
  return {};
}

Result<TrainLoss> CudaTrainer::run(const TrainBatch &batch,
                                   const double *scale) {
  return runGroups(
      manifest, batch,
      [&](const TrainBatch &group, int64_t labels) -> Result<float> {
        if (!scale)
          return runGroup(group, nullptr);
        const float factor =
            static_cast<float>(*scale * static_cast<double>(labels));
        return runGroup(group, &factor);
      });
}

Result<float> CudaTrainer::runGroup(const TrainBatch &group,
                                    const float *scale) {
  const Shape shape{group.batch, group.length, scale != nullptr,
                    scale && zerosArePending};
  const size_t bytes =
      static_cast<size_t>(group.batch * group.length) * sizeof(int32_t);
  char *to = static_cast<char *>(input.data());
  if (scale) {
    std::memcpy(to, scale, sizeof *scale);
    isCurrent(TrainBuffer::Gradients) = hasNorm = zerosArePending = false;
  }
  std::memcpy(to + kAlignment, group.inputs, bytes);
  std::memcpy(to + kAlignment + shape.idBytes(), group.targets, bytes);
  if (Status status = launchStep(shape); !status)
    return status.takeError();
  if (Status status = finish(); !status)
    return status.takeError();
  if (scale) {
    norm = result(kAlignment);
    hasNorm = true;
  }
  return result(0);
}

// The first call of a shape chooses the library's algorithms, the second is
// made a graph of. One whose gradients begin as zeros needs a call between: the
// first one learns which products may write them.
Status CudaTrainer::launchStep(const Shape &shape) {
  if (shapes.size() > kMostGraphs)
    shapes.clear();
  KnownShape &known = shapes[shape];
  ++known.calls;
  zeros = nullptr;
  if (shape.fromZeros) {
    if (!known.zeros)
      known.zeros.emplace(arrays.parameters(),
                          deviceData(TrainBuffer::Gradients), arrays.size());
    zeros = &*known.zeros;
  }
  if (known.calls <= (shape.fromZeros ? 2 : 1))
    return queueStep(shape);
  GraphExec &graph = known.graph;
  if (!graph.get()) {
    Result<GraphExec> made =
        capture(gpu, stream, [&] { return queueStep(shape); });
    if (!made)
      return made.takeError();
    graph = std::move(*made);
  }
  return TNRT_CUDA_CALL(driver(), cuGraphLaunch, graph.get(), stream.get());
}

Status CudaTrainer::queueStep(const Shape &shape) {
  if (Status status = TNRT_CUDA_CALL(
          driver(), cuMemcpyHtoDAsync_v2, deviceInput.address(), input.data(),
          static_cast<size_t>(shape.inputBytes()), stream.get());
      !status)
    return status;
  const char *base = static_cast<const char *>(deviceInput.data());
  const auto *inputs = reinterpret_cast<const int32_t *>(base + kAlignment);
  const auto *targets =
      reinterpret_cast<const int32_t *>(base + kAlignment + shape.idBytes());
  const auto *starts = static_cast<const int64_t *>(positions.data());
  auto *loss = static_cast<float *>(deviceResults.data());
  afterKernel = false;
  if (shape.fromZeros)
    if (Status status = queueZeros(shapes[shape]); !status)
      return status;
  if (!shape.hasGradients) {
    module.evaluate(context(), shape.batch, shape.length, inputs, targets,
                    starts, loss);
  } else {
    module.gradient(context(), shape.batch, shape.length, inputs, targets,
                    starts, reinterpret_cast<const float *>(base), loss);
    if (Status status = queueNorm(); !status)
      return status;
  }
  if (Status status = takeFailure(); !status)
    return status;
  return queueResults();
}

Status CudaTrainer::queueZeros(KnownShape &known) {
  if (known.calls == 1) {
    known.zeros->learn();
    return clear(deviceArray(TrainBuffer::Gradients));
  }
  for (const GradientZeros::Range &range : known.zeros->apply())
    if (Status status = TNRT_CUDA_CALL(
            driver(), cuMemsetD8Async,
            deviceArray(TrainBuffer::Gradients).address() +
                static_cast<DevicePointer>(range.begin) * sizeof(float),
            0, static_cast<size_t>(range.end - range.begin) * sizeof(float),
            stream.get());
        !status)
      return status;
  return {};
}

// For whoever wants to see the gradients before a call adds to them.
Status CudaTrainer::clearPending() {
  if (!std::exchange(zerosArePending, false))
    return {};
  return clear(deviceArray(TrainBuffer::Gradients));
}

Status CudaTrainer::queueNorm() {
  module.gradient_norm(
      context(), chunks(), deviceData(TrainBuffer::Gradients),
      static_cast<float *>(sums.data()),
      reinterpret_cast<float *>(static_cast<char *>(deviceResults.data()) +
                                kAlignment));
  return takeFailure();
}

Status CudaTrainer::queueResults() {
  return TNRT_CUDA_CALL(driver(), cuMemcpyDtoHAsync_v2, results.data(),
                        deviceResults.address(),
                        static_cast<size_t>(kResultBytes), stream.get());
}

Status CudaTrainer::zeroGradients() {
  isCurrent(TrainBuffer::Gradients) = false;
  norm = 0;
  hasNorm = zerosArePending = true;
  return {};
}

Result<double> CudaTrainer::gradientNorm() {
  if (hasNorm)
    return norm;
  afterKernel = false;
  if (Status status = queueNorm(); !status)
    return status.takeError();
  if (Status status = queueResults(); !status)
    return status.takeError();
  if (Status status = finish(); !status)
    return status.takeError();
  norm = result(kAlignment);
  hasNorm = true;
  return norm;
}

Status CudaTrainer::adamw(const AdamWUpdate &update) {
  if (!factorsAreRead)
    if (Status status = finish(); !status)
      return status;
  const AdamWFactors next(update);
  std::memcpy(factors.data(), &next, sizeof next);
  factorsAreRead = false;
  if (Status status = TNRT_CUDA_CALL(driver(), cuMemcpyHtoDAsync_v2,
                                     deviceFactors.address(), factors.data(),
                                     sizeof next, stream.get());
      !status)
    return status;
  for (TrainBuffer which : {TrainBuffer::Parameters, TrainBuffer::FirstMoment,
                            TrainBuffer::SecondMoment})
    isCurrent(which) = false;
  if (Status status = clearPending(); !status)
    return status;
  afterKernel = false;
  module.adamw(
      context(), chunks(), static_cast<const float *>(deviceFactors.data()),
      static_cast<const float *>(decays.data()),
      deviceData(TrainBuffer::Gradients), deviceData(TrainBuffer::Parameters),
      deviceData(TrainBuffer::FirstMoment),
      deviceData(TrainBuffer::SecondMoment));
  return takeFailure();
}

void CudaTrainer::launchDevice(int64_t kernel, int64_t tasks,
                               void *const *args) {
  if (!failure)
    return;
  if (zeros && kernel >= 0 && kernel < kernels->size())
    for (int64_t i = 0; i < module.device_kernels[kernel].num_params; ++i)
      zeros->use(args[i]);
  note(kernels->launch(kernel, tasks, args, stream.get(), afterKernel));
  afterKernel |= tasks > 0;
}

void CudaTrainer::matmul(const MatmulCall &call) {
  if (!failure)
    return;
  if (!products)
    return note(Error{productsError});
  MatmulCall now = call;
  if (zeros)
    now.form = zeros->formOf(call);
  note(products->run(now, stream.get()));
  afterKernel = false; // nor is it known what the library queues last
}

} // namespace

} // namespace cuda

Result<std::unique_ptr<TrainBackend>>
createCudaTrainer(const tnrt_module &module, const Manifest &manifest,
                  const LoadOptions &options) {
  const int threads = options.threads
                          ? options.threads
                          : std::min(availableThreads(), cuda::kMaxThreads);
  auto trainer = std::make_unique<cuda::CudaTrainer>(module, manifest, threads);
  if (Status status = trainer->load(options); !status)
    return status.takeError();
  return std::unique_ptr<TrainBackend>(std::move(trainer));
}

} // namespace tnrt
