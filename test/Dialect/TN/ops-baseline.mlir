// Every operation of ablations and baselines prints as it was parsed, in its own form and
// the generic one.
// RUN: tnllm-opt %s | tnllm-opt | FileCheck %s
// RUN: tnllm-opt %s --mlir-print-op-generic | tnllm-opt | FileCheck %s

// CHECK-LABEL: func.func @positions
func.func @positions(%p: tensor<?xi64>, %ids: tensor<?x?xi32>, %x: tensor<?x?x4x16xf32>,
                     %theta: tensor<8xf32>, %y: tensor<?x1x8xf32>) {
  // CHECK: tn.position_ids %{{.*}} like %{{.*}} : tensor<?xi64>, tensor<?x?xi32> -> tensor<?x?xi32>
  %0 = tn.position_ids %p like %ids : tensor<?xi64>, tensor<?x?xi32> -> tensor<?x?xi32>
  // CHECK: tn.position_ids %{{.*}} like %{{.*}} : tensor<?xi64>, tensor<?x1x8xf32> -> tensor<?x1xi32>
  %1 = tn.position_ids %p like %y : tensor<?xi64>, tensor<?x1x8xf32> -> tensor<?x1xi32>
  // CHECK: tn.rope %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x?x4x16xf32>, tensor<8xf32>, tensor<?xi64>
  %2 = tn.rope %x, %theta, %p : tensor<?x?x4x16xf32>, tensor<8xf32>, tensor<?xi64>
  // CHECK: tn.rope inverse %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x?x4x16xf32>
  %3 = tn.rope inverse %2, %theta, %p : tensor<?x?x4x16xf32>, tensor<8xf32>, tensor<?xi64>
  return
}

// CHECK-LABEL: func.func @attention
func.func @attention(%q: tensor<?x?x4x16xf32>, %v: tensor<?x?x4x24xf32>, %p: tensor<?xi64>,
                     %c: tensor<?x4x512x40xf32>, %d: tensor<?x4x64x40xf32>) {
  // CHECK: tn.softmax_attention %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x24xf32> -> tensor<?x?x4x24xf32>, tensor<?x?x4xf32>{{$}}
  %o, %lse = tn.softmax_attention %q, %q, %v
      : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x24xf32>
     -> tensor<?x?x4x24xf32>, tensor<?x?x4xf32>
  // CHECK: tn.softmax_attention %{{.*}}, %{{.*}}, %{{.*}} cache %{{.*}} : tensor<?x4x512x40xf32> at %{{.*}} : tensor<?xi64> {scale = 2.500000e-01 : f32} : {{.*}} -> tensor<?x?x4x24xf32>, tensor<?x?x4xf32>, tensor<?x4x512x40xf32>
  %o1, %l1, %c1 = tn.softmax_attention %q, %q, %v cache %c : tensor<?x4x512x40xf32>
      at %p : tensor<?xi64> {scale = 0.25 : f32}
      : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x24xf32>
     -> tensor<?x?x4x24xf32>, tensor<?x?x4xf32>, tensor<?x4x512x40xf32>
  // CHECK: cache %{{.*}} : tensor<?x4x64x40xf32> at %{{.*}} : tensor<?xi64> block 64 :
  %o2, %l2, %c2 = tn.softmax_attention %q, %q, %v cache %d : tensor<?x4x64x40xf32>
      at %p : tensor<?xi64> block 64
      : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x24xf32>
     -> tensor<?x?x4x24xf32>, tensor<?x?x4xf32>, tensor<?x4x64x40xf32>
  // CHECK: tn.softmax_attention_grad %{{.*}} block 64 :
  %dq, %dk, %dv = tn.softmax_attention_grad %q, %q, %v, %o, %lse, %o block 64
      : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x24xf32>,
        tensor<?x?x4x24xf32>, tensor<?x?x4xf32>, tensor<?x?x4x24xf32>
     -> tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x24xf32>
  // CHECK: tn.softmax_attention_grad %{{.*}} {scale = 5.000000e-01 : f32} :
  %eq, %ek, %ev = tn.softmax_attention_grad %q, %q, %v, %o, %lse, %o {scale = 0.5 : f32}
      : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x24xf32>,
        tensor<?x?x4x24xf32>, tensor<?x?x4xf32>, tensor<?x?x4x24xf32>
     -> tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x24xf32>
  return
}
