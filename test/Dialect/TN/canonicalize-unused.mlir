// What computes a tensor goes with its last use, and equal values are computed once;
// the state is updated in place, so an attention whose new state is used stays.
// RUN: tnllm-opt %s --canonicalize --cse | FileCheck %s

// CHECK: tn.param @w
tn.param @w : tensor<12x8xi8> init <normal, 2.0e-02 : f64>

// CHECK-LABEL: func @unused
// CHECK-NEXT: return
func.func @unused(%ids: tensor<?x?xi32>, %table: tensor<16x8xf32>, %q: tensor<?x?x2x4xf32>,
                  %theta: tensor<2x1x4xf32>, %positions: tensor<?xi64>,
                  %slopes: tensor<2xf32>, %state: tensor<?x2x8x4xf32>) {
  %x = tn.embedding %ids, %table : tensor<?x?xi32>, tensor<16x8xf32> -> tensor<?x?x8xf32>
  %w = tn.get_param @w : tensor<12x8xi8>
  %s = tn.row_scales @w : tensor<12xf32>
  %rounded = tn.round_groups %x group 4 : tensor<?x?x8xf32>
  %y = tn.linear %x, %w scales %s : tensor<12xf32> : tensor<?x?x8xf32>, tensor<12x8xi8> -> tensor<?x?x12xf32>
  %z = tn.mul %y, %y : tensor<?x?x12xf32>
  %p = tn.lrpe %q, %theta, %positions : tensor<?x?x2x4xf32>, tensor<2x1x4xf32>, tensor<?xi64> -> tensor<?x?x2x8xf32>
  %o, %n = tn.lightning_attention %p, %p, %q, %slopes, %state
      : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<2xf32>, tensor<?x2x8x4xf32>
     -> tensor<?x?x2x4xf32>, tensor<?x2x8x4xf32>
  return
}

// CHECK-LABEL: func @state
// CHECK: %{{.*}}, %[[N:.*]] = tn.lightning_attention
// CHECK: return %[[N]]
func.func @state(%q: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x4xf32>, %slopes: tensor<2xf32>,
                 %state: tensor<?x2x8x4xf32>) -> tensor<?x2x8x4xf32> {
  %o, %n = tn.lightning_attention %q, %q, %v, %slopes, %state
      : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x4xf32>, tensor<2xf32>, tensor<?x2x8x4xf32>
     -> tensor<?x?x2x4xf32>, tensor<?x2x8x4xf32>
  return %n : tensor<?x2x8x4xf32>
}

// Sums and products do not mind the order of their operands.
// CHECK-LABEL: func @equal
// CHECK: %[[S:.*]] = tn.add
// CHECK-NOT: tn.add
// CHECK: %[[M:.*]] = tn.mul %[[S]], %[[S]]
// CHECK-NOT: tn.mul
// CHECK: return %[[M]], %[[M]]
func.func @equal(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %0 = tn.add %x, %y : tensor<?x8xf32>
  %1 = tn.add %y, %x : tensor<?x8xf32>
  %2 = tn.mul %0, %1 : tensor<?x8xf32>
  %3 = tn.mul %1, %0 : tensor<?x8xf32>
  return %2, %3 : tensor<?x8xf32>, tensor<?x8xf32>
}

// Two reads of a parameter are one, and so are two maps of the same rows.
// CHECK-LABEL: func @parameters
// CHECK: tn.get_param
// CHECK-NOT: tn.get_param
// CHECK: tn.row_scales
// CHECK-NOT: tn.row_scales
// CHECK: %[[L:.*]] = tn.linear
// CHECK-NOT: tn.linear
// CHECK: return %[[L]], %[[L]]
func.func @parameters(%x: tensor<?x8xf32>) -> (tensor<?x12xf32>, tensor<?x12xf32>) {
  %w = tn.get_param @w : tensor<12x8xi8>
  %s = tn.row_scales @w : tensor<12xf32>
  %0 = tn.linear %x, %w scales %s : tensor<12xf32> : tensor<?x8xf32>, tensor<12x8xi8> -> tensor<?x12xf32>
  %v = tn.get_param @w : tensor<12x8xi8>
  %t = tn.row_scales @w : tensor<12xf32>
  %1 = tn.linear %x, %v scales %t : tensor<12xf32> : tensor<?x8xf32>, tensor<12x8xi8> -> tensor<?x12xf32>
  return %0, %1 : tensor<?x12xf32>, tensor<?x12xf32>
}
