// tokenize, of training programs: texts to one shard of tokens. Documents are
// encoded by all threads, a batch of them at a time, and written in their
// order, so that the shard does not depend on the threads and memory not on the
// text.
#include "OutputGuard.h"
#include "Text.h"
#include "TrainCommands.h"
#include "Utf8.h"

#include "core/Progress.h"
#include "core/ThreadPool.h"
#include "train/TokenShard.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sys/stat.h>

namespace tnrt {
namespace {

constexpr size_t kBatchBytes = size_t(8) << 20;
constexpr size_t kBatchDocuments = 4096;

struct Document {
  std::string text, origin; // "book.txt, line 3"
};

// Lines of a file or of standard input.
class LineReader {
public:
  static Result<std::unique_ptr<LineReader>> open(const std::string &path) {
    struct stat info;
    if (path != "-" && ::stat(path.c_str(), &info) == 0 &&
        !S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode))
      return Error{"cannot read " + path + ": expected a file or a pipe"};
    std::unique_ptr<LineReader> reader(new LineReader(path));
    reader->file = path == "-" ? stdin : std::fopen(path.c_str(), "rbe");
    if (!reader->file)
      return reader->failure();
    return reader;
  }
  ~LineReader() {
    if (file && file != stdin)
      std::fclose(file);
    std::free(line);
  }
  LineReader(const LineReader &) = delete;
  LineReader &operator=(const LineReader &) = delete;

  // The next line without its end; false after the last.
  Result<bool> next(std::string &text) {
    errno = 0;
    ssize_t length = ::getline(&line, &capacity, file);
    if (length < 0) {
      if (std::ferror(file))
        return failure();
      return false;
    }
    ++number;
    text.assign(line, static_cast<size_t>(length));
    bytes += length;
    if (!text.empty() && text.back() == '\n')
      text.pop_back();
    return true;
  }
  std::string place() const {
    return inputName(path) + ", line " + std::to_string(number);
  }
  int64_t bytesRead() const { return bytes; }

private:
  explicit LineReader(std::string path) : path(std::move(path)) {}
  Error failure() const {
    return Error{"cannot read " + inputName(path) + ": " +
                 std::strerror(errno)};
  }

  std::string path;
  std::FILE *file = nullptr;
  char *line = nullptr;
  size_t capacity = 0;
  int64_t number = 0, bytes = 0;
};

// The text of a line of JSON.
Result<std::string> fieldOf(const std::string &line, const std::string &field) {
  auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object())
    return Error{"is not a JSON object"};
  auto value = json.find(field);
  if (value == json.end() || !value->is_string())
    return Error{"has no text \"" + escapeForLine(field) +
                 "\" (--field names another)"};
  return value->get<std::string>();
}

// Collects documents, encodes them together, and writes them.
class Sharder {
public:
  Sharder(const Environment &environment, const Tokenizer &tokenizer,
          int64_t eos, ShardWriter writer, ThreadPool &pool)
      : environment(environment), tokenizer(tokenizer), eos(eos),
        writer(std::move(writer)), pool(pool) {}

  Status add(Document document) {
    bytes += document.text.size();
    batch.push_back(std::move(document));
    if (bytes < kBatchBytes && batch.size() < kBatchDocuments)
      return {};
    return flush();
  }

  Status flush() {
    std::vector<std::vector<int32_t>> tokens(batch.size());
    std::vector<Status> outcomes(batch.size());
    pool.forEach(static_cast<int64_t>(batch.size()), [&](int64_t task) {
      const auto i = static_cast<size_t>(task);
      auto ids = environment.encode(tokenizer, batch[i].text);
      if (!ids) {
        outcomes[i] = Error{batch[i].origin + ": " + ids.message()};
        return;
      }
      if (eos >= 0)
        ids->push_back(static_cast<int32_t>(eos));
      tokens[i] = std::move(*ids);
    });
    for (size_t i = 0; i < batch.size(); ++i) {
      if (!outcomes[i])
        return outcomes[i];
      if (Status status = writer.add(tokens[i]); !status)
        return status;
    }
    batch.clear();
    bytes = 0;
    return {};
  }

  Result<ShardHeader> finish() {
    if (Status status = flush(); !status)
      return status.takeError();
    return writer.commit();
  }

private:
  const Environment &environment;
  const Tokenizer &tokenizer;
  int64_t eos;
  ShardWriter writer;
  ThreadPool &pool;
  std::vector<Document> batch;
  size_t bytes = 0;
};

Status addFile(const std::string &path, Sharder &sharder, Progress &bar) {
  auto text = readInput(path);
  if (!text)
    return text.takeError();
  const auto bytes = static_cast<int64_t>(text->size());
  Status status = sharder.add({std::move(*text), inputName(path)});
  bar.advance(bytes);
  return status;
}

Status addLines(const std::string &path, const ShardOptions &options,
                Sharder &sharder, Progress &bar) {
  auto reader = LineReader::open(path);
  if (!reader)
    return reader.takeError();
  std::string line;
  int64_t shown = 0;
  for (;;) {
    Result<bool> more = (*reader)->next(line);
    if (!more)
      return more.takeError();
    if (!*more)
      return {};
    if (line.find_first_not_of(" \t\r") == std::string::npos)
      continue;
    Document document{line, (*reader)->place()};
    if (options.documents == ShardOptions::Documents::Jsonl) {
      auto text = fieldOf(line, options.field);
      if (!text)
        return Error{document.origin + ": " + text.message()};
      document.text = std::move(*text);
    }
    if (Status status = sharder.add(std::move(document)); !status)
      return status;
    bar.advance((*reader)->bytesRead() - shown);
    shown = (*reader)->bytesRead();
  }
}

// Bytes of those texts whose size is known.
int64_t totalBytes(const std::vector<std::string> &texts) {
  int64_t total = 0;
  struct stat info;
  for (const std::string &text : texts)
    if (::stat(text.c_str(), &info) == 0 && S_ISREG(info.st_mode))
      total += info.st_size;
  return total;
}

// The token after each document; -1: none.
Result<int64_t> endToken(const Environment &environment,
                         const Tokenizer &tokenizer,
                         const ShardOptions &options) {
  const Manifest &manifest = environment.manifest;
  // To a tokenizer of bytes every id below 256 is a byte.
  const int64_t own = tokenizer.hasControlTokens() ? manifest.eosTokenId : -1;
  const int64_t eos = options.eos.value_or(own);
  if (eos >= manifest.vocabSize)
    return Error{"--eos " + std::to_string(eos) + ": the model has ids below " +
                 std::to_string(manifest.vocabSize)};
  return eos;
}

} // namespace

Result<int> shardCommand(Environment &environment,
                         const ShardOptions &options) {
  if (options.output == "-")
    return Error{"-o -: expected a file: a shard's header is written last"};
  Result<std::optional<TokenizerFile>> file = environment.readTokenizer();
  if (!file)
    return file.takeError();
  auto tokenizer = environment.loadTokenizer();
  if (!tokenizer)
    return tokenizer.takeError();
  Result<int64_t> eos = endToken(environment, **tokenizer, options);
  if (!eos)
    return eos.takeError();
  std::vector<InputFile> inputs;
  for (const std::string &text : options.texts)
    inputs.push_back({text, "a text"});
  if (Status status =
          checkOutput(environment, "-o", options.output, std::move(inputs));
      !status)
    return status.takeError();
  auto writer =
      ShardWriter::create(options.output, environment.manifest.vocabSize,
                          *file ? tokenizerHash((*file)->bytes) : 0);
  if (!writer)
    return writer.takeError();

  ThreadPool pool(environment.options.threads > 0 ? environment.options.threads
                                                  : availableThreads());
  const int64_t total = totalBytes(options.texts);
  Progress bar("tokenizing", total, Progress::Unit::Bytes,
               !environment.options.quiet && total > 0);
  Sharder sharder(environment, **tokenizer, *eos, std::move(*writer), pool);
  for (const std::string &text : options.texts) {
    Status status = options.documents == ShardOptions::Documents::File
                        ? addFile(text, sharder, bar)
                        : addLines(text, options, sharder, bar);
    if (!status)
      return status.takeError();
  }
  Result<ShardHeader> header = sharder.finish();
  if (!header)
    return header.takeError();
  bar.finish();
  if (options.json) {
    environment.out.write(dumpJson({{"shard", options.output},
                                    {"tokens", header->tokens},
                                    {"documents", header->documents},
                                    {"token_bytes", header->tokenBytes},
                                    {"vocabulary", header->vocabulary}}) +
                          "\n");
    return int(kOk);
  }
  environment.out.write(
      options.output + ": " +
      groupDigits(static_cast<int64_t>(header->tokens)) + " tokens of " +
      groupDigits(static_cast<int64_t>(header->documents)) + " documents, " +
      std::to_string(header->tokenBytes) + " bytes each\n");
  return int(kOk);
}

} // namespace tnrt
