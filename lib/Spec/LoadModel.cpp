// From a path on the command line to a checked model: which files it means,
// then their contents.
#include "tnllm/Spec/LoadModel.h"

#include "CheckpointFit.h"
#include "SpecReader.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace tnllm;
using namespace tnllm::spec;
using llvm::StringRef;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

namespace {
std::string makeAbsolute(StringRef file) {
  llvm::SmallString<256> absolute(file);
  if (fs::make_absolute(absolute))
    return file.str();
  path::remove_dots(absolute, /*remove_dot_dot=*/false);
  return std::string(absolute);
}

std::string join(StringRef directory, StringRef name) {
  llvm::SmallString<256> joined(directory);
  path::append(joined, name);
  return std::string(joined);
}

bool isRegularFile(const std::string &file) {
  return fs::is_regular_file(file);
}

// Relative to the file that names it, so that a spec and its weights move
// together.
std::string besides(StringRef specFile, StringRef named) {
  if (path::is_absolute(named))
    return named.str();
  return makeAbsolute(join(path::parent_path(specFile), named));
}

class Loader {
public:
  Loader(StringRef given, const LoadOptions &options)
      : given(given), options(options) {}

  llvm::Expected<LoadedModel> load() {
    if (findConfig() && readConfig()) {
      nameModel();
      findTokenizer();
      if (options.useWeights)
        fitWeights();
    }
    if (diagnostics.hasErrors())
      return diagnostics.takeErrors();
    model.spec = std::move(parsed.spec);
    model.warnings = std::move(diagnostics.warnings);
    return std::move(model);
  }

private:
  bool fail(StringRef file, const llvm::Twine &message) {
    diagnostics.error(file, {}, message);
    return false;
  }

  bool findConfig() {
    fs::file_status status;
    if (std::error_code failure = fs::status(given, status))
      return fail(given, failure.message());
    if (status.type() == fs::file_type::directory_file) {
      shown = join(given, "config.json");
      if (!fs::exists(shown))
        return fail(given, "the directory has no config.json");
    } else {
      shown = given.str();
    }
    model.configPath = makeAbsolute(shown);
    StringRef extension = path::extension(shown);
    isJSON = extension == ".json";
    if (!isJSON && extension != ".yaml" && extension != ".yml")
      return fail(shown, "expected a directory, a .yaml file or a .json file");
    return true;
  }

  bool readConfig() {
    if (!isRegularFile(shown))
      return fail(shown, "not a regular file");
    auto buffer = llvm::MemoryBuffer::getFile(shown);
    if (!buffer)
      return fail(shown, buffer.getError().message());
    std::optional<Node> root =
        parseDocument(shown, (*buffer)->getBuffer(), isJSON, diagnostics);
    if (!root)
      return false;
    parsed = readSpec(shown, *root, diagnostics);
    return !diagnostics.hasErrors();
  }

  // A config.json is named after its directory, a YAML file after itself.
  void nameModel() {
    if (parsed.nameGiven)
      return;
    StringRef config = model.configPath;
    llvm::SmallString<256> directory;
    // Resolved, so that "a/.." has a name.
    if (fs::real_path(path::parent_path(config), directory))
      directory = path::parent_path(config);
    parsed.spec.name = path::filename(config) == "config.json"
                           ? path::filename(directory).str()
                           : path::stem(config).str();
  }

  void findTokenizer() {
    if (parsed.tokenizer == "bytes")
      return;
    if (parsed.tokenizer) {
      std::string file = besides(model.configPath, *parsed.tokenizer);
      if (!isRegularFile(file))
        fail(shown, "'tokenizer' names " + file + ", which is not a file");
      model.tokenizerPath = file;
      return;
    }
    std::vector<std::string> directories;
    if (isJSON)
      directories.push_back(path::parent_path(model.configPath).str());
    if (parsed.weights) {
      std::string weights = besides(model.configPath, *parsed.weights);
      directories.push_back(fs::is_directory(weights)
                                ? weights
                                : path::parent_path(weights).str());
    }
    for (const std::string &directory : directories) {
      std::string file = join(directory, "tokenizer.model");
      if (!isRegularFile(file))
        continue;
      model.tokenizerPath = file;
      return;
    }
  }

  bool findWeights() {
    if (parsed.weights) {
      model.weightsPath = besides(model.configPath, *parsed.weights);
      return true;
    }
    StringRef advice = "; add them, or ask for random weights";
    // Only a config.json implies the checkpoint beside it.
    if (!isJSON)
      return fail(shown, "the spec names no 'weights'" + advice);
    std::string directory = path::parent_path(model.configPath).str();
    if (!isRegularFile(join(directory, "model.safetensors")) &&
        !isRegularFile(join(directory, "model.safetensors.index.json")))
      return fail(directory, "there are no weights here: expected "
                             "model.safetensors or "
                             "model.safetensors.index.json" +
                                 advice);
    model.weightsPath = directory;
    return true;
  }

  void fitWeights() {
    if (!findWeights())
      return;
    tnrt::Result<tnrt::Checkpoint> checkpoint =
        tnrt::Checkpoint::open(model.weightsPath);
    if (!checkpoint) {
      diagnostics.errors.push_back("error: " + checkpoint.message());
      return;
    }
    fitCheckpoint(model.weightsPath, *checkpoint, parsed, diagnostics);
    const auto *embedding = checkpoint->find("model.embed_tokens.weight");
    model.bf16Embedding = embedding && embedding->dtype == tnrt::DType::BF16;
  }

  StringRef given;
  const LoadOptions &options;
  std::string shown; // the config's path as the user would write it
  bool isJSON = false;
  Diagnostics diagnostics;
  ParsedSpec parsed;
  LoadedModel model;
};
} // namespace

llvm::Expected<LoadedModel> tnllm::loadModel(StringRef path,
                                             const LoadOptions &options) {
  return Loader(path, options).load();
}
