// Launches of what ablations and baselines need. A cache is a state, updated in place;
// nobody computes log-sum-exps that nobody reads.
// RUN: tnllm-opt %s --convert-tn-to-tnk='panel-width=16 chunk=32 tile-rows=4' --canonicalize | FileCheck %s

// CHECK: tnrt.states = [tensor<?x3x40x28xf32>, tensor<?x3x8x28xf32>]
// CHECK-LABEL: func.func @prefill(
// CHECK-SAME: %[[C:.*]]: !tnrt.context, %[[B:.*]]: index, %[[N:.*]]: index, %{{.*}}: memref<16xi32>, %[[P:.*]]: memref<16xi64>
// CHECK-DAG: %[[WHOLE:.*]] = tnrt.state %[[C]][0] : memref<16x3x40x28xf32>
// CHECK-DAG: %[[BLOCK:.*]] = tnrt.state %[[C]][1] : memref<16x3x8x28xf32>
// CHECK: tnrt.launch %[[C]] @position_ids tasks(%{{.*}}) (%[[P]], %[[IDS:.*]], %{{.*}}, %[[N]])
// CHECK: tnrt.launch %[[C]] @embedding tasks(%{{.*}}) (%[[IDS]],
// CHECK: tnrt.launch %[[C]] @rope tasks
// CHECK: %[[TASKS:.*]] = arith.muli %[[B]], %c3
// CHECK: tnrt.launch %[[C]] @softmax_attention tasks(%[[TASKS]]) (%{{.*}}, %{{.*}}, %{{.*}}, %[[WHOLE]], %[[P]], %{{.*}}, %[[N]])
// CHECK: tnrt.launch %[[C]] @softmax_attention_0 tasks(%{{.*}}) (%{{.*}}, %{{.*}}, %{{.*}}, %[[BLOCK]], %[[P]], %{{.*}}, %[[N]])
// CHECK-LABEL: func.func @decode(
// CHECK: tnrt.launch %{{.*}} @softmax_one_position
// CHECK: tnrt.launch %{{.*}} @softmax_one_position
// CHECK-LABEL: tnk.kernel @position_ids(
// CHECK: arith.trunci {{.*}} : i64 to i32

// Keys and values go to the cache, piece by piece; queries read them there. A query is a
// lane: products are [keys, queries], and a maximum goes over keys.
// CHECK-LABEL: tnk.kernel @softmax_attention(
// CHECK: %[[MINE:.*]] = memref.subview %{{.*}}[%{{.*}}, %{{.*}}, 0, 0] [1, 1, 40, 28]
// CHECK-DAG: %[[QT:.*]] = memref.alloca() {alignment = 64 : i64} : memref<12x32xf32>
// CHECK-DAG: %[[Z:.*]] = memref.alloca() {alignment = 64 : i64} : memref<32x32xf32>
// CHECK: vector.transfer_write %{{.*}}, %[[MINE]]
// CHECK: tnk.contract %[[MINE]][%{{.*}}, %c0], %[[QT]][
// CHECK: arith.select
// CHECK: arith.maximumf {{.*}} : vector<32xf32>
// CHECK: math.exp {{.*}} : vector<32xf32>
// CHECK: tnk.contract transpose_a %[[Z]][%c0, %{{.*}}], %[[MINE]][%{{.*}}
func.func @prefill(%ids: tensor<?x?xi32>, %p: tensor<?xi64>,
                   %a: tensor<?x3x40x28xf32> {tn.state = 0 : i64},
                   %b: tensor<?x3x8x28xf32> {tn.state = 1 : i64})
    -> (tensor<?x?x3x16xf32>, tensor<?x3x40x28xf32>, tensor<?x3x8x28xf32>)
    attributes {tn.rows = 16 : i64} {
  %table = tn.get_param @table : tensor<40x84xf32>
  %theta = arith.constant dense<1.0> : tensor<6xf32>
  %numbers = tn.position_ids %p like %ids : tensor<?xi64>, tensor<?x?xi32> -> tensor<?x?xi32>
  %x = tn.embedding %numbers, %table : tensor<?x?xi32>, tensor<40x84xf32> -> tensor<?x?x84xf32>
  %q = tn.slice %x [0, 36] : tensor<?x?x84xf32> -> tensor<?x?x36xf32>
  %v = tn.slice %x [36, 84] : tensor<?x?x84xf32> -> tensor<?x?x48xf32>
  %qh = tn.split_heads %q : tensor<?x?x36xf32> -> tensor<?x?x3x12xf32>
  %vh = tn.split_heads %v : tensor<?x?x48xf32> -> tensor<?x?x3x16xf32>
  %r = tn.rope %qh, %theta, %p : tensor<?x?x3x12xf32>, tensor<6xf32>, tensor<?xi64>
  %o, %l, %n = tn.softmax_attention %r, %qh, %vh cache %a : tensor<?x3x40x28xf32> at %p : tensor<?xi64>
      : tensor<?x?x3x12xf32>, tensor<?x?x3x12xf32>, tensor<?x?x3x16xf32>
     -> tensor<?x?x3x16xf32>, tensor<?x?x3xf32>, tensor<?x3x40x28xf32>
  %o2, %l2, %n2 = tn.softmax_attention %r, %qh, %o cache %b : tensor<?x3x8x28xf32> at %p : tensor<?xi64> block 8
      : tensor<?x?x3x12xf32>, tensor<?x?x3x12xf32>, tensor<?x?x3x16xf32>
     -> tensor<?x?x3x16xf32>, tensor<?x?x3xf32>, tensor<?x3x8x28xf32>
  return %o2, %n, %n2 : tensor<?x?x3x16xf32>, tensor<?x3x40x28xf32>, tensor<?x3x8x28xf32>
}

func.func @decode(%p: tensor<?xi64>, %q: tensor<?x1x3x12xf32>, %v: tensor<?x1x3x16xf32>,
                  %a: tensor<?x3x40x28xf32> {tn.state = 0 : i64},
                  %b: tensor<?x3x8x28xf32> {tn.state = 1 : i64})
    -> (tensor<?x1x3x16xf32>, tensor<?x3x40x28xf32>, tensor<?x3x8x28xf32>)
    attributes {tn.rows = 16 : i64} {
  %o, %l, %n = tn.softmax_attention %q, %q, %v cache %a : tensor<?x3x40x28xf32> at %p : tensor<?xi64>
      : tensor<?x1x3x12xf32>, tensor<?x1x3x12xf32>, tensor<?x1x3x16xf32>
     -> tensor<?x1x3x16xf32>, tensor<?x1x3xf32>, tensor<?x3x40x28xf32>
  %o2, %l2, %n2 = tn.softmax_attention %q, %q, %o cache %b : tensor<?x3x8x28xf32> at %p : tensor<?xi64> block 8
      : tensor<?x1x3x12xf32>, tensor<?x1x3x12xf32>, tensor<?x1x3x16xf32>
     -> tensor<?x1x3x16xf32>, tensor<?x1x3xf32>, tensor<?x3x8x28xf32>
  return %o2, %n, %n2 : tensor<?x1x3x16xf32>, tensor<?x3x40x28xf32>, tensor<?x3x8x28xf32>
}

tn.param @table : tensor<40x84xf32> init <normal, 1.0 : f64>
