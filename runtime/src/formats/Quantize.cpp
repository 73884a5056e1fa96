// Row scales and 8-bit elements, written without branches so that the loops
// vectorise at any width.
#include "tnrt/formats/Quantize.h"

#include "Dispatch.h"
#include "tnrt/formats/Convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace tnrt {

namespace {

// Elements converted to f32 at a time: they stay in the first level cache.
constexpr int64_t chunkElements = 512;

// The largest bit pattern without the sign: patterns order as magnitudes do, in
// f32, f16 and bf16 alike, and infinities and NaNs stand above all numbers. As
// signed integers, because every vector unit has their maximum.
template <typename Bits>
TNRT_INLINE Bits largestMagnitude(const void *row, int64_t count) {
  const char *in = static_cast<const char *>(row);
  Bits largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, in + i * static_cast<int64_t>(sizeof(Bits)),
                sizeof(Bits));
    bits &= std::numeric_limits<Bits>::max();
    largest = bits > largest ? bits : largest;
  }
  return largest;
}

TNRT_VECTOR_CLONES int32_t largest32(const void *row, int64_t count) {
  return largestMagnitude<int32_t>(row, count);
}

TNRT_VECTOR_CLONES int16_t largest16(const void *row, int64_t count) {
  return largestMagnitude<int16_t>(row, count);
}

// A quotient is at most 127 but for its rounding, since the scale is never
// below max / 127 by more than that: no clamp is needed. Adding 1.5 * 2^23
// rounds to an integer, to even between two, and leaves it in the low bits.
TNRT_VECTOR_CLONES void quantizeF32(const void *source, float scale,
                                    int8_t *destination, int64_t count) {
  const char *in = static_cast<const char *>(source);
  for (int64_t i = 0; i < count; ++i) {
    float value;
    std::memcpy(&value, in + i * static_cast<int64_t>(sizeof value),
                sizeof value);
    const float shifted = value / scale + 12582912.0f;
    int32_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    destination[i] = static_cast<int8_t>(bits);
  }
}

// The largest magnitude of the row as f32, infinite or NaN where it holds such.
float largestValue(DType from, const void *row, int64_t count) {
  float value;
  if (from == DType::F32) {
    const int32_t bits = largest32(row, count);
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  const int16_t bits = largest16(row, count);
  convertElements(from, &bits, DType::F32, &value, 1);
  return value;
}

bool isFinite(float value) {
  return std::abs(value) <= std::numeric_limits<float>::max();
}

} // namespace

std::optional<float> rowScale(DType from, const void *row, int64_t count) {
  const float largest = largestValue(from, row, count);
  if (!isFinite(largest))
    return std::nullopt;
  if (largest == 0)
    return 1.0f;
  return std::max(largest / 127.0f, std::numeric_limits<float>::min());
}

int64_t findNonFinite(DType from, const void *row, int64_t count) {
  const char *in = static_cast<const char *>(row);
  for (int64_t i = 0; i < count; ++i) {
    float value;
    convertElements(from, in + i * dtypeBytes(from), DType::F32, &value, 1);
    if (!isFinite(value))
      return i;
  }
  return -1;
}

void quantizeElements(DType from, const void *source, float scale,
                      int8_t *destination, int64_t count) {
  if (from == DType::F32)
    return quantizeF32(source, scale, destination, count);
  const char *in = static_cast<const char *>(source);
  float values[chunkElements];
  for (int64_t i = 0; i < count; i += chunkElements) {
    const int64_t piece = std::min(chunkElements, count - i);
    convertElements(from, in + i * dtypeBytes(from), DType::F32, values,
                    static_cast<size_t>(piece));
    quantizeF32(values, scale, destination + i, piece);
  }
}

} // namespace tnrt
