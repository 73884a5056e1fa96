// A bound on the vectors that are lowered, for what is no tnk.kernel: those are
// verified.
#ifndef TNLLM_LIB_CONVERSION_VECTORSIZES_H
#define TNLLM_LIB_CONVERSION_VECTORSIZES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/MathExtras.h"

namespace tnllm {

// Refuses a vector of more than 2^20 elements anywhere in `module`: upstream's
// lowering writes out its rows, and ends the process where they are more than
// memory holds.
inline mlir::LogicalResult checkVectors(mlir::ModuleOp module) {
  auto isTooLarge = [](mlir::Type type) {
    auto vector = mlir::dyn_cast<mlir::VectorType>(type);
    int64_t elements = 1;
    for (int64_t size : vector ? vector.getShape() : llvm::ArrayRef<int64_t>())
      if (llvm::MulOverflow(elements, size, elements) || elements > 1 << 20)
        return true;
    return false;
  };
  mlir::WalkResult walk = module.walk([&](mlir::Operation *op) {
    llvm::SmallVector<mlir::Type> types(op->getResultTypes());
    for (mlir::Region &region : op->getRegions())
      for (mlir::Block &block : region)
        llvm::append_range(types, block.getArgumentTypes());
    const auto *large = llvm::find_if(types, isTooLarge);
    if (large == types.end())
      return mlir::WalkResult::advance();
    op->emitError("expected vectors of at most 2^20 elements, got ") << *large;
    return mlir::WalkResult::interrupt();
  });
  return mlir::failure(walk.wasInterrupted());
}

} // namespace tnllm

#endif // TNLLM_LIB_CONVERSION_VECTORSIZES_H
