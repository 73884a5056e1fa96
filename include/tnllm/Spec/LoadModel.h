// Reads a model from what a user names on the command line.
#ifndef TNLLM_SPEC_LOADMODEL_H
#define TNLLM_SPEC_LOADMODEL_H

#include "tnllm/Spec/ModelSpec.h"

#include "llvm/Support/Error.h"

#include <optional>
#include <string>
#include <vector>

namespace tnllm {

struct LoadOptions {
  // False: the caller fills the weights itself (--random-weights), and a
  // checkpoint, if there is one, is not opened.
  bool useWeights = true;
};

struct LoadedModel {
  ModelSpec spec;
  std::string configPath; // absolute
  // Absolute: a .safetensors file, an index or a directory, as
  // tnrt::Checkpoint::open takes it. Empty when no checkpoint was asked for.
  std::string weightsPath;
  // The checkpoint holds the embedding as bf16: rows of it can then be read as such
  // without a loss.
  bool bf16Embedding = false;
  // Absolute path of a sentencepiece model; absent: byte-level.
  std::optional<std::string> tokenizerPath;
  // Every file that the model is read from, and the weights that lie there even
  // when they are not wanted: none may be overwritten.
  std::vector<std::string> inputs;
  // One full line each ("file:line:col: warning: ..."), for stderr.
  std::vector<std::string> warnings;
};

// `path` is a Hugging Face checkpoint directory (config.json, *.safetensors,
// tokenizer.model), a YAML spec (.yaml, .yml) or a config.json by itself.
// With options.useWeights the checkpoint must be there and fit the spec: every
// tensor present, with its shape, in f32, f16 or bf16.
// The error's text holds every problem found, one line each:
// "FILE:LINE:COL: error: what is wrong, what was expected", or "FILE: what is
// wrong" for a damaged checkpoint. The items of a list follow, indented, on lines
// of their own. Control characters in FILE are escaped.
// A tokenizer must be a sentencepiece model of at most vocab_size pieces.
llvm::Expected<LoadedModel> loadModel(llvm::StringRef path,
                                      const LoadOptions &options = {});

} // namespace tnllm

#endif // TNLLM_SPEC_LOADMODEL_H
