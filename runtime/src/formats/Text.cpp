// Words for messages.
#include "tnrt/formats/Text.h"

#include <cstdio>

namespace tnrt {

std::string quote(std::string_view text) {
  constexpr size_t limit = 160;
  const bool cut = text.size() > limit;
  size_t length = cut ? limit : text.size();
  // Not in the middle of a UTF-8 sequence.
  while (cut && length > 0 &&
         (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80)
    --length;
  std::string result = "'";
  for (unsigned char c : text.substr(0, length)) {
    if (c < 0x20 || c == 0x7F) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", c);
      result += escape;
    } else {
      result += static_cast<char>(c);
    }
  }
  return result + (cut ? "...'" : "'");
}

std::string joined(const std::vector<std::string> &items) {
  std::string result;
  for (const std::string &item : items) {
    if (!result.empty())
      result += ", ";
    result += item;
  }
  return result;
}

} // namespace tnrt
