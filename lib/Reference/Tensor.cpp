// Dense tensors of doubles.
#include "tnllm/Reference/Tensor.h"

#include "llvm/ADT/STLExtras.h"

#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>

using namespace tnllm::reference;

static int64_t elementCount(llvm::ArrayRef<int64_t> shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t(1),
                         std::multiplies<int64_t>());
}

Tensor::Tensor(llvm::ArrayRef<int64_t> shape)
    : dims(shape), values(elementCount(shape)) {}

Tensor::Tensor(llvm::ArrayRef<int64_t> shape, std::vector<double> values)
    : dims(shape), values(std::move(values)) {
  assert(elementCount(shape) == size() && "the shape differs from the values");
}

Tensor Tensor::reshaped(llvm::ArrayRef<int64_t> shape) const {
  return Tensor(shape, values);
}

double tnllm::reference::relativeError(const Tensor &a, const Tensor &b) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (a.shape() != b.shape())
    return infinity;
  double difference = 0, magnitude = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) || std::isnan(b[i]))
      return infinity;
    difference = std::max(difference, std::fabs(a[i] - b[i]));
    magnitude = std::max(magnitude, std::fabs(b[i]));
  }
  if (difference == 0)
    return 0;
  return magnitude == 0 ? infinity : difference / magnitude;
}

std::string tnllm::reference::shapeText(llvm::ArrayRef<int64_t> shape) {
  std::string text;
  for (auto [i, size] : llvm::enumerate(shape))
    text += (i ? "x" : "") + std::to_string(size);
  return text;
}
