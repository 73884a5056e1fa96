// A model spec: one that is accepted has parameters and slopes, and says the same
// when it is written and read again. Built for each of the two syntaxes.
#include "SpecReader.h"

#include <cstdlib>

using namespace tnllm;
using namespace tnllm::spec;

namespace {
bool read(llvm::StringRef file, llvm::StringRef text, ModelSpec &spec) {
  Diagnostics diagnostics;
  std::optional<Node> root =
      parseDocument(file, text, file.ends_with(".json"), diagnostics);
  if (root) {
    ParsedSpec parsed = readSpec(file, *root, diagnostics);
    spec = parsed.spec;
    if (!parsed.nameGiven)
      spec.name = "input"; // the loader takes it from the path
  }
  if (!root && !diagnostics.hasErrors())
    std::abort();
  if (diagnostics.hasErrors())
    llvm::consumeError(diagnostics.takeErrors());
  else
    return true;
  return false;
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  ModelSpec spec;
  if (!read(TNLLM_FUZZ_SPEC_FILE,
            {reinterpret_cast<const char *>(data), size}, spec))
    return 0;
  if (spec.numParameters() < 1)
    std::abort();
  for (int64_t layer = 0; layer < spec.layers; ++layer)
    if (static_cast<int64_t>(spec.slopes(layer).size()) != spec.heads)
      std::abort();
  const std::string text = spec.toJSON();
  ModelSpec again;
  if (!read("config.json", text, again) || again.toJSON() != text)
    std::abort();
  return 0;
}
