// Rows of weights as narrow numbers with scales: I8 and F8E4M3 (without
// infinities) with one scale a row, I4 with one for each kI4Group columns:
//   scale = max_k |w[k]| / L, with the largest number L = 127, 448 or 7, not
//   below the smallest normal f32 (a subnormal
//           scale would have too few digits to keep the error bound), and 1 for
//           a row of zeros
//   q[k] = w[k] / scale rounded to the nearest number of the type, to even
//          between two, in [-L, L]
// All of it in f32 on the values converted to f32, so that a scale computed
// apart from the elements is the same to the last bit. Then
// |w[k] - q[k] * scale| <= scale / 2 of integers, but for the rounding of
// w / scale.
#ifndef TNRT_FORMATS_QUANTIZE_H
#define TNRT_FORMATS_QUANTIZE_H

#include "tnrt/formats/DType.h"

#include <cstdint>
#include <optional>

namespace tnrt {

// Columns that share a scale of I4.
constexpr int64_t kI4Group = 128;

// Whether parameters of this type have scales: I8, F8E4M3, I4.
bool isQuantisedDType(DType dtype);

// The scale, in the type `to`, of `count` elements of a float type
// (isFloatDType), which need no alignment. Nothing when one of them is infinite
// or no number.
std::optional<float> rowScale(DType from, const void *row, int64_t count,
                              DType to = DType::I8);

// The index of the first element that is infinite or no number, or -1.
int64_t findNonFinite(DType from, const void *row, int64_t count);

// Quantises `count` finite elements of a row of this scale (of rowScale for the
// whole row).
void quantizeElements(DType from, const void *source, float scale,
                      int8_t *destination, int64_t count);

// Quantises `count` elements of a row, whole groups of I4, into packed elements
// of `to` (Pack.h), each group by its own scale. False when one of them is
// infinite or no number.
bool quantizeRow(DType from, const void *row, int64_t count, DType to,
                 void *destination, float *scales = nullptr);

} // namespace tnrt

#endif // TNRT_FORMATS_QUANTIZE_H
