// Unslices of disjoint columns become one; of all columns, none.
// RUN: tnllm-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: func @merge
// CHECK-SAME: (%[[A:.*]]: tensor<?x2xf32>, %[[B:.*]]: tensor<?x2xf32>)
// CHECK-NEXT: %[[R:.*]] = tn.unslice %[[B]], %[[A]] at [0, 3] : tensor<?x2xf32>, tensor<?x2xf32> -> tensor<?x6xf32>
// CHECK-NEXT: return %[[R]]
func.func @merge(%a: tensor<?x2xf32>, %b: tensor<?x2xf32>) -> tensor<?x6xf32> {
  %0 = tn.unslice %a at [3] : tensor<?x2xf32> -> tensor<?x6xf32>
  %1 = tn.unslice %b at [0] : tensor<?x2xf32> -> tensor<?x6xf32>
  %2 = tn.add %0, %1 : tensor<?x6xf32>
  return %2 : tensor<?x6xf32>
}

// CHECK-LABEL: func @overlap
// CHECK: tn.add
func.func @overlap(%a: tensor<?x2xf32>, %b: tensor<?x2xf32>) -> tensor<?x6xf32> {
  %0 = tn.unslice %a at [3] : tensor<?x2xf32> -> tensor<?x6xf32>
  %1 = tn.unslice %b at [2] : tensor<?x2xf32> -> tensor<?x6xf32>
  %2 = tn.add %0, %1 : tensor<?x6xf32>
  return %2 : tensor<?x6xf32>
}

// Used elsewhere: merging would compute it twice.
// CHECK-LABEL: func @shared
// CHECK: tn.add
func.func @shared(%a: tensor<?x2xf32>, %b: tensor<?x2xf32>) -> (tensor<?x6xf32>, tensor<?x6xf32>) {
  %0 = tn.unslice %a at [3] : tensor<?x2xf32> -> tensor<?x6xf32>
  %1 = tn.unslice %b at [0] : tensor<?x2xf32> -> tensor<?x6xf32>
  %2 = tn.add %0, %1 : tensor<?x6xf32>
  return %0, %2 : tensor<?x6xf32>, tensor<?x6xf32>
}

// CHECK-LABEL: func @whole
// CHECK-SAME: (%[[A:.*]]: tensor<?x2xf32>)
// CHECK-NEXT: return %[[A]]
func.func @whole(%a: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %0 = tn.unslice %a at [0] : tensor<?x2xf32> -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// What nobody uses goes.
// CHECK-LABEL: func @unused
// CHECK-NEXT: return
func.func @unused(%x: tensor<?x?x8xf32>, %w: tensor<12x8xf32>, %y: tensor<?x?xi32>, %d: tensor<1xf32>, %dy: tensor<?x?x12xf32>, %v: tensor<8xf32>) {
  %loss, %lse = tn.cross_entropy %x, %w, %y : tensor<?x?x8xf32>, tensor<12x8xf32>, tensor<?x?xi32> -> tensor<1xf32>, tensor<?x?xf32>
  %dx, %dw = tn.cross_entropy_grad %x, %w, %y, %lse, %d : tensor<?x?x8xf32>, tensor<12x8xf32>, tensor<?x?xi32>, tensor<?x?xf32>, tensor<1xf32> -> tensor<?x?x8xf32>, tensor<12x8xf32>
  %0 = tn.linear_input_grad %dy, %w : tensor<?x?x12xf32>, tensor<12x8xf32> -> tensor<?x?x8xf32>
  %1 = tn.linear_weight_grad %dy, %x : tensor<?x?x12xf32>, tensor<?x?x8xf32> -> tensor<12x8xf32>
  %2 = tn.sum_rows %dy : tensor<?x?x12xf32> -> tensor<12xf32>
  %3 = tn.embedding_grad %y, %x : tensor<?x?xi32>, tensor<?x?x8xf32> -> tensor<12x8xf32>
  %4 = tn.activation_grad <silu> %x, %x : tensor<?x?x8xf32>
  %5 = tn.norm_grad <srms> %x, %x {epsilon = 1.0e-06 : f32} : tensor<?x?x8xf32>
  %6 = tn.norm_weight_grad <rms> %x, %x {epsilon = 1.0e-06 : f32} : tensor<?x?x8xf32> -> tensor<8xf32>
  %7 = tn.zeros like %x : tensor<?x?x8xf32> -> tensor<?x4xf32>
  %8 = tn.copy %x : tensor<?x?x8xf32>
  return
}

// CHECK-LABEL: func @unused_attention
// CHECK-NEXT: return
func.func @unused_attention(%q: tensor<?x?x2x4xf32>, %slopes: tensor<2xf32>, %theta: tensor<2x1x4xf32>, %positions: tensor<?xi64>, %dy: tensor<?x?x2x8xf32>) {
  %dx, %dtheta = tn.lrpe_grad %q, %theta, %positions, %dy : tensor<?x?x2x4xf32>, tensor<2x1x4xf32>, tensor<?xi64>, tensor<?x?x2x8xf32> -> tensor<?x?x2x4xf32>, tensor<2x1x4xf32>
  %0:4 = tn.lightning_attention_grad %q, %q, %q, %slopes, %q : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<2xf32>, tensor<?x?x2x4xf32> -> tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x2x4x4xf32>
  return
}
