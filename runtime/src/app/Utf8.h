// UTF-8 checks, and a filter that turns a stream of bytes into whole
// characters.
#ifndef TNRT_APP_UTF8_H
#define TNRT_APP_UTF8_H

#include <cstddef>
#include <string>
#include <string_view>

namespace tnrt {

// Offset of the first byte that does not belong to valid UTF-8 (RFC 3629: no
// overlong forms, no surrogates, at most U+10FFFF), or npos.
size_t findInvalidUtf8(std::string_view text);

// Passes bytes on as whole characters. A sequence that may still be completed
// is held back; a byte that cannot be part of any character becomes U+FFFD.
class Utf8Filter {
public:
  // Appends what has become complete to `out`.
  void push(std::string_view bytes, std::string &out);
  // Ends the stream: what is held back becomes one U+FFFD.
  void flush(std::string &out);

  const std::string &heldBack() const { return held; }
  void setHeldBack(std::string bytes) { held = std::move(bytes); }

private:
  std::string held; // at most 3 bytes
};

// Printable one-line form: control characters and quotes are escaped.
std::string escapeForLine(std::string_view text);

} // namespace tnrt

#endif // TNRT_APP_UTF8_H
