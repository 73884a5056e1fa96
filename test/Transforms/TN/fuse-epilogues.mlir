// RUN: tnllm-opt %s --tn-fuse-epilogues --split-input-file | FileCheck %s
// RUN: tnllm-opt %s --tn-fuse-epilogues --tn-fuse-epilogues --split-input-file | FileCheck %s

!x = tensor<?x?x8xf32>
!w = tensor<8x8xf32>

// CHECK-LABEL: func.func @chain(
// CHECK-SAME: %[[X:.*]]: tensor<?x?x8xf32>, %[[W:.*]]: tensor<8x8xf32>, %[[R:.*]]: tensor<?x?x8xf32>)
// CHECK-NEXT: %[[F:.*]] = tn.fused -> tensor<?x?x8xf32> {
// CHECK-NEXT:   %[[L:.*]] = tn.linear %[[X]], %[[W]]
// CHECK-NEXT:   %[[A:.*]] = tn.activation <silu> %[[L]]
// CHECK-NEXT:   %[[M:.*]] = tn.mul %[[R]], %[[A]]
// CHECK-NEXT:   %[[S:.*]] = tn.add %[[M]], %[[R]]
// CHECK-NEXT:   tn.yield %[[S]]
// CHECK-NEXT: }
// CHECK-NEXT: return %[[F]]
func.func @chain(%x: !x, %w: !w, %r: !x) -> !x {
  %0 = tn.linear %x, %w : !x, !w -> !x
  %1 = tn.activation <silu> %0 : !x
  %2 = tn.mul %r, %1 : !x
  %3 = tn.add %2, %r : !x
  return %3 : !x
}

// -----

!x = tensor<?x?x8xf32>
!w = tensor<8x8xf32>

// Nothing to join: a lone root, and an element-wise operation without one.
// CHECK-LABEL: func.func @nothing
// CHECK-NOT: tn.fused
func.func @nothing(%x: !x, %w: !w) -> !x {
  %0 = tn.mul %x, %x : !x
  %1 = tn.linear %0, %w : !x, !w -> !x
  %2 = tn.norm <srms> %1 {epsilon = 1.0e-06 : f32} : !x -> !x
  return %2 : !x
}

// -----

!x = tensor<?x?x8xf32>
!w = tensor<8x8xf32>

// A value with two users must reach memory: the chain ends at it. So does one that an
// operation reads twice.
// CHECK-LABEL: func.func @two_users
// CHECK: %[[F:.*]] = tn.fused
// CHECK-NEXT: tn.linear
// CHECK-NEXT: %[[A:.*]] = tn.activation
// CHECK-NEXT: tn.yield %[[A]]
// CHECK: %[[M:.*]] = tn.mul %[[F]], %[[F]]
// CHECK-NEXT: return %[[M]]
func.func @two_users(%x: !x, %w: !w) -> !x {
  %0 = tn.linear %x, %w : !x, !w -> !x
  %1 = tn.activation <gelu> %0 : !x
  %2 = tn.mul %1, %1 : !x
  return %2 : !x
}

// -----

!x = tensor<?x?x8xf32>
!h = tensor<?x?x8xbf16>
!w = tensor<8x8xbf16>

// A cast joins and ends the chain; a bf16 root starts the next.
// CHECK-LABEL: func.func @cast
// CHECK: %[[F:.*]] = tn.fused -> tensor<?x?x8xbf16> {
// CHECK-NEXT: tn.norm <srms>
// CHECK-NEXT: tn.cast
// CHECK-NEXT: tn.yield
// CHECK: tn.fused -> tensor<?x?x8xf32> {
// CHECK-NEXT: tn.linear %[[F]]
// CHECK-NEXT: tn.add
func.func @cast(%x: !x, %w: !w) -> !x {
  %0 = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : !x -> !x
  %1 = tn.cast %0 : !x -> !h
  %2 = tn.linear %1, %w : !h, !w -> !x
  %3 = tn.add %2, %x : !x
  return %3 : !x
}

// -----

!x = tensor<?x?x8xf32>
!h = tensor<?x?x8xbf16>
!w = tensor<8x8xf32>

// CHECK-LABEL: func.func @cast_ends
// CHECK: %[[F:.*]] = tn.fused -> tensor<?x?x8xbf16>
// CHECK: tn.yield
// CHECK: tn.cast %[[F]] : tensor<?x?x8xbf16> -> tensor<?x?x8xf32>
// CHECK-NOT: tn.fused
func.func @cast_ends(%x: !x, %w: !w) -> !x {
  %0 = tn.linear %x, %w : !x, !w -> !x
  %1 = tn.cast %0 : !x -> !h
  %2 = tn.cast %1 : !h -> !x
  return %2 : !x
}

// -----

!x = tensor<?x?x8xf32>
!w = tensor<8x8xf32>

// Two roots meet: the first takes what follows, the second stays before it.
// CHECK-LABEL: func.func @meeting
// CHECK-SAME: %[[X:.*]]: tensor<?x?x8xf32>, %[[U:.*]]: tensor<8x8xf32>, %[[V:.*]]: tensor<8x8xf32>)
// CHECK-NEXT: %[[B:.*]] = tn.linear %[[X]], %[[V]]
// CHECK-NEXT: tn.fused
// CHECK-NEXT: %[[A:.*]] = tn.linear %[[X]], %[[U]]
// CHECK-NEXT: tn.mul %[[A]], %[[B]]
func.func @meeting(%x: !x, %u: !w, %v: !w) -> !x {
  %0 = tn.linear %x, %u : !x, !w -> !x
  %1 = tn.linear %x, %v : !x, !w -> !x
  %2 = tn.mul %0, %1 : !x
  return %2 : !x
}

// -----

!x = tensor<?x?x8xf32>

// The group stands where its last operation stood: every operand is defined there.
// CHECK-LABEL: func.func @late_operand
// CHECK-SAME: %[[X:.*]]: tensor<?x?x8xf32>, %[[T:.*]]: tensor<9x8xf32>, %[[I:.*]]: tensor<?x?xi32>
// CHECK-NEXT: tn.embedding
// CHECK-NEXT: tn.fused
func.func @late_operand(%x: !x, %t: tensor<9x8xf32>, %ids: tensor<?x?xi32>) -> !x {
  %0 = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : !x -> !x
  %1 = tn.embedding %ids, %t : tensor<?x?xi32>, tensor<9x8xf32> -> !x
  %2 = tn.add %0, %1 : !x
  return %2 : !x
}

// -----

!x = tensor<?x?x8xf32>
!h = tensor<?x?x2x4xf32>

// What is not element-wise ends the chain; a declaration has none.
// CHECK-LABEL: func.func @other_user
// CHECK-NOT: tn.fused
func.func @other_user(%x: !x) -> !h {
  %0 = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : !x -> !x
  %1 = tn.split_heads %0 : !x -> !h
  %2 = tn.shifted_exp %1 : !h
  return %2 : !h
}
func.func private @declaration(!x)

// -----

!x = tensor<?x?x8xf32>

// Rounding joins what computes its input and ends the chain, as a cast does.
// CHECK-LABEL: func.func @rounding
// CHECK: %[[R:.*]] = tn.fused
// CHECK-NEXT: tn.norm
// CHECK-NEXT: %[[V:.*]] = tn.round_groups
// CHECK-NEXT: tn.yield %[[V]]
// CHECK: tn.add %[[R]]
func.func @rounding(%x: !x) -> !x {
  %0 = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : !x -> !x
  %1 = tn.round_groups %0 group 4 : !x
  %2 = tn.add %1, %x : !x
  return %2 : !x
}
