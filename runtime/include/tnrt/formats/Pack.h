// Parameters as kernels read them. The layouts are those of docs/Manifest.md:
//   rows    row-major, as in the file
//   panels  W[N, K] in panels of `width` rows; a panel is ceil(K / step) groups
//   of
//           width * step elements, element (n, k) at panel n / width, group
//           k / step, offset (n % width) * step + k % step; zeros beyond N and
//           K
//   row_scales  of W[N, K]: the N f32 scales that its rows are quantised by in
//           a parameter of dtype I8 (tnrt/formats/Quantize.h)
//   row_scales_f8  the same of F8E4M3
//   group_scales  of W[N, K]: the [N, K / width] f32 scales of a parameter of
//           dtype I4
// Rows of I4 hold eight columns in four bytes: as a number of 32 bits, lowest
// byte first, column 8 i + 2 j at bit 4 j and column 8 i + 2 j + 1 at bit
// 16 + 4 j, each plus 8.
#ifndef TNRT_FORMATS_PACK_H
#define TNRT_FORMATS_PACK_H

#include "tnrt/Result.h"
#include "tnrt/formats/Safetensors.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tnrt {

struct Layout {
  enum class Kind { Rows, Panels, RowScales, RowScalesF8, GroupScales };
  Kind kind = Kind::Rows;
  int64_t width = 0; // of panels, of group scales
  int64_t step = 1;  // of panels

  // Whether these are a tensor's scales and not the tensor.
  bool isScales() const { return kind != Kind::Rows && kind != Kind::Panels; }

  bool operator==(const Layout &other) const {
    return kind == other.kind && width == other.width && step == other.step;
  }
};

// Errors: panels, scales or a quantised type of something that is not a matrix,
// width or step below 1, F8E4M3 and I4 in another layout than rows, I4 or its
// scales of columns that are not whole groups, scales that are not F32, sizes
// that overflow.
Status checkLayout(const std::vector<int64_t> &shape, DType dtype,
                   const Layout &layout);

// Bytes of the packed parameter; the arguments must pass checkLayout.
int64_t packedBytes(const std::vector<int64_t> &shape, DType dtype,
                    const Layout &layout);

// "rows", "panels", ...: as in the manifest.
const char *layoutName(const Layout &layout);

// What a stored parameter is called: tensor, dtype, shape and layout, so that
// equal names mean equal bytes: "lm_head.weight F32 [500, 64] panels 64 1".
std::string packedName(const std::string &tensor,
                       const std::vector<int64_t> &shape, DType dtype,
                       const Layout &layout);

// The number of pieces that packRange can do apart from each other: panels, or
// the rows along the first dimension.
int64_t packUnits(const std::vector<int64_t> &shape, const Layout &layout);

// Bytes of one piece in the packed parameter.
int64_t packedUnitBytes(const std::vector<int64_t> &shape, DType dtype,
                        const Layout &layout);

// Rows of the tensor that one piece is made of; the last may have fewer.
int64_t packUnitRows(const Layout &layout);

// The layout of the scales of a tensor packed as I8, F8E4M3 or I4, and how many
// a row of [N, K] has.
Layout scalesLayout(DType dtype);
int64_t scalesOfRow(const std::vector<int64_t> &shape, DType dtype);

// What else packRange is told.
struct PackOptions {
  // Of a tensor packed as I8, F8E4M3 or I4: where the scales of its rows go
  // too, for each row of `source`; null: nowhere.
  float *rowScales = nullptr;
  // The row of the whole tensor that `source` begins at, for messages.
  int64_t firstRow = 0;
};

// Packs pieces [begin, end) of `source` (F32, F16 or BF16) as `to` (F32, BF16,
// I8, F8E4M3 or I4). `destination` is the start of the whole packed parameter.
// Threads may pack different ranges at once. Errors: a weight that is not
// finite where it is to be quantised; what was written is of no use then.
Status packRange(const TensorView &source, DType to, const Layout &layout,
                 int64_t begin, int64_t end, void *destination,
                 const PackOptions &options = {});

} // namespace tnrt

#endif // TNRT_FORMATS_PACK_H
