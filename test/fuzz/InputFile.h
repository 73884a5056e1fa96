// An input as a file, for parsers that map what they read. The file is in memory and
// has no name, so a run of a million leaves nothing behind.
#ifndef TNLLM_FUZZ_INPUTFILE_H
#define TNLLM_FUZZ_INPUTFILE_H

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

namespace tnllm::fuzz {

class InputFile {
public:
  // Nothing may map the file any more when the next input is set.
  void set(const uint8_t *data, size_t size) {
    if (::ftruncate(fd, 0) != 0 ||
        ::pwrite(fd, data, size, 0) != static_cast<ssize_t>(size))
      std::abort();
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd); }

private:
  int fd = ::memfd_create("input", MFD_CLOEXEC);
};

// Makes the compiler keep what only reads: a sanitizer is to see it.
inline void use(uint64_t value) {
  [[maybe_unused]] static volatile uint64_t sink;
  sink = value;
}

// The sum of all bytes: reads what a view claims to hold.
inline uint64_t sum(const void *data, size_t size) {
  uint64_t total = 0;
  for (size_t i = 0; i < size; ++i)
    total += static_cast<const uint8_t *>(data)[i];
  return total;
}

} // namespace tnllm::fuzz

#endif // TNLLM_FUZZ_INPUTFILE_H
