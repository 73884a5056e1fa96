// Files and standard output on POSIX calls, so that errors keep their errno.
#include "Files.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tnrt {

Result<std::string> readInput(const std::string &path) {
  bool isStdin = path == "-";
  int descriptor = isStdin ? 0 : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::string name = isStdin ? "standard input" : path;
  auto fail = [&] {
    return Error{"cannot read " + name + ": " + std::strerror(errno)};
  };
  if (descriptor < 0)
    return fail();

  std::string bytes;
  struct stat info;
  if (::fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode))
    bytes.reserve(static_cast<size_t>(info.st_size) + 1);
  char block[1 << 16];
  ssize_t got;
  while ((got = ::read(descriptor, block, sizeof block)) != 0) {
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0) {
      Error error = fail();
      if (!isStdin)
        ::close(descriptor);
      return error;
    }
    bytes.append(block, static_cast<size_t>(got));
  }
  if (!isStdin)
    ::close(descriptor);
  return bytes;
}

void Output::write(std::string_view text) {
  while (!text.empty() && errorNumber == 0) {
    ssize_t done = ::write(descriptor, text.data(), text.size());
    if (done < 0 && errno == EINTR)
      continue;
    if (done < 0)
      errorNumber = errno;
    else
      text.remove_prefix(static_cast<size_t>(done));
  }
}

bool Output::closed() const { return errorNumber == EPIPE; }

Status Output::status() const {
  if (errorNumber == 0)
    return {};
  return Error{std::string("cannot write to standard output: ") +
               std::strerror(errorNumber)};
}

} // namespace tnrt
