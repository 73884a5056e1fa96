// Builds the located tree with LLVM's YAML parser; JSON is nearly a subset of
// YAML, and what is not JSON in a .json file is caught by llvm::json first.
#include "Document.h"

#include "tnllm/Spec/Printable.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/YAMLParser.h"

#include <algorithm>

using namespace tnllm::spec;

namespace {
// The deepest legitimate file nests three levels. The parsers recurse, so a
// file of brackets alone must not reach them.
constexpr int maxDepth = 32;
constexpr size_t maxBytes = size_t(16) << 20;

class LineTable {
public:
  explicit LineTable(llvm::StringRef text) : text(text) {
    starts.push_back(0);
    for (size_t i = 0; i < text.size(); ++i)
      if (text[i] == '\n')
        starts.push_back(i + 1);
  }

  Location locate(size_t offset) const {
    auto next = std::upper_bound(starts.begin(), starts.end(), offset);
    size_t line = size_t(next - starts.begin());
    return {unsigned(line), unsigned(offset - starts[line - 1] + 1)};
  }
  // LLVM has a flow collection start behind its bracket.
  Location locateBracket(Location at) const {
    llvm::StringRef before =
        text.take_front(starts[at.line - 1] + at.column - 1);
    llvm::StringRef trimmed = before.rtrim(" \t\r\n");
    if (trimmed.ends_with("[") || trimmed.ends_with("{"))
      return locate(trimmed.size() - 1);
    return at;
  }
  // Nothing for a pointer outside the text, as empty nodes have.
  std::optional<Location> locate(llvm::SMLoc at) const {
    const char *pointer = at.getPointer();
    if (!pointer || pointer < text.begin() || pointer > text.end())
      return std::nullopt;
    return locate(size_t(pointer - text.begin()));
  }

private:
  llvm::StringRef text;
  std::vector<size_t> starts;
};

// Turns LLVM's nodes into ours. The parser works as it is iterated, so an error
// can show up at any step; the first one ends the walk.
class Converter {
public:
  Converter(llvm::StringRef file, llvm::StringRef text, const LineTable &lines,
            Diagnostics &diagnostics)
      : file(file), lines(lines), diagnostics(diagnostics),
        stream(text, sourceManager, /*ShowColors=*/false) {
    sourceManager.setDiagHandler(onSyntaxError, this);
  }

  std::optional<Node> convert() {
    llvm::yaml::document_iterator document = stream.begin();
    if (document == stream.end())
      return fail({1, 1}, "the file is empty");
    Node root;
    llvm::yaml::Node *tree = document->getRoot();
    if (!tree || !convert(*tree, {1, 1}, 0, root))
      return fail({1, 1}, "the file does not parse");
    ++document;
    if (failed || stream.failed())
      return fail({1, 1}, "the file does not parse");
    if (document != stream.end())
      return fail({1, 1}, "the file holds more than one document");
    return root;
  }

private:
  static void onSyntaxError(const llvm::SMDiagnostic &diagnostic, void *self) {
    auto &converter = *static_cast<Converter *>(self);
    Location at{1, 1};
    if (std::optional<Location> found =
            converter.lines.locate(diagnostic.getLoc()))
      at = *found;
    converter.fail(at, diagnostic.getMessage());
  }

  // Only the first error is worth reading: the parser's others follow from it.
  std::nullopt_t fail(Location at, const llvm::Twine &message) {
    if (!failed)
      diagnostics.error(file, at, message);
    failed = true;
    return std::nullopt;
  }
  bool stop(Location at, const llvm::Twine &message) {
    fail(at, message);
    return false;
  }

  bool convert(llvm::yaml::Node &from, Location fallback, int depth, Node &to) {
    to.at = lines.locate(from.getSourceRange().Start).value_or(fallback);
    if (llvm::isa<llvm::yaml::SequenceNode, llvm::yaml::MappingNode>(&from))
      to.at = lines.locateBracket(to.at);
    if (depth > maxDepth)
      return stop(to.at, "the file nests too deeply");
    llvm::SmallString<64> storage;
    if (auto *scalar = llvm::dyn_cast<llvm::yaml::ScalarNode>(&from)) {
      llvm::StringRef raw = scalar->getRawValue();
      to.quoted = raw.starts_with("\"") || raw.starts_with("'");
      to.text = scalar->getValue(storage).str();
      bool isNull = !to.quoted && (to.text.empty() || to.text == "~" ||
                                   to.text == "null" || to.text == "Null");
      to.kind = isNull ? Node::Null : Node::Scalar;
    } else if (auto *block =
                   llvm::dyn_cast<llvm::yaml::BlockScalarNode>(&from)) {
      to.kind = Node::Scalar;
      to.quoted = true;
      to.text = block->getValue().str();
    } else if (auto *list = llvm::dyn_cast<llvm::yaml::SequenceNode>(&from)) {
      if (!convertSequence(*list, depth, to))
        return false;
    } else if (auto *map = llvm::dyn_cast<llvm::yaml::MappingNode>(&from)) {
      if (!convertMapping(*map, depth, to))
        return false;
    } else if (llvm::isa<llvm::yaml::NullNode>(&from)) {
      to.kind = Node::Null;
    } else {
      return stop(to.at, "aliases are not supported");
    }
    return !failed && !stream.failed();
  }

  bool convertSequence(llvm::yaml::SequenceNode &from, int depth, Node &to) {
    to.kind = Node::Sequence;
    for (llvm::yaml::Node &item : from) {
      Node child;
      if (!convert(item, to.at, depth + 1, child))
        return false;
      to.items.push_back(std::move(child));
    }
    return true;
  }

  bool convertMapping(llvm::yaml::MappingNode &from, int depth, Node &to) {
    to.kind = Node::Mapping;
    for (llvm::yaml::KeyValueNode &entry : from) {
      Node key, value;
      llvm::yaml::Node *keyNode = entry.getKey();
      if (!keyNode || !convert(*keyNode, to.at, depth + 1, key))
        return false;
      if (key.kind != Node::Scalar)
        return stop(key.at, "expected a key, found " + key.describe());
      llvm::yaml::Node *valueNode = entry.getValue();
      if (!valueNode || !convert(*valueNode, key.at, depth + 1, value))
        return false;
      for (const Node &earlier : to.keys)
        if (earlier.text == key.text)
          return stop(key.at, "'" + key.text +
                                  "' is given twice, first on line " +
                                  llvm::Twine(earlier.at.line));
      to.keys.push_back(std::move(key));
      to.items.push_back(std::move(value));
    }
    return true;
  }

  llvm::StringRef file;
  const LineTable &lines;
  Diagnostics &diagnostics;
  llvm::SourceMgr sourceManager;
  llvm::yaml::Stream stream;
  bool failed = false;
};

// The offset of the first bracket that nests deeper than maxDepth.
std::optional<size_t> findTooDeep(llvm::StringRef text) {
  int depth = 0;
  bool inString = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (inString) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        inString = false;
    } else if (c == '"') {
      inString = true;
    } else if (c == '[' || c == '{') {
      if (++depth > maxDepth)
        return i;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return std::nullopt;
}

// Checks that `text` is JSON. llvm::json says "[line:column, byte=N]: what".
bool checkJSON(llvm::StringRef file, llvm::StringRef text,
               const LineTable &lines, Diagnostics &diagnostics) {
  if (std::optional<size_t> deep = findTooDeep(text)) {
    diagnostics.error(file, lines.locate(*deep), "the file nests too deeply");
    return false;
  }
  llvm::Expected<llvm::json::Value> value = llvm::json::parse(text);
  if (value)
    return true;
  std::string message = llvm::toString(value.takeError());
  llvm::StringRef what = message, bytes;
  std::tie(bytes, what) = what.split("]: ");
  size_t offset = 0;
  if (bytes.rsplit("byte=").second.getAsInteger(10, offset))
    offset = 0;
  Location at = lines.locate(std::min(offset, text.size()));
  diagnostics.error(file, at, "not valid JSON: " + what);
  return false;
}
} // namespace

std::string Diagnostics::format(llvm::StringRef file, Location at,
                                llvm::StringRef severity,
                                const llvm::Twine &message) {
  std::string where = printable(file);
  if (at.line)
    where += ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
  return where + ": " + severity.str() + ": " + message.str();
}

llvm::Error Diagnostics::takeErrors() {
  std::string text = llvm::join(errors, "\n");
  errors.clear();
  return llvm::createStringError(llvm::inconvertibleErrorCode(), text);
}

std::string Node::describe() const {
  switch (kind) {
  case Null:
    return "null";
  case Sequence:
    return "a list";
  case Mapping:
    return "a mapping";
  case Scalar:
    break;
  }
  // What a file holds may be long, or not printable.
  std::string shown = llvm::StringRef(text).take_front(40).str();
  for (char &c : shown)
    if (static_cast<unsigned char>(c) < 0x20)
      c = '?';
  if (text.size() > 40)
    shown += "...";
  return quoted ? "\"" + shown + "\"" : shown;
}

std::optional<Node> tnllm::spec::parseDocument(llvm::StringRef file,
                                               llvm::StringRef text,
                                               bool isJSON,
                                               Diagnostics &diagnostics) {
  if (text.size() > maxBytes) {
    diagnostics.error(file, {},
                      "the file has " + llvm::Twine(text.size()) +
                          " bytes; a spec has less than 16 MiB");
    return std::nullopt;
  }
  text.consume_front("\xEF\xBB\xBF");
  LineTable lines(text);
  const auto *bytes = reinterpret_cast<const llvm::UTF8 *>(text.begin());
  const auto *bytesEnd = reinterpret_cast<const llvm::UTF8 *>(text.end());
  const llvm::UTF8 *bad = bytes;
  bool isUTF8 = llvm::isLegalUTF8String(&bad, bytesEnd);
  size_t badOffset = isUTF8 ? text.find('\0') : size_t(bad - bytes);
  if (badOffset != llvm::StringRef::npos) {
    diagnostics.error(file, lines.locate(badOffset),
                      "the file is not UTF-8 text");
    return std::nullopt;
  }
  if (isJSON && !checkJSON(file, text, lines, diagnostics))
    return std::nullopt;
  return Converter(file, text, lines, diagnostics).convert();
}
