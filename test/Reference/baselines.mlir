// Positions, RoPE and softmax attention, by hand; the forms of softmax attention agree.
// RUN: tnllm-opt %s --tn-interpret -o /dev/null | FileCheck %s
// RUN: tnllm-opt %s --tn-check-forms="chunk=3 length=11" -o /dev/null | FileCheck %s --check-prefix=FORMS

// CHECK-LABEL: @positions
// CHECK-NEXT: result0 [2x3]: 7 8 9 0 1 2 |
func.func @positions() -> tensor<2x3xi32> {
  %p = arith.constant dense<[7, 0]> : tensor<2xi64>
  %x = arith.constant dense<0.0> : tensor<2x3x4xf32>
  %0 = tn.position_ids %p like %x : tensor<2xi64>, tensor<2x3x4xf32> -> tensor<2x3xi32>
  return %0 : tensor<2x3xi32>
}

// Position 1: theta pi/2 turns (3, 5) into (-5, 3); theta 0 leaves (4, 6) as it is. Back
// again, and at position 0 nothing.
// CHECK-LABEL: @rope
// CHECK-NEXT: result0 [1x2x1x4]: 3 4 5 6 -5 4 3 6 |
// CHECK-NEXT: result1 [1x2x1x4]: 3 4 5 6 3 4 5 6 |
func.func @rope() -> (tensor<1x2x1x4xf32>, tensor<1x2x1x4xf32>) {
  %x = arith.constant dense<[[[[3.0, 4.0, 5.0, 6.0]], [[3.0, 4.0, 5.0, 6.0]]]]> : tensor<1x2x1x4xf32>
  %theta = arith.constant dense<[1.57079632679, 0.0]> : tensor<2xf32>
  %p = arith.constant dense<0> : tensor<1xi64>
  %0 = tn.rope %x, %theta, %p : tensor<1x2x1x4xf32>, tensor<2xf32>, tensor<1xi64>
  %1 = tn.rope inverse %0, %theta, %p : tensor<1x2x1x4xf32>, tensor<2xf32>, tensor<1xi64>
  return %0, %1 : tensor<1x2x1x4xf32>, tensor<1x2x1x4xf32>
}

// Products are 0 but for that of the last query and the second key, which is log 2: weights
// 1; 1/2 1/2; 1/4 2/4 1/4. In blocks of two the last query sees itself alone.
// CHECK-LABEL: @softmax
// CHECK-NEXT: result0 [1x3x1x1]: 8 6 6 |
// CHECK-NEXT: result1 [1x3x1]: 0 0.693147 1.38629 |
// CHECK-NEXT: result2 [1x3x1x1]: 8 6 8 |
// CHECK-NEXT: result3 [1x3x1]: 0 0.693147 0 |
// FORMS: softmax_attention q [1x3x1x1] v [1x3x1x1]: largest relative difference {{[0-9.]+(e-1[0-9])?$}}
// FORMS-NEXT: its backward: {{[0-9.]+(e-1[0-9])?$}}
// FORMS: softmax_attention q [1x3x1x1]
// FORMS: softmax_attention q [2x11x3x4] v [2x11x3x5]: largest relative difference {{[0-9.]+(e-1[0-9])?$}}
// FORMS-NEXT: its backward: {{[0-9.]+(e-1[0-9])?$}}
// FORMS: softmax_attention q [2x11x3x4] v [2x11x3x5]: largest relative difference {{[0-9.]+(e-1[0-9])?$}}
// FORMS-NEXT: its backward: {{[0-9.]+(e-1[0-9])?$}}
func.func @softmax() -> (tensor<1x3x1x1xf32>, tensor<1x3x1xf32>, tensor<1x3x1x1xf32>, tensor<1x3x1xf32>) {
  %q = arith.constant dense<[[[[0.0]], [[0.0]], [[1.0]]]]> : tensor<1x3x1x1xf32>
  %k = arith.constant dense<[[[[0.0]], [[1.38629436112]], [[0.0]]]]> : tensor<1x3x1x1xf32>
  %v = arith.constant dense<[[[[8.0]], [[4.0]], [[8.0]]]]> : tensor<1x3x1x1xf32>
  %o, %l = tn.softmax_attention %q, %k, %v {scale = 0.5 : f32}
      : tensor<1x3x1x1xf32>, tensor<1x3x1x1xf32>, tensor<1x3x1x1xf32>
     -> tensor<1x3x1x1xf32>, tensor<1x3x1xf32>
  %p, %m = tn.softmax_attention %q, %k, %v block 2 {scale = 0.5 : f32}
      : tensor<1x3x1x1xf32>, tensor<1x3x1x1xf32>, tensor<1x3x1x1xf32>
     -> tensor<1x3x1x1xf32>, tensor<1x3x1xf32>
  return %o, %l, %p, %m : tensor<1x3x1x1xf32>, tensor<1x3x1xf32>, tensor<1x3x1x1xf32>, tensor<1x3x1xf32>
}

// A cache of three rows, the sequences at positions 2 and 0. The second begins in the call;
// its rows before are nobody's.
// CHECK-LABEL: @cache
// CHECK-NEXT: result0 [2x1x1x1]: 5 7 |
// CHECK-NEXT: result1 [2x1x3x2]: 1 2 1 6 0 7 0 7 9 9 9 9 |
func.func @cache() -> (tensor<2x1x1x1xf32>, tensor<2x1x3x2xf32>) {
  %q = arith.constant dense<0.0> : tensor<2x1x1x1xf32>
  %v = arith.constant dense<7.0> : tensor<2x1x1x1xf32>
  %c = arith.constant dense<[[[[1.0, 2.0], [1.0, 6.0], [9.0, 9.0]]], [[[9.0, 9.0], [9.0, 9.0], [9.0, 9.0]]]]> : tensor<2x1x3x2xf32>
  %at = arith.constant dense<[2, 0]> : tensor<2xi64>
  %o, %l, %n = tn.softmax_attention %q, %q, %v cache %c : tensor<2x1x3x2xf32> at %at : tensor<2xi64>
      : tensor<2x1x1x1xf32>, tensor<2x1x1x1xf32>, tensor<2x1x1x1xf32>
     -> tensor<2x1x1x1xf32>, tensor<2x1x1xf32>, tensor<2x1x3x2xf32>
  return %o, %n : tensor<2x1x1x1xf32>, tensor<2x1x3x2xf32>
}

// In blocks of two from position 3 on: 3 sees 2, which is in row 0, 4 and 5 each other. Row
// 0 is then that of 4, row 1 that of 5.
// CHECK-LABEL: @block_cache
// CHECK-NEXT: result0 [1x3x1x1]: 11 20 25 |
// CHECK-NEXT: result1 [1x1x2x2]: 0 20 0 30 |
func.func @block_cache() -> (tensor<1x3x1x1xf32>, tensor<1x1x2x2xf32>) {
  %q = arith.constant dense<0.0> : tensor<1x3x1x1xf32>
  %v = arith.constant dense<[[[[10.0]], [[20.0]], [[30.0]]]]> : tensor<1x3x1x1xf32>
  %c = arith.constant dense<[[[[1.0, 12.0], [9.0, 9.0]]]]> : tensor<1x1x2x2xf32>
  %at = arith.constant dense<3> : tensor<1xi64>
  %o, %l, %n = tn.softmax_attention %q, %q, %v cache %c : tensor<1x1x2x2xf32> at %at : tensor<1xi64> block 2
      : tensor<1x3x1x1xf32>, tensor<1x3x1x1xf32>, tensor<1x3x1x1xf32>
     -> tensor<1x3x1x1xf32>, tensor<1x3x1xf32>, tensor<1x1x2x2xf32>
  return %o, %n : tensor<1x3x1x1xf32>, tensor<1x1x2x2xf32>
}

// Wider than a number, for the forms.
func.func private @forms(%q: tensor<?x?x3x4xf32>, %v: tensor<?x?x3x5xf32>) {
  %o, %l = tn.softmax_attention %q, %q, %v {scale = 0.5 : f32}
      : tensor<?x?x3x4xf32>, tensor<?x?x3x4xf32>, tensor<?x?x3x5xf32>
     -> tensor<?x?x3x5xf32>, tensor<?x?x3xf32>
  %p, %m = tn.softmax_attention %q, %q, %v block 4
      : tensor<?x?x3x4xf32>, tensor<?x?x3x4xf32>, tensor<?x?x3x5xf32>
     -> tensor<?x?x3x5xf32>, tensor<?x?x3xf32>
  return
}
