// RUN: tnllm-opt %s --tn-derive-decode --split-input-file --verify-diagnostics | FileCheck %s
// RUN: tnllm-opt %s --tn-derive-decode='from=prefill to=step rows=7' --split-input-file \
// RUN:   | FileCheck %s --check-prefix=STEP
// RUN: tnllm-opt %s --tn-derive-decode='to=packed rows=256 packed' --split-input-file \
// RUN:   | FileCheck %s --check-prefix=PACKED

// The clone follows the original. [B, N, ...] becomes [B, 1, ...] in arguments, results
// and bodies; states, positions and parameters keep their types, states their mark.

// CHECK-LABEL: func.func @prefill(
// CHECK-SAME: tensor<?x?xi32>
// CHECK-SAME: -> (tensor<?x?x8xf32>, tensor<?x2x4x4xf32>)
// CHECK: tn.probe "hidden.0" %{{.*}} : tensor<?x?x8xf32>
// CHECK: call @block(
// CHECK: call @block(
// CHECK-LABEL: func.func @decode(
// CHECK-SAME: %[[IDS:.*]]: tensor<?x1xi32>, %[[POS:.*]]: tensor<?xi64>, %[[S:.*]]: tensor<?x2x4x4xf32> {tn.state = 0 : i64})
// CHECK-SAME: -> (tensor<?x1x8xf32>, tensor<?x2x4x4xf32>)
// CHECK-SAME: tn.rows = 64 : i64
// CHECK: tn.get_param @e : tensor<9x8xf32>
// CHECK: %[[X:.*]] = tn.embedding %[[IDS]], {{.*}} -> tensor<?x1x8xf32>
// CHECK: tn.probe "hidden.0" %[[X]] : tensor<?x1x8xf32>
// CHECK: %[[Y:.*]]:2 = call @block_decode(%[[X]], %[[S]]) : (tensor<?x1x8xf32>, tensor<?x2x4x4xf32>) -> (tensor<?x1x8xf32>, tensor<?x2x4x4xf32>)
// CHECK: call @block_decode(%[[Y]]#0, %[[Y]]#1)
// CHECK: return {{.*}} : tensor<?x1x8xf32>, tensor<?x2x4x4xf32>

// A callee that is called twice is derived once, and stays private.
// CHECK-LABEL: func.func private @block(
// CHECK-SAME: tn.rows = 256 : i64
// CHECK-LABEL: func.func private @block_decode(
// CHECK-SAME: tensor<?x2x4x4xf32> {tn.state = 0 : i64}
// CHECK-SAME: tn.rows = 64 : i64
// CHECK: tn.lightning_attention {{.*}} -> tensor<?x1x2x4xf32>, tensor<?x2x4x4xf32>
// CHECK-NOT: func.func

// Of packed sequences every function takes the offsets last, and the attention reads them.
// PACKED-LABEL: func.func @packed(
// PACKED-SAME: %{{[^:]*}}: tensor<?x1xi32>, %{{[^:]*}}: tensor<?xi64>, %{{[^:]*}}: tensor<?x2x4x4xf32> {tn.state = 0 : i64}, %[[O:[^:]*]]: tensor<?xi64> {tn.offsets})
// PACKED-SAME: tn.rows = 256 : i64
// PACKED: call @block_packed(%{{.*}}, %{{.*}}, %[[O]]) : (tensor<?x1x8xf32>, tensor<?x2x4x4xf32>, tensor<?xi64>)
// PACKED: call @block_packed(%{{.*}}, %{{.*}}, %[[O]])
// PACKED-LABEL: func.func private @block(
// PACKED-NOT: offsets
// PACKED-LABEL: func.func private @block_packed(
// PACKED-SAME: %[[O:[^:]*]]: tensor<?xi64> {tn.offsets})
// PACKED: tn.lightning_attention {{.*}} offsets %[[O]] : tensor<?xi64>

// STEP-LABEL: func.func @step(
// STEP-SAME: tn.rows = 7 : i64
// STEP: call @block_step(
// STEP-LABEL: func.func private @block_step(
// STEP-SAME: tn.rows = 7 : i64
module {
  tn.param @e : tensor<9x8xf32> init <normal, 1.0>
  func.func @prefill(%ids: tensor<?x?xi32>, %pos: tensor<?xi64>,
                     %s: tensor<?x2x4x4xf32> {tn.state = 0 : i64})
      -> (tensor<?x?x8xf32>, tensor<?x2x4x4xf32>) attributes {tn.rows = 256 : i64} {
    %e = tn.get_param @e : tensor<9x8xf32>
    %x = tn.embedding %ids, %e : tensor<?x?xi32>, tensor<9x8xf32> -> tensor<?x?x8xf32>
    tn.probe "hidden.0" %x : tensor<?x?x8xf32>
    %y:2 = call @block(%x, %s) : (tensor<?x?x8xf32>, tensor<?x2x4x4xf32>)
        -> (tensor<?x?x8xf32>, tensor<?x2x4x4xf32>)
    %z:2 = call @block(%y#0, %y#1) : (tensor<?x?x8xf32>, tensor<?x2x4x4xf32>)
        -> (tensor<?x?x8xf32>, tensor<?x2x4x4xf32>)
    return %z#0, %z#1 : tensor<?x?x8xf32>, tensor<?x2x4x4xf32>
  }
  func.func private @block(%x: tensor<?x?x8xf32>,
                           %s: tensor<?x2x4x4xf32> {tn.state = 0 : i64})
      -> (tensor<?x?x8xf32>, tensor<?x2x4x4xf32>) attributes {tn.rows = 256 : i64} {
    %h = tn.split_heads %x : tensor<?x?x8xf32> -> tensor<?x?x2x4xf32>
    %d = tn.decay_slopes <headwise, layer = 0 of 1> : tensor<2xf32>
    %o, %n = tn.lightning_attention %h, %h, %h, %d, %s
        : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<2xf32>,
          tensor<?x2x4x4xf32> -> tensor<?x?x2x4xf32>, tensor<?x2x4x4xf32>
    %m = tn.merge_heads %o : tensor<?x?x2x4xf32> -> tensor<?x?x8xf32>
    return %m, %n : tensor<?x?x8xf32>, tensor<?x2x4x4xf32>
  }
}

// -----

// The suffix gives way where its name is taken; rows of one dimension stay.
// CHECK-LABEL: module @taken_suffix
// CHECK: func.func @decode(%{{.*}}: tensor<?x1x8xf32>, %[[R:.*]]: tensor<?x8xf32>)
// CHECK: call @inner_decode_0(
// CHECK: func.func private @inner_decode_0(
// CHECK-SAME: tensor<?x1x8xf32>
module @taken_suffix {
  func.func @prefill(%x: tensor<?x?x8xf32>, %r: tensor<?x8xf32>) -> tensor<?x?x8xf32> {
    %y = call @inner(%x) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
    return %y : tensor<?x?x8xf32>
  }
  func.func private @inner(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
    %y = tn.add %x, %x : tensor<?x?x8xf32>
    return %y : tensor<?x?x8xf32>
  }
  func.func private @inner_decode()
}

// -----

// Caches of a softmax attention belong to rows: there is no packed form.
// PACKED-LABEL: module @softmax
// PACKED-NOT: @packed
module @softmax {
  func.func @prefill(%x: tensor<?x?x2x4xf32>) -> tensor<?x?x2x4xf32> {
    %o, %l = tn.softmax_attention %x, %x, %x : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32> -> tensor<?x?x2x4xf32>, tensor<?x?x2xf32>
    return %o : tensor<?x?x2x4xf32>
  }
}

// -----

// A callee without a body takes them too.

// PACKED-LABEL: func.func @packed(
// PACKED: call @declared_packed(%{{.*}}, %{{.*}}) : (tensor<?x1x8xf32>, tensor<?xi64>)
// PACKED: func.func private @declared_packed(tensor<?x1x8xf32>, tensor<?xi64> {tn.offsets}) -> tensor<?x1x8xf32>
func.func @prefill(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %y = call @declared(%x) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}
func.func private @declared(tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
