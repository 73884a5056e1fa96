// Formatting of numbers, independent of the locale.
#include "Text.h"

#include <cctype>
#include <cstdio>
#include <cstring>

namespace tnrt {

std::string shellQuote(const std::string &text) {
  bool isPlain = !text.empty();
  for (unsigned char c : text)
    isPlain &= std::isalnum(c) || std::strchr("_-./+:@%,=", c) != nullptr;
  if (isPlain)
    return text;
  std::string quoted = "'";
  for (char c : text)
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string formatNumber(double value, int decimals) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", decimals, value);
  return buffer;
}

std::string formatBytes(double bytes) {
  const char *units[] = {"B", "kB", "MB", "GB", "TB"};
  int unit = 0;
  while (bytes >= 1000 && unit < 4) {
    bytes /= 1000;
    ++unit;
  }
  return formatNumber(bytes, unit == 0 || bytes >= 100 ? 0 : 1) + " " +
         units[unit];
}

std::string groupDigits(int64_t value) {
  std::string digits = std::to_string(value);
  for (auto at = static_cast<int64_t>(digits.size()) - 3;
       at > (value < 0 ? 1 : 0); at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

std::string dumpJson(const nlohmann::ordered_json &json, int indent) {
  return json.dump(indent, ' ', false,
                   nlohmann::ordered_json::error_handler_t::replace);
}

} // namespace tnrt
