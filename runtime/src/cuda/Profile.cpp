// Times each launch of a step alone. A step is run once while its launches are
// noted; those that are alike (the same kernel and tasks, in different layers
// with different arguments) are queued again in one graph, so that neither the
// host's time between launches nor a warm cache flatters or hides them.
#include "CudaSession.h"

#include "tnrt/formats/DType.h"

#include <algorithm>
#include <tuple>

namespace tnrt::cuda {

namespace {

using Kind =
    std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;

Kind kindOf(const Recorded &r) {
  if (r.kernel >= 0)
    return {r.kernel, r.tasks, 0, 0, 0, 0, 0};
  const MatmulCall &p = r.product;
  return {-1, p.rows, p.n, p.k, p.inType, p.outType, p.form};
}

int64_t bytesOfType(int64_t type) {
  return dtypeBytes(static_cast<DType>(type));
}

KernelTime describe(const Recorded &r, const Kernels &kernels) {
  KernelTime time;
  if (r.kernel >= 0) {
    const tnrt_device_kernel &kernel = kernels.kernel(r.kernel);
    time.name = kernel.name;
    time.tasks = r.tasks;
    time.threads = kernel.threads;
    time.bytes = kernel.bytes + r.rows * kernel.bytes_of_row +
                 r.sequences * kernel.bytes_of_sequence;
    time.flops = r.rows * kernel.flops_of_row;
    return time;
  }
  const MatmulCall &p = r.product;
  time.name = "matmul " + std::to_string(p.rows) + "x" + std::to_string(p.n) +
              "x" + std::to_string(p.k);
  time.flops = 2 * p.rows * p.n * p.k;
  const int64_t results = p.c ? 2 : 1; // and what is added
  time.bytes = (p.rows * p.k + p.n * p.k) * bytesOfType(p.inType) +
               results * p.rows * p.n * bytesOfType(p.outType);
  return time;
}

} // namespace

Result<std::vector<Recorded>> CudaSession::record(const Step &next) {
  const int64_t tokens = next.rows * next.length;
  std::vector<Recorded> launches;
  stageInput(next, stepInput.data());
  recording = &launches;
  recordedRows = tokens;
  recordedSequences = next.rows;
  Status status = queueStep(next, stepInput.data());
  recordedRows = std::min(tokens, model.manifest.capacity.headRows);
  if (status)
    status = queueHead(hidden.data(), recordedRows);
  recordedRows = std::min(recordedRows, next.rows);
  if (status && next.draws) {
    const char *draws = static_cast<const char *>(input.data()) + drawsAt(next);
    model.module.sample(context(), recordedRows,
                        static_cast<const float *>(headLogits.data()),
                        reinterpret_cast<const float *>(draws),
                        static_cast<int32_t *>(chosen.data()));
    status = takeFailure();
  }
  recording = nullptr;
  Status finished = finish();
  if (!status)
    return status.takeError();
  if (!finished)
    return finished.takeError();
  return launches;
}

Status CudaSession::replay(const Recorded &launch) {
  if (launch.kernel < 0) {
    Result<Matmul *> products = model.matmul();
    if (!products)
      return products.takeError();
    return (*products)->run(launch.product, stream.get());
  }
  const tnrt_device_kernel &kernel = model.kernels->kernel(launch.kernel);
  std::vector<void *> args;
  for (size_t p = 0; p < launch.slots.size(); ++p)
    args.push_back(
        kernel.param_kinds[p] == TNRT_PARAM_MAP
            ? const_cast<unsigned char *>(launch.maps[p].bytes.data())
            : reinterpret_cast<void *>(launch.slots[p]));
  return model.kernels->launch(launch.kernel, launch.tasks, args.data(),
                               stream.get());
}

// As a graph, but for what runs otherwise there.
Result<double> CudaSession::time(int64_t repeat,
                                 const std::function<Status()> &enqueue,
                                 bool asGraph) {
  Result<Event> from = createEvent(model.gpu, kEventDefault);
  if (!from)
    return from.takeError();
  Result<Event> to = createEvent(model.gpu, kEventDefault);
  if (!to)
    return to.takeError();
  Result<GraphExec> graph = GraphExec();
  if (asGraph)
    graph = capture(model.gpu, stream, enqueue);
  if (!graph)
    return graph.takeError();
  std::vector<double> seconds;
  for (int64_t i = 0; i <= repeat; ++i) {
    Status status =
        TNRT_CUDA_CALL(driver(), cuEventRecord, from->get(), stream.get());
    if (status)
      status = asGraph ? TNRT_CUDA_CALL(driver(), cuGraphLaunch, graph->get(),
                                        stream.get())
                       : enqueue();
    if (status)
      status = TNRT_CUDA_CALL(driver(), cuEventRecord, to->get(), stream.get());
    if (status)
      status = finish();
    float milliseconds = 0;
    if (status)
      status = TNRT_CUDA_CALL(driver(), cuEventElapsedTime, &milliseconds,
                              from->get(), to->get());
    if (!status)
      return status.takeError();
    if (i > 0) // the first one warms up
      seconds.push_back(double(milliseconds) / 1e3);
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

// bf16 numbers of either sign from 0.5 to 1, in pieces that are all alike.
Status CudaSession::fillWithNumbers(DevicePointer to, int64_t bytes) {
  std::vector<uint16_t> numbers(size_t(1) << 22);
  uint32_t random = 1;
  for (uint16_t &number : numbers) {
    random = random * 1664525 + 1013904223; // Numerical Recipes, 7.1
    number = static_cast<uint16_t>(0x3f00 | (random >> 16 & 0x807f));
  }
  const auto piece = static_cast<int64_t>(numbers.size() * sizeof(uint16_t));
  for (int64_t at = 0; at < bytes; at += piece)
    if (Status status = TNRT_CUDA_CALL(
            driver(), cuMemcpyHtoDAsync_v2, to + static_cast<DevicePointer>(at),
            numbers.data(), static_cast<size_t>(std::min(piece, bytes - at)),
            stream.get());
        !status)
      return status;
  return finish();
}

// Copies and a product that are large enough to fill the device, where its
// memory has room for them. A copy of 512 MiB and more as a node of a graph
// takes another way than on a stream, and a quarter longer (H100: 2.4 and 2.9
// to 3.0 TB/s).
Status CudaSession::measureCeilings(StepProfile &profile, int64_t repeat) {
  constexpr int64_t kCopyBytes = int64_t(512) << 20, kCopies = 8;
  constexpr int64_t kSize = 8192;
  constexpr int64_t kWord = 2; // of bf16
  const int64_t matrixBytes = kSize * kSize * kWord;
  Result<int64_t> free = model.gpu->freeBytes();
  if (!free)
    return free.takeError();
  if (*free < 3 * kCopyBytes)
    return {};
  Result<DeviceMemory> memory =
      DeviceMemory::allocate(model.gpu, 2 * kCopyBytes, "the measurement");
  if (!memory)
    return memory.takeError();
  const DevicePointer base = memory->address();
  // Products of equal numbers take less power, and so less time, than others.
  if (Status status = fillWithNumbers(base, 2 * matrixBytes); !status)
    return status;
  Result<double> seconds = time(
      repeat,
      [&] {
        Status status;
        for (int64_t i = 0; i < kCopies && status; ++i)
          status = TNRT_CUDA_CALL(
              driver(), cuMemcpyDtoDAsync_v2, base + kCopyBytes, base,
              static_cast<size_t>(kCopyBytes), stream.get());
        return status;
      },
      /*asGraph=*/false);
  if (!seconds)
    return seconds.takeError();
  profile.copyBytesPerSecond = 2 * double(kCopies * kCopyBytes) / *seconds;
  Result<Matmul *> products = model.matmul();
  if (!products)
    return {};
  const auto bf16 = static_cast<int64_t>(DType::BF16);
  auto at = [&](int64_t offset) {
    return reinterpret_cast<void *>(base + static_cast<DevicePointer>(offset));
  };
  const MatmulCall call = {
      kSize, kSize, kSize,           /*form=*/0,         bf16,
      bf16,  at(0), at(matrixBytes), at(2 * matrixBytes)};
  seconds = time(repeat, [&] { return (*products)->run(call, stream.get()); });
  if (!seconds)
    return seconds.takeError();
  profile.flopsPerSecond = 2.0 * kSize * kSize * kSize / *seconds;
  return {};
}

Result<StepProfile> CudaSession::profile(const Step &next, int64_t repeat) {
  repeat = std::max<int64_t>(repeat, 1);
  Result<std::vector<Recorded>> launches = record(next);
  if (!launches)
    return launches.takeError();
  // Kinds in the order of their first launch.
  std::vector<Kind> order;
  std::map<Kind, std::vector<const Recorded *>> kinds;
  for (const Recorded &launch : *launches) {
    const Kind kind = kindOf(launch);
    if (kinds.find(kind) == kinds.end())
      order.push_back(kind);
    kinds[kind].push_back(&launch);
  }
  StepProfile profile;
  // From the last on, so that each finds the inputs that the step made: those
  // that change their buffer in place leave another there each time.
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const Kind &kind = *it;
    const std::vector<const Recorded *> &alike = kinds[kind];
    Result<double> seconds = time(repeat, [&]() -> Status {
      for (const Recorded *launch : alike)
        if (Status status = replay(*launch); !status)
          return status;
      return {};
    });
    if (!seconds)
      return seconds.takeError();
    KernelTime entry = describe(*alike.front(), *model.kernels);
    entry.count = static_cast<int64_t>(alike.size());
    entry.seconds = *seconds / static_cast<double>(entry.count);
    profile.kernels.push_back(std::move(entry));
  }
  std::reverse(profile.kernels.begin(), profile.kernels.end());
  if (Status status = measureCeilings(profile, repeat); !status)
    return status.takeError();
  return profile;
}

} // namespace tnrt::cuda
