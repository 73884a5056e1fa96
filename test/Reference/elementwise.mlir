// Values by hand: silu(1) = 1/(1+e^-1) = 0.731059, gelu(1) = (1+erf(1/sqrt 2))/2 =
// 0.841345, elu(-1) = 1/e - 1 = -0.632121, sigmoid(-1) = 0.268941.
// RUN: tnllm-opt %s --tn-interpret -o /dev/null | FileCheck %s

// CHECK-LABEL: @add
// CHECK-NEXT: result0 [2x2]: 11 22 33 44 | max 44 sum 110
func.func @add() -> tensor<2x2xf32> {
  %a = arith.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %b = arith.constant dense<[[10.0, 20.0], [30.0, 40.0]]> : tensor<2x2xf32>
  %0 = tn.add %a, %b : tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// CHECK-LABEL: @mul
// CHECK-NEXT: result0 [3]: -10 0 30 | max 30 sum 20
func.func @mul() -> tensor<3xf32> {
  %a = arith.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf32>
  %b = arith.constant dense<[-10.0, 0.0, 10.0]> : tensor<3xf32>
  %0 = tn.mul %a, %b : tensor<3xf32>
  return %0 : tensor<3xf32>
}

// Columns 1 and 2 of four; the others are copied.
// CHECK-LABEL: @columns
// CHECK-NEXT: result0 [2x4]: -1 0 0 -1 -2 2 0 -2
func.func @columns() -> tensor<2x4xf32> {
  %x = arith.constant dense<[[-1.0, -1.0, -1.0, -1.0], [-2.0, 2.0, -2.0, -2.0]]> : tensor<2x4xf32>
  %0 = tn.activation <relu> %x columns [1, 3] : tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// CHECK-LABEL: @activations
// CHECK-NEXT: result0 [3]: -1 0 1 |
// CHECK-NEXT: result1 [3]: -0.268941 0 0.731059 |
// CHECK-NEXT: result2 [3]: -0.158655 0 0.841345 |
// CHECK-NEXT: result3 [3]: 0 0 1 |
// CHECK-NEXT: result4 [3]: -0.632121 0 1 |
// CHECK-NEXT: result5 [3]: 0.268941 0.5 0.731059 |
// CHECK-NEXT: result6 [3]: 0.367879 1 2 |
// CHECK-NEXT: result7 [3]: 1.36788 2 3 |
// CHECK-NEXT: result8 [3]: -0.01 0 1 |
func.func @activations() -> (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>,
                             tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) {
  %x = arith.constant dense<[-1.0, 0.0, 1.0]> : tensor<3xf32>
  %0 = tn.activation <none> %x : tensor<3xf32>
  %1 = tn.activation <silu> %x : tensor<3xf32>
  %2 = tn.activation <gelu> %x : tensor<3xf32>
  %3 = tn.activation <relu> %x : tensor<3xf32>
  %4 = tn.activation <elu> %x : tensor<3xf32>
  %5 = tn.activation <sigmoid> %x : tensor<3xf32>
  %6 = tn.activation <one_plus_elu> %x : tensor<3xf32>
  %7 = tn.activation <two_plus_elu> %x : tensor<3xf32>
  %8 = tn.activation <leaky_relu> %x : tensor<3xf32>
  return %0, %1, %2, %3, %4, %5, %6, %7, %8 : tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>,
    tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>
}

// Large arguments neither overflow nor cancel.
// CHECK-LABEL: @extremes
// CHECK-NEXT: result0 [4]: 0 1000 0 1000 |
// CHECK-NEXT: result1 [2]: 0 1 |
func.func @extremes() -> (tensor<4xf32>, tensor<2xf32>) {
  %x = arith.constant dense<[-1000.0, 1000.0]> : tensor<2xf32>
  %y = arith.constant dense<[-1000.0, 1000.0, -1000.0, 1000.0]> : tensor<4xf32>
  %0 = tn.activation <silu> %y columns [0, 2] : tensor<4xf32>
  %1 = tn.activation <gelu> %0 columns [2, 4] : tensor<4xf32>
  %2 = tn.activation <sigmoid> %x : tensor<2xf32>
  return %1, %2 : tensor<4xf32>, tensor<2xf32>
}

// Each head has its own maximum: (3, 3 - ln 2) and (-5, -6), whatever their size.
// CHECK-LABEL: @shifted_exp
// CHECK-NEXT: result0 [1x1x2x2]: 1 0.5 1 0.367879 |
func.func @shifted_exp() -> tensor<1x1x2x2xf32> {
  %x = arith.constant dense<[[[[3.0, 2.3068528194400546], [-5.0, -6.0]]]]> : tensor<1x1x2x2xf32>
  %0 = tn.shifted_exp %x : tensor<1x1x2x2xf32>
  return %0 : tensor<1x1x2x2xf32>
}

// bf16 has 8 significant bits: 257 and 259 lie half-way between 256, 258 and 260, and go
// to the even mantissa; 1 + 2^-8 + 2^-20 lies above the half and goes up.
// CHECK-LABEL: @cast
// CHECK-NEXT: result0 [4]: 256 260 1.00781 -3 |
// CHECK-NEXT: result1 [4]: 256 260 1.00781 -3 |
func.func @cast() -> (tensor<4xbf16>, tensor<4xf32>) {
  %x = arith.constant dense<[257.0, 259.0, 1.00390720367431640625, -3.0]> : tensor<4xf32>
  %0 = tn.cast %x : tensor<4xf32> -> tensor<4xbf16>
  %1 = tn.cast %0 : tensor<4xbf16> -> tensor<4xf32>
  return %0, %1 : tensor<4xbf16>, tensor<4xf32>
}

// Groups of two: 254 and 127 in steps of 2, where 63.5 goes to the even 64; 1 in steps of
// 3 / 127 is 42 of them; a group of zeros stays.
// CHECK-LABEL: @round_groups
// CHECK-NEXT: result0 [2x4]: 254 128 0.992126 -3 0 0 1 1 |
func.func @round_groups() -> tensor<2x4xf32> {
  %x = arith.constant dense<[[254.0, 127.0, 1.0, -3.0], [0.0, 0.0, 1.0, 1.0]]> : tensor<2x4xf32>
  %0 = tn.round_groups %x group 2 : tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}
