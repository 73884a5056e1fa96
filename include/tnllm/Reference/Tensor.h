// The values of the reference interpreter: dense row-major tensors of doubles.
// Integers are kept as doubles too, which are exact up to 2^53.
#ifndef TNLLM_REFERENCE_TENSOR_H
#define TNLLM_REFERENCE_TENSOR_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tnllm::reference {

class Tensor {
public:
  Tensor() = default;
  // Zeros of `shape`; [] is a scalar of one element.
  explicit Tensor(llvm::ArrayRef<int64_t> shape);
  Tensor(llvm::ArrayRef<int64_t> shape, std::vector<double> values);

  llvm::ArrayRef<int64_t> shape() const { return dims; }
  int64_t rank() const { return dims.size(); }
  int64_t dim(int64_t i) const { return dims[i]; }
  int64_t lastDim() const { return dims.back(); }
  int64_t size() const { return values.size(); }
  // Number of vectors along the last dimension.
  int64_t rows() const { return lastDim() == 0 ? 0 : size() / lastDim(); }

  double &operator[](int64_t i) { return values[i]; }
  double operator[](int64_t i) const { return values[i]; }
  llvm::MutableArrayRef<double> row(int64_t i) {
    return {values.data() + i * lastDim(), static_cast<size_t>(lastDim())};
  }
  llvm::ArrayRef<double> row(int64_t i) const {
    return {values.data() + i * lastDim(), static_cast<size_t>(lastDim())};
  }
  llvm::ArrayRef<double> data() const { return values; }

  // The same elements under another shape of as many elements.
  Tensor reshaped(llvm::ArrayRef<int64_t> shape) const;

private:
  llvm::SmallVector<int64_t, 4> dims;
  std::vector<double> values;
};

// max |a - b| / max |b|; 0 when both are all zero; infinity when a shape
// differs or an element is not a number.
double relativeError(const Tensor &a, const Tensor &b);

// "2x5x64"; "" for a scalar.
std::string shapeText(llvm::ArrayRef<int64_t> shape);

} // namespace tnllm::reference

#endif // TNLLM_REFERENCE_TENSOR_H
