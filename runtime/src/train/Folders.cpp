// Folders on POSIX calls, so that errors keep their errno.
#include "Folders.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace tnrt {
namespace {

Error systemError(const std::string &path, const char *what) {
  return Error{path + ": " + what + ": " + std::strerror(errno)};
}

// "a/b" of "a/b/c", "." of "c".
std::string parentOf(const std::string &path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos)
    return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

constexpr char kStem[] = "step-";

} // namespace

bool isFolder(const std::string &path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

Status makeFolder(const std::string &path) {
  if (::mkdir(path.c_str(), 0777) == 0)
    return flushFolder(parentOf(path));
  if (errno == EEXIST && isFolder(path))
    return {};
  if (errno == EEXIST)
    errno = ENOTDIR;
  return systemError(path, "cannot make the folder");
}

Status flushFolder(const std::string &path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return systemError(path, "cannot open");
  // Some file systems refuse to flush a folder, and keep its entries safe in
  // their own way.
  const bool failed = ::fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP;
  Error error = failed ? systemError(path, "cannot flush") : Error{};
  ::close(fd);
  return failed ? Status(std::move(error)) : Status();
}

Status renameFolder(const std::string &from, const std::string &to) {
  if (Status status = flushFolder(from); !status)
    return status;
  if (::rename(from.c_str(), to.c_str()) != 0)
    return systemError(to, "cannot write");
  return flushFolder(parentOf(to));
}

void removeTree(const std::string &path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

Status discardFolder(const std::string &path) {
  const std::string parent = parentOf(path);
  const std::string name = path.substr(path.rfind('/') + 1);
  const std::string aside =
      parent + "/." + name + ".old-" + std::to_string(::getpid());
  removeTree(aside); // of an earlier discard that was refused
  if (::rename(path.c_str(), aside.c_str()) != 0)
    return systemError(path, "cannot remove");
  removeTree(aside);
  return {};
}

std::string checkpointName(int64_t step) {
  char name[32];
  std::snprintf(name, sizeof name, "%s%08lld", kStem,
                static_cast<long long>(step));
  return name;
}

std::optional<int64_t> parseCheckpointName(const std::string &name) {
  constexpr size_t kMostDigits = 18; // an int64 holds them
  const size_t stem = sizeof kStem - 1;
  if (name.compare(0, stem, kStem) != 0 || name.size() == stem ||
      name.size() > stem + kMostDigits ||
      name.find_first_not_of("0123456789", stem) != std::string::npos)
    return std::nullopt;
  const int64_t step = std::strtoll(name.c_str() + stem, nullptr, 10);
  // Only the name that checkpointName gives, so that each step has one.
  return checkpointName(step) == name ? std::optional(step) : std::nullopt;
}

} // namespace tnrt
