// RUN: tnllm-opt %s --convert-tn-to-tnk --canonicalize --split-input-file | FileCheck %s

// Entry points take their states from the runtime, other functions as arguments. A
// state that comes back is the argument itself, updated in place; other results are
// buffers that the caller gives.
// CHECK: tnrt.capacity = {prefill = 8 : i64}
// CHECK-SAME: tnrt.probe_shapes = [array<i64: 8>, array<i64: 8>]
// CHECK-SAME: tnrt.probes = ["hidden.0", "hidden.1"]
// CHECK-SAME: tnrt.states = [tensor<?x2x4x4xf32>, tensor<?x2x4x4xf32>]
// CHECK-LABEL: func.func @prefill(
// CHECK-SAME: %[[C:.*]]: !tnrt.context, %[[B:.*]]: index, %[[N:.*]]: index, %[[X:[^ :]*]]: memref<8x8xf32>, %[[OUT:.*]]: memref<8x8xf32>) attributes {tnrt.entry}
// CHECK-DAG: %[[S0:.*]] = tnrt.state %[[C]][0] : memref<8x2x4x4xf32>
// CHECK-DAG: %[[S1:.*]] = tnrt.state %[[C]][1] : memref<8x2x4x4xf32>
// CHECK-DAG: %[[ROWS:.*]] = arith.muli %[[B]], %[[N]]
// CHECK: tnrt.probe %[[C]][0] %[[X]], %[[ROWS]]
// CHECK: %[[Y:.*]] = tnrt.alloc : memref<8x8xf32>
// CHECK: call @block(%[[C]], %[[B]], %[[N]], %[[X]], %[[S0]], %[[Y]])
// CHECK: call @block(%[[C]], %[[B]], %[[N]], %[[Y]], %[[S1]], %[[OUT]])
// CHECK: tnrt.probe %[[C]][1] %[[OUT]], %[[ROWS]]
// CHECK: return
// CHECK-LABEL: func.func private @block(
// CHECK-SAME: %[[X:[^ :]*]]: memref<8x8xf32>, %[[S:[^ :]*]]: memref<8x2x4x4xf32>, %[[OUT:.*]]: memref<8x8xf32>)
// CHECK-NOT: tnrt.entry
// CHECK: %[[O:.*]] = tnrt.alloc
// CHECK: tnrt.launch %{{.*}} @attention_chunked tasks({{.*}}) (%[[X]], %[[X]], %[[X]], %{{.*}}, %[[S]], %[[O]],
// CHECK: tnrt.launch %{{.*}} @mul tasks({{.*}}) (%[[O]], %[[OUT]],
func.func @prefill(%x: tensor<?x?x8xf32>, %s: tensor<?x2x4x4xf32> {tn.state = 0 : i64},
                   %t: tensor<?x2x4x4xf32> {tn.state = 1 : i64})
    -> (tensor<?x?x8xf32>, tensor<?x2x4x4xf32>, tensor<?x2x4x4xf32>)
    attributes {tn.rows = 8 : i64} {
  tn.probe "hidden.0" %x : tensor<?x?x8xf32>
  %y:2 = call @block(%x, %s) : (tensor<?x?x8xf32>, tensor<?x2x4x4xf32>)
      -> (tensor<?x?x8xf32>, tensor<?x2x4x4xf32>)
  %z:2 = call @block(%y#0, %t) : (tensor<?x?x8xf32>, tensor<?x2x4x4xf32>)
      -> (tensor<?x?x8xf32>, tensor<?x2x4x4xf32>)
  tn.probe "hidden.1" %z#0 : tensor<?x?x8xf32>
  return %z#0, %y#1, %z#1
      : tensor<?x?x8xf32>, tensor<?x2x4x4xf32>, tensor<?x2x4x4xf32>
}
func.func private @block(%x: tensor<?x?x8xf32>,
                         %s: tensor<?x2x4x4xf32> {tn.state = 0 : i64})
    -> (tensor<?x?x8xf32>, tensor<?x2x4x4xf32>) attributes {tn.rows = 8 : i64} {
  %h = tn.split_heads %x : tensor<?x?x8xf32> -> tensor<?x?x2x4xf32>
  %d = tn.decay_slopes <none, layer = 0 of 1> : tensor<2xf32>
  %o, %n = tn.lightning_attention %h, %h, %h, %d, %s
      : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<2xf32>,
        tensor<?x2x4x4xf32> -> tensor<?x?x2x4xf32>, tensor<?x2x4x4xf32>
  %m = tn.merge_heads %o : tensor<?x?x2x4xf32> -> tensor<?x?x8xf32>
  %r = tn.mul %m, %m : tensor<?x?x8xf32>
  return %r, %n : tensor<?x?x8xf32>, tensor<?x2x4x4xf32>
}

// -----

// Columns of a buffer are a view, and a slice of a slice is one too.
// CHECK-LABEL: func.func @slices(
// CHECK-SAME: %[[X:[^ ]*]]: memref<8x32xf32>
// CHECK: %[[A:.*]] = memref.subview %[[X]][0, 8] [8, 16] [1, 1] : memref<8x32xf32> to memref<8x16xf32, strided<[32, 1], offset: 8>>
// CHECK: memref.subview %[[A]][0, 4] [8, 8] [1, 1] : {{.*}} to memref<8x8xf32, strided<[32, 1], offset: 12>>
func.func @slices(%x: tensor<?x?x32xf32>) -> tensor<?x?x8xf32> attributes {tn.rows = 8 : i64} {
  %a = tn.slice %x [8, 24] : tensor<?x?x32xf32> -> tensor<?x?x16xf32>
  %b = tn.slice %a [4, 12] : tensor<?x?x16xf32> -> tensor<?x?x8xf32>
  %y = tn.add %b, %b : tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// A tied head: one tensor, read by rows and in panels.
// CHECK: tnrt.parameters = [
// CHECK-SAME: layout = #tnrt.layout<rows, 0, 0>, tensor = "e", type = tensor<9x8xf32>
// CHECK-SAME: layout = #tnrt.layout<panels, 64, 1>, tensor = "e", type = tensor<9x8xf32>
// CHECK-LABEL: func.func @prefill(
// CHECK: tnrt.param %{{.*}}[0] : memref<9x8xf32>
// CHECK-LABEL: func.func @head(
// CHECK-SAME: %{{.*}}: !tnrt.context, %[[R:.*]]: index, %{{.*}}: memref<4x8xf32>, %{{.*}}: memref<4x9xf32>)
// CHECK: tnrt.param %{{.*}}[1] : memref<1x8x64xf32>
// CHECK: tnrt.launch {{.*}} %[[R]])
tn.param @e : tensor<9x8xf32> init <normal, 1.0>
func.func @prefill(%ids: tensor<?x?xi32>) -> tensor<?x?x8xf32> attributes {tn.rows = 8 : i64} {
  %e = tn.get_param @e : tensor<9x8xf32>
  %x = tn.embedding %ids, %e : tensor<?x?xi32>, tensor<9x8xf32> -> tensor<?x?x8xf32>
  return %x : tensor<?x?x8xf32>
}
func.func @head(%x: tensor<?x8xf32>) -> tensor<?x9xf32> attributes {tn.rows = 4 : i64} {
  %e = tn.get_param @e : tensor<9x8xf32>
  %y = tn.linear %x, %e : tensor<?x8xf32>, tensor<9x8xf32> -> tensor<?x9xf32>
  return %y : tensor<?x9xf32>
}

// -----

// A weight that is a callee's argument is packed where it is read.
// CHECK: layout = #tnrt.layout<panels, 64, 1>, tensor = "w", type = tensor<8x8xf32>
// CHECK-LABEL: func.func private @inner(
// CHECK-SAME: memref<8x8xf32>, %{{.*}}: memref<1x8x64xf32>, %{{.*}}: memref<8x8xf32>)
tn.param @w : tensor<8x8xf32> init <normal, 1.0>
func.func @outer(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> attributes {tn.rows = 8 : i64} {
  %w = tn.get_param @w : tensor<8x8xf32>
  %y = call @inner(%x, %w) : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}
func.func private @inner(%x: tensor<?x?x8xf32>, %w: tensor<8x8xf32>) -> tensor<?x?x8xf32>
    attributes {tn.rows = 8 : i64} {
  %y = tn.linear %x, %w : tensor<?x?x8xf32>, tensor<8x8xf32> -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}
