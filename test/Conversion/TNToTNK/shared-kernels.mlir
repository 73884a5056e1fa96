// RUN: tnllm-opt %s --convert-tn-to-tnk --split-input-file | FileCheck %s

// Equal operations on equal buffers share a kernel, within a function and between
// prefill and decode, whose rows are as many; what differs in an attribute does not.
// CHECK-LABEL: func.func @prefill(
// CHECK: tnrt.launch {{.*}} @linear_k8_n8_add tasks
// CHECK: tnrt.launch {{.*}} @linear_k8_n8_add tasks
// CHECK: tnrt.launch {{.*}} @activation tasks
// CHECK: tnrt.launch {{.*}} @[[GELU:activation_[0-9]+]] tasks
// CHECK-LABEL: func.func @decode(
// CHECK: tnrt.launch {{.*}} @linear_k8_n8_add tasks
// CHECK: tnrt.launch {{.*}} @activation tasks
// CHECK-DAG: tnk.kernel @linear_k8_n8_add(
// CHECK-DAG: tnk.kernel @activation(
// CHECK-DAG: tnk.kernel @[[GELU]](
// CHECK-NOT: tnk.kernel
tn.param @u : tensor<8x8xf32> init <normal, 1.0>
tn.param @v : tensor<8x8xf32> init <normal, 1.0>
func.func @prefill(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> attributes {tn.rows = 8 : i64} {
  %u = tn.get_param @u : tensor<8x8xf32>
  %v = tn.get_param @v : tensor<8x8xf32>
  %0 = tn.fused -> tensor<?x?x8xf32> {
    %4 = tn.linear %x, %u : tensor<?x?x8xf32>, tensor<8x8xf32> -> tensor<?x?x8xf32>
    %5 = tn.add %x, %4 : tensor<?x?x8xf32>
    tn.yield %5 : tensor<?x?x8xf32>
  }
  %1 = tn.fused -> tensor<?x?x8xf32> {
    %4 = tn.linear %0, %v : tensor<?x?x8xf32>, tensor<8x8xf32> -> tensor<?x?x8xf32>
    %5 = tn.add %0, %4 : tensor<?x?x8xf32>
    tn.yield %5 : tensor<?x?x8xf32>
  }
  %2 = tn.activation <silu> %1 : tensor<?x?x8xf32>
  %3 = tn.activation <gelu> %2 : tensor<?x?x8xf32>
  return %3 : tensor<?x?x8xf32>
}
func.func @decode(%x: tensor<?x1x8xf32>) -> tensor<?x1x8xf32> attributes {tn.rows = 8 : i64} {
  %u = tn.get_param @u : tensor<8x8xf32>
  %0 = tn.fused -> tensor<?x1x8xf32> {
    %4 = tn.linear %x, %u : tensor<?x1x8xf32>, tensor<8x8xf32> -> tensor<?x1x8xf32>
    %5 = tn.add %x, %4 : tensor<?x1x8xf32>
    tn.yield %5 : tensor<?x1x8xf32>
  }
  %1 = tn.activation <silu> %0 : tensor<?x1x8xf32>
  return %1 : tensor<?x1x8xf32>
}

// -----

// Scales that differ in the seventh decimal are different kernels.
// CHECK-LABEL: func.func @scales(
// CHECK: tnrt.launch {{.*}} @embedding tasks
// CHECK: tnrt.launch {{.*}} @embedding_{{[0-9]+}} tasks
func.func @scales(%ids: tensor<?x?xi32>, %e: tensor<9x8xf32>)
    -> (tensor<?x?x8xf32>, tensor<?x?x8xf32>) attributes {tn.rows = 8 : i64} {
  %x = tn.embedding %ids, %e {scale = 1.0e-7 : f32}
      : tensor<?x?xi32>, tensor<9x8xf32> -> tensor<?x?x8xf32>
  %y = tn.embedding %ids, %e {scale = 2.0e-7 : f32}
      : tensor<?x?xi32>, tensor<9x8xf32> -> tensor<?x?x8xf32>
  return %x, %y : tensor<?x?x8xf32>, tensor<?x?x8xf32>
}
