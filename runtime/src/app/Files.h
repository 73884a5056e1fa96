// Reading whole files and writing to standard output, with errors in words.
#ifndef TNRT_APP_FILES_H
#define TNRT_APP_FILES_H

#include "tnrt/Result.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace tnrt {

// The most that is read as text: beyond it an input that never ends, like a
// device, would take all memory.
constexpr size_t kMaxInputBytes = size_t(1) << 30;

// `path` for messages: "-" is standard input.
std::string inputName(const std::string &path);

// The bytes of a file or a pipe; "-" is standard input, whatever that is.
// Errors: a missing or unreadable file, a directory, a device, more than
// kMaxInputBytes.
Result<std::string> readInput(const std::string &path);

// Standard output without a buffer of its own. The first failure is kept: after
// it nothing more is written, and commands end in an orderly way.
class Output {
public:
  explicit Output(int descriptor = 1) : descriptor(descriptor) {}

  void write(std::string_view text);
  bool failed() const { return errorNumber != 0; }
  // The reader has gone (EPIPE): ending is expected, and no message is due.
  bool closed() const;
  Status status() const;

private:
  int descriptor;
  int errorNumber = 0;
};

} // namespace tnrt

#endif // TNRT_APP_FILES_H
