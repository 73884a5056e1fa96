// Files that appear whole or not at all: written aside, flushed, renamed.
#ifndef TNRT_FORMATS_ATOMICFILE_H
#define TNRT_FORMATS_ATOMICFILE_H

#include "tnrt/Result.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace tnrt {

class AtomicFile {
public:
  // Creates `<path>.tmp-<pid>` beside the target (beside what it points to, for
  // a symbolic link). An existing file keeps its contents until commit() and
  // its permissions after it. Errors: a target that is a directory, a device or
  // a pipe, one that may not be written, or a folder that is missing or full.
  static Result<AtomicFile> create(const std::string &path);
  AtomicFile(AtomicFile &&other) noexcept;
  AtomicFile &operator=(AtomicFile &&other) noexcept;
  ~AtomicFile(); // removes the temporary unless committed

  const std::string &path() const { return target; }
  const std::string &temporaryPath() const { return temporary; }

  // Reserves space up to `size` bytes where the file system can.
  Status reserve(uint64_t size);
  // Appends at the file's own position.
  Status write(const void *data, size_t bytes);
  Status writeAt(uint64_t offset, const void *data, size_t bytes);
  // Flushes to the disk and renames over the target.
  Status commit();
  void discard();

private:
  AtomicFile() = default;
  Error failure(const char *what) const;

  std::string target, temporary;
  int fd = -1;
  int slot = -1; // where `temporary` is kept for removeTemporaryFiles()
};

// Removes the temporaries of all open files of this process. For signal handlers
// that end it: makes system calls alone, and the files are of no use afterwards.
void removeTemporaryFiles();

// Flushes `temporary` to the disk and renames it to `path`, for a file another
// program wrote; it is removed when that fails.
Status replaceFile(const std::string &temporary, const std::string &path);

// Writes all of `data` to `path`, atomically.
Status writeFileAtomically(const std::string &path, const void *data,
                           size_t bytes);

} // namespace tnrt

#endif // TNRT_FORMATS_ATOMICFILE_H
