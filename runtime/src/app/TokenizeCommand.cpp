// tokenize and detokenize.
#include "Commands.h"
#include "Text.h"
#include "Utf8.h"

#include <charconv>

namespace tnrt {
namespace {

// Splits at white space, commas and brackets, so that lists of any usual style
// are accepted.
std::vector<std::string> splitIds(const std::string &text) {
  std::vector<std::string> words;
  std::string word;
  for (char c : text + " ") {
    bool separator = c == ' ' || c == '\n' || c == '\t' || c == '\r' ||
                     c == ',' || c == '[' || c == ']';
    if (!separator)
      word += c;
    else if (!word.empty())
      words.push_back(std::move(word)), word.clear();
  }
  return words;
}

Result<std::vector<int32_t>> parseIds(const std::vector<std::string> &arguments,
                                      int64_t vocabSize) {
  std::vector<int32_t> ids;
  for (const std::string &argument : arguments)
    for (const std::string &word : splitIds(argument)) {
      int64_t id = 0;
      auto [end, code] =
          std::from_chars(word.data(), word.data() + word.size(), id);
      if (code != std::errc() || end != word.data() + word.size())
        return Error{"\"" + escapeForLine(word) +
                     "\" is not a token id: expected an integer"};
      if (id < 0 || id >= vocabSize)
        return Error{"token id " + word + " is out of range: expected [0, " +
                     std::to_string(vocabSize) + ")"};
      ids.push_back(static_cast<int32_t>(id));
    }
  return ids;
}

} // namespace

Result<int> tokenizeCommand(Environment &environment,
                            const TokenizeOptions &options) {
  if (options.text && !options.file.empty())
    return Error{"tokenize: expected a text or --file FILE, found both"};
  auto tokenizer = environment.loadTokenizer();
  if (!tokenizer)
    return tokenizer.takeError();
  std::string text, origin; // of the text, for messages
  if (options.text) {
    text = *options.text;
  } else {
    std::string path = options.file.empty() ? "-" : options.file;
    auto read = readInput(path);
    if (!read)
      return read.takeError();
    origin = inputName(path) + ": ";
    text = std::move(*read);
  }
  auto ids = environment.encode(**tokenizer, text);
  if (!ids)
    return Error{origin + ids.message()};
  if (options.json) {
    environment.out.write(dumpJson(nlohmann::ordered_json(*ids)) + "\n");
    return int(kOk);
  }
  std::string line;
  for (int32_t id : *ids) {
    if (options.pieces) {
      line += std::to_string(id) + "\t\"" +
              escapeForLine((*tokenizer)->pieceBytes(id)) + "\"\n";
      continue;
    }
    line += (line.empty() ? "" : " ") + std::to_string(id);
  }
  environment.out.write(options.pieces ? line : line + "\n");
  return int(kOk);
}

Result<int> detokenizeCommand(Environment &environment,
                              const DetokenizeOptions &options) {
  auto tokenizer = environment.loadTokenizer();
  if (!tokenizer)
    return tokenizer.takeError();
  std::vector<std::string> arguments = options.ids;
  if (arguments.empty()) {
    auto read = readInput("-");
    if (!read)
      return read.takeError();
    arguments.push_back(std::move(*read));
  }
  auto ids = parseIds(arguments, environment.manifest.vocabSize);
  if (!ids)
    return ids.takeError();
  // tokenize has put bos in front, which is a byte to the byte tokenizer.
  bool leadingBos = environment.manifest.addBosToken && !ids->empty() &&
                    ids->front() == environment.manifest.bosTokenId;
  if (leadingBos)
    ids->erase(ids->begin());
  environment.out.write((*tokenizer)->decode(*ids) + "\n");
  return int(kOk);
}

} // namespace tnrt
