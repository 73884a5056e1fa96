// A ring of page-locked buffers between the packing threads and the GPU.
#include "WeightUpload.h"

#include "core/Progress.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <mutex>

namespace tnrt::cuda {

namespace {

constexpr int64_t alignment = 256;

// Hands out buffers to fill. There are more than threads, so that one is always
// at hand; the one given is the one whose copy began the longest ago.
class Staging {
public:
  explicit Staging(std::shared_ptr<Device> device)
      : device(std::move(device)) {}

  // What is still being copied must not be freed.
  ~Staging() {
    if (stream.get() && !isFinished)
      device->driver().cuStreamSynchronize(stream.get());
  }

  Status allocate(int count, int64_t bytes) {
    Result<Stream> made = createStream(device);
    if (!made)
      return made.takeError();
    stream = std::move(*made);
    for (int i = 0; i < count; ++i) {
      Result<PinnedMemory> memory = PinnedMemory::allocate(
          device, bytes, "the weights on their way to the GPU");
      if (!memory)
        return memory.takeError();
      Result<Event> event = createEvent(device, kEventDisableTiming);
      if (!event)
        return event.takeError();
      buffers.push_back({std::move(*memory), std::move(*event), false});
      idle.push_back(buffers.size() - 1);
    }
    return {};
  }

  // Fills a buffer by `fill` and queues its copy to `to`.
  template <typename Function>
  Status send(DevicePointer to, int64_t bytes, Function &&fill) {
    const Driver &d = device->driver();
    if (Status status = device->makeCurrent(); !status)
      return status; // this may be the thread's first call
    size_t index;
    {
      std::lock_guard<std::mutex> lock(mutex);
      index = idle.front();
      idle.pop_front();
    }
    Buffer &buffer = buffers[index];
    Status status;
    if (buffer.isCopied)
      status = TNRT_CUDA_CALL(d, cuEventSynchronize, buffer.event.get());
    if (status)
      status = fill(buffer.memory.data());
    if (status)
      status = TNRT_CUDA_CALL(d, cuMemcpyHtoDAsync_v2, to, buffer.memory.data(),
                              static_cast<size_t>(bytes), stream.get());
    if (status)
      status =
          TNRT_CUDA_CALL(d, cuEventRecord, buffer.event.get(), stream.get());
    std::lock_guard<std::mutex> lock(mutex);
    buffer.isCopied = true;
    idle.push_back(index);
    return status;
  }

  Status finish() {
    isFinished = true;
    return TNRT_CUDA_CALL(device->driver(), cuStreamSynchronize, stream.get());
  }

private:
  struct Buffer {
    PinnedMemory memory;
    Event event;
    bool isCopied; // the event tells when
  };

  std::shared_ptr<Device> device;
  std::vector<Buffer> buffers;
  Stream stream;
  std::mutex mutex;
  std::deque<size_t> idle;
  bool isFinished = false;
};

} // namespace

Result<WeightPlan> planWeights(const Manifest &manifest,
                               const WeightSource &source) {
  WeightPlan plan;
  for (size_t i = 0; i < manifest.parameters.size(); ++i) {
    if (source.same(i) != i) {
      plan.offsets.push_back(plan.offsets[source.same(i)]);
      continue;
    }
    plan.offsets.push_back(plan.bytes);
    const int64_t bytes = source.bytes(i);
    if (__builtin_add_overflow(plan.bytes, bytes, &plan.bytes) ||
        plan.bytes > INT64_MAX - alignment)
      return Error{"manifest: the parameters overflow 64 bits"};
    plan.bytes = (plan.bytes + alignment - 1) / alignment * alignment;
    plan.parameterBytes += bytes;
  }
  return plan;
}

Status uploadWeights(const std::shared_ptr<Device> &device,
                     const Manifest &manifest, const WeightSource &source,
                     const WeightPlan &plan, DevicePointer base,
                     ThreadPool &pool, bool showsProgress) {
  // A quantised tensor's tasks find its scales too, which follow when all are
  // known.
  const size_t count = manifest.parameters.size();
  std::vector<std::vector<float>> scales(
      count); // by the parameter that they are
  for (size_t i = 0; i < count; ++i)
    if (const size_t at = source.scalesOf(i);
        at != WeightSource::none && source.same(i) == i)
      scales[at].resize(static_cast<size_t>(source.bytes(at)) / sizeof(float));
  std::vector<WeightSource::Task> tasks;
  for (size_t i = 0; i < count; ++i)
    if (source.same(i) == i && scales[i].empty())
      source.addTasks(i, tasks);
  if (tasks.empty())
    return {};
  int64_t largest = 0;
  for (const WeightSource::Task &task : tasks)
    largest = std::max(largest, source.taskBytes(task));

  Staging staging(device);
  if (Status status = staging.allocate(2 * pool.size(), largest); !status)
    return status;
  Progress progress(source.isGenerated() ? "generating weights"
                                         : "loading weights",
                    plan.parameterBytes, Progress::Unit::Bytes, showsProgress);
  Status status = source.forEach(
      tasks, pool, [&](const WeightSource::Task &task) -> Status {
        const Manifest::Parameter &parameter =
            manifest.parameters[task.parameter];
        const int64_t offset =
            plan.offsets[task.parameter] +
            task.begin * packedUnitBytes(parameter.shape, parameter.dtype,
                                         parameter.layout);
        const int64_t bytes = source.taskBytes(task);
        Status sent = staging.send(
            base + static_cast<DevicePointer>(offset), bytes,
            [&](void *buffer) {
              const size_t at = source.scalesOf(task.parameter);
              return source.pack(task, buffer,
                                 at == WeightSource::none ? nullptr
                                                          : scales[at].data());
            });
        if (sent)
          progress.advance(bytes);
        return sent;
      });
  for (size_t i = 0; i < count && status; ++i) {
    const char *data = reinterpret_cast<const char *>(scales[i].data());
    const int64_t bytes =
        static_cast<int64_t>(scales[i].size() * sizeof(float));
    for (int64_t begin = 0; begin < bytes && status; begin += largest) {
      const int64_t piece = std::min(largest, bytes - begin);
      status = staging.send(
          base + static_cast<DevicePointer>(plan.offsets[i] + begin), piece,
          [&](void *buffer) -> Status {
            std::memcpy(buffer, data + begin, static_cast<size_t>(piece));
            return {};
          });
      progress.advance(piece);
    }
  }
  return status ? staging.finish() : std::move(status);
}

} // namespace tnrt::cuda
