// Operations of ablations and baselines go with their last use, and equal ones are computed
// once; the cache is updated in place, so an attention whose new cache is used stays.
// RUN: tnllm-opt %s --canonicalize --cse | FileCheck %s

// CHECK-LABEL: func @unused
// CHECK-NEXT: return
func.func @unused(%q: tensor<?x?x4x16xf32>, %p: tensor<?xi64>, %ids: tensor<?x?xi32>, %theta: tensor<8xf32>,
                  %c: tensor<?x4x64x32xf32>) {
  %0 = tn.position_ids %p like %ids : tensor<?xi64>, tensor<?x?xi32> -> tensor<?x?xi32>
  %1 = tn.rope %q, %theta, %p : tensor<?x?x4x16xf32>, tensor<8xf32>, tensor<?xi64>
  %o, %l, %n = tn.softmax_attention %1, %q, %q cache %c : tensor<?x4x64x32xf32>
      at %p : tensor<?xi64> block 64
      : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>
     -> tensor<?x?x4x16xf32>, tensor<?x?x4xf32>, tensor<?x4x64x32xf32>
  %dq, %dk, %dv = tn.softmax_attention_grad %1, %q, %q, %o, %l, %q
      : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>,
        tensor<?x?x4x16xf32>, tensor<?x?x4xf32>, tensor<?x?x4x16xf32>
     -> tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>
  return
}

// CHECK-LABEL: func @cache
// CHECK: %{{.*}}, %{{.*}}, %[[N:.*]] = tn.softmax_attention
// CHECK: return %[[N]]
func.func @cache(%q: tensor<?x?x4x16xf32>, %p: tensor<?xi64>, %c: tensor<?x4x64x32xf32>)
    -> tensor<?x4x64x32xf32> {
  %o, %l, %n = tn.softmax_attention %q, %q, %q cache %c : tensor<?x4x64x32xf32>
      at %p : tensor<?xi64>
      : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>
     -> tensor<?x?x4x16xf32>, tensor<?x?x4xf32>, tensor<?x4x64x32xf32>
  return %n : tensor<?x4x64x32xf32>
}

// CHECK-LABEL: func @equal
// CHECK: %[[R:.*]] = tn.rope
// CHECK-NOT: tn.rope %
// CHECK: tn.rope inverse
// CHECK: tn.mul %[[R]], %[[R]]
func.func @equal(%q: tensor<?x?x4x16xf32>, %theta: tensor<8xf32>, %p: tensor<?xi64>)
    -> (tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>) {
  %0 = tn.rope %q, %theta, %p : tensor<?x?x4x16xf32>, tensor<8xf32>, tensor<?xi64>
  %1 = tn.rope %q, %theta, %p : tensor<?x?x4x16xf32>, tensor<8xf32>, tensor<?xi64>
  %2 = tn.rope inverse %q, %theta, %p : tensor<?x?x4x16xf32>, tensor<8xf32>, tensor<?xi64>
  %3 = tn.mul %0, %1 : tensor<?x?x4x16xf32>
  return %2, %3 : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>
}
