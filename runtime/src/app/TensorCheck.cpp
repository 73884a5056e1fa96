// Finds values that no computation can go on from.
#include "TensorCheck.h"

#include <cmath>
#include <cstring>

namespace tnrt {
namespace {

// "[1, 0, 2]" of a row-major offset.
std::string indexText(const std::vector<int64_t> &shape, int64_t offset) {
  std::vector<int64_t> index(shape.size());
  for (size_t i = shape.size(); i-- > 0; offset /= shape[i])
    index[i] = offset % shape[i];
  return shapeText(index);
}

} // namespace

Status requireFinite(const TensorView &view) {
  for (size_t i = 0; i < view.bytes / sizeof(float); ++i) {
    float value;
    std::memcpy(&value, view.data + i * sizeof value, sizeof value);
    if (!std::isfinite(value))
      return Error{view.name + indexText(view.shape, static_cast<int64_t>(i)) +
                   " is " +
                   (std::isnan(value) ? "nan"
                    : value > 0       ? "infinity"
                                      : "-infinity") +
                   ", expected a finite number"};
  }
  return {};
}

int64_t readInteger(const TensorView &view, size_t index) {
  if (view.dtype == DType::I32) {
    int32_t value;
    std::memcpy(&value, view.data + index * sizeof value, sizeof value);
    return value;
  }
  int64_t value;
  std::memcpy(&value, view.data + index * sizeof value, sizeof value);
  return value;
}

} // namespace tnrt
