// RUN: tnllm-opt %s --convert-tn-to-tnk='training=1 panel-width=16 chunk=16 row-block=4' \
// RUN:   --canonicalize --split-input-file | FileCheck %s

// The gradients of parameters come in as buffers that are added onto; those of
// activations are allocated like any.
// CHECK-LABEL: func.func @linear(
// CHECK-SAME: %[[C:.*]]: !tnrt.context, %{{.*}}: index, %{{.*}}: index, %[[DY:[^:]*]]: memref<8x40xf32>,
// CHECK-SAME: %[[X:[^:]*]]: memref<8x24xf32>, %[[W:[^:]*]]: memref<40x24xf32>, %[[DX:[^:]*]]: memref<8x24xf32>, %[[DW:[^:]*]]: memref<40x24xf32>)
// CHECK: %[[ROWS:.*]] = arith.muli
// CHECK: %[[BLOCKS:.*]] = arith.ceildivui %[[ROWS]], %c576
// CHECK: tnrt.launch %[[C]] @linear_input_grad_k40_n24 tasks(%[[BLOCKS]]) (%[[DY]], %[[W]], %[[DX]], %[[ROWS]])
// CHECK: tnrt.launch %[[C]] @linear_weight_grad_k40_n24 tasks(%c1) (%[[DY]], %[[X]], %[[DW]], %[[ROWS]])

// B is packed 256 depths at a time; A is read where it lies, and the sums between blocks
// wait in the result.
// CHECK-LABEL: tnk.kernel @linear_input_grad_k40_n24(
// CHECK-SAME: %[[A:[^:]*]]: memref<8x40xf32>, %[[B:[^:]*]]: memref<40x24xf32>, %[[R:[^:]*]]: memref<8x24xf32>
// CHECK: %[[PACKED:.*]] = memref.alloca() {alignment = 64 : i64} : memref<512x16xf32>
// CHECK: vector.transfer_read %[[B]]
// CHECK: vector.transfer_write {{.*}}, %[[PACKED]]
// CHECK: tnk.contract %[[A]][{{.*}}], %[[PACKED]][{{.*}}], {{.*}} : memref<8x40xf32>, memref<512x16xf32>, vector<6x16xf32>

// CHECK-LABEL: tnk.kernel @linear_weight_grad_k40_n24(
// CHECK-SAME: %[[A:[^:]*]]: memref<8x40xf32>, %[[B:[^:]*]]: memref<8x24xf32>, %[[R:[^:]*]]: memref<40x24xf32>
// CHECK-DAG: %[[PACKED:.*]] = memref.alloca() {alignment = 64 : i64} : memref<512x16xf32>
// CHECK-DAG: %[[ROWS:.*]] = memref.alloca() {alignment = 64 : i64} : memref<4096x6xf32>
// CHECK: vector.transfer_read %[[R]]
// CHECK: tnk.contract transpose_a %[[ROWS]][{{.*}}], %[[PACKED]][{{.*}}], {{.*}} : memref<4096x6xf32>, memref<512x16xf32>, vector<6x16xf32>
func.func @linear(%dy: tensor<?x?x40xf32>, %x: tensor<?x?x24xf32>, %w: tensor<40x24xf32>)
    -> (tensor<?x?x24xf32>, tensor<40x24xf32>) attributes {tn.rows = 8 : i64} {
  %dx = tn.linear_input_grad %dy, %w : tensor<?x?x40xf32>, tensor<40x24xf32> -> tensor<?x?x24xf32>
  %dw = tn.linear_weight_grad %dy, %x : tensor<?x?x40xf32>, tensor<?x?x24xf32> -> tensor<40x24xf32>
  return %dx, %dw : tensor<?x?x24xf32>, tensor<40x24xf32>
}

// -----

// In training a linear map's weight lies in rows and is transposed on the way.
// CHECK-LABEL: tnk.kernel @linear_k32_n16_add(
// CHECK-SAME: memref<8x32xf32>, %[[W:[^:]*]]: memref<16x32xf32>
// CHECK: %[[TILE:.*]] = vector.transfer_read %[[W]]{{.*}} : memref<16x32xf32>, vector<16x16xf32>
// CHECK: vector.transpose %[[TILE]], [1, 0]
// CHECK: tnk.contract
func.func @forward(%x: tensor<?x?x32xf32>, %w: tensor<16x32xf32>, %r: tensor<?x?x16xf32>)
    -> tensor<?x?x16xf32> attributes {tn.rows = 8 : i64} {
  %0 = tn.fused -> tensor<?x?x16xf32> {
    %1 = tn.linear %x, %w : tensor<?x?x32xf32>, tensor<16x32xf32> -> tensor<?x?x16xf32>
    %2 = tn.add %1, %r : tensor<?x?x16xf32>
    tn.yield %2 : tensor<?x?x16xf32>
  }
  return %0 : tensor<?x?x16xf32>
}

// -----

// A gradient that is not returned begins as zeros; the terms of a sum go to the sum's
// buffer, and the addition is nothing.
// CHECK-LABEL: func.func @sums(
// CHECK-SAME: %[[DY:[^:]*]]: memref<8x16xf32>, %[[SUM:[^:]*]]: memref<16xf32>)
// CHECK-NOT: tnrt.alloc
// CHECK: tnrt.launch %{{.*}} @sum_rows tasks(%c1) (%[[DY]], %[[SUM]],
// CHECK: tnrt.launch %{{.*}} @sum_rows tasks(%c1) (%[[DY]], %[[SUM]],
// CHECK-NOT: tnrt.launch
// CHECK: return
func.func @sums(%dy: tensor<?x?x16xf32>) -> tensor<16xf32> attributes {tn.rows = 8 : i64} {
  %0 = tn.sum_rows %dy : tensor<?x?x16xf32> -> tensor<16xf32>
  %1 = tn.sum_rows %dy : tensor<?x?x16xf32> -> tensor<16xf32>
  %2 = tn.add %0, %1 : tensor<16xf32>
  return %2 : tensor<16xf32>
}

// -----

// CHECK-LABEL: func.func @twice(
// CHECK: %[[ONE:.*]] = tnrt.alloc : memref<16xf32>
// CHECK: tnrt.launch %{{.*}} @zero_gradient tasks(%c1) (%[[ONE]])
// CHECK: tnrt.launch %{{.*}} @sum_rows tasks(%c1) (%{{.*}}, %[[ONE]],
// CHECK: tnrt.launch %{{.*}} @add_gradient tasks(%c1) (%[[SUM:.*]], %[[ONE]])
// CHECK: tnrt.launch %{{.*}} @add_gradient tasks(%c1) (%[[SUM]], %[[ONE]])
func.func @twice(%dy: tensor<?x?x16xf32>) -> tensor<16xf32> attributes {tn.rows = 8 : i64} {
  %0 = tn.sum_rows %dy : tensor<?x?x16xf32> -> tensor<16xf32>
  %1 = tn.add %0, %0 : tensor<16xf32>
  return %1 : tensor<16xf32>
}

// -----

// The loss goes over the vocabulary in pieces; no buffer holds all logits. 262144 rows
// make pieces of 256 words.
// CHECK-LABEL: func.func @loss(
// CHECK-DAG: %[[Z:.*]] = tnrt.alloc : memref<262144x256xf32>
// CHECK: scf.for %[[FIRST:.*]] = %c0 to %c512 step %c256
// CHECK: tnrt.launch %{{.*}} @logits_k16_n256 tasks({{.*}}) (%{{.*}}, %{{.*}}, %[[Z]], %{{.*}}, %[[FIRST]])
// CHECK: tnrt.launch %{{.*}} @logit_statistics tasks({{.*}}) (%[[Z]],
// CHECK: }
// CHECK: %[[REST:.*]] = tnrt.alloc : memref<262144x100xf32>
// CHECK: tnrt.launch %{{.*}} @logits_k16_n100 tasks({{.*}}) (%{{.*}}, %{{.*}}, %[[REST]], %{{.*}}, %c512)
// CHECK: tnrt.launch %{{.*}} @logit_statistics_{{[0-9]+}}
// CHECK: tnrt.launch %{{.*}} @row_losses
// CHECK: tnrt.launch %{{.*}} @mean_loss tasks(%c1)
// CHECK: tnrt.launch %{{.*}} @loss_scale tasks(%c1)
// CHECK: scf.for
// CHECK: @logit_grad_k16_n256
// CHECK: @cross_entropy_input_grad_k256_n16
// CHECK: @cross_entropy_weight_grad_k256_n16
// CHECK: @logit_grad_k16_n100
// CHECK: @cross_entropy_input_grad_k100_n16
// CHECK: @cross_entropy_weight_grad_k100_n16
func.func @loss(%x: tensor<?x?x16xf32>, %w: tensor<612x16xf32>, %labels: tensor<?x?xi32>,
                %d: tensor<1xf32>) -> (tensor<1xf32>, tensor<?x?x16xf32>, tensor<612x16xf32>)
    attributes {tn.rows = 262144 : i64} {
  %loss, %lse = tn.cross_entropy %x, %w, %labels : tensor<?x?x16xf32>, tensor<612x16xf32>,
      tensor<?x?xi32> -> tensor<1xf32>, tensor<?x?xf32>
  %dx, %dw = tn.cross_entropy_grad %x, %w, %labels, %lse, %d : tensor<?x?x16xf32>,
      tensor<612x16xf32>, tensor<?x?xi32>, tensor<?x?xf32>, tensor<1xf32>
      -> tensor<?x?x16xf32>, tensor<612x16xf32>
  return %loss, %dx, %dw : tensor<1xf32>, tensor<?x?x16xf32>, tensor<612x16xf32>
}

// -----

// A state of zeros that nobody wants back is no buffer, nor is its gradient.
// CHECK-LABEL: func.func @attention(
// CHECK: %[[O:.*]] = tnrt.alloc : memref<8x32xf32>
// CHECK-NEXT: %[[TASKS:.*]] = arith.muli
// CHECK-NEXT: tnrt.launch %{{.*}} @attention_chunked tasks(%[[TASKS]]) (%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[O]], %{{.*}})
// CHECK-NOT: zero
// CHECK: tnrt.launch %{{.*}} @attention_grad tasks(
// CHECK-NOT: memref<8x2x16x16xf32>
// CHECK: tnk.kernel @attention_chunked
// CHECK: tnk.kernel @attention_grad
func.func @attention(%q: tensor<?x?x2x16xf32>, %slopes: tensor<2xf32>)
    -> (tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>)
    attributes {tn.rows = 8 : i64} {
  %s = tn.zeros like %q : tensor<?x?x2x16xf32> -> tensor<?x2x16x16xf32>
  %o, %n = tn.lightning_attention %q, %q, %q, %slopes, %s : tensor<?x?x2x16xf32>,
      tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<2xf32>, tensor<?x2x16x16xf32>
      -> tensor<?x?x2x16xf32>, tensor<?x2x16x16xf32>
  %dq, %dk, %dv, %ds = tn.lightning_attention_grad %q, %q, %q, %slopes, %o
      : tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<2xf32>,
        tensor<?x?x2x16xf32>
     -> tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<?x2x16x16xf32>
  return %dq, %dk, %dv : tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>
}

// -----

// Rows: norms, activations, slices, LRPE; and the sums over rows, whose tasks own columns.
// CHECK-LABEL: func.func @rows(
// CHECK: %[[BLOCKS:.*]] = arith.ceildivui %{{.*}}, %c4
// CHECK: @norm_grad tasks(%[[BLOCKS]])
// CHECK: @norm_statistics tasks(
// CHECK: @norm_weight_grad tasks(%c2)
// CHECK: @activation_grad tasks(
// CHECK: @unslice tasks(
// CHECK: @zeros tasks(
// CHECK: @embedding_grad tasks(%c2)
func.func @rows(%ids: tensor<?x?xi32>, %x: tensor<?x?x24xf32>, %w: tensor<24xf32>)
    -> (tensor<?x?x24xf32>, tensor<24xf32>, tensor<?x?x24xf32>, tensor<?x?x30xf32>,
        tensor<?x?x5xf32>, tensor<9x24xf32>) attributes {tn.rows = 8 : i64} {
  %0 = tn.norm_grad <rms> %x, %x weight %w : tensor<24xf32> {epsilon = 1.0e-06 : f32} : tensor<?x?x24xf32>
  %1 = tn.norm_weight_grad <rms> %x, %x {epsilon = 1.0e-06 : f32} : tensor<?x?x24xf32> -> tensor<24xf32>
  %2 = tn.activation_grad <silu> %x, %x columns [0, 8] : tensor<?x?x24xf32>
  %3 = tn.unslice %x at [6] : tensor<?x?x24xf32> -> tensor<?x?x30xf32>
  %4 = tn.zeros like %x : tensor<?x?x24xf32> -> tensor<?x?x5xf32>
  %5 = tn.embedding_grad %ids, %x : tensor<?x?xi32>, tensor<?x?x24xf32> -> tensor<9x24xf32>
  return %0, %1, %2, %3, %4, %5 : tensor<?x?x24xf32>, tensor<24xf32>, tensor<?x?x24xf32>,
      tensor<?x?x30xf32>, tensor<?x?x5xf32>, tensor<9x24xf32>
}

// -----

// CHECK-LABEL: func.func @lrpe(
// CHECK: @lrpe_input_grad tasks(
// CHECK: @lrpe_theta_grad tasks(%c6)
func.func @lrpe(%x: tensor<?x?x3x20xf32>, %theta: tensor<3x1x20xf32>,
                %positions: tensor<?xi64>, %dy: tensor<?x?x3x40xf32>)
    -> (tensor<?x?x3x20xf32>, tensor<3x1x20xf32>) attributes {tn.rows = 8 : i64} {
  %0, %1 = tn.lrpe_grad %x, %theta, %positions, %dy : tensor<?x?x3x20xf32>,
      tensor<3x1x20xf32>, tensor<?xi64>, tensor<?x?x3x40xf32>
      -> tensor<?x?x3x20xf32>, tensor<3x1x20xf32>
  return %0, %1 : tensor<?x?x3x20xf32>, tensor<3x1x20xf32>
}

// -----

// A state that a task's stack cannot hold is a buffer all the same.
// CHECK-LABEL: func.func @large_state(
// CHECK: %[[STATE:.*]] = tnrt.alloc : memref<8x1x600x500xf32>
// CHECK: tnrt.launch %{{.*}} @zero_states tasks(%{{.*}}) (%[[STATE]])
// CHECK: tnrt.launch %{{.*}} @attention_chunked tasks({{.*}}, %[[STATE]], %{{.*}})
func.func @large_state(%q: tensor<?x?x1x600xf32>, %v: tensor<?x?x1x500xf32>, %slopes: tensor<1xf32>)
    -> tensor<?x?x1x500xf32> attributes {tn.rows = 8 : i64} {
  %s = tn.zeros like %q : tensor<?x?x1x600xf32> -> tensor<?x1x600x500xf32>
  %o, %n = tn.lightning_attention %q, %q, %v, %slopes, %s : tensor<?x?x1x600xf32>,
      tensor<?x?x1x600xf32>, tensor<?x?x1x500xf32>, tensor<1xf32>, tensor<?x1x600x500xf32>
      -> tensor<?x?x1x500xf32>, tensor<?x1x600x500xf32>
  return %o : tensor<?x?x1x500xf32>
}
