// Loads the weights in three steps: check all, place all, then pack in
// parallel.
#include "WeightLoader.h"

#include "Progress.h"
#include "tnrt/formats/Text.h"

#include <algorithm>

namespace tnrt {

namespace {

using Parameter = Manifest::Parameter;

constexpr size_t alignment = 64;
// Packed bytes of one task: enough to hide the counter, little enough to
// balance.
constexpr int64_t taskBytes = 4 << 20;

struct Task {
  size_t parameter;
  int64_t begin, end; // pack units
};

bool sameData(const Parameter &a, const Parameter &b) {
  return a.tensor == b.tensor && a.dtype == b.dtype && a.layout == b.layout &&
         a.shape == b.shape;
}

class Loader {
public:
  Loader(const Manifest &manifest, const LoadOptions &options, ThreadPool &pool)
      : manifest(manifest), options(options), pool(pool) {}

  Result<LoadedWeights> run() {
    if (Status status = openSource(); !status)
      return status.takeError();
    if (result.checkpoint)
      if (Status status = checkTensors(); !status)
        return status.takeError();
    if (Status status = place(); !status)
      return status.takeError();
    pack();
    return std::move(result);
  }

private:
  Status openSource();
  Status checkTensors();
  bool isMappable(const Parameter &parameter) const;
  Status place();
  void addTasks(size_t index);
  void pack();
  void runTask(const Task &task, Progress &progress);
  void generate(const Parameter &parameter, const Task &task,
                void *destination);

  const Manifest &manifest;
  const LoadOptions &options;
  ThreadPool &pool;
  LoadedWeights result;
  std::vector<Task> tasks;
};

Status Loader::openSource() {
  const Manifest::Weights &weights = manifest.weights;
  if (options.weightsPath.empty() &&
      weights.kind == Manifest::Weights::Kind::Random)
    return {};
  if (options.weightsPath.empty() &&
      weights.kind == Manifest::Weights::Kind::Embed) {
    Result<Payload> payload = readPayload("/proc/self/exe");
    if (!payload)
      return payload.takeError();
    if (!payload->weights)
      return Error{
          "the executable lost its embedded weights (was it stripped?); "
          "name a checkpoint with --weights"};
    result.checkpoint = Checkpoint::of(std::move(*payload->weights));
    return {};
  }
  const bool isOverride = !options.weightsPath.empty();
  Result<Checkpoint> checkpoint =
      Checkpoint::open(isOverride ? options.weightsPath : weights.path);
  if (!checkpoint)
    return Error{
        checkpoint.message() +
        (isOverride ? "" : " (name another checkpoint with --weights)")};
  result.checkpoint = std::move(*checkpoint);
  return {};
}

Status Loader::checkTensors() {
  std::vector<std::string> missing, wrong;
  auto addOnce = [](std::vector<std::string> &list, std::string text) {
    if (std::find(list.begin(), list.end(), text) == list.end())
      list.push_back(std::move(text));
  };
  for (const Parameter &parameter : manifest.parameters) {
    const TensorView *view = result.checkpoint->find(parameter.tensor);
    if (!view) {
      addOnce(missing, quote(parameter.tensor));
      continue;
    }
    if (view->shape != parameter.shape)
      addOnce(wrong, quote(parameter.tensor) + " has shape " +
                         shapeText(view->shape) + ", expected " +
                         shapeText(parameter.shape));
    if (!isFloatDType(view->dtype))
      addOnce(wrong, quote(parameter.tensor) + " has dtype " +
                         dtypeName(view->dtype) +
                         ", expected F32, F16 or BF16");
  }
  if (missing.empty() && wrong.empty())
    return {};
  std::string text =
      result.checkpoint->path() + ": does not fit the compiled model";
  if (!missing.empty())
    text += ": missing tensors: " + joined(missing);
  if (!wrong.empty())
    text += (missing.empty() ? ": " : "; ") + joined(wrong);
  return Error{text + " (--weights names another checkpoint)"};
}

// Whether the kernels can read the file's own bytes.
bool Loader::isMappable(const Parameter &parameter) const {
  if (!result.checkpoint || parameter.layout.kind != Layout::Kind::Rows)
    return false;
  const TensorView *view = result.checkpoint->find(parameter.tensor);
  return view->dtype == parameter.dtype &&
         reinterpret_cast<uintptr_t>(view->data) %
                 static_cast<uintptr_t>(dtypeBytes(view->dtype)) ==
             0;
}

Status Loader::place() {
  const std::vector<Parameter> &parameters = manifest.parameters;
  std::vector<size_t> offsets(parameters.size(), 0);
  std::vector<size_t> same(parameters.size());
  size_t total = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter &parameter = parameters[i];
    same[i] = i;
    for (size_t j = 0; j < i && same[i] == i; ++j)
      if (sameData(parameters[j], parameter))
        same[i] = j;
    if (same[i] != i)
      continue;
    const int64_t bytes =
        packedBytes(parameter.shape, parameter.dtype, parameter.layout);
    if (__builtin_add_overflow(result.bytes, bytes, &result.bytes))
      return Error{"manifest: the parameters overflow 64 bits"};
    if (isMappable(parameter))
      continue;
    offsets[i] = total;
    total +=
        (static_cast<size_t>(bytes) + alignment - 1) / alignment * alignment;
    addTasks(i);
  }
  Result<Memory> packed = Memory::allocate(total, "the packed weights");
  if (!packed)
    return packed.takeError();
  result.packed = std::move(*packed);
  for (size_t i = 0; i < parameters.size(); ++i) {
    void *data = result.packed.data() + offsets[i];
    if (same[i] != i)
      data = result.parameters[same[i]];
    else if (isMappable(parameters[i]))
      data = const_cast<unsigned char *>(
          result.checkpoint->find(parameters[i].tensor)->data);
    result.parameters.push_back(data);
  }
  return {};
}

void Loader::addTasks(size_t index) {
  const Parameter &parameter = manifest.parameters[index];
  const int64_t units = packUnits(parameter.shape, parameter.layout);
  const int64_t unitBytes =
      packedUnitBytes(parameter.shape, parameter.dtype, parameter.layout);
  const int64_t step =
      std::max<int64_t>(1, taskBytes / std::max<int64_t>(1, unitBytes));
  for (int64_t begin = 0; begin < units; begin += step)
    tasks.push_back({index, begin, std::min(begin + step, units)});
}

void Loader::pack() {
  Progress progress(result.checkpoint ? "loading weights"
                                      : "generating weights",
                    static_cast<int64_t>(result.packed.size()),
                    Progress::Unit::Bytes, options.progress);
  pool.forEach(static_cast<int64_t>(tasks.size()), [&](int64_t i) {
    runTask(tasks[static_cast<size_t>(i)], progress);
  });
}

void Loader::runTask(const Task &task, Progress &progress) {
  const Parameter &parameter = manifest.parameters[task.parameter];
  void *destination = result.parameters[task.parameter];
  if (result.checkpoint) {
    const TensorView &view = *result.checkpoint->find(parameter.tensor);
    packRange(view, parameter.dtype, parameter.layout, task.begin, task.end,
              destination);
    // Without this the mapped and the packed weights would both stay resident.
    const int64_t units = packUnits(view.shape, parameter.layout);
    const int64_t rows = view.shape.empty() ? 1 : view.shape[0];
    const int64_t rowsPerUnit = parameter.layout.kind == Layout::Kind::Panels
                                    ? parameter.layout.width
                                    : 1;
    const size_t rowBytes =
        view.bytes / static_cast<size_t>(std::max<int64_t>(rows, 1));
    const int64_t first = task.begin * rowsPerUnit;
    const int64_t last = task.end == units ? rows : task.end * rowsPerUnit;
    releaseMappedPages(view.data + static_cast<size_t>(first) * rowBytes,
                       static_cast<size_t>(last - first) * rowBytes);
  } else {
    generate(parameter, task, destination);
  }
  progress.advance((task.end - task.begin) * packedUnitBytes(parameter.shape,
                                                             parameter.dtype,
                                                             parameter.layout));
}

// Fills the rows of one unit after the other in f32 and packs them like a
// tensor of that many rows, so that the values do not depend on the layout.
void Loader::generate(const Parameter &parameter, const Task &task,
                      void *destination) {
  const bool isPanels = parameter.layout.kind == Layout::Kind::Panels;
  const uint64_t key = randomKey(manifest.weights.seed, parameter.tensor);
  const int64_t total = *elementCount(parameter.shape);
  const int64_t rows = parameter.shape.empty() ? 1 : parameter.shape[0];
  const int64_t rowElements = total / rows;
  const int64_t unitRows = isPanels ? parameter.layout.width : 1;
  const int64_t unitBytes =
      packedUnitBytes(parameter.shape, parameter.dtype, parameter.layout);
  // A unit of rows may be one element: take many at once.
  const int64_t batch =
      isPanels
          ? 1
          : std::max<int64_t>(1, 65536 / std::max<int64_t>(1, rowElements));
  std::vector<float> values(
      static_cast<size_t>(std::min(rows, batch * unitRows) * rowElements));
  TensorView view;
  view.data = reinterpret_cast<const unsigned char *>(values.data());
  view.shape =
      parameter.shape.empty() ? std::vector<int64_t>{1} : parameter.shape;
  for (int64_t unit = task.begin; unit < task.end; unit += batch) {
    const int64_t units = std::min(batch, task.end - unit);
    const int64_t firstRow = unit * unitRows;
    view.shape[0] = std::min(units * unitRows, rows - firstRow);
    randomFill(parameter.init, key, total, firstRow * rowElements,
               view.shape[0] * rowElements, values.data());
    packRange(view, parameter.dtype, parameter.layout, 0, units,
              static_cast<char *>(destination) + unit * unitBytes);
  }
}

} // namespace

Result<LoadedWeights> loadWeights(const Manifest &manifest,
                                  const LoadOptions &options,
                                  ThreadPool &pool) {
  return Loader(manifest, options, pool).run();
}

} // namespace tnrt
