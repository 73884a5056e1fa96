// Operations that do nothing go; slopes become constants; what is used stays.
// RUN: tnllm-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: func @no_operations
// CHECK-SAME: (%[[X:.*]]: tensor<?x?x8xf32>)
// CHECK-NEXT: return %[[X]]
func.func @no_operations(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %0 = tn.activation <none> %x : tensor<?x?x8xf32>
  %1 = tn.activation <none> %0 columns [2, 4] : tensor<?x?x8xf32>
  %2 = tn.cast %1 : tensor<?x?x8xf32> -> tensor<?x?x8xf32>
  %3 = tn.slice %2 [0, 8] : tensor<?x?x8xf32> -> tensor<?x?x8xf32>
  %4 = tn.split_heads %3 : tensor<?x?x8xf32> -> tensor<?x?x2x4xf32>
  %5 = tn.merge_heads %4 : tensor<?x?x2x4xf32> -> tensor<?x?x8xf32>
  return %5 : tensor<?x?x8xf32>
}

// CHECK-LABEL: func @kept
// CHECK: tn.cast
// CHECK: tn.cast
// CHECK: tn.slice
// CHECK: tn.activation
func.func @kept(%x: tensor<?x?x8xf32>) -> tensor<?x?x4xf32> {
  // Rounding is not undone by the way back.
  %0 = tn.cast %x : tensor<?x?x8xf32> -> tensor<?x?x8xbf16>
  %1 = tn.cast %0 : tensor<?x?x8xbf16> -> tensor<?x?x8xf32>
  %2 = tn.slice %1 [2, 6] : tensor<?x?x8xf32> -> tensor<?x?x4xf32>
  %3 = tn.activation <silu> %2 columns [0, 1] : tensor<?x?x4xf32>
  return %3 : tensor<?x?x4xf32>
}

// Merging the heads of another split is a merge still.
// CHECK-LABEL: func @merge_after_work
// CHECK: tn.split_heads
// CHECK: tn.shifted_exp
// CHECK: tn.merge_heads
func.func @merge_after_work(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %0 = tn.split_heads %x : tensor<?x?x8xf32> -> tensor<?x?x2x4xf32>
  %1 = tn.shifted_exp %0 : tensor<?x?x2x4xf32>
  %2 = tn.merge_heads %1 : tensor<?x?x2x4xf32> -> tensor<?x?x8xf32>
  return %2 : tensor<?x?x8xf32>
}

// CHECK-LABEL: func @slopes
func.func @slopes() -> (tensor<4xf32>, tensor<4xf32>, tensor<6xf32>, tensor<2xf32>, tensor<2xf32>) {
  // CHECK-DAG: dense<[2.500000e-01, 6.250000e-02, 1.562500e-02, 3.906250e-03]> : tensor<4xf32>
  %0 = tn.decay_slopes <headwise, layer = 5 of 9> : tensor<4xf32>
  // The first layer of a single one and of many: 1 + 1e-5 of that.
  // CHECK-DAG: dense<[0.250002503, 0.0625006258, 0.0156251565, 0.00390628912]> : tensor<4xf32>
  %1 = tn.decay_slopes <transnormer, layer = 0 of 1> : tensor<4xf32>
  // Four of four heads, then elements 0 and 2 of eight heads.
  // CHECK-DAG: dense<[2.500000e-01, 6.250000e-02, 1.562500e-02, 3.906250e-03, 5.000000e-01, 1.250000e-01]> : tensor<6xf32>
  %2 = tn.decay_slopes <headwise, layer = 0 of 1> : tensor<6xf32>
  // CHECK-DAG: dense<0.000000e+00> : tensor<2xf32>
  %3 = tn.decay_slopes <none, layer = 0 of 1> : tensor<2xf32>
  // The last layer: 1e-5 of the slopes 2^-4 and 2^-8.
  // CHECK-DAG: dense<[6.250000e-07, 3.906250e-08]> : tensor<2xf32>
  %4 = tn.decay_slopes <transnormer, layer = 2 of 3> : tensor<2xf32>
  // CHECK-NOT: tn.decay_slopes
  return %0, %1, %2, %3, %4 : tensor<4xf32>, tensor<4xf32>, tensor<6xf32>, tensor<2xf32>, tensor<2xf32>
}

// Without users they go, but a probe is seen from outside.
// CHECK-LABEL: func @unused_tokens
// CHECK-NOT: tn.sample
// CHECK: return
func.func @unused_tokens(%x: tensor<?x8xf32>, %s: tensor<?x5xf32>) {
  %0 = tn.sample %x, %s : tensor<?x8xf32>, tensor<?x5xf32> -> tensor<?xi32>
  return
}

// CHECK-LABEL: func @unused(
// CHECK-NOT: tn.norm
// CHECK-NOT: tn.fused
// CHECK: tn.probe
// CHECK-NEXT: return
func.func @unused(%x: tensor<?x?x8xf32>) {
  %0 = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x?x8xf32> -> tensor<?x?x8xf32>
  %1 = tn.fused -> tensor<?x?x8xf32> {
    %2 = tn.add %x, %x : tensor<?x?x8xf32>
    tn.yield %2 : tensor<?x?x8xf32>
  }
  tn.probe "seen" %x : tensor<?x?x8xf32>
  return
}
