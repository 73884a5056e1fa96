// From a path on the command line to a checked model: which files it means,
// then their contents.
#include "tnllm/Spec/LoadModel.h"

#include "CheckpointFit.h"
#include "SentencePieceFile.h"
#include "SpecReader.h"

#include "tnllm/Spec/Printable.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
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

std::string joinPath(StringRef directory, StringRef name) {
  llvm::SmallString<256> joined(directory);
  path::append(joined, name);
  return std::string(joined);
}

bool isRegularFile(const std::string &file) {
  return fs::is_regular_file(file);
}

// There is something by this name, though it may be a link to nothing.
bool isPresent(const std::string &file) {
  fs::file_status status;
  return !fs::status(file, status, /*follow=*/false);
}

// Relative to the file that names it, so that a spec and its weights move
// together.
std::string besides(StringRef specFile, StringRef named) {
  if (path::is_absolute(named))
    return named.str();
  return makeAbsolute(joinPath(path::parent_path(specFile), named));
}

class Loader {
public:
  Loader(StringRef given, const LoadOptions &options)
      : given(given), options(options) {}

  llvm::Expected<LoadedModel> load() {
    if (findConfig() && readConfig()) {
      model.inputs.push_back(model.configPath);
      nameModel();
      findTokenizer();
      if (model.tokenizerPath)
        checkTokenizer(*model.tokenizerPath);
      findInputWeights();
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
      shown = joinPath(given, "config.json");
      std::error_code failure = fs::access(shown, fs::AccessMode::Exist);
      if (failure == std::errc::no_such_file_or_directory)
        return fail(given, "the directory has no config.json");
      if (failure)
        return fail(shown, failure.message());
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
    StringRef name = path::filename(config) == "config.json"
                         ? path::filename(directory)
                         : path::stem(config);
    // The manifest is JSON, and executables print the name.
    parsed.spec.name = printable(llvm::json::fixUTF8(name));
  }

  void findTokenizer() {
    if (parsed.tokenizer == "bytes")
      return;
    if (parsed.tokenizer) {
      model.tokenizerPath = besides(model.configPath, *parsed.tokenizer);
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
      std::string file = joinPath(directory, "tokenizer.model");
      if (!isPresent(file))
        continue;
      model.tokenizerPath = file;
      return;
    }
  }

  // Executables would find out only when they start.
  void checkTokenizer(const std::string &file) {
    fs::file_status status;
    if (std::error_code failure = fs::status(file, status)) {
      fail(file, failure.message() + "; expected a sentencepiece model");
      return;
    }
    if (status.type() != fs::file_type::regular_file) {
      fail(file, "not a regular file; expected a sentencepiece model");
      return;
    }
    auto buffer = llvm::MemoryBuffer::getFile(file);
    if (!buffer) {
      fail(file, buffer.getError().message());
      return;
    }
    model.inputs.push_back(file);
    auto pieces = countSentencePieces((*buffer)->getBuffer());
    if (!pieces)
      fail(file,
           "not a sentencepiece model: " + llvm::toString(pieces.takeError()));
    else if (*pieces > parsed.spec.vocabSize)
      fail(file, "the tokenizer has " + llvm::Twine(*pieces) +
                     " pieces, but vocab_size is " +
                     llvm::Twine(parsed.spec.vocabSize) +
                     "; expected at most that many");
  }

  // All that the model may be made of, wanted this time or not: an output by
  // such a name would be a mistake even then.
  void findInputWeights() {
    std::string place = parsed.weights
                            ? besides(model.configPath, *parsed.weights)
                            : path::parent_path(model.configPath).str();
    if (!parsed.weights && !isJSON)
      return;
    std::string folder = place;
    if (!fs::is_directory(place)) {
      model.inputs.push_back(place);
      // The shards of an index lie beside it.
      if (!StringRef(place).ends_with(".json"))
        return;
      folder = path::parent_path(place).str();
    }
    std::error_code failure;
    for (fs::directory_iterator entry(folder, failure), end;
         !failure && entry != end; entry.increment(failure)) {
      StringRef name = path::filename(entry->path());
      if (name.ends_with(".safetensors") ||
          name.ends_with(".safetensors.index.json"))
        model.inputs.push_back(entry->path());
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
    bool found = false;
    for (StringRef name :
         {"model.safetensors", "model.safetensors.index.json"}) {
      std::string file = joinPath(directory, name);
      if (!fs::exists(file))
        continue;
      if (!isRegularFile(file))
        return fail(file, "not a regular file");
      found = true;
    }
    if (!found)
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
      diagnostics.errors.push_back(printable(checkpoint.message()));
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
