// What an operation of tn needs in order to say its own adjoint.
#ifndef TN_TNADJOINT_H
#define TN_TNADJOINT_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace tnllm::tn {

// Hands an operation the gradients of its results and takes those of its
// operands. Gradients are f32 tensors of the value's shape.
class AdjointBuilder {
public:
  virtual ~AdjointBuilder() = default;

  // The gradient of a result so far, null where nothing depends on it.
  virtual mlir::Value gradientOf(mlir::Value result) = 0;
  // Adds `gradient` to the gradient of `operand`.
  virtual void accumulate(mlir::Value operand, mlir::Value gradient) = 0;
  // An operand or result of the operation, as the backward sees it. Asking for
  // it is what keeps it alive until the backward.
  virtual mlir::Value primal(mlir::Value value) = 0;

  // Inserts into the backward.
  mlir::ImplicitLocOpBuilder &b;

protected:
  explicit AdjointBuilder(mlir::ImplicitLocOpBuilder &b) : b(b) {}
};

} // namespace tnllm::tn

#endif // TN_TNADJOINT_H
