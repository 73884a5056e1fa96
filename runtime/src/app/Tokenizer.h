// Text to token ids and back: a sentencepiece model, or plain bytes.
#ifndef TNRT_APP_TOKENIZER_H
#define TNRT_APP_TOKENIZER_H

#include "tnrt/Result.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tnrt {

class Tokenizer {
public:
  virtual ~Tokenizer() = default;

  // Ids of `text`, each in [0, vocabSize); no bos is added. Errors: text that
  // is not UTF-8 (with the offset), a token that the model has no embedding
  // for.
  virtual Result<std::vector<int32_t>> encode(std::string_view text) const = 0;

  // Whole text of `ids`, as the tokenizer's own library decodes it. What is not
  // UTF-8 becomes U+FFFD.
  virtual std::string decode(const std::vector<int32_t> &ids) const = 0;

  // Bytes that `id` adds to running text; may end within a character. Ids
  // without a text (control tokens, ids past the tokenizer's vocabulary) add
  // none.
  virtual std::string pieceBytes(int32_t id) const = 0;

  // Whether a text starts with a space of the tokenizer's own that decoding
  // drops again (sentencepiece's dummy prefix).
  virtual bool dropsFirstSpace() const = 0;

  // Whether ids stand for more than bytes, so that bos and eos can be told from
  // text.
  virtual bool hasControlTokens() const = 0;

  virtual std::string describe() const = 0; // for people: kind and size
};

// Token id = byte value. Ids of 256 and more, which a model with a larger
// vocabulary can produce, decode to their number: "<23190>".
std::unique_ptr<Tokenizer> createByteTokenizer(int64_t vocabSize);

// A sentencepiece model from a file, or from its bytes (`origin` names them in
// messages).
Result<std::unique_ptr<Tokenizer>> loadSentencePiece(const std::string &path,
                                                     int64_t vocabSize);
Result<std::unique_ptr<Tokenizer>> parseSentencePiece(std::string_view bytes,
                                                      const std::string &origin,
                                                      int64_t vocabSize);

} // namespace tnrt

#endif // TNRT_APP_TOKENIZER_H
