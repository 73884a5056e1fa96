// Slopes, LRPE and lightning attention, by hand; and the forms of attention agree.
// RUN: tnllm-opt %s --tn-interpret -o /dev/null | FileCheck %s
// RUN: tnllm-opt %s --tn-check-forms="chunk=3" -o /dev/null | FileCheck %s --check-prefix=FORMS
// RUN: tnllm-opt %s --tn-interpret -o /dev/null --canonicalize | FileCheck %s

// r = 2^-8, so 2^-8; for three heads those of two, 2^-4 and 2^-8, and the first of
// four, 2^-2. Times 1 - 1/2 + 1e-5 in the middle of three layers.
// CHECK-LABEL: @slopes
// CHECK-NEXT: result0 [1]: 0.00390625 |
// CHECK-NEXT: result1 [3]: 0.0625 0.00390625 0.25 |
// CHECK-NEXT: result2 [2]: 0.0312506 0.00195316 |
// CHECK-NEXT: result3 [2]: 0.0625006 0.00390629 |
// CHECK-NEXT: result4 [2]: 0 0 |
func.func @slopes() -> (tensor<1xf32>, tensor<3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) {
  %0 = tn.decay_slopes <headwise, layer = 1 of 2> : tensor<1xf32>
  %1 = tn.decay_slopes <headwise, layer = 0 of 2> : tensor<3xf32>
  %2 = tn.decay_slopes <transnormer, layer = 1 of 3> : tensor<2xf32>
  %3 = tn.decay_slopes <transnormer, layer = 0 of 1> : tensor<2xf32>
  %4 = tn.decay_slopes <none, layer = 0 of 1> : tensor<2xf32>
  return %0, %1, %2, %3, %4 : tensor<1xf32>, tensor<3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
}

// Positions 2 and 3, theta pi/2: the angles pi and 3 pi/2 turn (5) into (-5, 0) and
// (0, -5). The second head does not turn.
// CHECK-LABEL: @lrpe
// CHECK-NEXT: result0 [1x2x2x2]: -5 {{-?4[.]3.*e-07}} 7 0 {{.*e-0[78]}} -5 7 0 |
func.func @lrpe() -> tensor<1x2x2x2xf32> {
  %x = arith.constant dense<[[[[5.0], [7.0]], [[5.0], [7.0]]]]> : tensor<1x2x2x1xf32>
  %theta = arith.constant dense<[[[1.57079632679]], [[0.0]]]> : tensor<2x1x1xf32>
  %positions = arith.constant dense<2> : tensor<1xi64>
  %0 = tn.lrpe %x, %theta, %positions : tensor<1x2x2x1xf32>, tensor<2x1x1xf32>, tensor<1xi64> -> tensor<1x2x2x2xf32>
  return %0 : tensor<1x2x2x2xf32>
}

// Position and angle are f32: 16777217 * 1 is 16777216 there, whose cosine and sine
// these are; unrounded they would be 0.994 and 0.106.
// CHECK-LABEL: @lrpe_far
// CHECK-NEXT: result0 [1x1x1x2]: 0.626323 -0.779564 |
func.func @lrpe_far() -> tensor<1x1x1x2xf32> {
  %x = arith.constant dense<1.0> : tensor<1x1x1x1xf32>
  %theta = arith.constant dense<1.0> : tensor<1x1x1xf32>
  %positions = arith.constant dense<16777217> : tensor<1xi64>
  %0 = tn.lrpe %x, %theta, %positions : tensor<1x1x1x1xf32>, tensor<1x1x1xf32>, tensor<1xi64> -> tensor<1x1x1x2xf32>
  return %0 : tensor<1x1x1x2xf32>
}

// lambda = 1/2, Dk = 2, Dv = 1. S0 = (8, 0).
//   t = 0: S = (4, 0) + (1, 0) * 1 = (5, 0),     out = (1, 1) . S = 5
//   t = 1: S = (2.5, 0) + (0, 1) * 2 = (2.5, 2), out = (1, 1) . S = 4.5
//   t = 2: S = (1.25, 1) + (1, 1) * 4 = (5.25, 5), out = (2, 0) . S = 10.5
// CHECK-LABEL: @attention
// CHECK-NEXT: result0 [1x3x1x1]: 5 4.5 10.5 |
// CHECK-NEXT: result1 [1x1x2x1]: 5.25 5 |
// FORMS: lightning_attention q [1x3x1x2] v [1x3x1x1]: largest relative difference {{[0-9.]+(e-1[0-9])?$}}
func.func @attention() -> (tensor<1x3x1x1xf32>, tensor<1x1x2x1xf32>) {
  %q = arith.constant dense<[[[[1.0, 1.0]], [[1.0, 1.0]], [[2.0, 0.0]]]]> : tensor<1x3x1x2xf32>
  %k = arith.constant dense<[[[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 1.0]]]]> : tensor<1x3x1x2xf32>
  %v = arith.constant dense<[[[[1.0]], [[2.0]], [[4.0]]]]> : tensor<1x3x1x1xf32>
  %slopes = arith.constant dense<[0.693147180559945]> : tensor<1xf32>
  %s = arith.constant dense<[[[[8.0], [0.0]]]]> : tensor<1x1x2x1xf32>
  %o, %n = tn.lightning_attention %q, %k, %v, %slopes, %s
      : tensor<1x3x1x2xf32>, tensor<1x3x1x2xf32>, tensor<1x3x1x1xf32>, tensor<1xf32>, tensor<1x1x2x1xf32>
     -> tensor<1x3x1x1xf32>, tensor<1x1x2x1xf32>
  return %o, %n : tensor<1x3x1x1xf32>, tensor<1x1x2x1xf32>
}

// The same positions as the first of three packed sequences, of which the second has none:
// its state stays. The third begins with its own.
// CHECK-LABEL: @packed
// CHECK-NEXT: result0 [4x1x1x1]: 5 4.5 10.5 4 |
// CHECK-NEXT: result1 [3x1x2x1]: 5.25 5 3 7 2 2 |
func.func @packed() -> (tensor<4x1x1x1xf32>, tensor<3x1x2x1xf32>) {
  %q = arith.constant dense<[[[[1.0, 1.0]]], [[[1.0, 1.0]]], [[[2.0, 0.0]]], [[[1.0, 1.0]]]]> : tensor<4x1x1x2xf32>
  %k = arith.constant dense<[[[[1.0, 0.0]]], [[[0.0, 1.0]]], [[[1.0, 1.0]]], [[[0.0, 1.0]]]]> : tensor<4x1x1x2xf32>
  %v = arith.constant dense<[[[[1.0]]], [[[2.0]]], [[[4.0]]], [[[2.0]]]]> : tensor<4x1x1x1xf32>
  %slopes = arith.constant dense<[0.693147180559945]> : tensor<1xf32>
  %offsets = arith.constant dense<[0, 3, 3, 4]> : tensor<4xi64>
  %s = arith.constant dense<[[[[8.0], [0.0]]], [[[3.0], [7.0]]], [[[4.0], [0.0]]]]> : tensor<3x1x2x1xf32>
  %o, %n = tn.lightning_attention %q, %k, %v, %slopes, %s offsets %offsets : tensor<4xi64>
      : tensor<4x1x1x2xf32>, tensor<4x1x1x2xf32>, tensor<4x1x1x1xf32>, tensor<1xf32>, tensor<3x1x2x1xf32>
     -> tensor<4x1x1x1xf32>, tensor<3x1x2x1xf32>
  return %o, %n : tensor<4x1x1x1xf32>, tensor<3x1x2x1xf32>
}

// Two sequences of two heads, one position: each has its own state, and the scale
// applies to the output alone. No decay in head 0, everything decays in head 1.
// CHECK-LABEL: @heads
// CHECK-NEXT: result0 [2x1x2x1]: 5.5 1 16.5 8 |
// CHECK-NEXT: result1 [2x2x1x1]: 11 2 33 16 |
// FORMS: lightning_attention q [2x1x2x1] v [2x1x2x1]: largest relative difference {{[0-9.]+(e-1[0-9])?$}}
func.func @heads() -> (tensor<2x1x2x1xf32>, tensor<2x2x1x1xf32>) {
  %q = arith.constant dense<1.0> : tensor<2x1x2x1xf32>
  %k = arith.constant dense<[[[[1.0], [2.0]]], [[[3.0], [4.0]]]]> : tensor<2x1x2x1xf32>
  %v = arith.constant dense<[[[[1.0], [1.0]]], [[[1.0], [4.0]]]]> : tensor<2x1x2x1xf32>
  %slopes = arith.constant dense<[0.0, 1000.0]> : tensor<2xf32>
  %s = arith.constant dense<[[[[10.0]], [[20.0]]], [[[30.0]], [[40.0]]]]> : tensor<2x2x1x1xf32>
  %o, %n = tn.lightning_attention %q, %k, %v, %slopes, %s {scale = 0.5 : f32}
      : tensor<2x1x2x1xf32>, tensor<2x1x2x1xf32>, tensor<2x1x2x1xf32>, tensor<2xf32>, tensor<2x2x1x1xf32>
     -> tensor<2x1x2x1xf32>, tensor<2x2x1x1xf32>
  return %o, %n : tensor<2x1x2x1xf32>, tensor<2x2x1x1xf32>
}
