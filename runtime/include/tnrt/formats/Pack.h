// Parameters as kernels read them. The layouts are those of docs/Manifest.md:
//   rows    row-major, as in the file
//   panels  W[N, K] in panels of `width` rows; a panel is ceil(K / step) groups
//   of
//           width * step elements, element (n, k) at panel n / width, group
//           k / step, offset (n % width) * step + k % step; zeros beyond N and
//           K
#ifndef TNRT_FORMATS_PACK_H
#define TNRT_FORMATS_PACK_H

#include "tnrt/Result.h"
#include "tnrt/formats/Safetensors.h"

#include <cstdint>
#include <vector>

namespace tnrt {

struct Layout {
  enum class Kind { Rows, Panels };
  Kind kind = Kind::Rows;
  int64_t width = 0; // of panels
  int64_t step = 1;  // of panels

  bool operator==(const Layout &other) const {
    return kind == other.kind && width == other.width && step == other.step;
  }
};

// Errors: panels of something that is not a matrix, width or step below 1,
// sizes that overflow.
Status checkLayout(const std::vector<int64_t> &shape, DType dtype,
                   const Layout &layout);

// Bytes of the packed parameter; the arguments must pass checkLayout.
int64_t packedBytes(const std::vector<int64_t> &shape, DType dtype,
                    const Layout &layout);

// The number of pieces that packRange can do apart from each other: panels, or
// the rows along the first dimension.
int64_t packUnits(const std::vector<int64_t> &shape, const Layout &layout);

// Bytes of one piece in the packed parameter.
int64_t packedUnitBytes(const std::vector<int64_t> &shape, DType dtype,
                        const Layout &layout);

// Packs pieces [begin, end) of `source` (F32, F16 or BF16) as `to` (F32 or
// BF16). `destination` is the start of the whole packed parameter. Threads may
// pack different ranges at once.
void packRange(const TensorView &source, DType to, const Layout &layout,
               int64_t begin, int64_t end, void *destination);

} // namespace tnrt

#endif // TNRT_FORMATS_PACK_H
