// Loads the weights in three steps: check all, place all, then pack in
// parallel.
#include "WeightLoader.h"

#include "Progress.h"
#include "tnrt/formats/Text.h"

#include <algorithm>
#include <atomic>
#include <mutex>

namespace tnrt {

namespace {

using Parameter = Manifest::Parameter;

constexpr size_t alignment = 64;
// Elements of one task: enough to hide the counter, little enough to balance.
constexpr int64_t taskElements = 1 << 20;
constexpr size_t none = SIZE_MAX;

struct Task {
  size_t parameter;
  int64_t begin, end; // pack units
};

bool sameData(const Parameter &a, const Parameter &b) {
  return a.tensor == b.tensor && a.dtype == b.dtype && a.layout == b.layout &&
         a.shape == b.shape;
}

bool isRowScales(const Parameter &parameter) {
  return parameter.layout.kind == Layout::Kind::RowScales;
}

// Elements of the tensor that one row has, along the first dimension.
int64_t rowElements(const Parameter &parameter) {
  const int64_t rows = parameter.shape.empty() ? 1 : parameter.shape[0];
  return *elementCount(parameter.shape) / rows;
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
    if (Status status = pack(); !status)
      return status.takeError();
    return std::move(result);
  }

private:
  Status openSource();
  Status checkTensors();
  bool isMappable(const Parameter &parameter) const;
  Status place();
  void addTasks();
  size_t scalesBeside(size_t index) const;
  Status pack();
  Status runTask(const Task &task, Progress &progress);
  Status packMapped(const Task &task, const PackOptions &packing);
  Status generate(const Task &task, const PackOptions &packing);

  const Manifest &manifest;
  const LoadOptions &options;
  ThreadPool &pool;
  LoadedWeights result;
  // By parameter: the first one of the same data; itself where it is the first.
  std::vector<size_t> same;
  // By parameter of dtype I8: the row scales that its tasks fill too, so that
  // the tensor is read once; none otherwise.
  std::vector<size_t> scales;
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
  same.resize(parameters.size());
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
  addTasks();
  return {};
}

// The row scales of parameter `index` where it is the first I8 one of its
// tensor, else none: two must not write them at once.
size_t Loader::scalesBeside(size_t index) const {
  const std::vector<Parameter> &parameters = manifest.parameters;
  const Parameter &weight = parameters[index];
  if (weight.dtype != DType::I8)
    return none;
  size_t found = none;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter &other = parameters[i];
    if (other.tensor != weight.tensor || other.shape != weight.shape)
      continue;
    if (other.dtype == DType::I8 && i < index)
      return none;
    if (isRowScales(other) && same[i] == i)
      found = i;
  }
  return found;
}

void Loader::addTasks() {
  const std::vector<Parameter> &parameters = manifest.parameters;
  std::vector<bool> isFilled(parameters.size(), false);
  for (size_t i = 0; i < parameters.size(); ++i) {
    scales.push_back(scalesBeside(i));
    if (scales[i] != none)
      isFilled[scales[i]] = true;
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter &parameter = parameters[i];
    if (same[i] != i || isFilled[i] || isMappable(parameter))
      continue;
    const int64_t units = packUnits(parameter.shape, parameter.layout);
    const int64_t unitElements =
        packUnitRows(parameter.layout) * rowElements(parameter);
    const int64_t step =
        std::max<int64_t>(1, taskElements / std::max<int64_t>(1, unitElements));
    for (int64_t begin = 0; begin < units; begin += step)
      tasks.push_back({i, begin, std::min(begin + step, units)});
  }
}

Status Loader::pack() {
  Progress progress(result.checkpoint ? "loading weights"
                                      : "generating weights",
                    static_cast<int64_t>(result.packed.size()),
                    Progress::Unit::Bytes, options.progress);
  // The error of the first task in order, whatever the threads' timing; those
  // behind a failed one need not run.
  std::mutex mutex;
  std::atomic<size_t> failed{none};
  Status first;
  pool.forEach(static_cast<int64_t>(tasks.size()), [&](int64_t i) {
    const size_t index = static_cast<size_t>(i);
    if (index > failed)
      return;
    Status status = runTask(tasks[index], progress);
    if (status)
      return;
    std::lock_guard<std::mutex> lock(mutex);
    if (index < failed) {
      failed = index;
      first = std::move(status);
    }
  });
  if (!first && result.checkpoint)
    return Error{result.checkpoint->path() + ": " + first.message()};
  return first;
}

Status Loader::runTask(const Task &task, Progress &progress) {
  const Parameter &parameter = manifest.parameters[task.parameter];
  PackOptions packing;
  int64_t unitBytes =
      packedUnitBytes(parameter.shape, parameter.dtype, parameter.layout);
  if (const size_t beside = scales[task.parameter]; beside != none) {
    packing.rowScales = static_cast<float *>(result.parameters[beside]);
    unitBytes += packUnitRows(parameter.layout) * int64_t(sizeof(float));
  }
  if (Status status = result.checkpoint ? packMapped(task, packing)
                                        : generate(task, packing);
      !status)
    return status;
  progress.advance((task.end - task.begin) * unitBytes);
  return {};
}

Status Loader::packMapped(const Task &task, const PackOptions &packing) {
  const Parameter &parameter = manifest.parameters[task.parameter];
  const TensorView &view = *result.checkpoint->find(parameter.tensor);
  Status status =
      packRange(view, parameter.dtype, parameter.layout, task.begin, task.end,
                result.parameters[task.parameter], packing);
  // Without this the mapped and the packed weights would both stay resident.
  const int64_t units = packUnits(view.shape, parameter.layout);
  const int64_t rows = view.shape.empty() ? 1 : view.shape[0];
  const int64_t unitRows = packUnitRows(parameter.layout);
  const size_t rowBytes =
      view.bytes / static_cast<size_t>(std::max<int64_t>(rows, 1));
  const int64_t first = task.begin * unitRows;
  const int64_t last = task.end == units ? rows : task.end * unitRows;
  releaseMappedPages(view.data + static_cast<size_t>(first) * rowBytes,
                     static_cast<size_t>(last - first) * rowBytes);
  return status;
}

// Fills the rows of one unit after the other in f32 and packs them like a
// tensor of that many rows, so that the values do not depend on the layout.
Status Loader::generate(const Task &task, const PackOptions &packing) {
  const Parameter &parameter = manifest.parameters[task.parameter];
  const bool isPanels = parameter.layout.kind == Layout::Kind::Panels;
  const uint64_t key = randomKey(manifest.weights.seed, parameter.tensor);
  const int64_t total = *elementCount(parameter.shape);
  const int64_t rows = parameter.shape.empty() ? 1 : parameter.shape[0];
  const int64_t width = rowElements(parameter);
  const int64_t unitRows = packUnitRows(parameter.layout);
  const int64_t unitBytes =
      packedUnitBytes(parameter.shape, parameter.dtype, parameter.layout);
  // A unit of rows may be one element: take many at once.
  const int64_t batch =
      isPanels ? 1 : std::max<int64_t>(1, 65536 / std::max<int64_t>(1, width));
  std::vector<float> values(
      static_cast<size_t>(std::min(rows, batch * unitRows) * width));
  TensorView view;
  view.name = parameter.tensor;
  view.data = reinterpret_cast<const unsigned char *>(values.data());
  view.shape =
      parameter.shape.empty() ? std::vector<int64_t>{1} : parameter.shape;
  char *destination = static_cast<char *>(result.parameters[task.parameter]);
  for (int64_t unit = task.begin; unit < task.end; unit += batch) {
    const int64_t units = std::min(batch, task.end - unit);
    PackOptions piece;
    piece.firstRow = unit * unitRows;
    if (packing.rowScales)
      piece.rowScales = packing.rowScales + piece.firstRow;
    view.shape[0] = std::min(units * unitRows, rows - piece.firstRow);
    randomFill(parameter.init, key, total, piece.firstRow * width,
               view.shape[0] * width, values.data());
    if (Status status = packRange(view, parameter.dtype, parameter.layout, 0,
                                  units, destination + unit * unitBytes, piece);
        !status)
      return status;
  }
  return {};
}

} // namespace

Result<LoadedWeights> loadWeights(const Manifest &manifest,
                                  const LoadOptions &options,
                                  ThreadPool &pool) {
  return Loader(manifest, options, pool).run();
}

} // namespace tnrt
