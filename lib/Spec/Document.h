// A YAML or JSON file as a tree whose every node knows its line and column, so
// that a diagnostic can point at what it is about.
#ifndef TNLLM_LIB_SPEC_DOCUMENT_H
#define TNLLM_LIB_SPEC_DOCUMENT_H

#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <string>
#include <vector>

namespace tnllm::spec {

// 1-based; line 0 stands for the file as a whole.
struct Location {
  unsigned line = 0;
  unsigned column = 0;
};

// Collects every problem, so that a user sees them all at once.
class Diagnostics {
public:
  void error(llvm::StringRef file, Location at, const llvm::Twine &message) {
    errors.push_back(format(file, at, "error", message));
  }
  void warning(llvm::StringRef file, Location at, const llvm::Twine &message) {
    warnings.push_back(format(file, at, "warning", message));
  }
  bool hasErrors() const { return !errors.empty(); }
  // All errors, a line each. Needs hasErrors().
  llvm::Error takeErrors();

  std::vector<std::string> errors;
  std::vector<std::string> warnings;

private:
  static std::string format(llvm::StringRef file, Location at,
                            llvm::StringRef severity,
                            const llvm::Twine &message);
};

struct Node {
  enum Kind { Null, Scalar, Sequence, Mapping };

  Kind kind = Null;
  Location at;
  std::string text;        // of a scalar, unescaped
  bool quoted = false;     // a quoted scalar is a string whatever it looks like
  std::vector<Node> items; // of a sequence; of a mapping the values
  std::vector<Node> keys;  // of a mapping: scalars, parallel to items

  // "an integer", "a list", ...: for "expected ..., found ...".
  std::string describe() const;
};

// Parses one document. `isJSON` holds the text to strict JSON. Reports syntax
// errors to `diagnostics` and returns nothing then.
std::optional<Node> parseDocument(llvm::StringRef file, llvm::StringRef text,
                                  bool isJSON, Diagnostics &diagnostics);

} // namespace tnllm::spec

#endif // TNLLM_LIB_SPEC_DOCUMENT_H
