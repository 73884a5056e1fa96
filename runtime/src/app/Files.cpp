// Files and standard output on POSIX calls, so that errors keep their errno.
#include "Files.h"

#include "formats/FileDescriptor.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tnrt {

namespace {

// What cannot be read as a text, in words; empty where nothing is wrong.
std::string problem(const struct stat &info, bool isStdin) {
  if (S_ISDIR(info.st_mode))
    return "is a directory, expected a file";
  bool isDevice = S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode);
  if (isDevice && !isStdin)
    return "is a device, expected a file or a pipe (- is standard input)";
  if (S_ISREG(info.st_mode) &&
      static_cast<uint64_t>(info.st_size) > kMaxInputBytes)
    return "is larger than 1 GiB, the most that is read as text";
  return {};
}

} // namespace

std::string inputName(const std::string &path) {
  return path == "-" ? "standard input" : path;
}

Result<std::string> readInput(const std::string &path) {
  if (path.empty())
    return Error{"the file name is empty: expected a file (- is standard "
                 "input)"};
  bool isStdin = path == "-";
  int descriptor = isStdin ? 0 : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::string name = inputName(path);
  auto fail = [&] {
    return Error{"cannot read " + name + ": " + std::strerror(errno)};
  };
  if (descriptor < 0)
    return fail();
  FileDescriptor owner(isStdin ? -1 : descriptor);

  std::string bytes;
  struct stat info;
  if (::fstat(descriptor, &info) != 0)
    return fail();
  if (std::string what = problem(info, isStdin); !what.empty())
    return Error{"cannot read " + name + ": " + what};
  if (S_ISREG(info.st_mode))
    bytes.reserve(static_cast<size_t>(info.st_size) + 1);
  char block[1 << 16];
  ssize_t got;
  while ((got = ::read(descriptor, block, sizeof block)) != 0) {
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return fail();
    bytes.append(block, static_cast<size_t>(got));
    if (bytes.size() > kMaxInputBytes)
      return Error{"cannot read " + name +
                   ": is larger than 1 GiB, the most that is read as text"};
  }
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
