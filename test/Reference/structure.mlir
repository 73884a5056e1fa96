// Parameters, calls, fused groups and probes.
// RUN: tnllm-opt %s --tn-interpret="function=main batch=1 length=2" -o /dev/null | FileCheck %s
// RUN: tnllm-opt %s --tn-interpret="function=quantised" -o /dev/null | FileCheck %s --check-prefix=QUANTISED
// RUN: tnllm-opt %s --tn-interpret="function=narrow" -o /dev/null | FileCheck %s --check-prefix=NARROW

tn.param @half : tensor<1x2xf32> init <constant, 5.0e-01 : f64>
tn.param @rounded : tensor<1xbf16> init <constant, 2.57e+02 : f64>
tn.param @theta : tensor<2x1x2xf32> init <lrpe_theta, 0.0 : f64>

// CHECK: @main
// CHECK-NEXT: inner [1x2x2]: 0.5 0.5 0.5 0.5 |
// CHECK-NEXT: inner [1x2x2]: 1 1 1 1 |
// CHECK-NEXT: result0 [1x2x2]: 1.5 1.5 1.5 1.5 |
// A parameter of bf16 holds what bf16 can.
// CHECK-NEXT: result1 [1]: 256 |
// 10000^(-2i/4): 1, 0.01, 1e-4, 1e-6.
// CHECK-NEXT: result2 [2x1x2]: 1 0.01 0.0001 1e-06 |
// CHECK-NOT: @
func.func @main(%ids: tensor<?x?xi32>) -> (tensor<?x?x2xf32>, tensor<1xbf16>, tensor<2x1x2xf32>) {
  %w = tn.get_param @half : tensor<1x2xf32>
  %r = tn.get_param @rounded : tensor<1xbf16>
  %t = tn.get_param @theta : tensor<2x1x2xf32>
  // One row: the random ids are all 0.
  %x = tn.embedding %ids, %w : tensor<?x?xi32>, tensor<1x2xf32> -> tensor<?x?x2xf32>
  %0 = call @inner(%x) : (tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
  %1 = call @inner(%0) : (tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
  %2 = tn.fused -> tensor<?x?x2xf32> {
    %3 = tn.mul %0, %x : tensor<?x?x2xf32>
    %4 = tn.add %3, %0 : tensor<?x?x2xf32>
    tn.yield %4 : tensor<?x?x2xf32>
  }
  return %2, %r, %t : tensor<?x?x2xf32>, tensor<1xbf16>, tensor<2x1x2xf32>
}

func.func private @inner(%x: tensor<?x?x2xf32>) -> tensor<?x?x2xf32> {
  tn.probe "inner" %x : tensor<?x?x2xf32>
  %0 = tn.add %x, %x : tensor<?x?x2xf32>
  return %0 : tensor<?x?x2xf32>
}

// Rows of 896s: the scale is 2 and the numbers are 448. Of i4, 14s: 7s of scale 2, a scale
// for each 128 columns. x . row = 256 * 7 * 2.
// NARROW: result0 [1x2]: 448 448 |
// NARROW-NEXT: result1 [1]: 2 |
// NARROW-NEXT: result2 [1x2]: 2 2 |
// NARROW-NEXT: result3 [1x1]: 3584 |
tn.param @f8 : tensor<1x2xf8E4M3FN> init <constant, 8.96e+02 : f64>
tn.param @i4 : tensor<1x256xi4> init <constant, 1.4e+01 : f64>
func.func @narrow() -> (tensor<1x2xf8E4M3FN>, tensor<1xf32>, tensor<1x2xf32>, tensor<1x1xf32>) {
  %w = tn.get_param @f8 : tensor<1x2xf8E4M3FN>
  %s = tn.row_scales @f8 : tensor<1xf32>
  %v = tn.get_param @i4 : tensor<1x256xi4>
  %t = tn.row_scales @i4 : tensor<1x2xf32>
  %x = arith.constant dense<1.0> : tensor<1x256xf32>
  %0 = tn.linear %x, %v scales %t : tensor<1x2xf32>
     : tensor<1x256xf32>, tensor<1x256xi4> -> tensor<1x1xf32>
  return %w, %s, %t, %0 : tensor<1x2xf8E4M3FN>, tensor<1xf32>, tensor<1x2xf32>, tensor<1x1xf32>
}

// Rows of 254s: the scale is 2 and the integers are 127. A row of zeros has scale 1.
// x . row = 127 * (1 + 10) = 1397; times 2 and plus the bias.
// QUANTISED: result0 [2x2]: 127 127 127 127 |
// QUANTISED-NEXT: result1 [2]: 2 2 |
// QUANTISED-NEXT: result2 [1x2]: 2795 2796 |
// QUANTISED-NEXT: result3 [2]: 1 1 |
tn.param @wide : tensor<2x2xi8> init <constant, 2.54e+02 : f64>
tn.param @alias tensor "wide" : tensor<2x2xf32> init <constant, 0.0 : f64>
tn.param @zero : tensor<2x2xi8> init <constant, 0.0 : f64>
func.func @quantised() -> (tensor<2x2xi8>, tensor<2xf32>, tensor<1x2xf32>, tensor<2xf32>) {
  %w = tn.get_param @wide : tensor<2x2xi8>
  %s = tn.row_scales @wide : tensor<2xf32>
  %x = arith.constant dense<[[1.0, 10.0]]> : tensor<1x2xf32>
  %b = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %0 = tn.linear %x, %w scales %s : tensor<2xf32> bias %b : tensor<2xf32>
     : tensor<1x2xf32>, tensor<2x2xi8> -> tensor<1x2xf32>
  %z = tn.row_scales @zero : tensor<2xf32>
  return %w, %s, %0, %z : tensor<2x2xi8>, tensor<2xf32>, tensor<1x2xf32>, tensor<2xf32>
}
