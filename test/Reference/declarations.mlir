// A declaration has nothing to run.
// RUN: not tnllm-opt %s --tn-interpret="function=h" 2>&1 | FileCheck %s --check-prefix=BODY
// RUN: not tnllm-opt %s --tn-check-gradients="function=h" 2>&1 | FileCheck %s --check-prefix=BODIES
// BODY: error: expected a body to run
// BODIES: error: expected functions with bodies, 'h' and 'h_gradient'

func.func private @h(tensor<2xf32>) -> tensor<2xf32>
func.func private @h_gradient(tensor<2xf32>, tensor<2xf32>)
