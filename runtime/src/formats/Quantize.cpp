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

// Above, a quotient is 448 but for its rounding. From 2^-6 on, the lowest bit
// of three is rounded by integer arithmetic on the f32, whose exponent has 120
// more; below, numbers are multiples of 2^-9, which is the last bit of 2^14.
TNRT_VECTOR_CLONES void quantizeF8(const float *source, float scale,
                                   uint8_t *destination, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const float value = source[i] / scale;
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = bits >> 24 & 0x80;
    bits &= 0x7FFFFFFF;
    const uint32_t normal = (bits + 0x7FFFF + (bits >> 20 & 1)) >> 20;
    float magnitude;
    std::memcpy(&magnitude, &bits, sizeof magnitude);
    const float shifted = magnitude + 16384.0f;
    uint32_t low;
    std::memcpy(&low, &shifted, sizeof low);
    const uint32_t small = low - 0x46800000;
    destination[i] = static_cast<uint8_t>(
        sign | (magnitude < 0.015625f ? small : normal - 960));
  }
}

// One group, eight columns in four bytes (Pack.h).
TNRT_VECTOR_CLONES void quantizeI4(const float *source, float scale,
                                   uint8_t *destination) {
  int32_t numbers[kI4Group];
  for (int64_t i = 0; i < kI4Group; ++i) {
    const float shifted = source[i] / scale + (12582912.0f + 8.0f);
    std::memcpy(&numbers[i], &shifted, sizeof shifted);
    numbers[i] &= 15;
  }
  for (int64_t i = 0; i < kI4Group / 8; ++i) {
    const int32_t *eight = numbers + 8 * i;
    uint32_t word = 0;
    for (int j = 0; j < 4; ++j)
      word |= static_cast<uint32_t>(eight[2 * j]) << (4 * j) |
              static_cast<uint32_t>(eight[2 * j + 1]) << (16 + 4 * j);
    std::memcpy(destination + 4 * i, &word, sizeof word);
  }
}

// The largest number of a quantised type.
float largestOf(DType dtype) {
  switch (dtype) {
  case DType::F8E4M3:
    return 448;
  case DType::I4:
    return 7;
  default:
    return 127;
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

bool isQuantisedDType(DType dtype) {
  return dtype == DType::I8 || dtype == DType::F8E4M3 || dtype == DType::I4;
}

std::optional<float> rowScale(DType from, const void *row, int64_t count,
                              DType to) {
  const float largest = largestValue(from, row, count);
  if (!isFinite(largest))
    return std::nullopt;
  if (largest == 0)
    return 1.0f;
  return std::max(largest / largestOf(to), std::numeric_limits<float>::min());
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

bool quantizeRow(DType from, const void *row, int64_t count, DType to,
                 void *destination, float *scales) {
  // What has a scale of its own.
  const int64_t group = to == DType::I4 ? kI4Group : count;
  const char *in = static_cast<const char *>(row);
  uint8_t *out = static_cast<uint8_t *>(destination);
  float values[chunkElements];
  for (int64_t begin = 0; begin < count; begin += group) {
    const std::optional<float> scale =
        rowScale(from, in + begin * dtypeBytes(from), group, to);
    if (!scale)
      return false;
    if (scales)
      *scales++ = *scale;
    for (int64_t i = begin; i < begin + group; i += chunkElements) {
      const int64_t piece = std::min(chunkElements, begin + group - i);
      const void *source = in + i * dtypeBytes(from);
      if (to == DType::I8) {
        quantizeElements(from, source, *scale,
                         reinterpret_cast<int8_t *>(out + i), piece);
        continue;
      }
      convertElements(from, source, DType::F32, values,
                      static_cast<size_t>(piece));
      if (to == DType::I4)
        quantizeI4(values, *scale, out + i / 2);
      else
        quantizeF8(values, *scale, out + i, piece);
    }
  }
  return true;
}

} // namespace tnrt
