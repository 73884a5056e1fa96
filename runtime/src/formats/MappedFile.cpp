// Read-only mappings of regular files.
#include "tnrt/formats/MappedFile.h"

#include "FileDescriptor.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tnrt {

namespace {

Error systemError(const std::string &path, const char *what) {
  return Error{path + ": " + what + ": " + std::strerror(errno)};
}

// Opens a regular file and tells its size. O_NONBLOCK keeps a pipe from
// blocking before it is refused.
Result<size_t> openRegular(const std::string &path, FileDescriptor &file) {
  file.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0)
    return systemError(path, "cannot open");
  struct stat info;
  if (::fstat(file.get(), &info) != 0)
    return systemError(path, "cannot inspect");
  if (S_ISDIR(info.st_mode))
    return Error{path + ": is a directory, expected a file"};
  if (!S_ISREG(info.st_mode))
    return Error{path + ": is not a regular file, so it cannot be mapped"};
  return static_cast<size_t>(info.st_size);
}

} // namespace

Result<std::shared_ptr<const MappedFile>>
MappedFile::open(const std::string &path) {
  FileDescriptor file;
  Result<size_t> size = openRegular(path, file);
  if (!size)
    return size.takeError();
  std::shared_ptr<MappedFile> mapped(new MappedFile());
  if (*size != 0) {
    void *base = ::mmap(nullptr, *size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (base == MAP_FAILED)
      return systemError(path, "cannot map");
    mapped->base = static_cast<const unsigned char *>(base);
    mapped->bytes = *size;
  }
  return std::shared_ptr<const MappedFile>(std::move(mapped));
}

MappedFile::~MappedFile() {
  if (base)
    ::munmap(const_cast<unsigned char *>(base), bytes);
}

void releaseMappedPages(const void *data, size_t bytes) {
  const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t begin = reinterpret_cast<uintptr_t>(data);
  const uintptr_t first = (begin + page - 1) / page * page;
  const uintptr_t last = (begin + bytes) / page * page;
  if (first < last)
    ::madvise(reinterpret_cast<void *>(first), last - first, MADV_DONTNEED);
}

Result<std::string> readWholeFile(const std::string &path, size_t limit) {
  FileDescriptor file;
  Result<size_t> size = openRegular(path, file);
  if (!size)
    return size.takeError();
  std::string text;
  char buffer[1 << 16];
  // Not by the stated size: files in /proc state none.
  for (;;) {
    ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return systemError(path, "cannot read");
    if (got == 0)
      return text;
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > limit)
      return Error{path + ": is larger than " + std::to_string(limit) +
                   " bytes, the most that is read"};
  }
}

} // namespace tnrt
