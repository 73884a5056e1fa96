// Embedding, linear maps, norms and views, by hand.
// RUN: tnllm-opt %s --tn-interpret -o /dev/null | FileCheck %s

// CHECK-LABEL: @embedding
// CHECK-NEXT: result0 [1x3x2]: 10 12 2 4 10 12 |
func.func @embedding() -> tensor<1x3x2xf32> {
  %ids = arith.constant dense<[[2, 0, 2]]> : tensor<1x3xi32>
  %table = arith.constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>
  %0 = tn.embedding %ids, %table {scale = 2.0 : f32} : tensor<1x3xi32>, tensor<3x2xf32> -> tensor<1x3x2xf32>
  return %0 : tensor<1x3x2xf32>
}

// Rows of x against rows of the weight: (1,2).(1,0), (1,2).(0,1), (1,2).(1,1), ...
// CHECK-LABEL: @linear
// CHECK-NEXT: result0 [2x3]: 1 2 3 3 4 7 |
// CHECK-NEXT: result1 [2x3]: 101 202 303 103 204 307 |
func.func @linear() -> (tensor<2x3xf32>, tensor<2x3xf32>) {
  %x = arith.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %w = arith.constant dense<[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]> : tensor<3x2xf32>
  %b = arith.constant dense<[100.0, 200.0, 300.0]> : tensor<3xf32>
  %0 = tn.linear %x, %w : tensor<2x2xf32>, tensor<3x2xf32> -> tensor<2x3xf32>
  %1 = tn.linear %x, %w bias %b : tensor<3xf32> : tensor<2x2xf32>, tensor<3x2xf32> -> tensor<2x3xf32>
  return %0, %1 : tensor<2x3xf32>, tensor<2x3xf32>
}

// bf16 operands are rounded, their products are not: 257 * 3 would be 771, 256 * 3 and
// the sum with 1 is 769, which bf16 does not hold.
// CHECK-LABEL: @linear_bf16
// CHECK-NEXT: result0 [1]: 769 |
func.func @linear_bf16() -> tensor<1xf32> {
  %x = arith.constant dense<[257.0, 1.0]> : tensor<2xf32>
  %w = arith.constant dense<[[3.0, 1.0]]> : tensor<1x2xbf16>
  %0 = tn.cast %x : tensor<2xf32> -> tensor<2xbf16>
  %1 = tn.linear %0, %w : tensor<2xbf16>, tensor<1x2xbf16> -> tensor<1xf32>
  return %1 : tensor<1xf32>
}

// (3, 4): mean square 12.5, so 3/sqrt(12.5) = 0.848528 and 1.13137; mean 3.5, variance
// 0.25. With epsilon 12 (srms): 3/sqrt(24.5) = 0.606092.
// CHECK-LABEL: @norms
// CHECK-NEXT: result0 [2]: 0.848528 1.13137 |
// CHECK-NEXT: result1 [2]: 0.606092 0.808122 |
// CHECK-NEXT: result2 [2]: 1.69706 11.3137 |
// CHECK-NEXT: result3 [2]: 2.69706 1.31371 |
// CHECK-NEXT: result4 [2]: -1 0 |
// CHECK-NEXT: result5 [2]: -2 10 |
func.func @norms() -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) {
  %x = arith.constant dense<[3.0, 4.0]> : tensor<2xf32>
  %w = arith.constant dense<[2.0, 10.0]> : tensor<2xf32>
  %b = arith.constant dense<[1.0, -10.0]> : tensor<2xf32>
  %0 = tn.norm <srms> %x {epsilon = 1.0e-20 : f32} : tensor<2xf32> -> tensor<2xf32>
  %1 = tn.norm <srms> %x {epsilon = 12.0 : f32} : tensor<2xf32> -> tensor<2xf32>
  %2 = tn.norm <rms> %x weight %w : tensor<2xf32> {epsilon = 1.0e-20 : f32} : tensor<2xf32> -> tensor<2xf32>
  %3 = tn.norm <rms> %x weight %w : tensor<2xf32> bias %b : tensor<2xf32> {epsilon = 1.0e-20 : f32} : tensor<2xf32> -> tensor<2xf32>
  %4 = tn.norm <layer> %x weight %w : tensor<2xf32> bias %b : tensor<2xf32> {epsilon = 1.0e-20 : f32} : tensor<2xf32> -> tensor<2xf32>
  %5 = tn.norm <layer> %x weight %w : tensor<2xf32> {epsilon = 1.0e-20 : f32} : tensor<2xf32> -> tensor<2xf32>
  return %0, %1, %2, %3, %4, %5 : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
}

// A row of zeros stays zero.
// CHECK-LABEL: @norm_of_zero
// CHECK-NEXT: result0 [2x2]: 0 0 1 1 |
func.func @norm_of_zero() -> tensor<2x2xf32> {
  %x = arith.constant dense<[[0.0, 0.0], [7.0, 7.0]]> : tensor<2x2xf32>
  %0 = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<2x2xf32> -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// CHECK-LABEL: @views
// CHECK-NEXT: result0 [2x2]: 2 3 6 7 |
// CHECK-NEXT: result1 [2x2x2]: 1 2 3 4 5 6 7 8 |
// CHECK-NEXT: result2 [2x4]: 1 2 3 4 5 6 7 8 |
func.func @views() -> (tensor<2x2xf32>, tensor<2x2x2xf32>, tensor<2x4xf32>) {
  %x = arith.constant dense<[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]> : tensor<2x4xf32>
  %0 = tn.slice %x [1, 3] : tensor<2x4xf32> -> tensor<2x2xf32>
  %1 = tn.split_heads %x : tensor<2x4xf32> -> tensor<2x2x2xf32>
  %2 = tn.merge_heads %1 : tensor<2x2x2xf32> -> tensor<2x4xf32>
  return %0, %1, %2 : tensor<2x2xf32>, tensor<2x2x2xf32>, tensor<2x4xf32>
}
