// Compares the tensors of two files: where does one program first compute
// something else than another?
#ifndef TNLLM_REFERENCE_TENSORDIFF_H
#define TNLLM_REFERENCE_TENSORDIFF_H

#include "tnrt/formats/Safetensors.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tnllm::reference {

// One tensor that both files hold.
struct TensorDifference {
  std::string name;
  std::vector<int64_t> shapeA, shapeB;
  // As many elements, which are then compared in order whatever the shapes, so
  // that [1, 5, 4, 16] fits [5, 64]. False: the tensors differ, and nothing
  // below says more.
  bool sameSize = true;
  // The largest |a - b|, and the same divided by the largest finite |a| of the
  // tensor. Infinite where one is NaN or infinite and the other is not equal to
  // it; two NaN do not count.
  double maxAbs = 0, maxRel = 0;
  // Row-major indices, of A: of the largest difference and of the first one
  // above the tolerance; -1 where there is none.
  int64_t largest = -1, first = -1;
  double a = 0, b = 0;  // the elements at `largest`
  // Elements that are NaN on both sides, which are neither equal nor different,
  // and the first of them; -1 where there is none.
  int64_t numNaN = 0, firstNaN = -1;
  bool differs = false; // sizes do, or maxRel is above the tolerance
  bool isIncomparable = false; // NaN on both sides in each of its elements
};

struct TraceDifference {
  std::vector<TensorDifference> tensors;     // in the order of A's data
  std::vector<std::string> onlyInA, onlyInB; // in the order of the data
  // Of `tensors`, the first that differs, the first that is NaN on both sides
  // somewhere, and the first that is so everywhere, or null.
  const TensorDifference *first() const;
  const TensorDifference *firstWithNaN() const;
  const TensorDifference *firstIncomparable() const;
};

// Compares tensors of one name. `tolerance` is relative to the largest
// magnitude of the tensor in A. Errors: a tensor of an element type that has no
// order of magnitude, such as booleans.
tnrt::Result<TraceDifference> diffTensors(const tnrt::Checkpoint &a,
                                          const tnrt::Checkpoint &b,
                                          double tolerance);

// "[0, 2, 17]": the row-major index `flat` in `shape`; "[]" for a scalar.
std::string indexText(int64_t flat, const std::vector<int64_t> &shape);

} // namespace tnllm::reference

#endif // TNLLM_REFERENCE_TENSORDIFF_H
