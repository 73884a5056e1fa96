// Each adjoint against central differences in f64, alone and together; with every way of
// recomputing. A differing gradient fails the pass.
// RUN: tnllm-opt %s --split-input-file --tn-differentiate="function=f" --tn-check-gradients="function=f" -o /dev/null | FileCheck %s
// RUN: tnllm-opt %s --split-input-file --tn-differentiate="function=f recompute=full" --tn-check-gradients="function=f seed=1 length=1" -o /dev/null | FileCheck %s
// RUN: tnllm-opt %s --split-input-file --tn-differentiate="function=f recompute=selective" --canonicalize --cse --tn-check-gradients="function=f seed=2 batch=1 length=7" -o /dev/null | FileCheck %s

// CHECK: table: gradient
tn.param @table : tensor<7x6xf32> init <normal, 2.0e-02 : f64>
func.func @f(%ids: tensor<?x?xi32>) -> tensor<?x?x6xf32> {
  %t = tn.get_param @table : tensor<7x6xf32>
  %0 = tn.embedding %ids, %t {scale = 3.0 : f32} : tensor<?x?xi32>, tensor<7x6xf32> -> tensor<?x?x6xf32>
  return %0 : tensor<?x?x6xf32>
}

// -----

// A parameter that is read twice, and an argument.
// CHECK: argument 0: gradient
// CHECK: w: gradient
// CHECK: b: gradient
tn.param @w : tensor<6x6xf32> init <normal, 2.0e-02 : f64>
tn.param @b : tensor<6xf32> init <constant, 0.0 : f64>
func.func @f(%x: tensor<?x?x6xf32>) -> tensor<?x?x6xf32> {
  %w = tn.get_param @w : tensor<6x6xf32>
  %b = tn.get_param @b : tensor<6xf32>
  %0 = tn.linear %x, %w bias %b : tensor<6xf32> : tensor<?x?x6xf32>, tensor<6x6xf32> -> tensor<?x?x6xf32>
  %w1 = tn.get_param @w : tensor<6x6xf32>
  %1 = tn.linear %0, %w1 : tensor<?x?x6xf32>, tensor<6x6xf32> -> tensor<?x?x6xf32>
  return %1 : tensor<?x?x6xf32>
}

// -----

// CHECK: argument 0: gradient
// CHECK: argument 1: gradient
func.func @f(%x: tensor<?x?x6xf32>, %y: tensor<?x?x6xf32>) -> (tensor<?x?x6xf32>, tensor<?x?x6xf32>) {
  %0 = tn.mul %x, %y : tensor<?x?x6xf32>
  %1 = tn.add %0, %x : tensor<?x?x6xf32>
  %2 = tn.mul %1, %1 : tensor<?x?x6xf32>
  return %2, %1 : tensor<?x?x6xf32>, tensor<?x?x6xf32>
}

// -----

// CHECK: argument 0: gradient
func.func @f(%x: tensor<?x?x24xf32>) -> tensor<?x?x24xf32> {
  %0 = tn.activation <silu> %x columns [0, 3] : tensor<?x?x24xf32>
  %1 = tn.activation <gelu> %0 columns [3, 6] : tensor<?x?x24xf32>
  %2 = tn.activation <relu> %1 columns [6, 9] : tensor<?x?x24xf32>
  %3 = tn.activation <elu> %2 columns [9, 12] : tensor<?x?x24xf32>
  %4 = tn.activation <sigmoid> %3 columns [12, 15] : tensor<?x?x24xf32>
  %5 = tn.activation <one_plus_elu> %4 columns [15, 18] : tensor<?x?x24xf32>
  %6 = tn.activation <two_plus_elu> %5 columns [18, 21] : tensor<?x?x24xf32>
  %7 = tn.activation <leaky_relu> %6 columns [21, 24] : tensor<?x?x24xf32>
  %8 = tn.activation <silu> %7 : tensor<?x?x24xf32>
  return %8 : tensor<?x?x24xf32>
}

// -----

// CHECK: argument 0: gradient
func.func @f(%x: tensor<?x?x5xf32>) -> tensor<?x?x5xf32> {
  %0 = tn.norm <srms> %x {epsilon = 1.0e-01 : f32} : tensor<?x?x5xf32> -> tensor<?x?x5xf32>
  return %0 : tensor<?x?x5xf32>
}

// -----

// CHECK: argument 0: gradient
// CHECK: argument 1: gradient
// CHECK: argument 2: gradient
func.func @f(%x: tensor<?x?x5xf32>, %w: tensor<5xf32>, %b: tensor<5xf32>) -> tensor<?x?x5xf32> {
  %0 = tn.norm <rms> %x weight %w : tensor<5xf32> bias %b : tensor<5xf32> {epsilon = 1.0e-01 : f32} : tensor<?x?x5xf32> -> tensor<?x?x5xf32>
  return %0 : tensor<?x?x5xf32>
}

// -----

// CHECK: argument 0: gradient
// CHECK: argument 1: gradient
// CHECK: argument 2: gradient
func.func @f(%x: tensor<?x?x5xf32>, %w: tensor<5xf32>, %b: tensor<5xf32>) -> tensor<?x?x5xf32> {
  %0 = tn.norm <layer> %x weight %w : tensor<5xf32> bias %b : tensor<5xf32> {epsilon = 1.0e-01 : f32} : tensor<?x?x5xf32> -> tensor<?x?x5xf32>
  return %0 : tensor<?x?x5xf32>
}

// -----

// Two slices and a gap between them.
// CHECK: argument 0: gradient
func.func @f(%x: tensor<?x?x10xf32>) -> tensor<?x?x4xf32> {
  %0 = tn.slice %x [1, 5] : tensor<?x?x10xf32> -> tensor<?x?x4xf32>
  %1 = tn.slice %x [6, 10] : tensor<?x?x10xf32> -> tensor<?x?x4xf32>
  %2 = tn.split_heads %0 : tensor<?x?x4xf32> -> tensor<?x?x2x2xf32>
  %3 = tn.merge_heads %2 : tensor<?x?x2x2xf32> -> tensor<?x?x4xf32>
  %4 = tn.mul %3, %1 : tensor<?x?x4xf32>
  return %4 : tensor<?x?x4xf32>
}

// -----

// CHECK: argument 0: gradient
// CHECK: theta: gradient
tn.param @theta : tensor<2x1x3xf32> init <lrpe_theta, 0.0 : f64>
func.func @f(%x: tensor<?x?x2x3xf32>, %positions: tensor<?xi64>) -> tensor<?x?x2x6xf32> {
  %theta = tn.get_param @theta : tensor<2x1x3xf32>
  %0 = tn.lrpe %x, %theta, %positions : tensor<?x?x2x3xf32>, tensor<2x1x3xf32>, tensor<?xi64> -> tensor<?x?x2x6xf32>
  return %0 : tensor<?x?x2x6xf32>
}

// -----

// With a state before and one after, and widths that differ.
// CHECK: argument 0: gradient
// CHECK: argument 1: gradient
// CHECK: argument 2: gradient
// CHECK: argument 3: gradient
func.func @f(%q: tensor<?x?x2x3xf32>, %k: tensor<?x?x2x3xf32>, %v: tensor<?x?x2x4xf32>, %s: tensor<?x2x3x4xf32>)
    -> (tensor<?x?x2x4xf32>, tensor<?x2x3x4xf32>) {
  %slopes = arith.constant dense<[0.84, 0.004]> : tensor<2xf32>
  %o, %s1 = tn.lightning_attention %q, %k, %v, %slopes, %s {scale = 0.5 : f32} : tensor<?x?x2x3xf32>, tensor<?x?x2x3xf32>, tensor<?x?x2x4xf32>, tensor<2xf32>, tensor<?x2x3x4xf32> -> tensor<?x?x2x4xf32>, tensor<?x2x3x4xf32>
  return %o, %s1 : tensor<?x?x2x4xf32>, tensor<?x2x3x4xf32>
}

// -----

// Only the new state is used, on which q has no influence; the state before is zero.
// CHECK: argument 0: gradient 0, difference 0
// CHECK: argument 1: gradient
// CHECK: argument 2: gradient
func.func @f(%q: tensor<?x?x2x3xf32>, %k: tensor<?x?x2x3xf32>, %v: tensor<?x?x2x4xf32>) -> tensor<?x2x3x4xf32> {
  %slopes = arith.constant dense<[1.0, 0.0]> : tensor<2xf32>
  %s = tn.zeros like %q : tensor<?x?x2x3xf32> -> tensor<?x2x3x4xf32>
  %o, %s1 = tn.lightning_attention %q, %k, %v, %slopes, %s : tensor<?x?x2x3xf32>, tensor<?x?x2x3xf32>, tensor<?x?x2x4xf32>, tensor<2xf32>, tensor<?x2x3x4xf32> -> tensor<?x?x2x4xf32>, tensor<?x2x3x4xf32>
  return %s1 : tensor<?x2x3x4xf32>
}

// -----

// The last label is -1: no token of the loss.
// CHECK: argument 0: gradient
// CHECK: head: gradient
tn.param @head : tensor<7x6xf32> init <normal, 2.0e-02 : f64>
func.func @f(%x: tensor<?x?x6xf32>, %labels: tensor<?x?xi32>) -> tensor<1xf32> {
  %w = tn.get_param @head : tensor<7x6xf32>
  %loss, %lse = tn.cross_entropy %x, %w, %labels : tensor<?x?x6xf32>, tensor<7x6xf32>, tensor<?x?xi32> -> tensor<1xf32>, tensor<?x?xf32>
  return %loss : tensor<1xf32>
}

// -----

// Two layers that share a block, which calls another function.
// CHECK: argument 0: gradient
// CHECK: w0: gradient
// CHECK: w1: gradient
tn.param @w0 : tensor<6x6xf32> init <normal, 2.0e-02 : f64>
tn.param @w1 : tensor<6x6xf32> init <normal, 2.0e-02 : f64>
func.func private @inner(%x: tensor<?x?x6xf32>) -> (tensor<?x?x6xf32>, tensor<?x?x6xf32>) {
  %0 = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x?x6xf32> -> tensor<?x?x6xf32>
  %1 = tn.activation <silu> %0 : tensor<?x?x6xf32>
  %2 = tn.activation <sigmoid> %x : tensor<?x?x6xf32>
  return %1, %2 : tensor<?x?x6xf32>, tensor<?x?x6xf32>
}
func.func private @block(%x: tensor<?x?x6xf32>, %w: tensor<6x6xf32>) -> tensor<?x?x6xf32> {
  %0, %unused = func.call @inner(%x) : (tensor<?x?x6xf32>) -> (tensor<?x?x6xf32>, tensor<?x?x6xf32>)
  %1 = tn.linear %0, %w : tensor<?x?x6xf32>, tensor<6x6xf32> -> tensor<?x?x6xf32>
  %2 = tn.mul %1, %0 : tensor<?x?x6xf32>
  %3 = tn.add %x, %2 : tensor<?x?x6xf32>
  return %3 : tensor<?x?x6xf32>
}
func.func @f(%x: tensor<?x?x6xf32>) -> tensor<?x?x6xf32> {
  %w0 = tn.get_param @w0 : tensor<6x6xf32>
  %0 = func.call @block(%x, %w0) : (tensor<?x?x6xf32>, tensor<6x6xf32>) -> tensor<?x?x6xf32>
  %w1 = tn.get_param @w1 : tensor<6x6xf32>
  %1 = func.call @block(%0, %w1) : (tensor<?x?x6xf32>, tensor<6x6xf32>) -> tensor<?x?x6xf32>
  %2, %3 = func.call @inner(%1) : (tensor<?x?x6xf32>) -> (tensor<?x?x6xf32>, tensor<?x?x6xf32>)
  %4 = tn.mul %2, %3 : tensor<?x?x6xf32>
  return %4 : tensor<?x?x6xf32>
}

// -----

// @g with the gradient of its result 0 alone, and with those of both.
// CHECK: argument 0: gradient
func.func private @g(%x: tensor<?x?x6xf32>) -> (tensor<?x?x6xf32>, tensor<?x?x6xf32>) {
  %0 = tn.activation <silu> %x : tensor<?x?x6xf32>
  %1 = tn.activation <sigmoid> %x : tensor<?x?x6xf32>
  return %0, %1 : tensor<?x?x6xf32>, tensor<?x?x6xf32>
}
func.func @f(%x: tensor<?x?x6xf32>) -> tensor<?x?x6xf32> {
  %0, %unused = func.call @g(%x) : (tensor<?x?x6xf32>) -> (tensor<?x?x6xf32>, tensor<?x?x6xf32>)
  %1, %2 = func.call @g(%0) : (tensor<?x?x6xf32>) -> (tensor<?x?x6xf32>, tensor<?x?x6xf32>)
  %3 = tn.mul %1, %2 : tensor<?x?x6xf32>
  return %3 : tensor<?x?x6xf32>
}

// -----

// Turned by position.
// CHECK: argument 0: gradient
func.func @f(%x: tensor<?x?x2x6xf32>, %positions: tensor<?xi64>) -> tensor<?x?x2x6xf32> {
  %theta = arith.constant dense<[1.0, 0.3, 0.01]> : tensor<3xf32>
  %0 = tn.rope %x, %theta, %positions : tensor<?x?x2x6xf32>, tensor<3xf32>, tensor<?xi64>
  %1 = tn.mul %0, %0 : tensor<?x?x2x6xf32>
  %2 = tn.rope inverse %1, %theta, %positions : tensor<?x?x2x6xf32>, tensor<3xf32>, tensor<?xi64>
  return %2 : tensor<?x?x2x6xf32>
}

// -----

// Softmax attention, whole, and in blocks within a block.
// CHECK: argument 0: gradient
// CHECK: argument 1: gradient
// CHECK: argument 2: gradient
func.func private @block(%q: tensor<?x?x2x3xf32>, %k: tensor<?x?x2x3xf32>, %v: tensor<?x?x2x4xf32>)
    -> tensor<?x?x2x4xf32> {
  %o, %l = tn.softmax_attention %q, %k, %v {scale = 0.7 : f32}
      : tensor<?x?x2x3xf32>, tensor<?x?x2x3xf32>, tensor<?x?x2x4xf32>
     -> tensor<?x?x2x4xf32>, tensor<?x?x2xf32>
  %p, %m = tn.softmax_attention %k, %q, %o block 3
      : tensor<?x?x2x3xf32>, tensor<?x?x2x3xf32>, tensor<?x?x2x4xf32>
     -> tensor<?x?x2x4xf32>, tensor<?x?x2xf32>
  %r = tn.mul %o, %p : tensor<?x?x2x4xf32>
  return %r : tensor<?x?x2x4xf32>
}
func.func @f(%q: tensor<?x?x2x3xf32>, %k: tensor<?x?x2x3xf32>, %v: tensor<?x?x2x4xf32>)
    -> tensor<?x?x2x4xf32> {
  %0 = func.call @block(%q, %k, %v) : (tensor<?x?x2x3xf32>, tensor<?x?x2x3xf32>, tensor<?x?x2x4xf32>) -> tensor<?x?x2x4xf32>
  return %0 : tensor<?x?x2x4xf32>
}

// -----

// Learned positions: rows of a table, some of them twice.
// CHECK: table: gradient
tn.param @table : tensor<20x4xf32> init <normal, 1.0 : f64>
func.func @f(%x: tensor<?x?x4xf32>, %positions: tensor<?xi64>) -> tensor<?x?x4xf32> {
  %t = tn.get_param @table : tensor<20x4xf32>
  %ids = tn.position_ids %positions like %x : tensor<?xi64>, tensor<?x?x4xf32> -> tensor<?x?xi32>
  %0 = tn.embedding %ids, %t : tensor<?x?xi32>, tensor<20x4xf32> -> tensor<?x?x4xf32>
  %1 = tn.add %x, %0 : tensor<?x?x4xf32>
  %2 = tn.mul %1, %1 : tensor<?x?x4xf32>
  return %2 : tensor<?x?x4xf32>
}

// -----

// The maximum is a constant to the adjoint. Here it is one of the function too: in each
// head the first element is 6, which no x of a few deviations reaches.
// CHECK: argument 0: gradient
func.func @f(%x: tensor<?x?x3xf32>) -> tensor<?x?x2x2xf32> {
  %w = arith.constant dense<[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]> : tensor<4x3xf32>
  %b = arith.constant dense<[6.0, 0.0, 6.0, 0.0]> : tensor<4xf32>
  %0 = tn.linear %x, %w bias %b : tensor<4xf32> : tensor<?x?x3xf32>, tensor<4x3xf32> -> tensor<?x?x4xf32>
  %1 = tn.split_heads %0 : tensor<?x?x4xf32> -> tensor<?x?x2x2xf32>
  %2 = tn.shifted_exp %1 : tensor<?x?x2x2xf32>
  return %2 : tensor<?x?x2x2xf32>
}

// -----

// Casts that round nothing: one that does has no derivative, and its adjoint is by
// definition the identity.
// CHECK: argument 0: gradient
// CHECK: argument 1: gradient
func.func @f(%x: tensor<?x?x6xf32>, %y: tensor<?x?x6xbf16>) -> tensor<?x?x6xf32> {
  %0 = tn.copy %x : tensor<?x?x6xf32>
  %1 = tn.cast %0 : tensor<?x?x6xf32> -> tensor<?x?x6xf32>
  %2 = tn.cast %y : tensor<?x?x6xbf16> -> tensor<?x?x6xf32>
  %3 = tn.mul %1, %2 : tensor<?x?x6xf32>
  %4 = tn.mul %3, %x : tensor<?x?x6xf32>
  return %4 : tensor<?x?x6xf32>
}
