// Questions that the verifiers of tn ask of types. Private to this folder.
#ifndef TN_TNVERIFY_H
#define TN_TNVERIFY_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"

namespace tnllm::tn {

// True when two static sizes differ; a dynamic size matches any.
bool differ(int64_t a, int64_t b);

// True when the leading dimensions (all but the last `trailing`) may be equal.
bool sameLeading(mlir::RankedTensorType a, mlir::RankedTensorType b,
                 int64_t trailingA, int64_t trailingB);

int64_t lastDim(mlir::RankedTensorType type);

// The range must be [begin, end) inside `columns`.
mlir::LogicalResult verifyColumnRange(mlir::Operation *op,
                                      llvm::ArrayRef<int64_t> range,
                                      int64_t columns,
                                      llvm::StringRef constraint);

} // namespace tnllm::tn

#endif // TN_TNVERIFY_H
