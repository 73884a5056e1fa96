// A regular file mapped read-only.
#ifndef TNRT_FORMATS_MAPPEDFILE_H
#define TNRT_FORMATS_MAPPEDFILE_H

#include "tnrt/Result.h"

#include <cstddef>
#include <memory>
#include <string>

namespace tnrt {

class MappedFile {
public:
  // Errors: cannot be opened or mapped, or is not a regular file.
  static Result<std::shared_ptr<const MappedFile>>
  open(const std::string &path);
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  const unsigned char *data() const { return base; }
  size_t size() const { return bytes; }

private:
  MappedFile() = default;

  const unsigned char *base = nullptr;
  size_t bytes = 0;
};

// Gives the pages that lie wholly in [data, data + bytes) back to the page
// cache: resident memory falls, and a later read maps them again.
void releaseMappedPages(const void *data, size_t bytes);

// The whole of a regular file. Errors: as MappedFile, or larger than `limit`.
Result<std::string> readWholeFile(const std::string &path, size_t limit);

} // namespace tnrt

#endif // TNRT_FORMATS_MAPPEDFILE_H
