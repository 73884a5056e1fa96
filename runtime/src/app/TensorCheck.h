// Values of tensors that come from files.
#ifndef TNRT_APP_TENSORCHECK_H
#define TNRT_APP_TENSORCHECK_H

#include "tnrt/formats/Safetensors.h"

namespace tnrt {

// The largest position that is accepted: far above any use, far below what i64
// sums can hold.
constexpr int64_t kMaxPosition = int64_t(1) << 40;

// Errors: an element of the F32 tensor is NaN or infinite: "state.0[0, 1, 0, 2]
// is nan, expected a finite number".
Status requireFinite(const TensorView &view);

// Element `index` of an I32 or I64 tensor, in row-major order.
int64_t readInteger(const TensorView &view, size_t index);

} // namespace tnrt

#endif // TNRT_APP_TENSORCHECK_H
