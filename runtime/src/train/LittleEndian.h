// Integers in the byte order of the files, whatever the machine's.
#ifndef TNRT_TRAIN_LITTLEENDIAN_H
#define TNRT_TRAIN_LITTLEENDIAN_H

#include <cstdint>
#include <string>

namespace tnrt {

template <typename T> T readLittleEndian(const unsigned char *bytes) {
  T value = 0;
  for (unsigned i = 0; i < sizeof(T); ++i)
    value = static_cast<T>(value | static_cast<T>(bytes[i]) << (8 * i));
  return value;
}

inline uint16_t readU16(const unsigned char *bytes) {
  return readLittleEndian<uint16_t>(bytes);
}
inline uint32_t readU32(const unsigned char *bytes) {
  return readLittleEndian<uint32_t>(bytes);
}
inline uint64_t readU64(const unsigned char *bytes) {
  return readLittleEndian<uint64_t>(bytes);
}

template <typename T> void putLittleEndian(std::string &bytes, T value) {
  for (unsigned i = 0; i < sizeof(T); ++i)
    bytes += static_cast<char>(static_cast<uint64_t>(value) >> (8 * i));
}

inline void putU16(std::string &bytes, uint16_t value) {
  putLittleEndian(bytes, value);
}
inline void putU32(std::string &bytes, uint32_t value) {
  putLittleEndian(bytes, value);
}
inline void putU64(std::string &bytes, uint64_t value) {
  putLittleEndian(bytes, value);
}

} // namespace tnrt

#endif // TNRT_TRAIN_LITTLEENDIAN_H
