// Anonymous mappings.
#include "Memory.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sys/mman.h>
#include <utility>

namespace tnrt {

namespace {

constexpr size_t hugePage = size_t(2) << 20;

} // namespace

Result<Memory> Memory::allocate(size_t bytes, const std::string &purpose) {
  Memory memory;
  if (bytes == 0)
    return memory;
  const bool isLarge = bytes >= 2 * hugePage;
  const size_t slack = isLarge ? hugePage : 0;
  void *mapping = MAP_FAILED;
  errno = ENOMEM;
  if (bytes <= SIZE_MAX - slack)
    mapping = ::mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) {
    char size[32];
    std::snprintf(size, sizeof size, "%.1f MB",
                  static_cast<double>(bytes) / 1e6);
    return Error{"cannot allocate " + std::string(size) + " for " + purpose +
                 ": " + std::strerror(errno)};
  }
  memory.mapping = mapping;
  memory.mappedBytes = bytes + slack;
  memory.bytes = bytes;
  uintptr_t address = reinterpret_cast<uintptr_t>(mapping);
  if (isLarge)
    address = (address + hugePage - 1) / hugePage * hugePage;
  memory.begin = reinterpret_cast<unsigned char *>(address);
  if (isLarge)
    ::madvise(memory.begin, bytes, MADV_HUGEPAGE);
  return memory;
}

Memory::Memory(Memory &&other) noexcept { *this = std::move(other); }

Memory &Memory::operator=(Memory &&other) noexcept {
  std::swap(mapping, other.mapping);
  std::swap(mappedBytes, other.mappedBytes);
  std::swap(begin, other.begin);
  std::swap(bytes, other.bytes);
  return *this;
}

Memory::~Memory() {
  if (mapping)
    ::munmap(mapping, mappedBytes);
}

} // namespace tnrt
