// What ablations and baselines are trained with on a GPU: a task is a head of a position. The
// adjoint of softmax attention is two kernels, of queries and of keys.
// RUN: tnllm-opt %s --convert-tn-to-tnk='training=1 gpu-threads=256' --canonicalize \
// RUN:   | FileCheck %s
// RUN: tnllm-opt %s --convert-tn-to-tnk='training=1 gpu-threads=256' --canonicalize --cse \
// RUN:   | tnllm-opt - --device-pipeline -o /dev/null

// CHECK-LABEL: func.func @forward(
// CHECK-SAME: %[[C:.*]]: !tnrt.context, %[[B:.*]]: index, %[[N:[^:]*]]: index,
// CHECK: %[[ROWS:.*]] = arith.muli %[[B]], %[[N]]
// CHECK: tnrt.launch %[[C]] @position_ids tasks(%[[ROWS]])
// CHECK: %[[TASKS:.*]] = arith.muli %[[ROWS]], %c3
// CHECK: tnrt.launch %[[C]] @rope tasks(%[[TASKS]])
// CHECK: tnrt.launch %[[C]] @softmax_attention tasks(%{{.*}}) (%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[N]])
func.func @forward(%ids: tensor<?x?xi32>, %p: tensor<?xi64>)
    -> (tensor<?x?x3x16xf32>, tensor<?x?x3xf32>) attributes {tn.rows = 16 : i64} {
  %table = tn.get_param @table : tensor<40x84xf32>
  %theta = arith.constant dense<1.0> : tensor<6xf32>
  %numbers = tn.position_ids %p like %ids : tensor<?xi64>, tensor<?x?xi32> -> tensor<?x?xi32>
  %x = tn.embedding %numbers, %table : tensor<?x?xi32>, tensor<40x84xf32> -> tensor<?x?x84xf32>
  %q = tn.slice %x [0, 36] : tensor<?x?x84xf32> -> tensor<?x?x36xf32>
  %v = tn.slice %x [36, 84] : tensor<?x?x84xf32> -> tensor<?x?x48xf32>
  %qh = tn.split_heads %q : tensor<?x?x36xf32> -> tensor<?x?x3x12xf32>
  %vh = tn.split_heads %v : tensor<?x?x48xf32> -> tensor<?x?x3x16xf32>
  %r = tn.rope %qh, %theta, %p : tensor<?x?x3x12xf32>, tensor<6xf32>, tensor<?xi64>
  %o, %l = tn.softmax_attention %r, %qh, %vh {scale = 0.25 : f32}
      : tensor<?x?x3x12xf32>, tensor<?x?x3x12xf32>, tensor<?x?x3x16xf32>
     -> tensor<?x?x3x16xf32>, tensor<?x?x3xf32>
  return %o, %l : tensor<?x?x3x16xf32>, tensor<?x?x3xf32>
}

// The second kernel reads what the first leaves: c of each query.
// CHECK-LABEL: func.func @adjoint(
// CHECK: %[[MEANS:.*]] = tnrt.alloc : memref<16x3xf32>
// CHECK: tnrt.launch %{{.*}} @softmax_grad_query tasks(%{{.*}}) (%[[Q:[^,]*]], {{.*}}, %[[MEANS]])
// CHECK: tnrt.launch %{{.*}} @softmax_grad_key tasks(%{{.*}}) (%[[Q]], {{.*}}, %[[MEANS]])
func.func @adjoint(%q: tensor<?x?x3x12xf32>, %v: tensor<?x?x3x16xf32>, %o: tensor<?x?x3x16xf32>,
                   %l: tensor<?x?x3xf32>, %do: tensor<?x?x3x16xf32>)
    -> (tensor<?x?x3x12xf32>, tensor<?x?x3x12xf32>, tensor<?x?x3x16xf32>)
    attributes {tn.rows = 16 : i64} {
  %dq, %dk, %dv = tn.softmax_attention_grad %q, %q, %v, %o, %l, %do block 8
      : tensor<?x?x3x12xf32>, tensor<?x?x3x12xf32>, tensor<?x?x3x16xf32>,
        tensor<?x?x3x16xf32>, tensor<?x?x3xf32>, tensor<?x?x3x16xf32>
     -> tensor<?x?x3x12xf32>, tensor<?x?x3x12xf32>, tensor<?x?x3x16xf32>
  return %dq, %dk, %dv : tensor<?x?x3x12xf32>, tensor<?x?x3x12xf32>, tensor<?x?x3x16xf32>
}

tn.param @table : tensor<40x84xf32> init <normal, 1.0 : f64>

// The largest product, the sum and the output so far, over four keys and then over one.
// CHECK-LABEL: tnk.kernel @softmax_attention({{.*}}) threads(32)
// CHECK: %[[MANY:.*]]:3 = scf.for {{.*}} step %c4 iter_args({{.*}}) -> (f32, f32, vector<16xf32>)
// CHECK-COUNT-4: vector.reduction <add>, %{{.*}} : vector<12xf32> into f32
// CHECK: arith.maximumf
// CHECK: scf.for {{.*}} step %c1 iter_args(%{{.*}} = %[[MANY]]#0,
// CHECK: math.log
// CHECK: memref.store

// A query sees its block's keys up to itself, a key its block's queries from itself on.
// CHECK-LABEL: tnk.kernel @softmax_grad_query({{.*}}) threads(32)
// CHECK: arith.remui %{{.*}}, %c8
// CHECK: scf.for {{.*}} -> (vector<12xf32>)
// CHECK-LABEL: tnk.kernel @softmax_grad_key({{.*}}) threads(32)
// CHECK: arith.minsi
// CHECK: scf.for {{.*}} -> (vector<12xf32>, vector<16xf32>)
