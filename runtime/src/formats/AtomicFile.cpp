// Files that appear whole or not at all.
#include "tnrt/formats/AtomicFile.h"

#include "FileDescriptor.h"

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <iterator>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace tnrt {

namespace {

// Temporaries that may be there now. Whoever takes a text out of its slot owns
// it, so a signal handler and a thread never use the same one. A process with
// more open files than slots leaves the others' temporaries behind when a
// signal ends it.
std::atomic<char *> temporaries[64];
static_assert(std::atomic<char *>::is_always_lock_free,
              "a signal handler reads the slots");

int remember(const std::string &path) {
  char *copy = ::strdup(path.c_str());
  for (int slot = 0; copy && slot < int(std::size(temporaries)); ++slot) {
    char *none = nullptr;
    if (temporaries[slot].compare_exchange_strong(none, copy))
      return slot;
  }
  std::free(copy);
  return -1;
}

void forget(int slot) {
  if (slot >= 0)
    std::free(temporaries[slot].exchange(nullptr));
}

Error systemError(const std::string &path, const char *what) {
  return Error{path + ": " + what + ": " + std::strerror(errno)};
}

// What a symbolic link points to: renaming over the link itself would replace
// the link and leave the file it names as it was.
std::string resolveTarget(const std::string &path) {
  char *resolved = ::realpath(path.c_str(), nullptr);
  if (!resolved)
    return path;
  std::string result = resolved;
  std::free(resolved);
  return result;
}

std::string folderOf(const std::string &path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos)
    return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Makes the rename itself durable. Some file systems refuse to flush a folder;
// the file is in place all the same.
void flushFolder(const std::string &path) {
  FileDescriptor folder(
      ::open(folderOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() >= 0)
    (void)::fsync(folder.get());
}

// Permissions for the new file: the old one's, or what the umask leaves of
// `mode`.
Result<mode_t> targetMode(const std::string &path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT)
      return static_cast<mode_t>(0);
    return systemError(path, "cannot write");
  }
  if (S_ISDIR(info.st_mode))
    return Error{path + ": cannot write: is a directory, expected a file name"};
  if (!S_ISREG(info.st_mode))
    return Error{path + ": cannot write: is not a regular file (results are "
                        "written aside and renamed)"};
  if (::access(path.c_str(), W_OK) != 0)
    return systemError(path, "cannot write");
  return static_cast<mode_t>(info.st_mode & 07777);
}

Status writeFully(int fd, const std::string &path, const void *data,
                  size_t bytes, off_t offset, bool positioned) {
  const char *cursor = static_cast<const char *>(data);
  while (bytes != 0) {
    ssize_t put = positioned ? ::pwrite(fd, cursor, bytes, offset)
                             : ::write(fd, cursor, bytes);
    if (put < 0 && errno == EINTR)
      continue;
    if (put < 0)
      return systemError(path, "cannot write");
    cursor += put;
    offset += put;
    bytes -= static_cast<size_t>(put);
  }
  return {};
}

} // namespace

Result<AtomicFile> AtomicFile::create(const std::string &path) {
  if (path.empty())
    return Error{"cannot write: the output path is empty"};
  AtomicFile file;
  file.target = resolveTarget(path);
  Result<mode_t> mode = targetMode(file.target);
  if (!mode)
    return mode.takeError();
  const std::string stem = file.target + ".tmp-" + std::to_string(::getpid());
  for (int attempt = 0;; ++attempt) {
    file.temporary = attempt ? stem + "-" + std::to_string(attempt) : stem;
    file.slot = remember(file.temporary); // before a signal can find it there
    file.fd = ::open(file.temporary.c_str(),
                     O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file.fd >= 0)
      break;
    const int reason = errno;
    forget(file.slot);
    file.slot = -1;
    // A left-over of another process of this number, or a second file of this
    // one.
    if (reason == EEXIST && attempt < 99)
      continue;
    file.temporary.clear();
    errno = reason;
    return systemError(path, "cannot write");
  }
  if (*mode != 0 && ::fchmod(file.fd, *mode) != 0)
    return file.failure("cannot set permissions");
  return file;
}

AtomicFile::AtomicFile(AtomicFile &&other) noexcept
    : target(std::move(other.target)), temporary(std::move(other.temporary)),
      fd(other.fd), slot(other.slot) {
  other.fd = other.slot = -1;
  other.temporary.clear();
}

AtomicFile &AtomicFile::operator=(AtomicFile &&other) noexcept {
  if (this != &other) {
    discard();
    target = std::move(other.target);
    temporary = std::move(other.temporary);
    fd = other.fd;
    slot = other.slot;
    other.fd = other.slot = -1;
    other.temporary.clear();
  }
  return *this;
}

AtomicFile::~AtomicFile() { discard(); }

Error AtomicFile::failure(const char *what) const {
  return systemError(target, what);
}

Status AtomicFile::reserve(uint64_t size) {
  // fallocate, not posix_fallocate: the latter writes zeros where the file
  // system cannot reserve, which would cost as much as the data.
  while (::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size)) !=
         0) {
    if (errno == EINTR)
      continue;
    if (errno == ENOSPC || errno == EFBIG || errno == EDQUOT)
      return failure("cannot write");
    // Not supported: see at least whether there is room now.
    struct statvfs info;
    if (::fstatvfs(fd, &info) == 0 && info.f_frsize != 0 &&
        size / info.f_frsize > info.f_bavail) {
      errno = ENOSPC;
      return failure("cannot write");
    }
    break;
  }
  return {};
}

Status AtomicFile::write(const void *data, size_t bytes) {
  return writeFully(fd, target, data, bytes, 0, false);
}

Status AtomicFile::writeAt(uint64_t offset, const void *data, size_t bytes) {
  return writeFully(fd, target, data, bytes, static_cast<off_t>(offset), true);
}

Status AtomicFile::commit() {
  if (fd < 0)
    return Error{target + ": cannot write: the file was already committed"};
  int flushed = ::fsync(fd);
  int closed = flushed == 0 ? ::close(fd) : -1;
  if (flushed == 0)
    fd = -1; // closed even when close reports an error
  if (flushed != 0 || closed != 0 ||
      ::rename(temporary.c_str(), target.c_str()) != 0) {
    Error error = failure("cannot write");
    discard();
    return error;
  }
  temporary.clear();
  forget(slot);
  slot = -1;
  flushFolder(target);
  return {};
}

void AtomicFile::discard() {
  if (fd >= 0)
    ::close(fd);
  fd = -1;
  if (!temporary.empty())
    ::unlink(temporary.c_str());
  temporary.clear();
  forget(slot);
  slot = -1;
}

void removeTemporaryFiles() {
  for (std::atomic<char *> &slot : temporaries)
    if (const char *path =
            slot.exchange(nullptr)) // not freed: a handler may not
      ::unlink(path);
}

Status replaceFile(const std::string &temporary, const std::string &path) {
  FileDescriptor file(::open(temporary.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0)
    return systemError(temporary, "cannot open");
  if (::fsync(file.get()) != 0 ||
      ::rename(temporary.c_str(), path.c_str()) != 0) {
    Error error = systemError(path, "cannot write");
    ::unlink(temporary.c_str());
    return error;
  }
  flushFolder(path);
  return {};
}

Status writeFileAtomically(const std::string &path, const void *data,
                           size_t bytes) {
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return file.takeError();
  if (Status status = file->write(data, bytes); !status)
    return status;
  return file->commit();
}

} // namespace tnrt
