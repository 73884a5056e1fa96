// By the CPU's instruction where there is one, else by a table.
#include "Crc32c.h"

#include <array>
#include <cstring>

namespace tnrt {
namespace {

std::array<uint32_t, 256> makeTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit)
      value = value >> 1 ^ (value & 1 ? 0x82F63B78u : 0);
    table[byte] = value;
  }
  return table;
}

uint32_t byTable(const unsigned char *data, size_t bytes, uint32_t crc) {
  static const std::array<uint32_t, 256> table = makeTable();
  for (size_t i = 0; i < bytes; ++i)
    crc = crc >> 8 ^ table[(crc ^ data[i]) & 0xFF];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2")))
uint32_t byInstruction(const unsigned char *data, size_t bytes, uint32_t crc) {
  uint64_t value = crc;
  for (; bytes >= 8; data += 8, bytes -= 8) {
    uint64_t word;
    std::memcpy(&word, data, 8);
    value = __builtin_ia32_crc32di(value, word);
  }
  for (; bytes > 0; ++data, --bytes)
    value = __builtin_ia32_crc32qi(static_cast<uint32_t>(value), *data);
  return static_cast<uint32_t>(value);
}
#endif

} // namespace

uint32_t crc32c(const void *data, size_t bytes, uint32_t crc) {
  const auto *begin = static_cast<const unsigned char *>(data);
#if defined(__x86_64__)
  static const bool hasInstruction = __builtin_cpu_supports("sse4.2");
  if (hasInstruction)
    return ~byInstruction(begin, bytes, ~crc);
#endif
  return ~byTable(begin, bytes, ~crc);
}

uint32_t maskedCrc32c(const void *data, size_t bytes) {
  uint32_t crc = crc32c(data, bytes);
  return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

} // namespace tnrt
