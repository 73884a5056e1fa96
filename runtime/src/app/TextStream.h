// From generated tokens to text that may be shown at once.
#ifndef TNRT_APP_TEXTSTREAM_H
#define TNRT_APP_TEXTSTREAM_H

#include "StopMatcher.h"
#include "Tokenizer.h"
#include "Utf8.h"

namespace tnrt {

// Detokenises one sequence token by token: shows whole characters only and
// nothing of a stop string.
class TextStream {
public:
  // `startsText`: no text precedes the first token, so that the tokenizer's own
  // leading space, if it has one, is dropped.
  TextStream(const Tokenizer &tokenizer, std::vector<std::string> stops,
             bool startsText)
      : tokenizer(tokenizer), matcher(std::move(stops)),
        dropSpace(startsText && tokenizer.dropsFirstSpace()) {}

  // Appends to `out` what may be shown; true when a stop string has come.
  bool push(int32_t token, std::string &out);
  // Shows what might have become a stop string. An unfinished character is
  // shown as U+FFFD, or kept for a later run when `keepPartial`.
  void flush(std::string &out, bool keepPartial);

  // For a state file: bytes of an unfinished character, and text that was shown
  // but may begin a stop string.
  const std::string &partialBytes() const { return filter.heldBack(); }
  const std::string &partialStop() const { return matcher.heldBack(); }
  void restore(std::string bytes, std::string stopText) {
    filter.setHeldBack(std::move(bytes));
    matcher.restoreShown(std::move(stopText));
    dropSpace = false;
  }

private:
  const Tokenizer &tokenizer;
  Utf8Filter filter;
  StopMatcher matcher;
  bool dropSpace;
  std::string buffer;
};

} // namespace tnrt

#endif // TNRT_APP_TEXTSTREAM_H
