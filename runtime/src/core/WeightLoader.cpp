// Loads the weights in three steps: check all, place all, then pack in
// parallel.
#include "WeightLoader.h"

#include "Progress.h"

namespace tnrt {

namespace {

using Parameter = Manifest::Parameter;

constexpr size_t alignment = 64;
constexpr size_t none = WeightSource::none;

class Loader {
public:
  Loader(const Manifest &manifest, WeightSource source, ThreadPool &pool)
      : manifest(manifest), pool(pool) {
    result.source = std::move(source);
  }

  Result<LoadedWeights> run(bool showsProgress) {
    if (Status status = place(); !status)
      return status.takeError();
    addTasks();
    if (Status status = pack(showsProgress); !status)
      return status.takeError();
    return std::move(result);
  }

private:
  const WeightSource &source() const { return *result.source; }
  Status place();
  void addTasks();
  Status pack(bool showsProgress);

  const Manifest &manifest;
  ThreadPool &pool;
  LoadedWeights result;
  // By quantised parameter: the scales that its tasks fill too, so that the
  // tensor is read once; none otherwise.
  std::vector<size_t> scales;
  std::vector<WeightSource::Task> tasks;
};

Status Loader::place() {
  const size_t count = manifest.parameters.size();
  std::vector<size_t> offsets(count, 0);
  size_t total = 0;
  for (size_t i = 0; i < count; ++i) {
    if (source().same(i) != i)
      continue;
    const int64_t bytes = source().bytes(i);
    if (__builtin_add_overflow(result.bytes, bytes, &result.bytes))
      return Error{"manifest: the parameters overflow 64 bits"};
    if (source().mapped(i))
      continue;
    offsets[i] = total;
    total +=
        (static_cast<size_t>(bytes) + alignment - 1) / alignment * alignment;
  }
  Result<Memory> packed = Memory::allocate(total, "the packed weights");
  if (!packed)
    return packed.takeError();
  result.packed = std::move(*packed);
  for (size_t i = 0; i < count; ++i) {
    void *data = result.packed.data() + offsets[i];
    if (source().same(i) != i)
      data = result.parameters[source().same(i)];
    else if (const unsigned char *mapped = source().mapped(i))
      data = const_cast<unsigned char *>(mapped);
    result.parameters.push_back(data);
  }
  return {};
}

void Loader::addTasks() {
  const size_t count = manifest.parameters.size();
  std::vector<bool> isFilled(count, false);
  for (size_t i = 0; i < count; ++i) {
    scales.push_back(source().scalesOf(i));
    if (scales[i] != none)
      isFilled[scales[i]] = true;
  }
  for (size_t i = 0; i < count; ++i)
    if (source().same(i) == i && !isFilled[i] && !source().mapped(i))
      source().addTasks(i, tasks);
}

Status Loader::pack(bool showsProgress) {
  if (tasks.empty())
    return {};
  Progress progress(source().isGenerated() ? "generating weights"
                                           : "loading weights",
                    static_cast<int64_t>(result.packed.size()),
                    Progress::Unit::Bytes, showsProgress);
  return source().forEach(
      tasks, pool, [&](const WeightSource::Task &task) -> Status {
        const Parameter &parameter = manifest.parameters[task.parameter];
        int64_t bytes = source().taskBytes(task);
        float *rowScales = nullptr;
        if (const size_t beside = scales[task.parameter]; beside != none) {
          rowScales = static_cast<float *>(result.parameters[beside]);
          bytes += (task.end - task.begin) * packUnitRows(parameter.layout) *
                   scalesOfRow(parameter.shape, parameter.dtype) *
                   int64_t(sizeof(float));
        }
        char *destination =
            static_cast<char *>(result.parameters[task.parameter]) +
            task.begin * packedUnitBytes(parameter.shape, parameter.dtype,
                                         parameter.layout);
        if (Status status = source().pack(task, destination, rowScales);
            !status)
          return status;
        progress.advance(bytes);
        return {};
      });
}

} // namespace

Result<LoadedWeights> loadWeights(const Manifest &manifest,
                                  const LoadOptions &options, ThreadPool &pool,
                                  const std::string &executable) {
  Result<WeightSource> source =
      WeightSource::open(manifest, options, executable);
  if (!source)
    return source.takeError();
  return Loader(manifest, std::move(*source), pool).run(options.progress);
}

} // namespace tnrt
