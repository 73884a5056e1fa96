// RUN: tnllm-opt %s --tn-insert-probes --split-input-file | FileCheck %s
// RUN: tnllm-opt %s --tn-insert-probes --split-input-file --mlir-print-debuginfo | FileCheck %s --check-prefix=LOC
// RUN: tnllm-opt %s --tn-fuse-epilogues --tn-insert-probes --split-input-file | FileCheck %s --check-prefix=FUSED
// RUN: tnllm-opt %s --tn-insert-probes --tn-fuse-epilogues --split-input-file | FileCheck %s --check-prefix=BLOCKED

// Every layer gets operations of its own, named by the call and by the operation in the
// block. A block that calls another one is inlined through and through.

// CHECK-LABEL: func.func @prefill(
// CHECK: %[[X:.*]] = tn.embedding
// CHECK-NEXT: tn.probe "embedding" %[[X]] : tensor<?x?x8xf32>
// CHECK: %[[N:.*]] = tn.norm <srms> %[[X]]
// CHECK-NEXT: tn.probe "layers.0.token_norm" %[[N]]
// CHECK-NEXT: %[[A:.*]] = tn.activation <silu> %[[N]]
// CHECK-NEXT: tn.probe "layers.0.inner.act" %[[A]]
// CHECK-NEXT: %[[S:.*]] = tn.add %[[X]], %[[A]]
// CHECK-NEXT: tn.probe "layers.0.residual" %[[S]]
// CHECK: %[[M:.*]] = tn.norm <srms> %[[S]]
// CHECK-NEXT: tn.probe "layers.1.token_norm" %[[M]]
// CHECK: tn.probe "layers.1.residual" %[[R:.*]] :
// CHECK-NEXT: return %[[R]]
// The blocks are gone.
// CHECK-NOT: func.func private
// CHECK-LABEL: func.func @fusable(

// What an operation of a block says of itself leads back to the layer.
// LOC-DAG: #[[NORM:.*]] = loc("token_norm")
// LOC-DAG: #[[LAYER:.*]] = loc("layers.1")
// LOC-DAG: loc(callsite(#[[NORM]] at #[[LAYER]]))

// Fused first, only what kernels write is shown; shown first, nothing is fused.
// FUSED-LABEL: func.func @fusable(
// FUSED-NEXT: %[[F:.*]] = tn.fused
// FUSED-NEXT: tn.norm
// FUSED-NEXT: tn.activation
// FUSED-NEXT: tn.yield
// FUSED: tn.probe "act" %[[F]]
// FUSED-NOT: tn.probe "norm"
// BLOCKED-LABEL: func.func @fusable(
// BLOCKED-NOT: tn.fused
module {
  tn.param @e : tensor<9x8xf32> init <normal, 1.0>
  func.func @prefill(%ids: tensor<?x?xi32>) -> tensor<?x?x8xf32> attributes {tn.rows = 8 : i64} {
    %e = tn.get_param @e : tensor<9x8xf32>
    %x = tn.embedding %ids, %e : tensor<?x?xi32>, tensor<9x8xf32> -> tensor<?x?x8xf32> loc("embedding")
    %y = call @block(%x) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32> loc("layers.0")
    %z = call @block(%y) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32> loc("layers.1")
    return %z : tensor<?x?x8xf32>
  }
  func.func private @block(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> attributes {tn.rows = 8 : i64} {
    %n = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x?x8xf32> -> tensor<?x?x8xf32> loc("token_norm")
    %a = call @inner(%n) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32> loc("inner")
    %s = tn.add %x, %a : tensor<?x?x8xf32> loc("residual")
    return %s : tensor<?x?x8xf32>
  }
  func.func private @inner(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> attributes {tn.rows = 8 : i64} {
    %a = tn.activation <silu> %x : tensor<?x?x8xf32> loc("act")
    return %a : tensor<?x?x8xf32>
  }
  func.func @fusable(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> attributes {tn.rows = 8 : i64} {
    %n = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x?x8xf32> -> tensor<?x?x8xf32> loc("norm")
    %a = tn.activation <silu> %n : tensor<?x?x8xf32> loc("act")
    return %a : tensor<?x?x8xf32>
  }
}

// -----

// Without names the operations lend theirs; what comes again is numbered. A slice is
// shown as a copy, bf16 as f32; views that move no element, the state and what has no
// position are not shown.

// CHECK-LABEL: func.func @values(
// CHECK-SAME: %[[X:.*]]: tensor<?x?x8xf32>
// CHECK: %[[Q:.*]] = tn.slice %[[X]] [0, 4]
// CHECK-NEXT: %[[COPY:.*]] = tn.activation <none> %[[Q]] : tensor<?x?x4xf32>
// CHECK-NEXT: tn.probe "slice" %[[COPY]] : tensor<?x?x4xf32>
// CHECK-NEXT: %[[H:.*]] = tn.split_heads %[[Q]]
// CHECK-NOT: tn.probe "split_heads
// CHECK: tn.probe "slice.1"
// CHECK: %[[O:.*]], %[[NEW:.*]] = tn.lightning_attention
// CHECK-NEXT: tn.probe "lightning_attention" %[[O]] : tensor<?x?x2x2xf32>
// CHECK-NOT: tn.probe {{.*}} %[[NEW]]
// CHECK: %[[C:.*]] = tn.cast %{{.*}} : tensor<?x?x4xf32> -> tensor<?x?x4xbf16>
// CHECK-NEXT: %[[BACK:.*]] = tn.cast %[[C]] : tensor<?x?x4xbf16> -> tensor<?x?x4xf32>
// CHECK-NEXT: tn.probe "cast" %[[BACK]]
// CHECK-NEXT: return
// CHECK-LABEL: func.func @head(
// CHECK-NOT: tn.probe
func.func @values(%x: tensor<?x?x8xf32>, %slopes: tensor<2xf32>, %s: tensor<?x2x2x2xf32> {tn.state = 0 : i64})
    -> (tensor<?x?x4xbf16>, tensor<?x2x2x2xf32>) attributes {tn.rows = 8 : i64} {
  %q = tn.slice %x [0, 4] : tensor<?x?x8xf32> -> tensor<?x?x4xf32>
  %h = tn.split_heads %q : tensor<?x?x4xf32> -> tensor<?x?x2x2xf32>
  %v = tn.slice %x [4, 8] : tensor<?x?x8xf32> -> tensor<?x?x4xf32>
  %w = tn.split_heads %v : tensor<?x?x4xf32> -> tensor<?x?x2x2xf32>
  %o, %t = tn.lightning_attention %h, %h, %w, %slopes, %s
      : tensor<?x?x2x2xf32>, tensor<?x?x2x2xf32>, tensor<?x?x2x2xf32>, tensor<2xf32>, tensor<?x2x2x2xf32>
     -> tensor<?x?x2x2xf32>, tensor<?x2x2x2xf32>
  %m = tn.merge_heads %o : tensor<?x?x2x2xf32> -> tensor<?x?x4xf32>
  %c = tn.cast %m : tensor<?x?x4xf32> -> tensor<?x?x4xbf16>
  return %c, %t : tensor<?x?x4xbf16>, tensor<?x2x2x2xf32>
}
func.func @head(%x: tensor<?x8xf32>, %w: tensor<9x8xf32>) -> tensor<?x9xf32> attributes {tn.rows = 8 : i64} {
  %y = tn.linear %x, %w : tensor<?x8xf32>, tensor<9x8xf32> -> tensor<?x9xf32>
  return %y : tensor<?x9xf32>
}

// -----

// What is rounded in groups is stored as bytes and not shown, alone or in a group.
// CHECK-LABEL: func.func @rounded(
// CHECK: tn.probe "norm"
// CHECK: tn.round_groups
// CHECK-NOT: tn.probe
// FUSED-LABEL: func.func @rounded(
// FUSED: tn.round_groups
// FUSED-NOT: tn.probe
module {
  func.func @prefill(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
    return %x : tensor<?x?x8xf32>
  }
  func.func @rounded(%x: tensor<?x?x8xf32>) {
    %n = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x?x8xf32> -> tensor<?x?x8xf32> loc("norm")
    %r = tn.round_groups %n group 4 : tensor<?x?x8xf32> loc("rounded")
    return
  }
}
