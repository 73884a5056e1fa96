// RUN: tnllm-opt %s --convert-tn-to-tnk='panel-width=16 chunk=16 row-block=4' --canonicalize \
// RUN:   --split-input-file | FileCheck %s

// A task does 4 rows, the last one what is left. 24 columns are one tile of 16 and one
// of 8; the sum of squares keeps a vector over the full tiles.
// CHECK-LABEL: func.func @srms(
// CHECK: %[[ROWS:.*]] = arith.muli
// CHECK: %[[TASKS:.*]] = arith.ceildivui %[[ROWS]], %c4
// CHECK: tnrt.launch %{{.*}} @norm tasks(%[[TASKS]])
// CHECK-LABEL: tnk.kernel @norm(
// CHECK: %[[BEGIN:.*]] = arith.muli %{{.*}}, %c4
// CHECK: %[[PAST:.*]] = arith.addi %[[BEGIN]], %c4
// CHECK: %[[END:.*]] = arith.minsi %[[PAST]],
// CHECK: scf.for %{{.*}} = %[[BEGIN]] to %[[END]]
// CHECK: arith.mulf {{.*}} : vector<16xf32>
// CHECK: vector.reduction <add>, {{.*}} : vector<16xf32> into f32
// CHECK: vector.reduction <add>, {{.*}} : vector<8xf32> into f32
// CHECK: arith.divf
// CHECK: arith.addf
// CHECK: math.sqrt
// CHECK: arith.divf
// CHECK: vector.transfer_write {{.*}} : vector<1x16xf32>
// CHECK: vector.transfer_write {{.*}} : vector<1x8xf32>
func.func @srms(%x: tensor<?x?x24xf32>) -> tensor<?x?x24xf32>
    attributes {tn.rows = 8 : i64} {
  %y = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x?x24xf32> -> tensor<?x?x24xf32>
  return %y : tensor<?x?x24xf32>
}

// -----

// Layer norm takes the mean off before it squares, then weight and bias; the gate joins
// the kernel.
// CHECK-LABEL: tnk.kernel @norm_mul(
// CHECK-SAME: memref<8x16xf32>, %[[W:.*]]: memref<16xf32>, %[[B:.*]]: memref<16xf32>, %[[G:.*]]: memref<8x16xf32>, %[[Y:.*]]: memref<8x16xf32>,
// CHECK: %[[SUM:.*]] = vector.reduction <add>
// CHECK: %[[MEAN:.*]] = arith.divf %[[SUM]]
// CHECK: arith.subf
// CHECK: vector.reduction <add>
// CHECK: math.sqrt
// CHECK: arith.subf
// CHECK: arith.mulf
// CHECK: vector.transfer_read %[[W]]
// CHECK: arith.mulf
// CHECK: vector.transfer_read %[[B]]
// CHECK: arith.addf
// CHECK: vector.transfer_read %[[G]]
// CHECK: %[[OUT:.*]] = arith.mulf
// CHECK: vector.transfer_write %[[OUT]], %[[Y]]
tn.param @w : tensor<16xf32> init <constant, 1.0>
tn.param @b : tensor<16xf32> init <constant, 0.0>
func.func @layer(%x: tensor<?x?x16xf32>, %g: tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
    attributes {tn.rows = 8 : i64} {
  %w = tn.get_param @w : tensor<16xf32>
  %b = tn.get_param @b : tensor<16xf32>
  %y = tn.fused -> tensor<?x?x16xf32> {
    %0 = tn.norm <layer> %x weight %w : tensor<16xf32> bias %b : tensor<16xf32>
        {epsilon = 1.0e-05 : f32} : tensor<?x?x16xf32> -> tensor<?x?x16xf32>
    %1 = tn.mul %0, %g : tensor<?x?x16xf32>
    tn.yield %1 : tensor<?x?x16xf32>
  }
  return %y : tensor<?x?x16xf32>
}

// -----

// A table of bf16 is widened before it is scaled.
// CHECK-LABEL: tnk.kernel @embedding(
// CHECK-SAME: %[[IDS:.*]]: memref<8xi32>, %[[T:.*]]: memref<9x16xbf16>, %[[Y:.*]]: memref<8x16xf32>
// CHECK: %[[ID:.*]] = memref.load %[[IDS]][%[[ROW:.*]]]
// CHECK: %[[I:.*]] = arith.index_cast %[[ID]] : i32 to index
// CHECK: vector.transfer_read %[[T]][%[[I]], %c0]
// CHECK: arith.extf
// CHECK: arith.mulf
// CHECK: vector.transfer_write %{{.*}}, %[[Y]][%[[ROW]], %c0]
tn.param @t : tensor<9x16xbf16> init <normal, 1.0>
func.func @f_embedding(%ids: tensor<?x?xi32>) -> tensor<?x?x16xf32>
    attributes {tn.rows = 8 : i64} {
  %t = tn.get_param @t : tensor<9x16xbf16>
  %x = tn.embedding %ids, %t {scale = 4.0 : f32}
      : tensor<?x?xi32>, tensor<9x16xbf16> -> tensor<?x?x16xf32>
  return %x : tensor<?x?x16xf32>
}

// -----

// The maximum is over a head's 20 columns, in tiles of 16 and 4.
// CHECK-LABEL: tnk.kernel @shifted_exp(
// CHECK: scf.for %[[H:[^ ]*]] = %c0 to %c3
// CHECK: %[[FROM:.*]] = arith.muli %[[H]], %c20
// CHECK: %[[M0:.*]] = vector.reduction <maximumf>, {{.*}} : vector<16xf32> into f32
// CHECK: %[[M1:.*]] = vector.reduction <maximumf>, {{.*}} : vector<4xf32> into f32
// CHECK: arith.maximumf %[[M0]], %[[M1]]
// CHECK: arith.subf
// CHECK: math.exp {{.*}} : vector<1x16xf32>
// CHECK: math.exp {{.*}} : vector<1x4xf32>
func.func @f_shifted_exp(%x: tensor<?x?x60xf32>) -> tensor<?x?x3x20xf32>
    attributes {tn.rows = 8 : i64} {
  %h = tn.split_heads %x : tensor<?x?x60xf32> -> tensor<?x?x3x20xf32>
  %y = tn.shifted_exp %h : tensor<?x?x3x20xf32>
  return %y : tensor<?x?x3x20xf32>
}

// -----

// The position of a row is its sequence's first plus its place; cosines go to the first
// half of a head's doubled width, sines to the second.
// CHECK-LABEL: func.func @f_lrpe(
// CHECK-SAME: !tnrt.context, %{{.*}}: index, %[[LENGTH:.*]]: index,
// CHECK: tnrt.launch {{.*}} @lrpe {{.*}}, %[[LENGTH]]) : memref<8x48xf32>, memref<48xf32>, memref<8xi64>, memref<8x96xf32>, index, index
// CHECK-LABEL: tnk.kernel @lrpe(
// CHECK-SAME: %[[X:.*]]: memref<8x48xf32>, %[[THETA:.*]]: memref<48xf32>, %[[POS:.*]]: memref<8xi64>, %[[Y:.*]]: memref<8x96xf32>, %{{.*}}: index, %[[LENGTH:.*]]: index, %{{.*}}: index)
// CHECK: scf.for %[[ROW:[^ ]*]] =
// CHECK: %[[SEQ:.*]] = arith.divui %[[ROW]], %[[LENGTH]]
// CHECK: %[[START:.*]] = memref.load %[[POS]][%[[SEQ]]]
// CHECK: %[[PLACE:.*]] = arith.remui %[[ROW]], %[[LENGTH]]
// CHECK: %[[PLACE64:.*]] = arith.index_cast %[[PLACE]]
// CHECK: %[[AT:.*]] = arith.addi %[[START]], %[[PLACE64]] : i64
// CHECK: arith.sitofp %[[AT]] : i64 to f32
// CHECK: scf.for
// CHECK: vector.transfer_read %[[THETA]]
// CHECK: vector.transfer_read %[[X]]
// CHECK: math.cos
// CHECK: math.sin
// CHECK: vector.transfer_write %{{.*}}, %[[Y]][%[[ROW]], %[[TO:[0-9]+]]]
// CHECK: %[[HALF:.*]] = arith.addi %[[TO]], %c16
// CHECK: vector.transfer_write %{{.*}}, %[[Y]][%[[ROW]], %[[HALF]]]
tn.param @theta : tensor<3x1x16xf32> init <lrpe_theta, 0.0>
func.func @f_lrpe(%x: tensor<?x?x48xf32>, %pos: tensor<?xi64>) -> tensor<?x?x3x32xf32>
    attributes {tn.rows = 8 : i64} {
  %t = tn.get_param @theta : tensor<3x1x16xf32>
  %h = tn.split_heads %x : tensor<?x?x48xf32> -> tensor<?x?x3x16xf32>
  %y = tn.lrpe %h, %t, %pos
      : tensor<?x?x3x16xf32>, tensor<3x1x16xf32>, tensor<?xi64> -> tensor<?x?x3x32xf32>
  return %y : tensor<?x?x3x32xf32>
}

// -----

// Element-wise operations on their own, one after the other; a cast is in the store.
// CHECK-LABEL: tnk.kernel @mul(
// CHECK: arith.mulf
// CHECK-LABEL: tnk.kernel @activation(
// CHECK: math.erf
// CHECK-LABEL: tnk.kernel @cast(
// CHECK: arith.truncf {{.*}} to vector<1x16xbf16>
func.func @elementwise(%x: tensor<?x?x16xf32>) -> tensor<?x?x16xbf16>
    attributes {tn.rows = 8 : i64} {
  %0 = tn.mul %x, %x : tensor<?x?x16xf32>
  %1 = tn.activation <gelu> %0 : tensor<?x?x16xf32>
  %2 = tn.cast %1 : tensor<?x?x16xf32> -> tensor<?x?x16xbf16>
  return %2 : tensor<?x?x16xbf16>
}
