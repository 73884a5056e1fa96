// Large zeroed blocks straight from the kernel.
#ifndef TNRT_CORE_MEMORY_H
#define TNRT_CORE_MEMORY_H

#include "tnrt/Result.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace tnrt {

// Page-aligned (2 MB-aligned, in huge pages where the kernel has them, from 4
// MB on), zero until written, and resident only where touched.
class Memory {
public:
  Memory() = default;
  // Errors: the kernel does not give `bytes` for `purpose`.
  static Result<Memory> allocate(size_t bytes, const std::string &purpose);
  Memory(Memory &&other) noexcept;
  Memory &operator=(Memory &&other) noexcept;
  ~Memory();

  unsigned char *data() const { return begin; }
  size_t size() const { return bytes; }

private:
  void *mapping = nullptr;
  size_t mappedBytes = 0;
  unsigned char *begin = nullptr;
  size_t bytes = 0;
};

} // namespace tnrt

#endif // TNRT_CORE_MEMORY_H
