// The compiler's look at a sentencepiece model.
#include "SentencePieceFile.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::Expected<int64_t> pieces = tnllm::spec::countSentencePieces(
      {reinterpret_cast<const char *>(data), size});
  if (!pieces)
    llvm::consumeError(pieces.takeError());
  else if (*pieces < 1 || *pieces > static_cast<int64_t>(size))
    std::abort();
  return 0;
}
