// One checkpoint: written aside and renamed, opened and checked.
#include "Checkpoints.h"

#include "Crc32c.h"
#include "Folders.h"

#include "tnrt/formats/AtomicFile.h"
#include "tnrt/formats/Text.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <unistd.h>

namespace tnrt {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char *kParametersFile = "parameters.safetensors";
constexpr const char *kOptimizerFile = "optimizer.safetensors";
constexpr const char *kStateFile = "trainer.json";
constexpr size_t kMaxStateBytes = size_t(64) << 20;

uint32_t checksumOf(const SafetensorsFile &file) {
  uint32_t checksum = 0;
  for (const TensorView &tensor : file.tensors())
    checksum = crc32c(tensor.data, tensor.bytes, checksum);
  return checksum;
}

// Opens a file that trainer.json lists; nothing where it lists none.
Result<std::optional<SafetensorsFile>>
openListed(const std::string &folder, const Json &files, const char *name) {
  auto listed = files.find(name);
  if (listed == files.end())
    return std::optional<SafetensorsFile>();
  Result<SafetensorsFile> file = SafetensorsFile::open(folder + "/" + name);
  if (!file)
    return file.takeError();
  for (const TensorView &tensor : file->tensors())
    if (tensor.dtype != DType::F32)
      return Error{file->path() + ": tensor " + quote(tensor.name) + " is " +
                   dtypeName(tensor.dtype) + ", expected F32"};
  if (!listed->is_number_unsigned() ||
      listed->get<uint64_t>() != checksumOf(*file))
    return Error{file->path() + ": is damaged: its checksum does not fit"};
  return std::optional<SafetensorsFile>(std::move(*file));
}

void copyTensor(const SafetensorsFile &file, const std::string &name,
                float *out) {
  const TensorView *view = file.find(name);
  std::memcpy(out, view->data, view->bytes);
}

} // namespace

Result<CheckpointWriter> CheckpointWriter::begin(const std::string &parent,
                                                 int64_t step) {
  CheckpointWriter writer;
  writer.parent = parent;
  const std::string name = checkpointName(step);
  writer.target = parent + "/" + name;
  const std::string aside =
      parent + "/." + name + ".tmp-" + std::to_string(::getpid());
  if (Status status = makeFolder(aside); !status)
    return status.takeError();
  writer.aside = aside;
  return writer;
}

CheckpointWriter::CheckpointWriter(CheckpointWriter &&other) noexcept
    : parent(std::move(other.parent)), aside(std::move(other.aside)),
      target(std::move(other.target)), files(std::move(other.files)) {
  other.aside.clear();
}

CheckpointWriter::~CheckpointWriter() {
  if (!aside.empty())
    removeTree(aside);
}

Status
CheckpointWriter::write(const std::string &file,
                        const std::vector<TensorSpec> &tensors,
                        const std::function<const float *(size_t)> &data) {
  Result<SafetensorsWriter> writer = SafetensorsWriter::create(
      aside + "/" + file, tensors, {{"format", "pt"}});
  if (!writer)
    return writer.takeError();
  uint32_t checksum = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const size_t bytes =
        static_cast<size_t>(*elementCount(tensors[i].shape)) * sizeof(float);
    const float *values = data(i);
    if (Status status = writer->write(values, bytes); !status)
      return status;
    checksum = crc32c(values, bytes, checksum);
  }
  files[file] = checksum;
  return writer->commit();
}

Status CheckpointWriter::commit(const TrainState &state) {
  Json json = state.toJson();
  json["files"] = files;
  const std::string text = json.dump(1) + "\n";
  Status status =
      writeFileAtomically(aside + "/" + kStateFile, text.data(), text.size());
  if (!status)
    return status;
  // One of an abandoned or damaged attempt at this step gives way; an earlier
  // one is still there should the process end just here.
  if (isFolder(target))
    if (Status moved = discardFolder(target); !moved)
      return moved;
  status = renameFolder(aside, target);
  if (status)
    aside.clear();
  return status;
}

Result<SavedCheckpoint> SavedCheckpoint::open(const std::string &folder) {
  SavedCheckpoint saved;
  saved.path = folder;
  const std::string statePath = folder + "/" + kStateFile;
  Result<std::string> text = readWholeFile(statePath, kMaxStateBytes);
  if (!text)
    return text.takeError();
  Result<Json> json = TrainState::readText(*text);
  if (!json)
    return Error{statePath + ": " + json.message()};
  Result<TrainState> state = TrainState::parse(*json);
  if (!state)
    return Error{statePath + ": " + state.message()};
  saved.content = std::move(*state);
  const Json files = json->value("files", Json());
  if (!files.is_object() || !files.contains(kParametersFile))
    return Error{statePath + ": \"files\": expected parameters.safetensors"};
  for (auto [file, name] : {std::pair(&saved.weights, kParametersFile),
                            std::pair(&saved.optimizer, kOptimizerFile)}) {
    auto opened = openListed(folder, files, name);
    if (!opened)
      return opened.takeError();
    *file = std::move(*opened);
  }
  return saved;
}

std::string parameterDifference(const SafetensorsFile &file,
                                const std::vector<TensorSpec> &expected) {
  std::vector<std::string> found;
  for (const TensorSpec &tensor : expected) {
    const TensorView *view = file.find(tensor.name);
    if (!view)
      found.push_back(quote(tensor.name) + " is missing");
    else if (view->shape != tensor.shape)
      found.push_back(quote(tensor.name) + " is " + shapeText(view->shape) +
                      ", expected " + shapeText(tensor.shape));
  }
  for (const TensorView &view : file.tensors())
    if (std::none_of(expected.begin(), expected.end(),
                     [&](const TensorSpec &t) { return t.name == view.name; }))
      found.push_back(quote(view.name) + " is not the model's");
  constexpr size_t kShown = 8;
  if (found.size() > kShown) {
    const size_t rest = found.size() - kShown;
    found.resize(kShown);
    found.push_back("and " + std::to_string(rest) + " more");
  }
  return joined(found);
}

std::vector<TensorSpec>
parameterSpecs(const std::vector<TrainParameter> &parameters,
               const std::string &prefix) {
  std::vector<TensorSpec> specs;
  for (const TrainParameter &parameter : parameters)
    specs.push_back({prefix + parameter.name, DType::F32, parameter.shape});
  return specs;
}

std::vector<TensorSpec>
momentSpecs(const std::vector<TrainParameter> &parameters) {
  std::vector<TensorSpec> specs = parameterSpecs(parameters, "exp_avg.");
  for (TensorSpec &spec : parameterSpecs(parameters, "exp_avg_sq."))
    specs.push_back(std::move(spec));
  return specs;
}

Status SavedCheckpoint::restore(TrainBackend &backend) const {
  const std::vector<TrainParameter> &table = backend.parameters();
  std::string difference = parameterDifference(*weights, parameterSpecs(table));
  if (difference.empty() && optimizer)
    difference = parameterDifference(*optimizer, momentSpecs(table));
  if (!difference.empty())
    return Error{path + ": is of another model: " + difference};
  struct Part {
    TrainBuffer buffer;
    const SafetensorsFile *file;
    const char *prefix;
  };
  const SafetensorsFile *moments = optimizer ? &*optimizer : nullptr;
  for (const Part &part :
       {Part{TrainBuffer::Parameters, &*weights, ""},
        Part{TrainBuffer::FirstMoment, moments, "exp_avg."},
        Part{TrainBuffer::SecondMoment, moments, "exp_avg_sq."}}) {
    Result<FloatSpan> view = backend.view(part.buffer);
    if (!view)
      return view.takeError();
    if (!part.file)
      std::fill_n(view->data, view->size, 0.0f);
    else
      for (const TrainParameter &parameter : table)
        copyTensor(*part.file, part.prefix + parameter.name,
                   view->data + parameter.offset);
    if (Status status = backend.commit(part.buffer); !status)
      return status;
  }
  return {};
}

Status writeCheckpoint(CheckpointWriter &writer, TrainBackend &backend) {
  const std::vector<TrainParameter> &table = backend.parameters();
  Result<FloatSpan> values = backend.view(TrainBuffer::Parameters);
  if (!values)
    return values.takeError();
  Status status =
      writer.write(kParametersFile, parameterSpecs(table),
                   [&](size_t i) { return values->data + table[i].offset; });
  if (!status)
    return status;
  Result<FloatSpan> first = backend.view(TrainBuffer::FirstMoment);
  if (!first)
    return first.takeError();
  Result<FloatSpan> second = backend.view(TrainBuffer::SecondMoment);
  if (!second)
    return second.takeError();
  return writer.write(kOptimizerFile, momentSpecs(table), [&](size_t i) {
    const bool isFirst = i < table.size();
    const TrainParameter &parameter = table[isFirst ? i : i - table.size()];
    return (isFirst ? *first : *second).data + parameter.offset;
  });
}

} // namespace tnrt
