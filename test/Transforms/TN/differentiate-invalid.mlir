// What cannot be differentiated says why.
// RUN: tnllm-opt %s --split-input-file --verify-diagnostics --tn-differentiate="function=f"
// RUN: echo "module {}" | not tnllm-opt --tn-differentiate=recompute=some -o /dev/null 2>&1 | FileCheck %s

// CHECK: recompute: expected none, selective or full, got 'some'

// expected-error @+1 {{expected a function named 'f' to differentiate}}
module {}

// -----

// expected-error @+1 {{expected results that are tensors of floats to differentiate, got 'tensor<?xi32>'}}
func.func @f(%x: tensor<?xi32>) -> tensor<?xi32> {
  return %x : tensor<?xi32>
}

// -----

func.func @f(%x: tensor<?x8xf32>, %w: tensor<4x8xi8>, %s: tensor<4xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{cannot be differentiated: its weight is quantised, expected f32 or bf16}}
  %0 = tn.linear %x, %w scales %s : tensor<4xf32> : tensor<?x8xf32>, tensor<4x8xi8> -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

func.func @f(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'arith.negf' has no adjoint, expected one of tn or a call in a function that is differentiated}}
  %0 = arith.negf %x : tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

// expected-error @+1 {{the name 'f_gradient' is taken}}
module {
  func.func @f(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    return %x : tensor<?x8xf32>
  }
  func.func private @f_gradient()
}

// -----

func.func @f(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>, %y: tensor<?xi32>) -> tensor<?xf32> {
  // expected-error @+1 {{cannot be differentiated through its log-sum-exps, expected only the loss to be used}}
  %l, %s = tn.cross_entropy %x, %w, %y : tensor<?x8xf32>, tensor<4x8xf32>, tensor<?xi32> -> tensor<1xf32>, tensor<?xf32>
  return %s : tensor<?xf32>
}

// -----

// Fused operations read values without operands: they must not look like constants.
func.func @f(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @+1 {{'tn.fused' has no adjoint, expected one of tn or a call in a function that is differentiated}}
  %0 = tn.fused -> tensor<?x8xf32> {
    %1 = tn.add %x, %x : tensor<?x8xf32>
    tn.yield %1 : tensor<?x8xf32>
  }
  return %0 : tensor<?x8xf32>
}

// -----

// expected-error @+1 {{calls itself, expected no recursion in what is differentiated}}
func.func private @g(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %0 = func.call @g(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}
func.func @f(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %0 = func.call @g(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

func.func @f(%x: tensor<?x?x2x4xf32>) -> tensor<?x?x2xf32> {
  // expected-error @+1 {{cannot be differentiated through its log-sum-exps, expected only the output to be used}}
  %o, %l = tn.softmax_attention %x, %x, %x : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32> -> tensor<?x?x2x4xf32>, tensor<?x?x2xf32>
  return %l : tensor<?x?x2xf32>
}

// -----

func.func @f(%x: tensor<?x?x2x4xf32>, %c: tensor<?x2x8x8xf32>, %p: tensor<?xi64>) -> tensor<?x?x2x4xf32> {
  // expected-error @+1 {{cannot be differentiated with a cache, expected sequences that begin in the call}}
  %o, %l, %n = tn.softmax_attention %x, %x, %x cache %c : tensor<?x2x8x8xf32> at %p : tensor<?xi64>
      : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32> -> tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<?x2x8x8xf32>
  return %o : tensor<?x?x2x4xf32>
}
