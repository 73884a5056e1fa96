// tn-check-gradients refuses what is no gradient of the function, and reads nothing beyond it.
// RUN: tnllm-opt %s --tn-check-gradients="function=f" --verify-diagnostics --split-input-file -o /dev/null
// RUN: not tnllm-opt %s --tn-check-gradients="function=f batch=0" --split-input-file 2>&1 | FileCheck %s --check-prefix=OPTIONS
// RUN: not tnllm-opt %s --tn-check-gradients="function=f step=0" --split-input-file 2>&1 | FileCheck %s --check-prefix=OPTIONS
// RUN: not tnllm-opt %s --tn-check-gradients="function=g" --split-input-file 2>&1 | FileCheck %s --check-prefix=MISSING
// OPTIONS: error: expected batch and length of at least 1, and a step above 0
// MISSING: error: expected functions with bodies, 'g' and 'g_gradient'

func.func @f(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}
// expected-error @+1 {{expected the 1 results of the function first, got 0}}
func.func @f_gradient(%x: tensor<?x4xf32>, %d: tensor<?x4xf32>) {
  return
}

// -----

func.func @f(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}
// expected-error @+1 {{result 1 is no gradient of an argument or parameter}}
func.func @f_gradient(%x: tensor<?x4xf32>, %d: tensor<?x4xf32>)
    -> (tensor<?x4xf32>, tensor<?x4xf32> {tn.gradient_of = 7 : i64}) {
  return %x, %d : tensor<?x4xf32>, tensor<?x4xf32>
}

// -----

func.func @f(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}
// expected-error @+1 {{the gradient of argument 0 differs from the function's difference}}
func.func @f_gradient(%x: tensor<?x4xf32>, %d: tensor<?x4xf32>)
    -> (tensor<?x4xf32>, tensor<?x4xf32> {tn.gradient_of = 0 : i64}) {
  return %x, %x : tensor<?x4xf32>, tensor<?x4xf32>
}
