// Interfaces of operations of the tn dialect.
#ifndef TN_INTERFACES_TD
#define TN_INTERFACES_TD

include "mlir/IR/OpBase.td"

def TN_AdjointOpInterface : OpInterface<"AdjointOpInterface"> {
  let description = [{
    An operation that can be differentiated: it says its own adjoint, in tn. See
    `tn-differentiate` and docs/Rationale/Training.md.
  }];
  let cppNamespace = "::tnllm::tn";
  let methods = [
    InterfaceMethod<[{
        Given the gradients of the results (`adjoint.gradientOf`), adds to the
        gradients of the operands (`adjoint.accumulate`). Called where at least one
        result has a gradient. Fails with a diagnostic at the operation.
      }],
      "::llvm::LogicalResult", "buildAdjoint",
      (ins "::tnllm::tn::AdjointBuilder &":$adjoint)>
  ];
}

#endif // TN_INTERFACES_TD
