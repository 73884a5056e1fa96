// One activation of a function that is interpreted. Private to this folder.
#ifndef TNLLM_LIB_REFERENCE_FRAME_H
#define TNLLM_LIB_REFERENCE_FRAME_H

#include "tnllm/Reference/Interpreter.h"

#include "TN/TNDialect.h"
#include "tnllm/Reference/Ops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"

#include <memory>

namespace tnllm::reference {

// Values may be large and have many users.
using Shared = std::shared_ptr<const Tensor>;

inline Shared share(Tensor tensor) {
  return std::make_shared<const Tensor>(std::move(tensor));
}

// One activation of a function.
class Frame {
public:
  Frame(const Environment &environment, int depth)
      : environment(environment), depth(depth) {}

  llvm::FailureOr<llvm::SmallVector<Shared>> run(mlir::func::FuncOp function,
                                                 llvm::ArrayRef<Shared> inputs);

private:
  const Tensor &get(mlir::Value value) { return *values.lookup(value); }
  const Tensor *getOptional(mlir::Value value) {
    return value ? &get(value) : nullptr;
  }

  llvm::LogicalResult set(mlir::Operation *op, mlir::Value result,
                          Shared value);
  llvm::LogicalResult set(mlir::Operation *op, mlir::Value result,
                          Tensor value) {
    return set(op, result, share(disturb(op, result, std::move(value))));
  }
  llvm::LogicalResult set(mlir::Operation *op, Tensor value) {
    return set(op, op->getResult(0), std::move(value));
  }
  Tensor disturb(mlir::Operation *op, mlir::Value result, Tensor value) const;

  llvm::LogicalResult setAll(mlir::Operation *op,
                             std::initializer_list<Tensor> tensors);

  llvm::LogicalResult execute(mlir::Operation *op);
  llvm::LogicalResult executeGradient(mlir::Operation *op);
  llvm::LogicalResult executeBaseline(mlir::Operation *op);
  llvm::LogicalResult checkOperands(mlir::Operation *op);
  llvm::LogicalResult call(mlir::func::CallOp op);
  llvm::LogicalResult constant(mlir::arith::ConstantOp op);
  llvm::LogicalResult lookUp(mlir::Operation *op, llvm::StringRef parameter,
                             const llvm::StringMap<Tensor> &known);
  llvm::LogicalResult checkIds(mlir::Operation *op, const Tensor &ids,
                               int64_t rows);
  llvm::LogicalResult verifySizes(mlir::Operation *op);
  llvm::LogicalResult embed(tn::EmbeddingOp op);
  llvm::LogicalResult embedBack(tn::EmbeddingGradOp op);
  llvm::LogicalResult attend(tn::LightningAttentionOp op);
  llvm::LogicalResult fused(tn::FusedOp op);
  llvm::LogicalResult observe(tn::ProbeOp op);
  llvm::LogicalResult activate(tn::ActivationOp op);
  llvm::LogicalResult checkLabels(mlir::Operation *op, const Tensor &labels,
                                  const Tensor &weight);
  llvm::LogicalResult crossEntropy(tn::CrossEntropyOp op);
  llvm::LogicalResult crossEntropyGrad(tn::CrossEntropyGradOp op);
  llvm::LogicalResult attendBack(tn::LightningAttentionGradOp op);
  llvm::LogicalResult checkCache(tn::SoftmaxAttentionOp op);
  llvm::LogicalResult attendSoftly(tn::SoftmaxAttentionOp op);

  const Environment &environment;
  int depth;
  llvm::DenseMap<mlir::Value, Shared> values;
};

} // namespace tnllm::reference

#endif // TNLLM_LIB_REFERENCE_FRAME_H
