// Rows of weights as 8-bit integers with one scale a row:
//   scale = max_k |w[k]| / 127, not below the smallest normal f32 (a subnormal
//           scale would have too few digits to keep the error bound), and 1 for
//           a row of zeros
//   q[k] = round to nearest even (w[k] / scale), in [-127, 127]
// All of it in f32 on the values converted to f32, so that a scale computed
// apart from the elements is the same to the last bit. Then
// |w[k] - q[k] * scale| <= scale / 2, but for the rounding of w / scale.
#ifndef TNRT_FORMATS_QUANTIZE_H
#define TNRT_FORMATS_QUANTIZE_H

#include "tnrt/formats/DType.h"

#include <cstdint>
#include <optional>

namespace tnrt {

// The scale of `count` elements of a float type (isFloatDType), which need no
// alignment. Nothing when one of them is infinite or no number.
std::optional<float> rowScale(DType from, const void *row, int64_t count);

// The index of the first element that is infinite or no number, or -1.
int64_t findNonFinite(DType from, const void *row, int64_t count);

// Quantises `count` finite elements of a row of this scale (of rowScale for the
// whole row).
void quantizeElements(DType from, const void *source, float scale,
                      int8_t *destination, int64_t count);

} // namespace tnrt

#endif // TNRT_FORMATS_QUANTIZE_H
