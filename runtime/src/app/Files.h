// Reading whole files and writing to standard output, with errors in words.
#ifndef TNRT_APP_FILES_H
#define TNRT_APP_FILES_H

#include "tnrt/Result.h"

#include <string>
#include <string_view>

namespace tnrt {

// The bytes of a file; "-" is standard input. Errors: a missing or unreadable
// file, a directory.
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
