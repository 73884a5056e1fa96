// CRC-32C (Castagnoli), the checksum of TFRecord files and of checkpoints.
#ifndef TNRT_TRAIN_CRC32C_H
#define TNRT_TRAIN_CRC32C_H

#include <cstddef>
#include <cstdint>

namespace tnrt {

// Of `bytes` bytes after data whose CRC is `crc`; of nothing it is 0.
uint32_t crc32c(const void *data, size_t bytes, uint32_t crc = 0);

// As TFRecord stores it: rotated and added to, so that a CRC of data that hold
// CRCs stays a good one.
uint32_t maskedCrc32c(const void *data, size_t bytes);

} // namespace tnrt

#endif // TNRT_TRAIN_CRC32C_H
