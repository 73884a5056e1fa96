// Conversions between f32, f16 and bf16, written without branches so that the
// loops vectorise.
#include "tnrt/formats/Convert.h"

#include "Dispatch.h"

#include <cstring>

namespace tnrt {

namespace {

TNRT_INLINE uint32_t bitsOf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

TNRT_INLINE float floatOf(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

TNRT_INLINE float fromBf16(uint16_t bits) {
  uint32_t wide = static_cast<uint32_t>(bits) << 16;
  bool isNan = (wide & 0x7FFFFFFFu) > 0x7F800000u;
  return floatOf(isNan ? wide | 0x00400000u : wide);
}

TNRT_INLINE uint16_t toBf16(float value) {
  uint32_t bits = bitsOf(value);
  bool isNan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
  uint32_t rounded = bits + 0x7FFFu + ((bits >> 16) & 1u);
  return static_cast<uint16_t>((isNan ? bits | 0x00400000u : rounded) >> 16);
}

TNRT_INLINE float fromF16(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(bits & 0x7FFFu) << 13;
  const uint32_t rebias = (127u - 15u) << 23;
  const bool isSpecial = magnitude >= 0x0F800000u; // infinity or NaN
  const bool isSmall = magnitude < 0x00800000u;    // zero or subnormal
  uint32_t normal = magnitude + rebias + (isSpecial ? (128u - 16u) << 23 : 0u);
  normal |= magnitude > 0x0F800000u ? 0x00400000u : 0u;
  // A subnormal is m * 2^-24: put m behind the leading one of 2^-14, subtract
  // it.
  const float subnormal =
      floatOf(magnitude + rebias + (1u << 23)) - floatOf(113u << 23);
  return floatOf(sign | (isSmall ? bitsOf(subnormal) : normal));
}

TNRT_INLINE uint16_t toF16(float value) {
  const uint32_t bits = bitsOf(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  const uint32_t special = magnitude > 0x7F800000u ? 0x7E00u : 0x7C00u;
  // Below 2^-14: adding 0.5 leaves the rounded multiple of 2^-24 in the last
  // bits.
  const uint32_t small = bitsOf(floatOf(magnitude) + 0.5f) - bitsOf(0.5f);
  const uint32_t odd = (magnitude >> 13) & 1u;
  const uint32_t normal =
      (magnitude - ((127u - 15u) << 23) + 0xFFFu + odd) >> 13;
  uint32_t result = magnitude < (113u << 23) ? small : normal;
  result = magnitude >= (143u << 23) ? special : result; // 2^16 and beyond
  return static_cast<uint16_t>(sign | result);
}

// memcpy of single elements: neither side need be aligned.
template <typename From, typename To, To (*convert)(From)>
TNRT_INLINE void convertLoop(const void *source, void *destination,
                             size_t count) {
  const char *in = static_cast<const char *>(source);
  char *out = static_cast<char *>(destination);
  for (size_t i = 0; i < count; ++i) {
    From from;
    std::memcpy(&from, in + i * sizeof(From), sizeof(From));
    const To to = convert(from);
    std::memcpy(out + i * sizeof(To), &to, sizeof(To));
  }
}

TNRT_INLINE uint16_t bf16FromF16Bits(uint16_t bits) {
  return toBf16(fromF16(bits));
}
TNRT_INLINE uint16_t f16FromBf16Bits(uint16_t bits) {
  return toF16(fromBf16(bits));
}

#define TNRT_CONVERTER(name, From, To, convert)                                \
  TNRT_VECTOR_CLONES void name(const void *source, void *destination,          \
                               size_t count) {                                 \
    convertLoop<From, To, convert>(source, destination, count);                \
  }

TNRT_CONVERTER(convertBf16ToF32, uint16_t, float, fromBf16)
TNRT_CONVERTER(convertF16ToF32, uint16_t, float, fromF16)
TNRT_CONVERTER(convertF32ToBf16, float, uint16_t, toBf16)
TNRT_CONVERTER(convertF32ToF16, float, uint16_t, toF16)
TNRT_CONVERTER(convertF16ToBf16, uint16_t, uint16_t, bf16FromF16Bits)
TNRT_CONVERTER(convertBf16ToF16, uint16_t, uint16_t, f16FromBf16Bits)

#undef TNRT_CONVERTER

} // namespace

float f32FromBf16(uint16_t bits) { return fromBf16(bits); }
float f32FromF16(uint16_t bits) { return fromF16(bits); }
uint16_t bf16FromF32(float value) { return toBf16(value); }
uint16_t f16FromF32(float value) { return toF16(value); }

void convertElements(DType from, const void *source, DType to,
                     void *destination, size_t count) {
  if (count == 0)
    return;
  if (from == to) {
    std::memcpy(destination, source,
                count * static_cast<size_t>(dtypeBytes(from)));
    return;
  }
  if (from == DType::BF16)
    return (to == DType::F32 ? convertBf16ToF32
                             : convertBf16ToF16)(source, destination, count);
  if (from == DType::F16)
    return (to == DType::F32 ? convertF16ToF32
                             : convertF16ToBf16)(source, destination, count);
  return (to == DType::BF16 ? convertF32ToBf16
                            : convertF32ToF16)(source, destination, count);
}

} // namespace tnrt
