// Every operation of tn prints as it was parsed, in its own form and the generic one.
// RUN: tnllm-opt %s | tnllm-opt | FileCheck %s
// RUN: tnllm-opt %s --mlir-print-op-generic | tnllm-opt | FileCheck %s

// CHECK: tn.param @w : tensor<12x8xf32> init <normal, 2.000000e-02 : f64>
tn.param @w : tensor<12x8xf32> init <normal, 2.0e-02 : f64>
// CHECK: tn.param @narrow : tensor<12x8xbf16> init <constant, 1.000000e+00 : f64>
tn.param @narrow : tensor<12x8xbf16> init <constant, 1.0 : f64>
// CHECK: tn.param @model.lrpe.theta : tensor<2x1x4xf32> init <lrpe_theta, 0.000000e+00 : f64>
tn.param @"model.lrpe.theta" : tensor<2x1x4xf32> init <lrpe_theta, 0.0 : f64>

// CHECK: tn.param @again tensor "w" : tensor<12x8xi8> init <normal, 2.000000e-02 : f64>
tn.param @again tensor "w" : tensor<12x8xi8> init <normal, 2.0e-02 : f64>

// CHECK: tn.param @floats : tensor<12x256xf8E4M3FN>
tn.param @floats : tensor<12x256xf8E4M3FN> init <normal, 2.0e-02 : f64>
// CHECK: tn.param @groups : tensor<12x256xi4>
tn.param @groups : tensor<12x256xi4> init <normal, 2.0e-02 : f64>

// CHECK-LABEL: func @parameters
func.func @parameters() -> (tensor<12x8xf32>, tensor<12x8xbf16>) {
  // CHECK: tn.get_param @w : tensor<12x8xf32>
  %0 = tn.get_param @w : tensor<12x8xf32>
  // CHECK: tn.get_param @narrow : tensor<12x8xbf16>
  %1 = tn.get_param @narrow : tensor<12x8xbf16>
  return %0, %1 : tensor<12x8xf32>, tensor<12x8xbf16>
}

// CHECK-LABEL: func @embedding
func.func @embedding(%ids: tensor<?x?xi32>, %table: tensor<12x8xbf16>) -> tensor<?x?x8xf32> {
  // CHECK: tn.embedding %{{.*}}, %{{.*}} : tensor<?x?xi32>, tensor<12x8xbf16> -> tensor<?x?x8xf32>
  %0 = tn.embedding %ids, %table : tensor<?x?xi32>, tensor<12x8xbf16> -> tensor<?x?x8xf32>
  // CHECK: tn.embedding %{{.*}}, %{{.*}} {scale = 8.000000e+00 : f32}
  %1 = tn.embedding %ids, %table {scale = 8.0 : f32} : tensor<?x?xi32>, tensor<12x8xbf16> -> tensor<?x?x8xf32>
  %2 = tn.add %0, %1 : tensor<?x?x8xf32>
  return %2 : tensor<?x?x8xf32>
}

// CHECK-LABEL: func @linear
func.func @linear(%x: tensor<?x?x8xf32>, %w: tensor<12x8xf32>, %b: tensor<12xf32>,
                  %row: tensor<8xbf16>, %n: tensor<12x8xbf16>) -> (tensor<?x?x12xf32>, tensor<12xf32>) {
  // CHECK: tn.linear %{{.*}}, %{{.*}} : tensor<?x?x8xf32>, tensor<12x8xf32> -> tensor<?x?x12xf32>
  %0 = tn.linear %x, %w : tensor<?x?x8xf32>, tensor<12x8xf32> -> tensor<?x?x12xf32>
  // CHECK: tn.linear %{{.*}}, %{{.*}} bias %{{.*}} : tensor<12xf32> : tensor<?x?x8xf32>, tensor<12x8xf32> -> tensor<?x?x12xf32>
  %1 = tn.linear %x, %w bias %b : tensor<12xf32> : tensor<?x?x8xf32>, tensor<12x8xf32> -> tensor<?x?x12xf32>
  // CHECK: tn.linear %{{.*}}, %{{.*}} : tensor<8xbf16>, tensor<12x8xbf16> -> tensor<12xf32>
  %2 = tn.linear %row, %n : tensor<8xbf16>, tensor<12x8xbf16> -> tensor<12xf32>
  // CHECK: tn.add %{{.*}}, %{{.*}} : tensor<?x?x12xf32>
  %3 = tn.add %0, %1 : tensor<?x?x12xf32>
  // CHECK: tn.mul %{{.*}}, %{{.*}} : tensor<?x?x12xf32>
  %4 = tn.mul %3, %1 : tensor<?x?x12xf32>
  return %4, %2 : tensor<?x?x12xf32>, tensor<12xf32>
}

// CHECK-LABEL: func @quantised
func.func @quantised(%x: tensor<?x8xf32>, %b: tensor<12xf32>) -> tensor<?x12xf32> {
  // CHECK: tn.get_param @again : tensor<12x8xi8>
  %w = tn.get_param @again : tensor<12x8xi8>
  // CHECK: tn.row_scales @again : tensor<12xf32>
  %s = tn.row_scales @again : tensor<12xf32>
  // CHECK: tn.linear %{{.*}}, %{{.*}} scales %{{.*}} : tensor<12xf32> bias %{{.*}} : tensor<12xf32> : tensor<?x8xf32>, tensor<12x8xi8> -> tensor<?x12xf32>
  %0 = tn.linear %x, %w scales %s : tensor<12xf32> bias %b : tensor<12xf32> : tensor<?x8xf32>, tensor<12x8xi8> -> tensor<?x12xf32>
  return %0 : tensor<?x12xf32>
}

// CHECK-LABEL: func @narrow_weights
func.func @narrow_weights(%x: tensor<?x256xbf16>) -> (tensor<?x12xf32>, tensor<?x12xf32>) {
  %w = tn.get_param @floats : tensor<12x256xf8E4M3FN>
  // CHECK: tn.row_scales @floats : tensor<12xf32>
  %s = tn.row_scales @floats : tensor<12xf32>
  // CHECK: tn.linear %{{.*}}, %{{.*}} scales %{{.*}} : tensor<12xf32> : tensor<?x256xbf16>, tensor<12x256xf8E4M3FN> -> tensor<?x12xf32>
  %0 = tn.linear %x, %w scales %s : tensor<12xf32> : tensor<?x256xbf16>, tensor<12x256xf8E4M3FN> -> tensor<?x12xf32>
  %v = tn.get_param @groups : tensor<12x256xi4>
  // CHECK: tn.row_scales @groups : tensor<12x2xf32>
  %t = tn.row_scales @groups : tensor<12x2xf32>
  // CHECK: tn.linear %{{.*}}, %{{.*}} scales %{{.*}} : tensor<12x2xf32> : tensor<?x256xbf16>, tensor<12x256xi4> -> tensor<?x12xf32>
  %1 = tn.linear %x, %v scales %t : tensor<12x2xf32> : tensor<?x256xbf16>, tensor<12x256xi4> -> tensor<?x12xf32>
  return %0, %1 : tensor<?x12xf32>, tensor<?x12xf32>
}

// CHECK-LABEL: func @elementwise
func.func @elementwise(%x: tensor<?x?x8xf32>, %h: tensor<?x?x2x4xf32>)
    -> (tensor<?x?x8xf32>, tensor<?x?x2x4xf32>) {
  // CHECK: tn.activation <silu> %{{.*}} columns [0, 4] : tensor<?x?x8xf32>
  %0 = tn.activation <silu> %x columns [0, 4] : tensor<?x?x8xf32>
  // CHECK: tn.activation <gelu> %{{.*}} : tensor<?x?x8xf32>
  %1 = tn.activation <gelu> %0 : tensor<?x?x8xf32>
  // CHECK: tn.activation <relu>
  %2 = tn.activation <relu> %1 : tensor<?x?x8xf32>
  // CHECK: tn.activation <elu>
  %3 = tn.activation <elu> %2 : tensor<?x?x8xf32>
  // CHECK: tn.activation <sigmoid>
  %4 = tn.activation <sigmoid> %3 : tensor<?x?x8xf32>
  // CHECK: tn.activation <one_plus_elu>
  %5 = tn.activation <one_plus_elu> %4 : tensor<?x?x8xf32>
  // CHECK: tn.activation <two_plus_elu>
  %6 = tn.activation <two_plus_elu> %5 : tensor<?x?x8xf32>
  // CHECK: tn.activation <leaky_relu>
  %7 = tn.activation <leaky_relu> %6 : tensor<?x?x8xf32>
  // CHECK: tn.activation <none>
  %8 = tn.activation <none> %7 : tensor<?x?x8xf32>
  // CHECK: tn.cast %{{.*}} : tensor<?x?x8xf32> -> tensor<?x?x8xbf16>
  %9 = tn.cast %8 : tensor<?x?x8xf32> -> tensor<?x?x8xbf16>
  // CHECK: tn.cast %{{.*}} : tensor<?x?x8xbf16> -> tensor<?x?x8xf32>
  %10 = tn.cast %9 : tensor<?x?x8xbf16> -> tensor<?x?x8xf32>
  // CHECK: tn.shifted_exp %{{.*}} : tensor<?x?x2x4xf32>
  %11 = tn.shifted_exp %h : tensor<?x?x2x4xf32>
  return %10, %11 : tensor<?x?x8xf32>, tensor<?x?x2x4xf32>
}

// CHECK-LABEL: func @norms
func.func @norms(%x: tensor<?x?x8xf32>, %w: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<?x?x8xf32> {
  // CHECK: tn.norm <srms> %{{.*}} {epsilon = {{.*}} : f32} : tensor<?x?x8xf32> -> tensor<?x?x8xf32>
  %0 = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x?x8xf32> -> tensor<?x?x8xf32>
  // CHECK: tn.norm <rms> %{{.*}} weight %{{.*}} : tensor<8xf32> {epsilon
  %1 = tn.norm <rms> %0 weight %w : tensor<8xf32> {epsilon = 1.0e-06 : f32} : tensor<?x?x8xf32> -> tensor<?x?x8xf32>
  // CHECK: tn.norm <layer> %{{.*}} weight %{{.*}} : tensor<8xf32> bias %{{.*}} : tensor<8xf32> {epsilon
  %2 = tn.norm <layer> %1 weight %w : tensor<8xf32> bias %b : tensor<8xf32> {epsilon = 1.0e-05 : f32} : tensor<?x?x8xf32> -> tensor<?x?x8xf32>
  return %2 : tensor<?x?x8xf32>
}

// CHECK-LABEL: func @views
func.func @views(%x: tensor<?x?x8xf32>) -> tensor<?x?x4xf32> {
  // CHECK: tn.round_groups %{{.*}} group 4 : tensor<?x?x8xf32>
  %rounded = tn.round_groups %x group 4 : tensor<?x?x8xf32>
  // CHECK: tn.slice %{{.*}} [4, 8] : tensor<?x?x8xf32> -> tensor<?x?x4xf32>
  %0 = tn.slice %x [4, 8] : tensor<?x?x8xf32> -> tensor<?x?x4xf32>
  // CHECK: tn.split_heads %{{.*}} : tensor<?x?x4xf32> -> tensor<?x?x2x2xf32>
  %1 = tn.split_heads %0 : tensor<?x?x4xf32> -> tensor<?x?x2x2xf32>
  // CHECK: tn.merge_heads %{{.*}} : tensor<?x?x2x2xf32> -> tensor<?x?x4xf32>
  %2 = tn.merge_heads %1 : tensor<?x?x2x2xf32> -> tensor<?x?x4xf32>
  return %2 : tensor<?x?x4xf32>
}

// CHECK-LABEL: func @attention
func.func @attention(%q: tensor<?x?x2x4xf32>, %v: tensor<?x?x2x3xf32>, %theta: tensor<2x1x4xf32>,
                     %positions: tensor<?xi64>, %s: tensor<?x2x8x3xf32> {tn.state = 0 : i64})
    -> (tensor<?x?x2x3xf32>, tensor<?x2x8x3xf32>) {
  // CHECK: tn.decay_slopes <transnormer, layer = 1 of 3> : tensor<2xf32>
  %slopes = tn.decay_slopes <transnormer, layer = 1 of 3> : tensor<2xf32>
  // CHECK: tn.lrpe %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x?x2x4xf32>, tensor<2x1x4xf32>, tensor<?xi64> -> tensor<?x?x2x8xf32>
  %k = tn.lrpe %q, %theta, %positions : tensor<?x?x2x4xf32>, tensor<2x1x4xf32>, tensor<?xi64> -> tensor<?x?x2x8xf32>
  // CHECK: tn.lightning_attention %{{.*}} {scale = 2.500000e-01 : f32} :
  // CHECK-SAME: -> tensor<?x?x2x3xf32>, tensor<?x2x8x3xf32>
  %o, %s1 = tn.lightning_attention %k, %k, %v, %slopes, %s {scale = 0.25 : f32}
      : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x3xf32>, tensor<2xf32>, tensor<?x2x8x3xf32>
     -> tensor<?x?x2x3xf32>, tensor<?x2x8x3xf32>
  return %o, %s1 : tensor<?x?x2x3xf32>, tensor<?x2x8x3xf32>
}

// CHECK-LABEL: func @packed_attention
func.func @packed_attention(%q: tensor<?x1x2x4xf32>, %v: tensor<?x1x2x3xf32>, %offsets: tensor<?xi64>,
                            %s: tensor<?x2x4x3xf32> {tn.state = 0 : i64})
    -> (tensor<?x1x2x3xf32>, tensor<?x2x4x3xf32>) {
  %slopes = tn.decay_slopes <transnormer, layer = 1 of 3> : tensor<2xf32>
  // CHECK: tn.lightning_attention %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}} offsets %{{.*}} : tensor<?xi64> {scale = 2.500000e-01 : f32} :
  %o, %s1 = tn.lightning_attention %q, %q, %v, %slopes, %s offsets %offsets : tensor<?xi64> {scale = 0.25 : f32}
      : tensor<?x1x2x4xf32>, tensor<?x1x2x4xf32>, tensor<?x1x2x3xf32>, tensor<2xf32>, tensor<?x2x4x3xf32>
     -> tensor<?x1x2x3xf32>, tensor<?x2x4x3xf32>
  return %o, %s1 : tensor<?x1x2x3xf32>, tensor<?x2x4x3xf32>
}

// CHECK-LABEL: func @slopes
func.func @slopes() -> (tensor<6xf32>, tensor<6xf32>) {
  // CHECK: tn.decay_slopes <headwise, layer = 0 of 1> : tensor<6xf32>
  %0 = tn.decay_slopes <headwise, layer = 0 of 1> : tensor<6xf32>
  // CHECK: tn.decay_slopes <none, layer = 0 of 1> : tensor<6xf32>
  %1 = tn.decay_slopes <none, layer = 0 of 1> : tensor<6xf32>
  return %0, %1 : tensor<6xf32>, tensor<6xf32>
}

// CHECK-LABEL: func @structure
func.func @structure(%x: tensor<?x?x8xf32>, %r: tensor<?x?x12xf32>, %w: tensor<12x8xf32>) -> tensor<?x?x12xbf16> {
  // CHECK: tn.fused -> tensor<?x?x12xbf16> {
  %0 = tn.fused -> tensor<?x?x12xbf16> {
    %1 = tn.linear %x, %w : tensor<?x?x8xf32>, tensor<12x8xf32> -> tensor<?x?x12xf32>
    %2 = tn.add %r, %1 : tensor<?x?x12xf32>
    %3 = tn.cast %2 : tensor<?x?x12xf32> -> tensor<?x?x12xbf16>
    // CHECK: tn.yield %{{.*}} : tensor<?x?x12xbf16>
    tn.yield %3 : tensor<?x?x12xbf16>
  }
  // CHECK: tn.probe "hidden.0" %{{.*}} : tensor<?x?x8xf32>
  tn.probe "hidden.0" %x : tensor<?x?x8xf32>
  return %0 : tensor<?x?x12xbf16>
}

// CHECK-LABEL: func @sampling
func.func @sampling(%logits: tensor<?x7xf32>, %settings: tensor<?x5xf32>) -> tensor<?xi32> {
  // CHECK: tn.sample %{{.*}}, %{{.*}} : tensor<?x7xf32>, tensor<?x5xf32> -> tensor<?xi32>
  %0 = tn.sample %logits, %settings : tensor<?x7xf32>, tensor<?x5xf32> -> tensor<?xi32>
  return %0 : tensor<?xi32>
}
