// Conversions between f32, f16 and bf16: to the narrow ones round to nearest
// even; overflow gives infinity; a NaN stays a NaN and comes out quiet.
#ifndef TNRT_FORMATS_CONVERT_H
#define TNRT_FORMATS_CONVERT_H

#include "tnrt/formats/DType.h"

#include <cstddef>
#include <cstdint>

namespace tnrt {

float f32FromBf16(uint16_t bits);
float f32FromF16(uint16_t bits);
uint16_t bf16FromF32(float value);
uint16_t f16FromF32(float value);

// Converts `count` elements between any two of F32, F16 and BF16
// (isFloatDType). Neither side needs alignment; they must not overlap.
void convertElements(DType from, const void *source, DType to,
                     void *destination, size_t count);

} // namespace tnrt

#endif // TNRT_FORMATS_CONVERT_H
