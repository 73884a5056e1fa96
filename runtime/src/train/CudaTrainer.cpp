// Trains on a GPU. Parameters and gradients are there in the layout of the
// host's arrays; the host has the master copy of the parameters, takes the
// gradients when somebody wants them, and sends parameters after each change.
#include "CudaTrainer.h"

#include "TrainArrays.h"
#include "TrainGroups.h"

#include "core/Executor.h"
#include "core/Session.h"
#include "cuda/CudaModel.h"
#include "tnrt/abi.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tnrt {
namespace cuda {

namespace {

// More threads than this do not make the bus or the host's memory faster.
constexpr int kMaxThreads = 16;

class CudaTrainer final : public TrainBackend, private Executor {
public:
  CudaTrainer(const tnrt_module &module, const Manifest &manifest, int threads)
      : module(module), manifest(manifest), pool(threads),
        arrays(manifest, pool) {}
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
    return {arrays.bytes(), arrays.bytes(), 0, manifest.arenaBytes};
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
  // What is small and goes to the device, or comes back, with each call.
  struct Input {
    int64_t positions = 0, inputs = 0, targets = 0; // offsets in bytes
    int64_t scale = 0, loss = 0;
    int64_t bytes = 0;
  };

  Status allocate();
  Status upload(DevicePointer to, const void *from, int64_t bytes);
  Status download(void *to, DevicePointer from, int64_t bytes);
  Status finish();
  Status fetchGradients();
  Status sendParameters() {
    return upload(parameterMemory.address(),
                  arrays.data(TrainBuffer::Parameters), arrays.bytes());
  }
  Result<TrainLoss> run(const TrainBatch &batch, const double *scale);
  Result<float> runGroup(const TrainBatch &group, const float *scale);
  template <typename T> T *inputAt(int64_t offset) const {
    return reinterpret_cast<T *>(static_cast<char *>(inputMemory.data()) +
                                 offset);
  }

  // The ABI.
  void launch(void *, int64_t, void *const *) override {
    fail("launches a CPU kernel");
  }
  void *arena() override { return arenaMemory.data(); }
  void *parameter(int64_t index) override {
    return static_cast<float *>(parameterMemory.data()) +
           arrays.offsetOf(index);
  }
  void *gradient(int64_t index) override {
    return static_cast<float *>(gradientMemory.data()) + arrays.offsetOf(index);
  }
  void probe(int64_t, const void *, int64_t, int64_t) override {}
  void *state(int64_t) override { return fail("asks for a state"), nullptr; }
  void *constants() override { return constantMemory.data(); }
  void launchDevice(int64_t kernel, int64_t tasks, void *const *args) override;
  void matmul(const MatmulCall &call) override;
  void tensorMap(const TensorMapCall &) override { fail("makes a tensor map"); }

  // Keeps the first failure.
  void note(Status status) {
    if (failure && !status)
      failure = std::move(status);
  }
  void fail(const char *what) {
    note(Error{std::string("the generated code of this trainer ") + what +
               ": compile the model again"});
  }
  void *context() { return static_cast<Executor *>(this); }
  const Driver &driver() const { return gpu->driver(); }

  const tnrt_module &module;
  const Manifest &manifest;
  ThreadPool pool;
  TrainArrays arrays;
  bool hasGradients = true; // the host's gradients are the device's
  std::shared_ptr<Device> gpu;
  std::unique_ptr<Kernels> kernels;
  std::unique_ptr<Matmul> products;
  std::string productsError; // where there are none
  Stream stream;
  DeviceMemory parameterMemory, gradientMemory, arenaMemory, constantMemory;
  DeviceMemory inputMemory;
  Input input;
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
  if (Status status = zeroGradients(); !status)
    return status;
  return sendParameters();
}

Status CudaTrainer::allocate() {
  const Manifest::Training &capacity = manifest.training;
  auto place = [&](int64_t count, int64_t size) {
    const int64_t at = input.bytes;
    input.bytes += (count * size + 255) / 256 * 256;
    return at;
  };
  input.positions = place(capacity.maxSequences, sizeof(int64_t));
  input.inputs = place(capacity.maxTokens, sizeof(int32_t));
  input.targets = place(capacity.maxTokens, sizeof(int32_t));
  input.scale = place(1, sizeof(float));
  input.loss = place(1, sizeof(float));
  struct {
    DeviceMemory &memory;
    int64_t bytes;
    const char *purpose;
  } const blocks[] = {
      {parameterMemory, arrays.bytes(), "the parameters"},
      {gradientMemory, arrays.bytes(), "the gradients"},
      {arenaMemory, manifest.arenaBytes, "the values of a step"},
      {inputMemory, input.bytes, "tokens and labels"}};
  for (const auto &block : blocks) {
    Result<DeviceMemory> memory =
        DeviceMemory::allocate(gpu, block.bytes, block.purpose);
    if (!memory)
      return memory.takeError();
    block.memory = std::move(*memory);
  }
  // Positions are zeros and stay so.
  if (Status status =
          TNRT_CUDA_CALL(driver(), cuMemsetD8Async, inputMemory.address(), 0,
                         static_cast<size_t>(inputMemory.size()), stream.get());
      !status)
    return status;
  return finish();
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

Status CudaTrainer::finish() {
  Status status = TNRT_CUDA_CALL(driver(), cuStreamSynchronize, stream.get());
  if (!status)
    return Error{"a step failed on device " + std::to_string(gpu->index()) +
                 ": " + status.message()};
  return status;
}

Status CudaTrainer::fetchGradients() {
  if (hasGradients)
    return {};
  Status status = download(arrays.data(TrainBuffer::Gradients),
                           gradientMemory.address(), arrays.bytes());
  hasGradients = static_cast<bool>(status);
  return status;
}

Result<FloatSpan> CudaTrainer::view(TrainBuffer which) {
  if (which == TrainBuffer::Gradients)
    if (Status status = fetchGradients(); !status)
      return status.takeError();
  return FloatSpan{arrays.data(which), arrays.size()};
}

Status CudaTrainer::commit(TrainBuffer which) {
  if (which == TrainBuffer::Parameters)
    return sendParameters();
  if (which == TrainBuffer::Gradients)
    return upload(gradientMemory.address(), arrays.data(TrainBuffer::Gradients),
                  arrays.bytes());
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
  const int64_t bytes = group.batch * group.length * int64_t(sizeof(int32_t));
  const DevicePointer base = inputMemory.address();
  auto at = [&](int64_t offset) {
    return base + static_cast<DevicePointer>(offset);
  };
  if (Status status = upload(at(input.inputs), group.inputs, bytes); !status)
    return status.takeError();
  if (Status status = upload(at(input.targets), group.targets, bytes); !status)
    return status.takeError();
  const auto *inputs = inputAt<const int32_t>(input.inputs);
  const auto *targets = inputAt<const int32_t>(input.targets);
  const auto *positions = inputAt<const int64_t>(input.positions);
  float *loss = inputAt<float>(input.loss);
  afterKernel = false;
  if (scale) {
    if (Status status = upload(at(input.scale), scale, sizeof(float)); !status)
      return status.takeError();
    hasGradients = false;
    module.gradient(context(), group.batch, group.length, inputs, targets,
                    positions, inputAt<const float>(input.scale), loss);
  } else {
    module.evaluate(context(), group.batch, group.length, inputs, targets,
                    positions, loss);
  }
  float mean = 0;
  Status finished = download(&mean, at(input.loss), sizeof mean);
  if (Status status = std::exchange(failure, Status()); !status)
    return status.takeError();
  if (!finished)
    return finished.takeError();
  return mean;
}

Status CudaTrainer::zeroGradients() {
  arrays.zeroGradients();
  hasGradients = true;
  if (Status status =
          TNRT_CUDA_CALL(driver(), cuMemsetD8Async, gradientMemory.address(), 0,
                         static_cast<size_t>(arrays.bytes()), stream.get());
      !status)
    return status;
  return finish();
}

Result<double> CudaTrainer::gradientNorm() {
  if (Status status = fetchGradients(); !status)
    return status.takeError();
  return arrays.gradientNorm();
}

Status CudaTrainer::adamw(const AdamWUpdate &update) {
  if (Status status = fetchGradients(); !status)
    return status;
  arrays.adamw(update);
  return sendParameters();
}

void CudaTrainer::launchDevice(int64_t kernel, int64_t tasks,
                               void *const *args) {
  if (!failure)
    return;
  note(kernels->launch(kernel, tasks, args, stream.get(), afterKernel));
  afterKernel |= tasks > 0;
}

void CudaTrainer::matmul(const MatmulCall &call) {
  if (!failure)
    return;
  if (!products)
    return note(Error{productsError});
  note(products->run(call, stream.get()));
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
