// Runs functions of the tn dialect in f64: the oracle that compiled programs
// are compared with.
#ifndef TNLLM_REFERENCE_INTERPRETER_H
#define TNLLM_REFERENCE_INTERPRETER_H

#include "tnllm/Reference/Tensor.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"

#include <functional>
#include <random>

namespace tnllm::reference {

struct Environment {
  // Values of the module's tn.param by symbol, in their declared shape: bf16
  // numbers where the type is bf16, quantised integers where it is i8.
  llvm::StringMap<Tensor> parameters;
  // Values of tn.row_scales by the symbol of the parameter.
  llvm::StringMap<Tensor> rowScales;
  // Receives every tn.probe in the order of execution; may be empty.
  std::function<void(llvm::StringRef name, const Tensor &value)> observer;
  // False: LRPE's angles unrounded, where differences must be differentiable.
  bool roundAngles = true;
  // What roundings cost, for whoever judges another program's error: every value
  // computed is off by at most this part of it, at random (with `random` given),
  bool roundActivations = false; // and those that only kernels read are bf16.
  double noise = 0;
  std::mt19937_64 *random = nullptr;
};

// The results of `function` for `inputs`, one for each argument. Understands
// tn, func.call, func.return and arith.constant. Fails with a diagnostic at the
// operation: unknown operations, missing parameters, run-time shapes that do
// not fit, token ids outside their table, recursion.
mlir::FailureOr<llvm::SmallVector<Tensor>>
evaluate(mlir::func::FuncOp function, llvm::ArrayRef<Tensor> inputs,
         const Environment &environment);

} // namespace tnllm::reference

#endif // TNLLM_REFERENCE_INTERPRETER_H
