// Reads the keys of a config.json or YAML spec into a ModelSpec.
#ifndef TNLLM_LIB_SPEC_SPECREADER_H
#define TNLLM_LIB_SPEC_SPECREADER_H

#include "Document.h"

#include "tnllm/Spec/ModelSpec.h"

namespace tnllm::spec {

// A spec as its file alone determines it, and what a checkpoint may still
// settle: keys that were left out.
struct ParsedSpec {
  ModelSpec spec;
  bool nameGiven = false;
  bool normEpsGiven = false;
  bool normBiasGiven = false;
  bool untiedGiven = false; // tie_word_embeddings: false, in so many words
  std::optional<std::string> weights;   // as written
  std::optional<std::string> tokenizer; // as written
};

// What normEps is when the file does not say.
double defaultNormEps(NormKind norm);

// Reports to `diagnostics`; the result is meaningless when that has errors.
ParsedSpec readSpec(llvm::StringRef file, const Node &root,
                    Diagnostics &diagnostics);

} // namespace tnllm::spec

#endif // TNLLM_LIB_SPEC_SPECREADER_H
