// RUN: tnllm-opt %s --tn-mixed-precision | FileCheck %s
// What the backward keeps is then bf16.
// RUN: tnllm-opt %s --tn-mixed-precision --tn-differentiate --canonicalize --cse \
// RUN:   | FileCheck %s --check-prefix=GRAD
// RUN: tnllm-opt %s --tn-mixed-precision --tn-differentiate=recompute=selective --canonicalize --cse \
// RUN:   | FileCheck %s --check-prefix=SOME

tn.param @table : tensor<32x8xf32> init <normal, 2.0e-02 : f64>
tn.param @a : tensor<16x8xf32> init <normal, 2.0e-02 : f64>
tn.param @b : tensor<8x16xf32> init <normal, 2.0e-02 : f64>

// The weight comes in bf16; the result that goes into a sum stays f32.
// CHECK-LABEL: func.func private @block(
// CHECK-SAME: %[[X:[^:]*]]: tensor<?x?x8xf32>, %[[A:[^:]*]]: tensor<16x8xbf16>, %[[B:[^:]*]]: tensor<8x16xbf16>)
// CHECK: %[[X0:.*]] = tn.cast %[[X]] : tensor<?x?x8xf32> -> tensor<?x?x8xbf16>
// CHECK: %[[Y:.*]] = tn.linear %[[X0]], %[[A]] : tensor<?x?x8xbf16>, tensor<16x8xbf16> -> tensor<?x?x16xf32>
// CHECK: %[[NARROW:.*]] = tn.cast %[[Y]] : tensor<?x?x16xf32> -> tensor<?x?x16xbf16>
// CHECK: %[[WIDE:.*]] = tn.cast %[[NARROW]] : tensor<?x?x16xbf16> -> tensor<?x?x16xf32>
// CHECK: %[[Z:.*]] = tn.activation <silu> %[[WIDE]]
// CHECK: tn.cast %[[Z]]
// CHECK: %[[SUM:.*]] = tn.linear %{{.*}}, %[[B]] :
// CHECK-NEXT: tn.add %[[X]], %[[SUM]]
// GRAD-LABEL: func.func private @block_forward(
// GRAD-SAME: -> (tensor<?x?x8xf32>, tensor<?x?x16xbf16>, tensor<?x?x16xbf16>, tensor<?x?x8xbf16>)
// The rounded product is kept, and not the f32 that it was; its activation is computed again.
// SOME-LABEL: func.func private @block_forward(
// SOME-SAME: -> (tensor<?x?x8xf32>, tensor<?x?x16xbf16>) attributes
func.func private @block(%x: tensor<?x?x8xf32>, %a: tensor<16x8xf32>, %b: tensor<8x16xf32>)
    -> tensor<?x?x8xf32> attributes {tn.rows = 32 : i64} {
  %0 = tn.linear %x, %a : tensor<?x?x8xf32>, tensor<16x8xf32> -> tensor<?x?x16xf32>
  %1 = tn.activation <silu> %0 : tensor<?x?x16xf32>
  %2 = tn.linear %1, %b : tensor<?x?x16xf32>, tensor<8x16xf32> -> tensor<?x?x8xf32>
  %3 = tn.add %x, %2 : tensor<?x?x8xf32>
  return %3 : tensor<?x?x8xf32>
}

// Weights are rounded before the first layer; the table is read in f32 as an embedding, in
// bf16 as the head.
// CHECK-LABEL: func.func @loss(
// CHECK: tn.get_param @b
// CHECK-NEXT: %[[B:.*]] = tn.cast {{.*}} -> tensor<8x16xbf16>
// CHECK-NEXT: tn.get_param @a
// CHECK-NEXT: %[[A:.*]] = tn.cast {{.*}} -> tensor<16x8xbf16>
// CHECK-NEXT: %[[TABLE:.*]] = tn.get_param @table
// CHECK-NEXT: %[[HEAD:.*]] = tn.cast %[[TABLE]] : tensor<32x8xf32> -> tensor<32x8xbf16>
// CHECK: tn.embedding %{{.*}}, %[[TABLE]]
// CHECK: call @block(%{{.*}}, %[[A]], %[[B]])
// CHECK: call @block(%{{.*}}, %[[A]], %[[B]])
// CHECK: tn.cross_entropy %{{.*}}, %[[HEAD]], %{{.*}} : tensor<?x?x8xbf16>, tensor<32x8xbf16>
// Gradients of parameters are f32.
// GRAD-LABEL: func.func @loss_gradient(
// GRAD-SAME: tensor<32x8xf32> {tn.gradient_of = @table}
func.func @loss(%ids: tensor<?x?xi32>, %labels: tensor<?x?xi32>) -> tensor<1xf32>
    attributes {tn.rows = 32 : i64} {
  %t = tn.get_param @table : tensor<32x8xf32>
  %x = tn.embedding %ids, %t : tensor<?x?xi32>, tensor<32x8xf32> -> tensor<?x?x8xf32>
  %a = tn.get_param @a : tensor<16x8xf32>
  %b = tn.get_param @b : tensor<8x16xf32>
  %y = call @block(%x, %a, %b) : (tensor<?x?x8xf32>, tensor<16x8xf32>, tensor<8x16xf32>) -> tensor<?x?x8xf32>
  %z = call @block(%y, %a, %b) : (tensor<?x?x8xf32>, tensor<16x8xf32>, tensor<8x16xf32>) -> tensor<?x?x8xf32>
  %loss, %lse = tn.cross_entropy %z, %t, %labels : tensor<?x?x8xf32>, tensor<32x8xf32>,
      tensor<?x?xi32> -> tensor<1xf32>, tensor<?x?xf32>
  return %loss : tensor<1xf32>
}
