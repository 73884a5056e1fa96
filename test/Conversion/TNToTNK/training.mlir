// Functions of a training program: parameters in rows, gradients added to where the runtime sums
// them, results of static shape, capacity in tokens and sequences.
// RUN: tnllm-opt %s --convert-tn-to-tnk=training=1 --split-input-file | FileCheck %s
// RUN: tnllm-opt %s --tnk-pipeline=training=1 --split-input-file -o /dev/null

// CHECK-LABEL: module @step attributes
// CHECK-SAME: tnrt.capacity = {loss_gradient = 32 : i64}
// CHECK-SAME: layout = #tnrt.layout<rows, 0, 0>
// CHECK-SAME: tensor = "w"
// CHECK-SAME: tnrt.sequences = 4 : i64

// The loss is an argument, the gradients are not.
// CHECK-LABEL: func.func @loss_gradient(
// CHECK-SAME: %[[C:[^:]*]]: !tnrt.context, %[[B:[^:]*]]: index, %[[N:[^:]*]]: index, %[[IDS:[^:]*]]: memref<32xi32>, %[[LABELS:[^:]*]]: memref<32xi32>, %[[D:[^:]*]]: memref<1xf32>, %[[LOSS:[^:]*]]: memref<1xf32>) attributes {tnrt.entry}
// CHECK-DAG: %[[DW:.*]] = tnrt.gradient %[[C]][0] : memref<16x8xf32>
// CHECK-DAG: %[[DE:.*]] = tnrt.gradient %[[C]][1] : memref<16x8xf32>
// CHECK-DAG: %[[DB:.*]] = tnrt.gradient %[[C]][2] : memref<16xf32>
// CHECK-DAG: %[[E:.*]] = tnrt.param %[[C]][1] : memref<16x8xf32>
// CHECK-DAG: %[[W:.*]] = tnrt.param %[[C]][0] : memref<16x8xf32>
// What is summed over rows is handed to the callee, which adds.
// CHECK: call @block_backward(%[[C]], %[[B]], %[[N]], %{{.*}}, %{{.*}}, %[[W]], %{{.*}}, %[[DW]], %[[DB]])
// CHECK: return
module @step {
  tn.param @w : tensor<16x8xf32> init <normal, 2.0e-02 : f64>
  tn.param @bias : tensor<16xf32> init <normal, 2.0e-02 : f64>
  tn.param @table : tensor<16x8xf32> init <normal, 2.0e-02 : f64>

  func.func @loss_gradient(%ids: tensor<?x?xi32>, %labels: tensor<?x?xi32>, %d: tensor<1xf32>)
      -> (tensor<1xf32>, tensor<16x8xf32> {tn.gradient_of = @w}, tensor<16x8xf32> {tn.gradient_of = @table}, tensor<16xf32> {tn.gradient_of = @bias})
      attributes {tn.rows = 32 : i64, tn.sequences = 4 : i64} {
    %t = tn.get_param @table : tensor<16x8xf32>
    %w = tn.get_param @w : tensor<16x8xf32>
    %x = tn.embedding %ids, %t : tensor<?x?xi32>, tensor<16x8xf32> -> tensor<?x?x8xf32>
    %loss, %lse = tn.cross_entropy %x, %t, %labels
        : tensor<?x?x8xf32>, tensor<16x8xf32>, tensor<?x?xi32> -> tensor<1xf32>, tensor<?x?xf32>
    %dx, %dhead = tn.cross_entropy_grad %x, %t, %labels, %lse, %d
        : tensor<?x?x8xf32>, tensor<16x8xf32>, tensor<?x?xi32>, tensor<?x?xf32>, tensor<1xf32>
       -> tensor<?x?x8xf32>, tensor<16x8xf32>
    %dy = tn.linear %dx, %w : tensor<?x?x8xf32>, tensor<16x8xf32> -> tensor<?x?x16xf32>
    %back:3 = call @block_backward(%x, %dy, %w)
        : (tensor<?x?x8xf32>, tensor<?x?x16xf32>, tensor<16x8xf32>)
       -> (tensor<?x?x8xf32>, tensor<16x8xf32>, tensor<16xf32>)
    %dtable = tn.embedding_grad %ids, %back#0
        : tensor<?x?xi32>, tensor<?x?x8xf32> -> tensor<16x8xf32>
    %sum = tn.add %dtable, %dhead : tensor<16x8xf32>
    return %loss, %back#1, %sum, %back#2 : tensor<1xf32>, tensor<16x8xf32>, tensor<16x8xf32>, tensor<16xf32>
  }

  func.func private @block_backward(%x: tensor<?x?x8xf32>, %dy: tensor<?x?x16xf32>, %w: tensor<16x8xf32>)
      -> (tensor<?x?x8xf32>, tensor<16x8xf32>, tensor<16xf32>)
      attributes {tn.rows = 32 : i64, tn.sequences = 4 : i64} {
    %dw = tn.linear_weight_grad %dy, %x : tensor<?x?x16xf32>, tensor<?x?x8xf32> -> tensor<16x8xf32>
    %db = tn.sum_rows %dy : tensor<?x?x16xf32> -> tensor<16xf32>
    %dx = tn.linear_input_grad %dy, %w : tensor<?x?x16xf32>, tensor<16x8xf32> -> tensor<?x?x8xf32>
    return %dx, %dw, %db : tensor<?x?x8xf32>, tensor<16x8xf32>, tensor<16xf32>
  }
}
