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

using Kind = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;

Kind kindOf(const Recorded &r) {
  if (r.kernel >= 0)
    return {r.kernel, r.tasks, 0, 0, 0, 0};
  const MatmulCall &p = r.product;
  return {-1, p.rows, p.n, p.k, p.inType, p.outType};
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
    return time;
  }
  const MatmulCall &p = r.product;
  time.name = "matmul " + std::to_string(p.rows) + "x" + std::to_string(p.n) +
              "x" + std::to_string(p.k);
  time.flops = 2 * p.rows * p.n * p.k;
  time.bytes = (p.rows * p.k + p.n * p.k) * bytesOfType(p.inType) +
               p.rows * p.n * bytesOfType(p.outType);
  return time;
}

} // namespace

Result<std::vector<Recorded>> CudaSession::record(const Step &next) {
  std::vector<Recorded> launches;
  stageInput(next, stepInput.data());
  recording = &launches;
  Status status = queueStep(next, stepInput.data());
  if (status)
    status =
        queueHead(hidden.data(), std::min(next.rows * next.length,
                                          model.manifest.capacity.headRows));
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

// Seconds of all of them, the median of `repeat`.
Result<double> CudaSession::time(const std::vector<const Recorded *> &alike,
                                 int64_t repeat) {
  Result<Event> from = createEvent(model.gpu, kEventDefault);
  if (!from)
    return from.takeError();
  Result<Event> to = createEvent(model.gpu, kEventDefault);
  if (!to)
    return to.takeError();
  Result<GraphExec> graph = capture(model.gpu, stream, [&]() -> Status {
    for (const Recorded *launch : alike)
      if (Status status = replay(*launch); !status)
        return status;
    return {};
  });
  if (!graph)
    return graph.takeError();
  std::vector<double> seconds;
  for (int64_t i = 0; i <= repeat; ++i) {
    Status status =
        TNRT_CUDA_CALL(driver(), cuEventRecord, from->get(), stream.get());
    if (status)
      status =
          TNRT_CUDA_CALL(driver(), cuGraphLaunch, graph->get(), stream.get());
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

Result<std::vector<KernelTime>> CudaSession::profile(const Step &next,
                                                     int64_t repeat) {
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
  std::vector<KernelTime> times;
  for (const Kind &kind : order) {
    const std::vector<const Recorded *> &alike = kinds[kind];
    Result<double> seconds = time(alike, std::max<int64_t>(repeat, 1));
    if (!seconds)
      return seconds.takeError();
    KernelTime entry = describe(*alike.front(), *model.kernels);
    entry.count = static_cast<int64_t>(alike.size());
    entry.seconds = *seconds / static_cast<double>(entry.count);
    times.push_back(std::move(entry));
  }
  return times;
}

} // namespace tnrt::cuda
