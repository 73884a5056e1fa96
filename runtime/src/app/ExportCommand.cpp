// export and import: between a run's checkpoints and a Hugging Face folder.
#include "PublishedModel.h"
#include "Text.h"
#include "TrainCommands.h"

#include "core/Progress.h"
#include "tnrt/formats/Convert.h"
#include "tnrt/formats/Text.h"
#include "train/Checkpoints.h"
#include "train/Folders.h"

#include <algorithm>
#include <filesystem>
#include <unistd.h>

namespace tnrt {
namespace {

using Json = nlohmann::ordered_json;

// The model's tensors, each once.
std::vector<TensorSpec> modelTensors(const Manifest &manifest) {
  std::vector<TensorSpec> specs;
  for (const Manifest::Parameter &parameter : manifest.parameters)
    if (std::none_of(specs.begin(), specs.end(), [&](const TensorSpec &spec) {
          return spec.name == parameter.tensor;
        }))
      specs.push_back({parameter.tensor, DType::F32, parameter.shape});
  return specs;
}

// config.json as the published checkpoints have it, and every other key of the
// spec. Readers that do not know such a key pass over it; so a model that the
// published code would compute otherwise does not claim to be of its class.
Json configOf(const Manifest &manifest, bool isPublished, DType dtype) {
  const char *name = dtype == DType::F32    ? "float32"
                     : dtype == DType::BF16 ? "bfloat16"
                                            : "float16";
  Json config;
  if (isPublished)
    config["architectures"] = {"TransnormerForCausalLM"};
  config["model_type"] = isPublished ? "transnormer" : "transnormer-variant";
  config["torch_dtype"] = name;
  for (const auto &[key, value] : manifest.raw["model"].items())
    if (key != "name")
      config[key] = value;
  return config;
}

// A folder that appears whole: made aside, removed unless it is committed.
class FolderOutput {
public:
  static Result<FolderOutput> create(std::string path) {
    while (path.size() > 1 && path.back() == '/')
      path.pop_back();
    std::error_code error;
    if (std::filesystem::exists(path, error) &&
        !(isFolder(path) && std::filesystem::is_empty(path, error)))
      return Error{"-o " + path +
                   ": is there already, expected a new or an empty folder"};
    FolderOutput output(path);
    if (Status status = makeFolder(output.aside); !status)
      return status.takeError();
    return output;
  }
  FolderOutput(FolderOutput &&other) noexcept
      : path(std::move(other.path)), aside(std::move(other.aside)) {
    other.aside.clear();
  }
  FolderOutput &operator=(FolderOutput &&) = delete;
  ~FolderOutput() {
    if (!aside.empty())
      removeTree(aside);
  }

  std::string file(const std::string &name) const { return aside + "/" + name; }
  Status commit() {
    Status status = renameFolder(aside, path);
    if (status)
      aside.clear();
    return status;
  }

private:
  explicit FolderOutput(const std::string &path)
      : path(path), aside(path + ".tmp-" + std::to_string(::getpid())) {}
  std::string path, aside;
};

Status writeWeights(const SavedCheckpoint &checkpoint,
                    std::vector<TensorSpec> specs, DType dtype,
                    const std::string &path, bool showBar) {
  int64_t total = 0;
  for (TensorSpec &spec : specs) {
    spec.dtype = dtype;
    total += *elementCount(spec.shape) * dtypeBytes(dtype);
  }
  Result<SafetensorsWriter> writer =
      SafetensorsWriter::create(path, specs, {{"format", "pt"}});
  if (!writer)
    return writer.takeError();
  Progress bar("exporting", total, Progress::Unit::Bytes, showBar);
  std::vector<unsigned char> converted;
  for (const TensorSpec &spec : specs) {
    const TensorView *view = checkpoint.parameters().find(spec.name);
    const auto count = static_cast<size_t>(*elementCount(spec.shape));
    converted.resize(count * static_cast<size_t>(dtypeBytes(dtype)));
    convertElements(DType::F32, view->data, dtype, converted.data(), count);
    if (Status status = writer->write(converted.data(), converted.size());
        !status)
      return status;
    bar.advance(static_cast<int64_t>(converted.size()));
  }
  return writer->commit();
}

// What `checkpoint` lacks of the model, as one line; what it has beyond it does
// not matter (a tied head).
Status checkImport(const Checkpoint &checkpoint,
                   const std::vector<TensorSpec> &specs) {
  std::vector<std::string> wrong;
  for (const TensorSpec &spec : specs) {
    const TensorView *view = checkpoint.find(spec.name);
    if (!view)
      wrong.push_back(quote(spec.name) + " is missing");
    else if (view->shape != spec.shape)
      wrong.push_back(quote(spec.name) + " is " + shapeText(view->shape) +
                      ", expected " + shapeText(spec.shape));
    else if (!isFloatDType(view->dtype))
      wrong.push_back(quote(spec.name) + " is " + dtypeName(view->dtype) +
                      ", expected F32, F16 or BF16");
  }
  if (wrong.empty())
    return {};
  return Error{checkpoint.path() + ": is of another model: " + joined(wrong)};
}

} // namespace

Result<int> exportCommand(Environment &environment,
                          const ExportOptions &options) {
  Result<SavedCheckpoint> checkpoint = findCheckpoint(options.run);
  if (!checkpoint)
    return checkpoint.takeError();
  const std::vector<TensorSpec> specs = modelTensors(environment.manifest);
  const std::string difference =
      parameterDifference(checkpoint->parameters(), specs);
  if (!difference.empty())
    return Error{checkpoint->folder() + ": is of another model: " + difference};
  Result<std::optional<TokenizerFile>> tokenizer = environment.readTokenizer();
  if (!tokenizer)
    return tokenizer.takeError();
  Result<FolderOutput> output = FolderOutput::create(options.output);
  if (!output)
    return output.takeError();
  const DType dtype = options.dtype == "bf16"  ? DType::BF16
                      : options.dtype == "f16" ? DType::F16
                                               : DType::F32;
  Status status =
      writeWeights(*checkpoint, specs, dtype, output->file("model.safetensors"),
                   !environment.options.quiet);
  const std::vector<std::string> unknown =
      keysBeyondPublished(environment.manifest.raw["model"]);
  const std::string config =
      dumpJson(configOf(environment.manifest, unknown.empty(), dtype), 2) +
      "\n";
  if (status)
    status = writeFileAtomically(output->file("config.json"), config.data(),
                                 config.size());
  if (status && *tokenizer)
    status = writeFileAtomically(output->file("tokenizer.model"),
                                 (*tokenizer)->bytes.data(),
                                 (*tokenizer)->bytes.size());
  if (status)
    status = output->commit();
  if (!status)
    return status.takeError();
  if (!unknown.empty())
    environment.note(options.output +
                     " is for tnllmc: the published PyTorch code does not "
                     "know, and would pass over, " +
                     joined(unknown));
  environment.out.write("step " + std::to_string(checkpoint->state().step) +
                        " of " + options.run + " is in " + options.output +
                        "\n");
  return int(kOk);
}

Result<int> importCommand(Environment &environment,
                          const ImportOptions &options) {
  Result<Checkpoint> checkpoint = Checkpoint::open(options.checkpoint);
  if (!checkpoint)
    return checkpoint.takeError();
  const std::vector<TensorSpec> specs = modelTensors(environment.manifest);
  if (Status status = checkImport(*checkpoint, specs); !status)
    return status.takeError();
  Result<CheckpointStore> store = CheckpointStore::open(options.run);
  if (!store)
    return store.takeError();
  if (!store->steps().empty())
    return Error{"-o " + options.run +
                 ": has a checkpoint already, expected a new folder"};
  auto writer = CheckpointWriter::begin(options.run + "/checkpoints", 0);
  if (!writer)
    return writer.takeError();
  std::vector<float> values;
  Status status =
      writer->write("parameters.safetensors", specs, [&](size_t index) {
        const TensorView *view = checkpoint->find(specs[index].name);
        values.resize(static_cast<size_t>(*elementCount(view->shape)));
        convertElements(view->dtype, view->data, DType::F32, values.data(),
                        values.size());
        return values.data();
      });
  TrainState state;
  state.program = environment.manifest.fingerprint;
  if (status)
    status = writer->commit(state);
  if (!status)
    return status.takeError();
  environment.out.write(options.checkpoint + " is the start of the run " +
                        options.run + "\n");
  return int(kOk);
}

} // namespace tnrt
