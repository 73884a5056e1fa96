// Numbers for people, and JSON that never fails on odd bytes.
#ifndef TNRT_APP_TEXT_H
#define TNRT_APP_TEXT_H

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>

namespace tnrt {

// `text` as one word of a shell: in single quotes where it needs them.
std::string shellQuote(const std::string &text);
std::string formatNumber(double value, int decimals);
std::string formatBytes(double bytes);  // "1.5 GB", decimal units
std::string groupDigits(int64_t value); // "1,234,567"
// Bytes that are not UTF-8 become U+FFFD.
std::string dumpJson(const nlohmann::ordered_json &json, int indent = -1);

} // namespace tnrt

#endif // TNRT_APP_TEXT_H
