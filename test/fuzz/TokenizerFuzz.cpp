// A sentencepiece model, through the checks around the library and the library
// itself: a model that loads encodes and decodes.
#include "InputFile.h"

#include "Tokenizer.h"

using namespace tnrt;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  constexpr int64_t vocabulary = 1000;
  auto tokenizer = parseSentencePiece({reinterpret_cast<const char *>(data), size},
                                      "input", vocabulary);
  if (!tokenizer)
    return 0;
  uint64_t total = 0;
  for (const char *text : {"", "the cat  sat \xE2\x96\x81 x", "\xC3\xA9\xF0\x9F\x98\x80 <s>"}) {
    auto ids = (*tokenizer)->encode(text);
    if (!ids)
      continue;
    for (int32_t id : *ids)
      if (id < 0 || id >= vocabulary)
        std::abort();
    total += (*tokenizer)->decode(*ids).size();
  }
  std::vector<int32_t> all;
  for (int32_t id = -1; id < 300; ++id) {
    all.push_back(id);
    total += (*tokenizer)->pieceBytes(id).size();
  }
  total += (*tokenizer)->decode(all).size() + (*tokenizer)->describe().size();
  tnllm::fuzz::use(total);
  return 0;
}
