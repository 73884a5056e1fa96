// Loading a program onto a GPU.
#include "CudaBackend.h"

#include "CudaModel.h"
#include "CudaSession.h"

#include <algorithm>

namespace tnrt {
namespace cuda {

namespace {

// Packing more at once than this gains nothing: the bus is full.
constexpr int kMaxLoadingThreads = 16;

int64_t roundUp(int64_t bytes) { return (bytes + 255) / 256 * 256; }

} // namespace

Result<std::shared_ptr<Device>>
openDevice(const tnrt_module &module, const Manifest &manifest, int index) {
  if (!module.device_image || module.num_device_kernels == 0)
    return Error{"the manifest says that this is a GPU program, but it carries "
                 "no GPU code: compile the model again"};
  Result<std::shared_ptr<Device>> device = Device::open(index);
  if (!device)
    return device.takeError();
  if (Status status = (*device)->checkChip(
          manifest.target.chip,
          isPtx(module.device_image, module.device_image_size));
      !status)
    return status.takeError();
  return device;
}

Result<SessionPlan> planSession(const Manifest &manifest, int64_t batch) {
  SessionPlan plan;
  Result<StateLayout> states = layOutStates(manifest, batch);
  if (!states)
    return states.takeError();
  plan.states = std::move(*states);
  const Manifest::Capacity &capacity = manifest.capacity;
  plan.maxRows = std::max(capacity.prefillRows, capacity.decodeRows);
  const int64_t word = sizeof(float);
  // A row's position, offset, token and draw, and the last offset.
  bool overflows =
      __builtin_mul_overflow(plan.maxRows, (5 + TNRT_SAMPLE_SETTINGS) * word,
                             &plan.inputBytes) ||
      __builtin_add_overflow(plan.inputBytes, 2 * word, &plan.inputBytes) ||
      __builtin_mul_overflow(plan.maxRows, word, &plan.tokensBytes) ||
      __builtin_mul_overflow(std::max(plan.maxRows, capacity.headRows),
                             manifest.width * word, &plan.hiddenBytes) ||
      __builtin_mul_overflow(capacity.headRows, manifest.width * word,
                             &plan.lastHiddenBytes) ||
      __builtin_mul_overflow(capacity.headRows, manifest.vocabSize * word,
                             &plan.logitsBytes);
  int64_t total = 0;
  for (int64_t *part : {&plan.states.bytes, &plan.inputBytes, &plan.hiddenBytes,
                        &plan.lastHiddenBytes, &plan.logitsBytes, &plan.tokensBytes}) {
    overflows = overflows || *part > INT64_MAX - 256;
    if (!overflows)
      *part = roundUp(*part);
    overflows = overflows || __builtin_add_overflow(total, *part, &total);
  }
  if (overflows)
    return Error{"manifest: capacity: a session's memory overflows 64 bits"};
  return plan;
}

Status CudaModel::checkMemory(int64_t needed) const {
  Result<int64_t> free = gpu->freeBytes();
  if (!free)
    return free.takeError();
  if (needed <= *free)
    return {};
  return Error{"needs " + gibibytes(needed) + " on device " +
               std::to_string(gpu->index()) + ", " + gibibytes(*free) +
               " are free (" + gpu->name() + ", " +
               gibibytes(gpu->totalBytes()) + ")"};
}

Status CudaModel::load(const LoadOptions &options) {
  Result<std::shared_ptr<Device>> opened =
      openDevice(module, manifest, options.device);
  if (!opened)
    return opened.takeError();
  gpu = std::move(*opened);
  Result<std::unique_ptr<Kernels>> loaded = Kernels::load(gpu, module);
  if (!loaded)
    return loaded.takeError();
  kernels = std::move(*loaded);

  Result<WeightSource> source = WeightSource::open(manifest, options);
  if (!source)
    return source.takeError();
  Result<WeightPlan> plan = planWeights(manifest, *source);
  if (!plan)
    return plan.takeError();
  weights = std::move(*plan);
  Result<SessionPlan> session =
      planSession(manifest, std::max<int64_t>(options.batch, 1));
  if (!session)
    return session.takeError();
  if (Status status =
          checkMemory(weights.bytes + manifest.arenaBytes + session->bytes() +
                      static_cast<int64_t>(module.device_constants_size) +
                      Matmul::kWorkspaceBytes);
      !status)
    return status;

  Result<DeviceMemory> memory =
      DeviceMemory::allocate(gpu, weights.bytes, "the parameters");
  if (!memory)
    return memory.takeError();
  parameterMemory = std::move(*memory);
  memory = DeviceMemory::allocate(gpu, manifest.arenaBytes, "the arena");
  if (!memory)
    return memory.takeError();
  arena = std::move(*memory);
  memory = uploadConstants(gpu, module);
  if (!memory)
    return memory.takeError();
  constants = std::move(*memory);
  // Now, and not at the first product, which may be captured in a graph. A
  // program without products does not need the library.
  Result<std::unique_ptr<Matmul>> made = Matmul::create(gpu);
  if (made)
    products = std::move(*made);
  else
    productsError = made.message();

  ThreadPool pool(options.threads
                      ? options.threads
                      : std::min(availableThreads(), kMaxLoadingThreads));
  loadingThreads = pool.size();
  return uploadWeights(gpu, manifest, *source, weights,
                       parameterMemory.address(), pool, options.progress);
}

Result<DeviceMemory> uploadConstants(const std::shared_ptr<Device> &gpu,
                                     const tnrt_module &module) {
  const size_t bytes = module.device_constants_size;
  if (bytes == 0)
    return DeviceMemory();
  Result<DeviceMemory> memory =
      DeviceMemory::allocate(gpu, static_cast<int64_t>(bytes), "the constants");
  if (!memory)
    return memory.takeError();
  Result<Stream> stream = createStream(gpu);
  if (!stream)
    return stream.takeError();
  const Driver &d = gpu->driver();
  if (Status status =
          TNRT_CUDA_CALL(d, cuMemcpyHtoDAsync_v2, memory->address(),
                         module.device_constants, bytes, stream->get());
      !status)
    return status.takeError();
  if (Status status = TNRT_CUDA_CALL(d, cuStreamSynchronize, stream->get());
      !status)
    return status.takeError();
  return memory;
}

Result<std::unique_ptr<SessionBackend>>
CudaModel::createSession(int64_t batch) {
  Result<SessionPlan> plan = planSession(manifest, batch);
  if (!plan)
    return plan.takeError();
  if (Status status = checkMemory(plan->bytes()); !status)
    return Error{std::to_string(batch) +
                 (batch == 1 ? " sequence " : " sequences: ") +
                 status.message()};
  auto session = std::make_unique<CudaSession>(*this, batch);
  if (Status status = session->allocate(std::move(*plan)); !status)
    return status.takeError();
  return std::unique_ptr<SessionBackend>(std::move(session));
}

Result<Matmul *> CudaModel::matmul() {
  if (!products)
    return Error{productsError};
  return products.get();
}

} // namespace cuda

Result<std::unique_ptr<ModelBackend>>
createCudaBackend(const tnrt_module &module, const Manifest &manifest,
                  const LoadOptions &options) {
  auto model = std::make_unique<cuda::CudaModel>(module, manifest);
  if (Status status = model->load(options); !status)
    return status.takeError();
  return std::unique_ptr<ModelBackend>(std::move(model));
}

Result<std::string> describeCudaDevice(const tnrt_module &module,
                                       const Manifest &manifest, int index) {
  Result<std::shared_ptr<cuda::Device>> opened =
      cuda::openDevice(module, manifest, index);
  if (!opened)
    return opened.takeError();
  const cuda::Device &device = **opened;
  Result<int64_t> free = device.freeBytes();
  if (!free)
    return free.takeError();
  return device.name() + ", sm_" + std::to_string(device.capability()) + ", " +
         cuda::gibibytes(device.totalBytes()) + ", " + cuda::gibibytes(*free) +
         " free";
}

} // namespace tnrt
