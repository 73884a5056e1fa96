// Where the threads of a block keep the elements of a row vector, and how far
// an address is known to be aligned. Private to this folder.
#ifndef TNLLM_LIB_TRANSFORMS_TNK_ROWLAYOUT_H
#define TNLLM_LIB_TRANSFORMS_TNK_ROWLAYOUT_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

#include <optional>

namespace tnllm {

// A vector of `length` elements over the threads of a block. Each of the first
// `active` threads holds `elements` of them, as `elements / unit` units of
// `unit` neighbours: element i of thread t is
//   (i / unit) * active * unit + t * unit + i % unit
// of the vector. Neighbouring threads hold neighbouring units, so that a warp's
// access is one contiguous piece of memory.
struct RowLayout {
  int64_t length, elements, unit, active;
  int64_t threads;

  // True where element i of a thread may lie past the end. Units are then of
  // one element and all threads are active.
  bool isRagged() const { return elements * active != length; }
  // True where some threads hold no element.
  bool hasIdleThreads() const { return active < threads; }
  // First element of unit `u` of thread 0.
  int64_t unitStart(int64_t u) const { return u * active * unit; }
};

// As few elements per thread as the block allows, in units of at most
// `maxUnit`. Nothing where a thread would hold more than eight.
std::optional<RowLayout> getRowLayout(int64_t length, int64_t threads,
                                      int64_t maxUnit);

// The elements of a vector that is a row: of rank 1, or of rank 2, whose rows
// stand one after the other.
std::optional<int64_t> getRowLength(mlir::Type type);

// A number that divides the index in every run; 0 for the index 0.
int64_t getKnownDivisor(mlir::Value index);

// Bytes to which the element at `indices` is aligned, 16 at most. Arguments of
// kernels and shared buffers begin at multiples of 16.
int64_t getKnownAlignment(mlir::Value memory, mlir::ValueRange indices);

} // namespace tnllm

#endif // TNLLM_LIB_TRANSFORMS_TNK_ROWLAYOUT_H
