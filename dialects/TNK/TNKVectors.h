// A bound on the vectors that are lowered. A task holds its vectors in
// registers, and upstream's lowering writes out their rows: without a bound it
// would take time without end, and end the process where memory does.
#ifndef TNK_TNKVECTORS_H
#define TNK_TNKVECTORS_H

#include "DefinedTypes.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/MathExtras.h"

namespace tnllm::tnk {

// The first vector of more than 2^20 elements in `root`.
inline Definition findLargeVector(mlir::Operation *root) {
  return findDefinition(root, [](mlir::Type type) {
    auto vector = mlir::dyn_cast<mlir::VectorType>(type);
    int64_t elements = 1;
    for (int64_t size : vector ? vector.getShape() : llvm::ArrayRef<int64_t>())
      if (llvm::MulOverflow(elements, size, elements) || elements > 1 << 20)
        return true;
    return false;
  });
}

// Refuses them in what is no tnk.kernel, whose verifier does.
inline mlir::LogicalResult checkVectors(mlir::ModuleOp module) {
  Definition large = findLargeVector(module);
  if (!large.op)
    return mlir::success();
  return large.op->emitError("expected vectors of at most 2^20 elements, got ")
         << large.type;
}

} // namespace tnllm::tnk

#endif // TNK_TNKVECTORS_H
