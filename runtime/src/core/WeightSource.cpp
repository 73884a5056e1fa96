// Opening, checking and packing weights.
#include "WeightSource.h"

#include "Session.h"
#include "tnrt/formats/Quantize.h"
#include "tnrt/formats/Text.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>

namespace tnrt {

namespace {

using Parameter = Manifest::Parameter;

// Elements of one task: enough to hide the counter, little enough to balance.
constexpr int64_t taskElements = 1 << 20;

bool sameData(const Parameter &a, const Parameter &b) {
  return a.tensor == b.tensor && a.dtype == b.dtype && a.layout == b.layout &&
         a.shape == b.shape;
}

// Elements of the tensor that one row has, along the first dimension.
int64_t rowElements(const Parameter &parameter) {
  const int64_t rows = parameter.shape.empty() ? 1 : parameter.shape[0];
  return *elementCount(parameter.shape) / rows;
}

// `units` units from `unit` on of the tensor in `view`, which then are the
// whole of it.
struct Piece {
  int64_t firstRow, rows;

  Piece(const Parameter &parameter, int64_t begin, int64_t end) {
    const int64_t all = parameter.shape.empty() ? 1 : parameter.shape[0];
    const int64_t unitRows = packUnitRows(parameter.layout);
    firstRow = begin * unitRows;
    rows = std::min(end * unitRows, all) - firstRow;
  }

  // Packs `view`, whose data are those of this piece.
  Status pack(TensorView view, const Parameter &parameter, void *destination,
              float *rowScales) const {
    if (view.shape.empty())
      view.shape = {1};
    view.shape[0] = rows;
    PackOptions packing;
    packing.firstRow = firstRow;
    if (rowScales)
      packing.rowScales =
          rowScales + firstRow * scalesOfRow(parameter.shape, parameter.dtype);
    return packRange(view, parameter.dtype, parameter.layout, 0,
                     packUnits(view.shape, parameter.layout), destination,
                     packing);
  }
};

} // namespace

Result<WeightSource> WeightSource::open(const Manifest &manifest,
                                        const LoadOptions &options,
                                        const std::string &executable) {
  WeightSource source(manifest);
  if (Status status = source.openFile(options, executable); !status)
    return status.takeError();
  if (source.stored)
    if (Status status = source.checkStored(); !status)
      return status.takeError();
  if (source.checkpoint)
    if (Status status = source.checkTensors(); !status)
      return status.takeError();
  source.findSame();
  return source;
}

Status WeightSource::openFile(const LoadOptions &options,
                              const std::string &executable) {
  const Manifest::Weights &weights = manifest->weights;
  if (options.weightsPath.empty() &&
      weights.kind == Manifest::Weights::Kind::Random)
    return {};
  if (options.weightsPath.empty() &&
      weights.kind == Manifest::Weights::Kind::Embed) {
    Result<Payload> payload = readPayload(executable);
    if (!payload)
      return payload.takeError();
    if (!payload->weights)
      return Error{
          "the executable lost its embedded weights (was it stripped?); "
          "name a checkpoint with --weights"};
    stored = std::move(*payload->weights);
    return {};
  }
  const bool isOverride = !options.weightsPath.empty();
  Result<Checkpoint> opened =
      Checkpoint::open(isOverride ? options.weightsPath : weights.path);
  if (!opened)
    return Error{
        opened.message() +
        (isOverride ? "" : " (name another checkpoint with --weights)")};
  checkpoint = std::move(*opened);
  return {};
}

Status WeightSource::checkTensors() const {
  std::vector<std::string> missing, wrong;
  auto addOnce = [](std::vector<std::string> &list, std::string text) {
    if (std::find(list.begin(), list.end(), text) == list.end())
      list.push_back(std::move(text));
  };
  for (const Parameter &parameter : manifest->parameters) {
    const TensorView *view = checkpoint->find(parameter.tensor);
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
  std::string text = checkpoint->path() + ": does not fit the compiled model";
  if (!missing.empty())
    text += ": missing tensors: " + joined(missing);
  if (!wrong.empty())
    text += (missing.empty() ? ": " : "; ") + joined(wrong);
  return Error{text + " (--weights names another checkpoint)"};
}

// A stored parameter's name tells its layout, so that finding it is to know
// that it fits.
const TensorView *WeightSource::findStored(size_t index) const {
  const Parameter &parameter = manifest->parameters[index];
  const TensorView *view = stored->find(packedName(
      parameter.tensor, parameter.shape, parameter.dtype, parameter.layout));
  return view && view->bytes == static_cast<size_t>(bytes(index)) ? view
                                                                  : nullptr;
}

Status WeightSource::checkStored() const {
  std::vector<std::string> missing;
  for (size_t i = 0; i < manifest->parameters.size(); ++i) {
    const Parameter &parameter = manifest->parameters[i];
    if (!findStored(i))
      missing.push_back(quote(packedName(parameter.tensor, parameter.shape,
                                         parameter.dtype, parameter.layout)));
  }
  if (missing.empty())
    return {};
  return Error{stored->path() +
               ": not packed as the generated code reads them: missing " +
               joined(missing) +
               "; compile the model again, or name a checkpoint with "
               "--weights"};
}

void WeightSource::findSame() {
  const std::vector<Parameter> &parameters = manifest->parameters;
  firstOfSame.resize(parameters.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    firstOfSame[i] = i;
    for (size_t j = 0; j < i && firstOfSame[i] == i; ++j)
      if (sameData(parameters[j], parameters[i]))
        firstOfSame[i] = j;
  }
}

int64_t WeightSource::bytes(size_t index) const {
  const Parameter &parameter = manifest->parameters[index];
  return packedBytes(parameter.shape, parameter.dtype, parameter.layout);
}

const unsigned char *WeightSource::mapped(size_t index) const {
  if (stored)
    return findStored(index)->data;
  const Parameter &parameter = manifest->parameters[index];
  if (!checkpoint || parameter.layout.kind != Layout::Kind::Rows)
    return nullptr;
  const TensorView *view = checkpoint->find(parameter.tensor);
  const bool isAligned = reinterpret_cast<uintptr_t>(view->data) %
                             static_cast<uintptr_t>(dtypeBytes(view->dtype)) ==
                         0;
  return view->dtype == parameter.dtype && isAligned ? view->data : nullptr;
}

size_t WeightSource::scalesOf(size_t index) const {
  const std::vector<Parameter> &parameters = manifest->parameters;
  const Parameter &weight = parameters[index];
  if (!isQuantisedDType(weight.dtype) || stored)
    return none;
  size_t found = none;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter &other = parameters[i];
    if (other.tensor != weight.tensor || other.shape != weight.shape)
      continue;
    if (other.dtype == weight.dtype && i < index)
      return none;
    if (other.layout == scalesLayout(weight.dtype) && same(i) == i)
      found = i;
  }
  return found;
}

void WeightSource::addTasks(size_t index, std::vector<Task> &tasks) const {
  const Parameter &parameter = manifest->parameters[index];
  const int64_t units = packUnits(parameter.shape, parameter.layout);
  const int64_t unitElements =
      packUnitRows(parameter.layout) * rowElements(parameter);
  const int64_t step =
      std::max<int64_t>(1, taskElements / std::max<int64_t>(1, unitElements));
  for (int64_t begin = 0; begin < units; begin += step)
    tasks.push_back({index, begin, std::min(begin + step, units)});
}

int64_t WeightSource::taskBytes(const Task &task) const {
  const Parameter &parameter = manifest->parameters[task.parameter];
  return (task.end - task.begin) *
         packedUnitBytes(parameter.shape, parameter.dtype, parameter.layout);
}

Status WeightSource::pack(const Task &task, void *destination,
                          float *rowScales) const {
  if (stored) { // for memory that is not the host's
    const Parameter &parameter = manifest->parameters[task.parameter];
    const int64_t unitBytes =
        packedUnitBytes(parameter.shape, parameter.dtype, parameter.layout);
    const unsigned char *data =
        findStored(task.parameter)->data + task.begin * unitBytes;
    const size_t count = static_cast<size_t>(taskBytes(task));
    std::memcpy(destination, data, count);
    releaseMappedPages(data, count);
    return {};
  }
  if (!checkpoint)
    return generate(task, destination, rowScales);
  Status status = packMapped(task, destination, rowScales);
  if (!status)
    return Error{checkpoint->path() + ": " + status.message()};
  return status;
}

Status WeightSource::packMapped(const Task &task, void *destination,
                                float *rowScales) const {
  const Parameter &parameter = manifest->parameters[task.parameter];
  TensorView view = *checkpoint->find(parameter.tensor);
  const Piece piece(parameter, task.begin, task.end);
  const size_t rows =
      static_cast<size_t>(view.shape.empty() ? 1 : view.shape[0]);
  const size_t rowBytes = view.bytes / std::max<size_t>(rows, 1);
  view.data += static_cast<size_t>(piece.firstRow) * rowBytes;
  view.bytes = static_cast<size_t>(piece.rows) * rowBytes;
  Status status = piece.pack(view, parameter, destination, rowScales);
  // Without this the mapped and the packed weights would both stay resident.
  releaseMappedPages(view.data, view.bytes);
  return status;
}

// Fills the rows of one unit after the other in f32 and packs them like a
// tensor of that many rows, so that the values do not depend on the layout.
Status WeightSource::generate(const Task &task, void *destination,
                              float *rowScales) const {
  const Parameter &parameter = manifest->parameters[task.parameter];
  const bool isPanels = parameter.layout.kind == Layout::Kind::Panels;
  const uint64_t key = randomKey(manifest->weights.seed, parameter.tensor);
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
  view.shape = parameter.shape;
  char *target = static_cast<char *>(destination);
  for (int64_t unit = task.begin; unit < task.end; unit += batch) {
    const int64_t end = std::min(unit + batch, task.end);
    const Piece piece(parameter, unit, end);
    randomFill(parameter.init, key, total, piece.firstRow * width,
               piece.rows * width, values.data());
    if (Status status = piece.pack(view, parameter, target, rowScales); !status)
      return status;
    target += (end - unit) * unitBytes;
  }
  return {};
}

Status WeightSource::forEach(const std::vector<Task> &tasks, ThreadPool &pool,
                             const std::function<Status(const Task &)> &run) {
  // Tasks behind a failed one need not run.
  std::mutex mutex;
  std::atomic<size_t> failed{none};
  Status first;
  pool.forEach(static_cast<int64_t>(tasks.size()), [&](int64_t i) {
    const size_t index = static_cast<size_t>(i);
    if (index > failed)
      return;
    Status status = run(tasks[index]);
    if (status)
      return;
    std::lock_guard<std::mutex> lock(mutex);
    if (index < failed) {
      failed = index;
      first = std::move(status);
    }
  });
  return first;
}

} // namespace tnrt
