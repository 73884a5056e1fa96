// UTF-8 checks and the streaming filter.
#include "Utf8.h"

#include <cstdint>
#include <cstdio>

namespace tnrt {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

enum class Match { Complete, Prefix, Invalid };

struct Sequence {
  Match match;
  size_t size; // Complete: of the character. Invalid: bytes to replace.
};

// Length that a first byte announces, and the range its second byte may have:
// the table of RFC 3629, section 4.
struct Lead {
  size_t size;
  uint8_t low, high;
};

Lead classify(uint8_t byte) {
  if (byte < 0x80)
    return {1, 0, 0};
  if (byte >= 0xC2 && byte <= 0xDF)
    return {2, 0x80, 0xBF};
  if (byte >= 0xE0 && byte <= 0xEF)
    return {3, static_cast<uint8_t>(byte == 0xE0 ? 0xA0 : 0x80),
            static_cast<uint8_t>(byte == 0xED ? 0x9F : 0xBF)};
  if (byte >= 0xF0 && byte <= 0xF4)
    return {4, static_cast<uint8_t>(byte == 0xF0 ? 0x90 : 0x80),
            static_cast<uint8_t>(byte == 0xF4 ? 0x8F : 0xBF)};
  return {0, 0, 0};
}

Sequence readSequence(std::string_view text, size_t at) {
  Lead lead = classify(static_cast<uint8_t>(text[at]));
  if (lead.size == 0)
    return {Match::Invalid, 1};
  for (size_t i = 1; i < lead.size; ++i) {
    if (at + i == text.size())
      return {Match::Prefix, i};
    auto byte = static_cast<uint8_t>(text[at + i]);
    uint8_t low = i == 1 ? lead.low : 0x80, high = i == 1 ? lead.high : 0xBF;
    if (byte < low || byte > high)
      return {Match::Invalid, i};
  }
  return {Match::Complete, lead.size};
}

} // namespace

size_t findInvalidUtf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    Sequence sequence = readSequence(text, at);
    if (sequence.match != Match::Complete)
      return at;
    at += sequence.size;
  }
  return std::string_view::npos;
}

void Utf8Filter::push(std::string_view bytes, std::string &out) {
  held.append(bytes);
  size_t at = 0;
  while (at < held.size()) {
    Sequence sequence = readSequence(held, at);
    if (sequence.match == Match::Prefix)
      break;
    if (sequence.match == Match::Complete)
      out.append(held, at, sequence.size);
    else
      out.append(kReplacement);
    at += sequence.size;
  }
  held.erase(0, at);
}

void Utf8Filter::flush(std::string &out) {
  if (!held.empty())
    out.append(kReplacement);
  held.clear();
}

std::string escapeForLine(std::string_view text) {
  std::string out;
  for (char c : text) {
    auto byte = static_cast<uint8_t>(c);
    char buffer[8];
    if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (c == '\\' || c == '"')
      (out += '\\') += c;
    else if (byte < 0x20 || byte == 0x7F) {
      std::snprintf(buffer, sizeof buffer, "\\x%02X", byte);
      out += buffer;
    } else
      out += c;
  }
  return out;
}

} // namespace tnrt
