// Typed reading of one scalar or list of a located document.
#ifndef TNLLM_LIB_SPEC_VALUEREADER_H
#define TNLLM_LIB_SPEC_VALUEREADER_H

#include "Document.h"

#include "llvm/ADT/ArrayRef.h"

#include <cmath>

namespace tnllm::spec {

// Every function reports what it expected when it returns nothing.
class ValueReader {
public:
  ValueReader(llvm::StringRef file, Diagnostics &diagnostics)
      : file(file), diagnostics(diagnostics) {}

  void error(const Node &at, const llvm::Twine &message) {
    diagnostics.error(file, at.at, message);
  }
  void expected(llvm::StringRef key, const llvm::Twine &what,
                const Node &found) {
    error(found,
          "'" + key + "' must be " + what + ", found " + found.describe());
  }

  std::optional<int64_t> integer(llvm::StringRef key, const Node &node,
                                 int64_t least, int64_t most);
  // Finite and, with `positive`, above 0, else at least 0.
  std::optional<double> number(llvm::StringRef key, const Node &node,
                               bool positive);
  std::optional<bool> boolean(llvm::StringRef key, const Node &node);
  std::optional<std::string> string(llvm::StringRef key, const Node &node);
  // The index in `names`; suggests the nearest name for a misspelt one.
  std::optional<size_t> oneOf(llvm::StringRef key, const Node &node,
                              llvm::ArrayRef<llvm::StringRef> names);

private:
  llvm::StringRef file;
  Diagnostics &diagnostics;
};

// "; did you mean 'x'?" for the nearest candidate, or "" when none is near.
std::string didYouMean(llvm::StringRef word,
                       llvm::ArrayRef<llvm::StringRef> candidates);

} // namespace tnllm::spec

#endif // TNLLM_LIB_SPEC_VALUEREADER_H
