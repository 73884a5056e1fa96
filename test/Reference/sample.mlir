// The choice of tokens by hand. The logits of most rows are log(1, 2, 3, 4) in the order
// 2 4 1 3: probabilities 0.2, 0.4, 0.1, 0.3.
// RUN: tnllm-opt %s --tn-interpret -o /dev/null | FileCheck %s

// Settings: 1 / temperature, k, p, log(minP), where to draw.
// No cut: sums 0.2, 0.6, 0.7, 1 of the draw's place; twice as cold, the squares 4, 16, 1, 9
// of 30.
// CHECK-LABEL: @draws
// CHECK-NEXT: result0 [8]: 0 1 1 2 3 0 1 3 |
func.func @draws() -> tensor<8xi32> {
  %x = arith.constant dense<[
    [0.6931472, 1.3862944, 0.0, 1.0986123], [0.6931472, 1.3862944, 0.0, 1.0986123],
    [0.6931472, 1.3862944, 0.0, 1.0986123], [0.6931472, 1.3862944, 0.0, 1.0986123],
    [0.6931472, 1.3862944, 0.0, 1.0986123], [0.6931472, 1.3862944, 0.0, 1.0986123],
    [0.6931472, 1.3862944, 0.0, 1.0986123], [0.6931472, 1.3862944, 0.0, 1.0986123]]> : tensor<8x4xf32>
  %s = arith.constant dense<[
    [1.0, 0.0, 1.0, 0xFF800000, 0.19], [1.0, 0.0, 1.0, 0xFF800000, 0.21],
    [1.0, 0.0, 1.0, 0xFF800000, 0.59], [1.0, 0.0, 1.0, 0xFF800000, 0.61],
    [1.0, 0.0, 1.0, 0xFF800000, 0.71], [2.0, 0.0, 1.0, 0xFF800000, 0.13],
    [2.0, 0.0, 1.0, 0xFF800000, 0.14], [2.0, 0.0, 1.0, 0xFF800000, 0.71]]> : tensor<8x5xf32>
  %0 = tn.sample %x, %s : tensor<8x4xf32>, tensor<8x5xf32> -> tensor<8xi32>
  return %0 : tensor<8xi32>
}

// Greedy; the likeliest 2 (0.4 and 0.3); those that hold 0.5 of them all; 0.5 of those 2,
// which is the likeliest alone; at least 0.6 of the likeliest (0.4 and 0.3).
// CHECK-LABEL: @cuts
// CHECK-NEXT: result0 [6]: 1 3 3 1 1 3 |
func.func @cuts() -> tensor<6xi32> {
  %x = arith.constant dense<[
    [0.6931472, 1.3862944, 0.0, 1.0986123], [0.6931472, 1.3862944, 0.0, 1.0986123],
    [0.6931472, 1.3862944, 0.0, 1.0986123], [0.6931472, 1.3862944, 0.0, 1.0986123],
    [0.6931472, 1.3862944, 0.0, 1.0986123], [0.6931472, 1.3862944, 0.0, 1.0986123]]> : tensor<6x4xf32>
  %s = arith.constant dense<[
    [0.0, 0.0, 1.0, 0xFF800000, 0.99], [1.0, 2.0, 1.0, 0xFF800000, 0.6],
    [1.0, 0.0, 0.5, 0xFF800000, 0.6], [1.0, 2.0, 0.5, 0xFF800000, 0.99],
    [1.0, 0.0, 0.0, 0xFF800000, 0.99], [1.0, 0.0, 1.0, -0.5108256, 0.99]]> : tensor<6x5xf32>
  %0 = tn.sample %x, %s : tensor<6x4xf32>, tensor<6x5xf32> -> tensor<6xi32>
  return %0 : tensor<6xi32>
}

// Of equals the smaller tokens are likelier; what is no number is never chosen; nothing
// larger than -infinity, and +infinity.
// CHECK-LABEL: @edges
// CHECK-NEXT: result0 [5]: 0 1 2 -1 2 |
func.func @edges() -> tensor<5xi32> {
  %x = arith.constant dense<[
    [1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], [0x7FC00000, 0xFF800000, 0.0, 0xFF800000],
    [0xFF800000, 0x7FC00000, 0xFF800000, 0xFF800000], [1.0, 0.0, 0x7F800000, 0.0]]> : tensor<5x4xf32>
  %s = arith.constant dense<[
    [1.0, 2.0, 1.0, 0xFF800000, 0.49], [1.0, 2.0, 1.0, 0xFF800000, 0.99], [1.0, 0.0, 1.0, 0xFF800000, 0.99],
    [1.0, 0.0, 1.0, 0xFF800000, 0.5], [1.0, 0.0, 1.0, 0xFF800000, 0.0]]> : tensor<5x5xf32>
  %0 = tn.sample %x, %s : tensor<5x4xf32>, tensor<5x5xf32> -> tensor<5xi32>
  return %0 : tensor<5xi32>
}
