// The byte tokenizer and the wrapper of sentencepiece.
#include "Tokenizer.h"

#include "Files.h"
#include "SentencePieceCheck.h"
#include "Utf8.h"

#include <sentencepiece_processor.h>

namespace tnrt {
namespace {

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81"; // U+2581

Status requireUtf8(std::string_view text) {
  size_t at = findInvalidUtf8(text);
  if (at == std::string_view::npos)
    return {};
  return Error{"expected text in UTF-8: the byte at offset " +
               std::to_string(at) + " does not belong there"};
}

class ByteTokenizer : public Tokenizer {
public:
  explicit ByteTokenizer(int64_t vocabSize) : vocabSize(vocabSize) {}

  Result<std::vector<int32_t>> encode(std::string_view text) const override {
    if (Status status = requireUtf8(text); !status)
      return status.takeError();
    std::vector<int32_t> ids(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
      ids[i] = static_cast<uint8_t>(text[i]);
      if (ids[i] >= vocabSize)
        return Error{"byte " + std::to_string(ids[i]) + " at offset " +
                     std::to_string(i) +
                     " of the text has no token: the model's vocabulary has " +
                     std::to_string(vocabSize) +
                     " entries, one per byte value"};
    }
    return ids;
  }

  std::string decode(const std::vector<int32_t> &ids) const override {
    Utf8Filter filter;
    std::string out;
    for (int32_t id : ids)
      filter.push(pieceBytes(id), out);
    filter.flush(out);
    return out;
  }

  std::string pieceBytes(int32_t id) const override {
    if (id > 255 && id < vocabSize)
      return "<" + std::to_string(id) + ">";
    if (id < 0 || id > 255)
      return {};
    return std::string(1, static_cast<char>(id));
  }

  bool dropsFirstSpace() const override { return false; }
  bool hasControlTokens() const override { return false; }
  std::string describe() const override { return "bytes"; }

private:
  int64_t vocabSize;
};

class SentencePieceTokenizer : public Tokenizer {
public:
  Status load(std::string_view bytes, const std::string &origin) {
    // Its own log lines would come on top of our message.
    sentencepiece::SetMinLogLevel(3);
    if (!isSentencePieceSound(bytes))
      return Error{origin + " is not a sentencepiece model"};
    auto status = processor.LoadFromSerializedProto(bytes);
    if (!status.ok() || processor.GetPieceSize() == 0)
      return Error{origin + " is not a sentencepiece model"};
    // The dummy prefix is not in the library's interface: a model that adds it
    // drops it when it decodes.
    int space = processor.PieceToId(kSpaceSymbol);
    std::string alone;
    if (!processor.IsUnknown(space)) {
      alone = processor.DecodeIds({space});
      dropsSpace = alone.empty();
    } else {
      dropsSpace = dropsSpaceOfSomePiece();
    }
    return {};
  }

  Result<std::vector<int32_t>> encode(std::string_view text) const override {
    if (Status status = requireUtf8(text); !status)
      return status.takeError();
    std::vector<int> ids;
    auto status = processor.Encode(text, &ids);
    if (!status.ok())
      return Error{"sentencepiece: " + status.ToString()};
    for (int id : ids)
      if (id < 0 || id >= vocabSize)
        return Error{"token id " + std::to_string(id) + " of piece \"" +
                     escapeForLine(processor.IdToPiece(id)) +
                     "\" is out of the model's range [0, " +
                     std::to_string(vocabSize) +
                     "): tokenizer and model do not belong together"};
    return std::vector<int32_t>(ids.begin(), ids.end());
  }

  std::string decode(const std::vector<int32_t> &ids) const override {
    std::vector<int> known;
    known.reserve(ids.size());
    for (int32_t id : ids)
      if (has(id))
        known.push_back(id);
    std::string text;
    if (!processor.Decode(known, &text).ok())
      return {};
    return text;
  }

  std::string pieceBytes(int32_t id) const override {
    if (!has(id) || processor.IsControl(id) || processor.IsUnused(id))
      return {};
    if (processor.IsUnknown(id))
      return processor.DecodeIds({id});
    const std::string &piece = processor.IdToPiece(id);
    if (processor.IsByte(id)) // <0xAB>
      return std::string(
          1, static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16)));
    return withSpaces(piece);
  }

  bool dropsFirstSpace() const override { return dropsSpace; }
  bool hasControlTokens() const override { return true; }
  std::string describe() const override {
    return "sentencepiece, " + std::to_string(processor.GetPieceSize()) +
           " pieces";
  }

  explicit SentencePieceTokenizer(int64_t vocabSize) : vocabSize(vocabSize) {}

private:
  bool has(int32_t id) const {
    return id >= 0 && id < processor.GetPieceSize();
  }

  static std::string withSpaces(std::string_view piece) {
    std::string out;
    for (size_t at = 0; at < piece.size();) {
      if (piece.compare(at, kSpaceSymbol.size(), kSpaceSymbol) == 0) {
        out += ' ';
        at += kSpaceSymbol.size();
      } else {
        out += piece[at++];
      }
    }
    return out;
  }

  bool dropsSpaceOfSomePiece() const {
    for (int id = 0; id < processor.GetPieceSize(); ++id) {
      const std::string &piece = processor.IdToPiece(id);
      if (piece.compare(0, kSpaceSymbol.size(), kSpaceSymbol) == 0 &&
          !processor.IsControl(id))
        return processor.DecodeIds({id}).size() < withSpaces(piece).size();
    }
    return false;
  }

  sentencepiece::SentencePieceProcessor processor;
  int64_t vocabSize;
  bool dropsSpace = false;
};

} // namespace

std::unique_ptr<Tokenizer> createByteTokenizer(int64_t vocabSize) {
  return std::make_unique<ByteTokenizer>(vocabSize);
}

Result<std::unique_ptr<Tokenizer>> parseSentencePiece(std::string_view bytes,
                                                      const std::string &origin,
                                                      int64_t vocabSize) {
  auto tokenizer = std::make_unique<SentencePieceTokenizer>(vocabSize);
  if (Status status = tokenizer->load(bytes, origin); !status)
    return status.takeError();
  return std::unique_ptr<Tokenizer>(std::move(tokenizer));
}

Result<std::unique_ptr<Tokenizer>> loadSentencePiece(const std::string &path,
                                                     int64_t vocabSize) {
  Result<std::string> bytes = readInput(path);
  if (!bytes)
    return bytes.takeError();
  return parseSentencePiece(*bytes, path, vocabSize);
}

} // namespace tnrt
