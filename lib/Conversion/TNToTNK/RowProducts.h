// Linear maps of few rows on a GPU as products on tensor cores, with the norm
// before them, a second map of the same rows, and the tail, in one kernel.
// Private to this folder.
#ifndef TNLLM_LIB_CONVERSION_TNTOTNK_ROWPRODUCTS_H
#define TNLLM_LIB_CONVERSION_TNTOTNK_ROWPRODUCTS_H

#include "KernelBuilder.h"
#include "KernelChoice.h"

#include <optional>

namespace tnllm::kernels {

// Which of these are wanted, each to be measured alone.
struct RowProductOptions {
  bool enabled = false;   // products on tensor cores at all
  bool foldNorms = false; // a norm is a scale of the product's rows
  bool joinGates =
      false; // two maps whose results are multiplied are one kernel
};

// A norm without weight and mean, times a gate where there is one, rounded:
//   round(gate * x / deviation(x));
// or the rounding alone.
struct FoldedNorm {
  mlir::Value source; // x
  tn::NormOp norm;    // or null
  mlir::Value gate;   // tensor, or null
  mlir::Value result; // what linear maps read
  llvm::SmallVector<mlir::Operation *> operations;
};

// What one kernel computes: the group of `group.root`, a tn.linear, and what
// its operands come from.
struct RowProduct {
  tn::LinearOp linear;
  tn::LinearOp factor; // that the tail multiplies with, or null
  std::optional<FoldedNorm> norm;

  // What is computed inside beside the group, and the values.
  llvm::SmallVector<mlir::Operation *> operations() const;
  llvm::SmallVector<mlir::Value> results() const;
};

// Decides by operations and types alone, so that a producer and its users
// agree.
class RowProductPlan {
public:
  explicit RowProductPlan(const RowProductOptions &options)
      : options(options) {}

  // The kernel of a linear map and its tail, if it is one of these.
  std::optional<RowProduct> match(tn::LinearOp linear) const;
  // True where calls of few rows compute the value inside of all its users.
  bool isComputedByUsers(mlir::Value value) const;
  // The map whose tail multiplies with the result of `factor`, which nobody else
  // reads, or null.
  tn::LinearOp userOfFactor(tn::LinearOp factor) const;

private:
  bool isCandidate(tn::LinearOp linear) const;
  std::optional<FoldedNorm> matchNorm(mlir::Value value) const;
  tn::LinearOp factorOf(tn::LinearOp linear) const;

  const RowProductOptions options;
};

// Rows of a call for which a norm is computed with the maps that read it, and
// for which maps are such products at all.
constexpr int64_t kFoldedRows = kGemvRows;
constexpr int64_t kProductRows = 16;

// Sizes for the map of a call of at most `rows` rows, one of the two numbers
// above: a task is `panelWidth` columns.
TileSizes rowProductSizes(TileSizes sizes, const RowProduct &product,
                          int64_t rows);

// The kernel's body; `in` are its buffers by the tensor.
void buildRowProduct(KernelBuilder &k, const RowProduct &product,
                     llvm::ArrayRef<mlir::Operation *> tail,
                     const llvm::DenseMap<mlir::Value, mlir::Value> &in,
                     mlir::Value output, mlir::Value rows);

} // namespace tnllm::kernels

#endif // TNLLM_LIB_CONVERSION_TNTOTNK_ROWPRODUCTS_H
