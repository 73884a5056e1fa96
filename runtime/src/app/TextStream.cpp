// Streaming detokenisation.
#include "TextStream.h"

namespace tnrt {

bool TextStream::push(int32_t token, std::string &out) {
  std::string bytes = tokenizer.pieceBytes(token);
  if (dropSpace && !bytes.empty()) {
    if (bytes.front() == ' ')
      bytes.erase(0, 1);
    dropSpace = false;
  }
  buffer.clear();
  filter.push(bytes, buffer);
  return matcher.push(buffer, out);
}

void TextStream::flush(std::string &out, bool keepPartial) {
  if (!keepPartial) {
    buffer.clear();
    filter.flush(buffer);
    if (matcher.push(buffer, out))
      return;
  }
  matcher.flush(out);
}

} // namespace tnrt
