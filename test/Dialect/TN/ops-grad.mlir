// Every operation of training prints as it was parsed, in its own form and the generic one.
// RUN: tnllm-opt %s | tnllm-opt | FileCheck %s
// RUN: tnllm-opt %s --mlir-print-op-generic | tnllm-opt | FileCheck %s

// CHECK-LABEL: func @loss
func.func @loss(%x: tensor<?x?x8xf32>, %w: tensor<12x8xf32>, %y: tensor<?x?xi32>, %d: tensor<1xf32>) {
  // CHECK: tn.cross_entropy %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x?x8xf32>, tensor<12x8xf32>, tensor<?x?xi32> -> tensor<1xf32>, tensor<?x?xf32>
  %loss, %lse = tn.cross_entropy %x, %w, %y : tensor<?x?x8xf32>, tensor<12x8xf32>, tensor<?x?xi32> -> tensor<1xf32>, tensor<?x?xf32>
  // CHECK: tn.cross_entropy_grad %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x?x8xf32>, tensor<12x8xf32>, tensor<?x?xi32>, tensor<?x?xf32>, tensor<1xf32> -> tensor<?x?x8xf32>, tensor<12x8xf32>
  %dx, %dw = tn.cross_entropy_grad %x, %w, %y, %lse, %d : tensor<?x?x8xf32>, tensor<12x8xf32>, tensor<?x?xi32>, tensor<?x?xf32>, tensor<1xf32> -> tensor<?x?x8xf32>, tensor<12x8xf32>
  return
}

// CHECK-LABEL: func @linear
func.func @linear(%dy: tensor<?x?x12xbf16>, %w: tensor<12x8xbf16>, %x: tensor<?x?x8xbf16>, %y: tensor<?x?x12xf32>, %ids: tensor<?x?xi32>) {
  // CHECK: tn.linear_input_grad %{{.*}}, %{{.*}} : tensor<?x?x12xbf16>, tensor<12x8xbf16> -> tensor<?x?x8xf32>
  %0 = tn.linear_input_grad %dy, %w : tensor<?x?x12xbf16>, tensor<12x8xbf16> -> tensor<?x?x8xf32>
  // CHECK: tn.linear_weight_grad %{{.*}}, %{{.*}} : tensor<?x?x12xbf16>, tensor<?x?x8xbf16> -> tensor<12x8xf32>
  %1 = tn.linear_weight_grad %dy, %x : tensor<?x?x12xbf16>, tensor<?x?x8xbf16> -> tensor<12x8xf32>
  // CHECK: tn.sum_rows %{{.*}} : tensor<?x?x12xf32> -> tensor<12xf32>
  %2 = tn.sum_rows %y : tensor<?x?x12xf32> -> tensor<12xf32>
  // CHECK: tn.embedding_grad %{{.*}}, %{{.*}} {scale = 8.000000e+00 : f32} : tensor<?x?xi32>, tensor<?x?x12xf32> -> tensor<5x12xf32>
  %3 = tn.embedding_grad %ids, %y {scale = 8.0 : f32} : tensor<?x?xi32>, tensor<?x?x12xf32> -> tensor<5x12xf32>
  // CHECK: tn.embedding_grad %{{.*}}, %{{.*}} {padding = 2 : i64} : tensor<?x?xi32>, tensor<?x?x12xf32> -> tensor<5x12xf32>
  %4 = tn.embedding_grad %ids, %y {padding = 2 : i64} : tensor<?x?xi32>, tensor<?x?x12xf32> -> tensor<5x12xf32>
  return
}

// CHECK-LABEL: func @rows
func.func @rows(%x: tensor<?x?x8xf32>, %dy: tensor<?x?x8xf32>, %w: tensor<8xf32>) {
  // CHECK: tn.activation_grad <silu> %{{.*}}, %{{.*}} columns [0, 4] : tensor<?x?x8xf32>
  %0 = tn.activation_grad <silu> %x, %dy columns [0, 4] : tensor<?x?x8xf32>
  // CHECK: tn.activation_grad <gelu> %{{.*}}, %{{.*}} : tensor<?x?x8xf32>
  %1 = tn.activation_grad <gelu> %x, %dy : tensor<?x?x8xf32>
  // CHECK: tn.norm_grad <srms> %{{.*}}, %{{.*}} {epsilon = {{.*}}} : tensor<?x?x8xf32>
  %2 = tn.norm_grad <srms> %x, %dy {epsilon = 1.0e-06 : f32} : tensor<?x?x8xf32>
  // CHECK: tn.norm_grad <layer> %{{.*}}, %{{.*}} weight %{{.*}} : tensor<8xf32> {epsilon = {{.*}}} : tensor<?x?x8xf32>
  %3 = tn.norm_grad <layer> %x, %dy weight %w : tensor<8xf32> {epsilon = 1.0e-06 : f32} : tensor<?x?x8xf32>
  // CHECK: tn.norm_weight_grad <rms> %{{.*}}, %{{.*}} {epsilon = {{.*}}} : tensor<?x?x8xf32> -> tensor<8xf32>
  %4 = tn.norm_weight_grad <rms> %x, %dy {epsilon = 1.0e-06 : f32} : tensor<?x?x8xf32> -> tensor<8xf32>
  // CHECK: tn.unslice %{{.*}}, %{{.*}} at [0, 12] : tensor<?x?x8xf32>, tensor<?x?x8xf32> -> tensor<?x?x20xf32>
  %5 = tn.unslice %x, %dy at [0, 12] : tensor<?x?x8xf32>, tensor<?x?x8xf32> -> tensor<?x?x20xf32>
  // CHECK: tn.zeros like %{{.*}} : tensor<?x?x8xf32> -> tensor<?x4xf32>
  %6 = tn.zeros like %x : tensor<?x?x8xf32> -> tensor<?x4xf32>
  // CHECK: tn.copy %{{.*}} : tensor<?x?x8xf32>
  %7 = tn.copy %x : tensor<?x?x8xf32>
  return
}

// CHECK-LABEL: func @attention
func.func @attention(%q: tensor<?x?x2x4xf32>, %v: tensor<?x?x2x3xf32>, %slopes: tensor<2xf32>, %s: tensor<?x2x4x3xf32>,
                     %theta: tensor<2x1x4xf32>, %positions: tensor<?xi64>, %dy: tensor<?x?x2x8xf32>) {
  // CHECK: tn.lrpe_grad %{{.*}} : tensor<?x?x2x4xf32>, tensor<2x1x4xf32>, tensor<?xi64>, tensor<?x?x2x8xf32> -> tensor<?x?x2x4xf32>, tensor<2x1x4xf32>
  %dx, %dtheta = tn.lrpe_grad %q, %theta, %positions, %dy : tensor<?x?x2x4xf32>, tensor<2x1x4xf32>, tensor<?xi64>, tensor<?x?x2x8xf32> -> tensor<?x?x2x4xf32>, tensor<2x1x4xf32>
  // CHECK: tn.lightning_attention_grad %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}} : tensor<?x?x2x4xf32>
  %0:4 = tn.lightning_attention_grad %q, %q, %v, %slopes, %v : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<2xf32>, tensor<?x?x2x3xf32> -> tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<?x2x4x3xf32>
  // CHECK: tn.lightning_attention_grad {{.*}} state %{{.*}} : tensor<?x2x4x3xf32> behind %{{.*}} : tensor<?x2x4x3xf32> {scale = 5.000000e-01 : f32}
  %1:4 = tn.lightning_attention_grad %q, %q, %v, %slopes, %v state %s : tensor<?x2x4x3xf32> behind %s : tensor<?x2x4x3xf32> {scale = 0.5 : f32} : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<2xf32>, tensor<?x?x2x3xf32> -> tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<?x2x4x3xf32>
  return
}
