// Scalars by YAML's core schema (that is, JSON's), with messages that say what
// the key wants.
#include "ValueReader.h"

#include "llvm/ADT/StringExtras.h"

#include <cerrno>
#include <cstdlib>

using namespace tnllm::spec;

namespace {
bool isPlain(const Node &node) {
  return node.kind == Node::Scalar && !node.quoted;
}

bool looksLikeNumber(llvm::StringRef text) {
  text.consume_front("-") || text.consume_front("+");
  return !text.empty() && (llvm::isDigit(text[0]) || text[0] == '.') &&
         text.find_first_not_of("0123456789.eE+-") == llvm::StringRef::npos;
}
} // namespace

std::string
tnllm::spec::didYouMean(llvm::StringRef word,
                        llvm::ArrayRef<llvm::StringRef> candidates) {
  llvm::StringRef best;
  unsigned bestDistance = unsigned(word.size()) / 3 + 2;
  for (llvm::StringRef candidate : candidates) {
    unsigned distance = word.edit_distance_insensitive(
        candidate, /*AllowReplacements=*/true, bestDistance);
    if (distance < bestDistance && distance < candidate.size()) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best.empty() ? "" : ("; did you mean '" + best + "'?").str();
}

std::optional<int64_t> ValueReader::integer(llvm::StringRef key,
                                            const Node &node, int64_t least,
                                            int64_t most) {
  std::string range = "an integer from " + std::to_string(least) + " to " +
                      std::to_string(most);
  llvm::StringRef text = node.text;
  text.consume_front("+");
  int64_t value = 0;
  // getAsInteger fails on what does not fit, too.
  if (!isPlain(node) || text.getAsInteger(10, value) || value < least ||
      value > most) {
    expected(key, range, node);
    return std::nullopt;
  }
  return value;
}

std::optional<double> ValueReader::number(llvm::StringRef key, const Node &node,
                                          bool positive) {
  llvm::StringRef what =
      positive ? "a number above 0" : "a number of at least 0";
  if (!isPlain(node) || !looksLikeNumber(node.text)) {
    expected(key, what, node);
    return std::nullopt;
  }
  char *end = nullptr;
  double value = std::strtod(node.text.c_str(), &end);
  bool ok = *end == '\0' && std::isfinite(value) &&
            (positive ? value > 0 : value >= 0);
  if (!ok) {
    expected(key, what, node);
    return std::nullopt;
  }
  return value;
}

std::optional<bool> ValueReader::boolean(llvm::StringRef key,
                                         const Node &node) {
  if (isPlain(node)) {
    llvm::StringRef text = node.text;
    if (text == "true" || text == "True")
      return true;
    if (text == "false" || text == "False")
      return false;
  }
  expected(key, "true or false", node);
  return std::nullopt;
}

std::optional<std::string> ValueReader::string(llvm::StringRef key,
                                               const Node &node) {
  if (node.kind != Node::Scalar || node.text.empty()) {
    expected(key, "a string that is not empty", node);
    return std::nullopt;
  }
  return node.text;
}

std::optional<size_t>
ValueReader::oneOf(llvm::StringRef key, const Node &node,
                   llvm::ArrayRef<llvm::StringRef> names) {
  if (node.kind == Node::Scalar)
    for (size_t i = 0; i < names.size(); ++i)
      if (node.text == names[i])
        return i;
  std::string hint =
      node.kind == Node::Scalar ? didYouMean(node.text, names) : "";
  error(node, "'" + key + "' must be one of " + llvm::join(names, ", ") +
                  ", found " + node.describe() + hint);
  return std::nullopt;
}
