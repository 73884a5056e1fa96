// The joint function of the entry, and a block split in a forward that saves and a
// backward that takes; what is recomputed.
// RUN: tnllm-opt %s --tn-differentiate | FileCheck %s
// RUN: tnllm-opt %s --tn-differentiate=recompute=full | FileCheck %s --check-prefix=FULL
// RUN: tnllm-opt %s --tn-differentiate=recompute=selective | FileCheck %s --check-prefix=SELECTIVE

tn.param @table : tensor<7x6xf32> init <normal, 2.0e-02 : f64>
tn.param @w : tensor<6x6xf32> init <normal, 2.0e-02 : f64>

// The activation's operand is computed inside, so it is saved; the weight and the linear
// map's operand are arguments, and the probe is for the function itself.
// CHECK-LABEL: func private @block(
// CHECK-LABEL: func private @block_forward(
// CHECK-NOT: tn.probe
// CHECK: %[[L:.*]] = tn.linear
// CHECK: %[[A:.*]] = tn.activation
// CHECK: return %[[A]], %[[L]] : tensor<?x?x6xf32>, tensor<?x?x6xf32>
// CHECK-LABEL: func private @block_backward(
// CHECK-SAME: %[[L:[^:]*]]: tensor<?x?x6xf32>, %[[X:[^:]*]]: tensor<?x?x6xf32>, %[[W:[^:]*]]: tensor<6x6xf32>, %[[D:[^:]*]]: tensor<?x?x6xf32>)
// CHECK-SAME: -> (tensor<?x?x6xf32>, tensor<6x6xf32>)
// CHECK-NEXT: %[[DL:.*]] = tn.activation_grad <silu> %[[L]], %[[D]]
// CHECK-NEXT: %[[DW:.*]] = tn.linear_weight_grad %[[DL]], %[[X]]
// CHECK-NEXT: %[[DX:.*]] = tn.linear_input_grad %[[DL]], %[[W]]
// CHECK-NEXT: return %[[DX]], %[[DW]]

// FULL-LABEL: func private @block_forward(
// FULL: return %{{[^,]*}} : tensor<?x?x6xf32>
// FULL-LABEL: func private @block_backward(
// FULL-SAME: %[[X:[^:]*]]: tensor<?x?x6xf32>, %[[W:[^:]*]]: tensor<6x6xf32>, %[[D:[^:]*]]: tensor<?x?x6xf32>)
// FULL-NEXT: %[[L:.*]] = tn.linear %[[X]], %[[W]]
// FULL-NEXT: tn.activation_grad <silu> %[[L]], %[[D]]

// SELECTIVE-LABEL: func private @block_forward(
// SELECTIVE: return %{{[^,]*}}, %{{[^,]*}} : tensor<?x?x6xf32>, tensor<?x?x6xf32>
func.func private @block(%x: tensor<?x?x6xf32>, %w: tensor<6x6xf32>) -> tensor<?x?x6xf32> {
  %0 = tn.linear %x, %w : tensor<?x?x6xf32>, tensor<6x6xf32> -> tensor<?x?x6xf32>
  %1 = tn.activation <silu> %0 : tensor<?x?x6xf32>
  tn.probe "y" %1 : tensor<?x?x6xf32>
  return %1 : tensor<?x?x6xf32>
}

// CHECK-LABEL: func @loss(
// CHECK-LABEL: func @loss_gradient(
// CHECK-SAME: %[[IDS:[^:]*]]: tensor<?x?xi32>, %[[LABELS:[^:]*]]: tensor<?x?xi32>, %[[D:[^:]*]]: tensor<1xf32>)
// CHECK-SAME: -> (tensor<1xf32>, tensor<7x6xf32> {tn.gradient_of = @table}, tensor<6x6xf32> {tn.gradient_of = @w})
// CHECK: %[[T:.*]] = tn.get_param @table
// CHECK: %[[X:.*]] = tn.embedding %[[IDS]], %[[T]]
// CHECK: %[[W:.*]] = tn.get_param @w
// CHECK: %[[F:.*]]:2 = call @block_forward(%[[X]], %[[W]])
// CHECK: %[[LOSS:.*]], %[[LSE:.*]] = tn.cross_entropy %[[F]]#0, %[[T]], %[[LABELS]]
// CHECK: %[[DY:.*]], %[[DT1:.*]] = tn.cross_entropy_grad %[[F]]#0, %[[T]], %[[LABELS]], %[[LSE]], %[[D]]
// CHECK: %[[B:.*]]:2 = call @block_backward(%[[F]]#1, %[[X]], %[[W]], %[[DY]])
// CHECK: %[[DT0:.*]] = tn.embedding_grad %[[IDS]], %[[B]]#0
// CHECK: %[[DT:.*]] = tn.add %[[DT1]], %[[DT0]]
// CHECK: return %[[LOSS]], %[[DT]], %[[B]]#1
func.func @loss(%ids: tensor<?x?xi32>, %labels: tensor<?x?xi32>) -> tensor<1xf32> {
  %t = tn.get_param @table : tensor<7x6xf32>
  %x = tn.embedding %ids, %t : tensor<?x?xi32>, tensor<7x6xf32> -> tensor<?x?x6xf32>
  %w = tn.get_param @w : tensor<6x6xf32>
  %y = call @block(%x, %w) : (tensor<?x?x6xf32>, tensor<6x6xf32>) -> tensor<?x?x6xf32>
  %loss, %lse = tn.cross_entropy %y, %t, %labels : tensor<?x?x6xf32>, tensor<7x6xf32>, tensor<?x?xi32> -> tensor<1xf32>, tensor<?x?xf32>
  return %loss : tensor<1xf32>
}
