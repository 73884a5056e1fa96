// RUN: tnllm-opt %s --convert-tn-to-tnk='panel-width=16 tile-rows=4 chunk=16' --canonicalize \
// RUN:   --split-input-file | FileCheck %s
// RUN: tnllm-opt %s --convert-tn-to-tnk='panel-width=16 tile-rows=4 chunk=16 bf16-pairs' \
// RUN:   --canonicalize --split-input-file | FileCheck %s --check-prefix=PAIRS
// RUN: tnllm-opt %s --convert-tn-to-tnk='panel-width=16 tile-rows=4 chunk=16 block-bytes=2048' \
// RUN:   --canonicalize --split-input-file | FileCheck %s --check-prefix=BLOCKS
// RUN: tnllm-opt %s --convert-tn-to-tnk='panel-width=16 tile-rows=4 chunk=16 stream-block-bytes=1024 stream-rows=8' \
// RUN:   --canonicalize --split-input-file | FileCheck %s --check-prefix=STREAM
// RUN: tnllm-opt %s --convert-tn-to-tnk='panel-width=16 tile-rows=4 chunk=16 stream-block-bytes=1024 stream-rows=1' \
// RUN:   --canonicalize --split-input-file | FileCheck %s --check-prefix=NEVER
// RUN: tnllm-opt %s --convert-tn-to-tnk='panel-width=16 tile-rows=3 chunk=16 block-bytes=256 stream-rows=1' \
// RUN:   --canonicalize --split-input-file | FileCheck %s --check-prefix=GROUPS

// One task is one panel of 16 columns; rows go by 4, by 2 and by 1. N = 32 fills its
// panels: no masks.

// CHECK: tnrt.parameters = [{init = #tn.init<normal, 1.000000e+00 : f64>, layout = #tnrt.layout<panels, 16, 1>, tensor = "w", type = tensor<32x64xf32>}]
// CHECK-LABEL: func.func @full(
// CHECK-SAME: %[[C:.*]]: !tnrt.context, %[[B:.*]]: index, %[[N:.*]]: index, %[[X:.*]]: memref<24x64xf32>, %[[Y:.*]]: memref<24x32xf32>)
// CHECK-DAG: %[[ROWS:.*]] = arith.muli %[[B]], %[[N]]
// CHECK-DAG: %[[TASKS:.*]] = arith.constant 2 : index
// CHECK-DAG: %[[W:.*]] = tnrt.param %[[C]][0] : memref<2x64x16xf32>
// CHECK: tnrt.launch %[[C]] @linear_k64_n32 tasks(%[[TASKS]]) (%[[X]], %[[W]], %[[Y]], %[[ROWS]])
// CHECK-NEXT: return
// CHECK-LABEL: tnk.kernel @linear_k64_n32(
// CHECK-SAME: %[[X:.*]]: memref<24x64xf32>, %[[W:.*]]: memref<2x64x16xf32>, %[[Y:.*]]: memref<24x32xf32>, %[[ROWS:.*]]: index, %[[TASK:[^ ]*]]: index)
// CHECK: %[[P:.*]] = memref.subview %[[W]][%[[TASK]], 0, 0] [1, 64, 16]
// CHECK: %[[COLUMN:.*]] = arith.muli %[[TASK]], %{{.*}} : index
// CHECK: scf.for %[[I:[^ ]*]] =
// CHECK: %[[T:.*]] = tnk.contract %[[X]][%[[I]], %{{.*}}], %[[P]][%{{.*}}, %{{.*}}], %{{.*}} depth %c64 : {{.*}}, vector<4x16xf32>
// CHECK: vector.transfer_write %[[T]], %[[Y]][%[[I]], %[[COLUMN]]] {in_bounds = [true, true]}
// CHECK: tnk.contract {{.*}}, vector<2x16xf32>
// CHECK: vector.transfer_write {{.*}} {in_bounds = [true, true]} : vector<2x16xf32>
// CHECK: tnk.contract {{.*}}, vector<1x16xf32>
// CHECK: vector.transfer_write {{.*}} {in_bounds = [true, true]} : vector<1x16xf32>
// CHECK-NOT: tnk.contract
// CHECK: tnk.return

// f32 is never in pairs.
// PAIRS: layout = #tnrt.layout<panels, 16, 1>, tensor = "w"
// PAIRS-NOT: pairs

// 2048 bytes of a panel of 16 f32 are 32 depths: the first block begins at zero and goes
// to the sums, which the last one starts from. All 64 depths are less than the block of
// few rows, which then is the whole panel.
// BLOCKS-LABEL: tnk.kernel @linear_k64_n32(
// BLOCKS-SAME: %[[ROWS:[^ ]*]]: index, %{{[^ ]*}}: index)
// BLOCKS-DAG: %[[ZERO:.*]] = arith.constant dense<0.000000e+00> : vector<4x16xf32>
// BLOCKS-DAG: %[[MANY:.*]] = arith.cmpi ugt, %[[ROWS]], %c1
// BLOCKS-DAG: %[[FEW:.*]] = arith.cmpi ule, %[[ROWS]], %c16
// BLOCKS: %[[BOTH:.*]] = arith.andi %[[MANY]], %[[FEW]]
// BLOCKS: %[[BLOCK:.*]] = arith.select %[[BOTH]], %c256, %c32
// BLOCKS: %[[SUMS:.*]] = memref.alloca() {alignment = 64 : i64} : memref<24x16xf32>
// BLOCKS: scf.for %[[START:[^ ]*]] = %c0 to %c64 step %[[BLOCK]]
// BLOCKS: %[[LEFT:.*]] = arith.subi %c64, %[[START]]
// BLOCKS: %[[SIZE:.*]] = arith.minsi %[[BLOCK]], %[[LEFT]]
// BLOCKS: %[[FIRST:.*]] = arith.cmpi eq, %[[START]], %c0
// BLOCKS: %[[END:.*]] = arith.addi %[[START]], %[[SIZE]]
// BLOCKS: %[[LAST:.*]] = arith.cmpi eq, %[[END]], %c64
// BLOCKS: %[[BEGIN:.*]] = scf.if %[[FIRST]]
// BLOCKS: scf.yield %[[ZERO]]
// BLOCKS: vector.transfer_read %[[SUMS]]
// BLOCKS: scf.if %[[BOTH]]
// BLOCKS: tnk.contract %{{.*}}[%{{.*}}, %[[START]]], %{{.*}}[%[[START]], %c0], %[[BEGIN]] depth %[[SIZE]] prefetch 256 : {{.*}}, vector<4x16xf32>
// BLOCKS: tnk.contract %{{.*}}[%{{.*}}, %[[START]]], %{{.*}}[%[[START]], %c0], %[[BEGIN]] depth %[[SIZE]] : {{.*}}, vector<4x16xf32>
// BLOCKS: scf.if %[[LAST]]
// BLOCKS: vector.transfer_write {{.*}} : vector<4x16xf32>, memref<24x32xf32>
// BLOCKS: vector.transfer_write {{.*}}, %[[SUMS]]
// BLOCKS: tnk.contract {{.*}} prefetch 256 : {{.*}}, vector<2x16xf32>
// BLOCKS: tnk.contract %{{.*}} depth %[[SIZE]] : {{.*}}, vector<1x16xf32>

// Few rows: 1024 bytes are 16 depths, and as many rows ahead are fetched.
// STREAM-LABEL: tnk.kernel @linear_k64_n32(
// STREAM: arith.cmpi ule, %{{.*}}, %c8
// STREAM: %[[BLOCK:.*]] = arith.select %{{.*}}, %c16, %c4096
// STREAM: scf.for %{{.*}} = %c0 to %c64 step %[[BLOCK]]
// STREAM: tnk.contract {{.*}} prefetch 16 : {{.*}}, vector<4x16xf32>

// NEVER-LABEL: tnk.kernel @linear_k64_n32(
// NEVER-NOT: prefetch
// NEVER: tnk.contract {{.*}} depth %c64 : {{.*}}, vector<4x16xf32>
tn.param @w : tensor<32x64xf32> init <normal, 1.0>
func.func @full(%x: tensor<?x?x64xf32>) -> tensor<?x?x32xf32> attributes {tn.rows = 24 : i64} {
  %w = tn.get_param @w : tensor<32x64xf32>
  %y = tn.linear %x, %w : tensor<?x?x64xf32>, tensor<32x64xf32> -> tensor<?x?x32xf32>
  return %y : tensor<?x?x32xf32>
}

// -----

// 20 columns need two panels; the columns of the second that do not exist are masked in
// what is stored and in what the epilogue and the bias read.
// CHECK-LABEL: func.func @tail(
// CHECK: tnrt.launch %{{.*}} @linear_k8_n20_add_activation tasks(%c2)
// CHECK-SAME: memref<24x8xf32>, memref<2x8x16xf32>, memref<20xf32>, memref<24x20xf32>, memref<24x20xf32>, index
// CHECK-LABEL: tnk.kernel @linear_k8_n20_add_activation(
// CHECK: tnk.contract
// CHECK: vector.transfer_read %{{.*}}[%{{.*}}], %{{.*}} : memref<20xf32>, vector<16xf32>
// CHECK: vector.transfer_read {{.*}} : memref<24x20xf32>, vector<4x16xf32>
// CHECK: arith.addf
// CHECK: math.exp
// CHECK: vector.transfer_write {{.*}} : vector<4x16xf32>, memref<24x20xf32>
// CHECK-NOT: in_bounds = [true, true]{{.*}}memref<24x20xf32>
tn.param @w : tensor<20x8xf32> init <normal, 1.0>
tn.param @b : tensor<20xf32> init <normal, 1.0>
func.func @tail(%x: tensor<?x?x8xf32>, %r: tensor<?x?x20xf32>) -> tensor<?x?x20xf32>
    attributes {tn.rows = 24 : i64} {
  %w = tn.get_param @w : tensor<20x8xf32>
  %b = tn.get_param @b : tensor<20xf32>
  %y = tn.fused -> tensor<?x?x20xf32> {
    %0 = tn.linear %x, %w bias %b : tensor<20xf32>
        : tensor<?x?x8xf32>, tensor<20x8xf32> -> tensor<?x?x20xf32>
    %1 = tn.add %r, %0 : tensor<?x?x20xf32>
    %2 = tn.activation <silu> %1 : tensor<?x?x20xf32>
    tn.yield %2 : tensor<?x?x20xf32>
  }
  return %y : tensor<?x?x20xf32>
}

// -----

// bf16 in pairs, where the target has the dot product and the depth is even.
// CHECK: layout = #tnrt.layout<panels, 16, 1>, tensor = "even", type = tensor<16x8xbf16>
// CHECK: layout = #tnrt.layout<panels, 16, 1>, tensor = "odd", type = tensor<16x7xbf16>
// CHECK: tnk.contract %{{.*}} : memref<24x8xbf16>, memref<8x16xbf16
// PAIRS: layout = #tnrt.layout<panels, 16, 2>, tensor = "even", type = tensor<16x8xbf16>
// PAIRS: layout = #tnrt.layout<panels, 16, 1>, tensor = "odd", type = tensor<16x7xbf16>
// PAIRS: tnrt.param %{{.*}}[0] : memref<1x4x32xbf16>
// PAIRS: tnrt.param %{{.*}}[1] : memref<1x7x16xbf16>
// PAIRS: tnk.kernel @linear_k8_n16(
// PAIRS: tnk.contract pairs %{{.*}} : memref<24x8xbf16>, memref<4x32xbf16
// PAIRS: tnk.kernel @linear_k7_n16(
// PAIRS-NOT: pairs
tn.param @even : tensor<16x8xbf16> init <normal, 1.0>
tn.param @odd : tensor<16x7xbf16> init <normal, 1.0>
func.func @bf16(%x: tensor<?x?x8xbf16>, %z: tensor<?x?x7xbf16>)
    -> (tensor<?x?x16xf32>, tensor<?x?x16xf32>) attributes {tn.rows = 24 : i64} {
  %w = tn.get_param @even : tensor<16x8xbf16>
  %y = tn.linear %x, %w : tensor<?x?x8xbf16>, tensor<16x8xbf16> -> tensor<?x?x16xf32>
  %v = tn.get_param @odd : tensor<16x7xbf16>
  %u = tn.linear %z, %v : tensor<?x?x7xbf16>, tensor<16x7xbf16> -> tensor<?x?x16xf32>
  return %y, %u : tensor<?x?x16xf32>, tensor<?x?x16xf32>
}

// -----

// An activation of some columns, and its panels: [0, 16) has it, [16, 32) has not.
// CHECK-LABEL: tnk.kernel @linear_k8_n32_activation(
// CHECK: tnk.contract
// CHECK: scf.if
tn.param @w : tensor<32x8xf32> init <normal, 1.0>
func.func @columns(%x: tensor<?x?x8xf32>) -> tensor<?x?x32xf32>
    attributes {tn.rows = 24 : i64} {
  %w = tn.get_param @w : tensor<32x8xf32>
  %y = tn.fused -> tensor<?x?x32xf32> {
    %0 = tn.linear %x, %w : tensor<?x?x8xf32>, tensor<32x8xf32> -> tensor<?x?x32xf32>
    %1 = tn.activation <relu> %0 columns [0, 16] : tensor<?x?x32xf32>
    tn.yield %1 : tensor<?x?x32xf32>
  }
  return %y : tensor<?x?x32xf32>
}

// -----

// An i8 weight is widened in the micro-kernel and scaled once a tile; the table has the
// weight's tensor twice, as data and as scales.
// CHECK: layout = #tnrt.layout<panels, 16, 1>, tensor = "w", type = tensor<20x8xi8>
// CHECK-SAME: layout = #tnrt.layout<row_scales{{.*}}>, tensor = "w"
// CHECK-LABEL: func.func @i8(
// CHECK-DAG: tnrt.param %{{.*}}[0] : memref<2x8x16xi8>
// CHECK-DAG: tnrt.param %{{.*}}[1] : memref<20xf32>
// CHECK-LABEL: tnk.kernel @linear_k8_n20(
// CHECK: %[[T:.*]] = tnk.contract %{{.*}} : memref<24x8xf32>, memref<8x16xi8
// CHECK: vector.transfer_read %{{.*}} : memref<20xf32>, vector<16xf32>
// CHECK: arith.mulf %[[T]], %{{.*}} : vector<4x16xf32>
tn.param @w : tensor<20x8xi8> init <normal, 1.0>
func.func @i8(%x: tensor<?x?x8xf32>) -> tensor<?x?x20xf32> attributes {tn.rows = 24 : i64} {
  %w = tn.get_param @w : tensor<20x8xi8>
  %s = tn.row_scales @w : tensor<20xf32>
  %y = tn.linear %x, %w scales %s : tensor<20xf32>
      : tensor<?x?x8xf32>, tensor<20x8xi8> -> tensor<?x?x20xf32>
  return %y : tensor<?x?x20xf32>
}

// -----

// An input that is rounded in groups lies in one buffer: for 24 rows 24 x 32 codes, then
// 24 x 2 scales, then 24 x 2 starts. The norm before it stores it so; the weight is in
// fours, and both linear maps read the same buffer.
// CHECK: layout = #tnrt.layout<panels, 16, 4>, tensor = "w", type = tensor<20x32xi8>
// CHECK-LABEL: func.func @rounded(
// CHECK: %[[R:.*]] = tnrt.alloc : memref<1152xi8>
// CHECK: tnrt.launch %{{.*}} @norm_round_groups tasks({{.*}}) (%{{.*}}, %[[R]], %{{.*}}) : memref<24x32xf32>, memref<1152xi8>, index
// CHECK: tnrt.param %{{.*}}[0] : memref<2x8x64xi8>
// CHECK: tnrt.launch {{.*}} @linear_k32_n20 {{.*}} (%[[R]],
// CHECK-LABEL: tnk.kernel @norm_round_groups(
// CHECK-SAME: %{{.*}}: memref<24x32xf32>, %[[R:.*]]: memref<1152xi8>,
// CHECK: scf.for %[[I:[^ ]*]] =
// CHECK: scf.for %[[COLUMN:[^ ]*]] =
// CHECK-DAG: %[[CODES:.*]] = memref.view %[[R]][%c0{{[_0-9]*}}][] : memref<1152xi8> to memref<24x32xi8>
// CHECK-DAG: %[[SCALES:.*]] = memref.view %[[R]][%c768{{[_0-9]*}}][] : memref<1152xi8> to memref<24x2xf32>
// CHECK-DAG: %[[STARTS:.*]] = memref.view %[[R]][%c960{{[_0-9]*}}][] : memref<1152xi8> to memref<24x2xi32>
// CHECK-DAG: %[[GROUP:.*]] = arith.divui %[[COLUMN]], %c16
// CHECK: %[[LARGEST:.*]] = vector.reduction <maxsi>, %{{.*}} : vector<16xi32> into i32
// CHECK: %[[SCALE:.*]] = arith.maximumf
// CHECK: arith.divf %{{.*}} : vector<16xf32>
// CHECK: %[[SUM:.*]] = vector.reduction <add>, %{{.*}} : vector<16xi32> into i32
// CHECK: %[[START:.*]] = arith.muli %[[SUM]], %c-128_i32
// CHECK: vector.store %{{.*}}, %[[CODES]][%[[I]], %[[COLUMN]]] : memref<24x32xi8>, vector<16xi8>
// CHECK: memref.store %[[SCALE]], %[[SCALES]][%[[I]], %[[GROUP]]]
// CHECK: memref.store %[[START]], %[[STARTS]][%[[I]], %[[GROUP]]]
// CHECK-LABEL: tnk.kernel @linear_k32_n20(
// CHECK: tnk.contract_groups {{.*}} depth %c32 group 16 : memref<24x32xi8>, memref<24x2xf32>, memref<24x2xi32>, memref<8x64xi8, {{.*}}>, vector<4x16xf32>
// CHECK: arith.mulf

// 16 of 32 depths are a block of 256 bytes, which is one group.
// GROUPS-LABEL: tnk.kernel @linear_k32_n20(
// GROUPS: scf.for %{{.*}} = %c0 to %c32 step %c16
// GROUPS: tnk.contract_groups {{.*}} depth %{{.*}} group 16 : {{.*}}, vector<3x16xf32>

// One row fetches a fourth of 1024 bytes ahead: 4 rows of four depths.
// STREAM-LABEL: func.func @rounded(
// STREAM-LABEL: tnk.kernel @linear_k32_n20(
// STREAM: tnk.contract_groups {{.*}} group 16 prefetch 4 : {{.*}}, vector<1x16xf32>
tn.param @w : tensor<20x32xi8> init <normal, 1.0>
func.func @rounded(%x: tensor<?x?x32xf32>) -> (tensor<?x?x20xf32>, tensor<?x?x20xf32>)
    attributes {tn.rows = 24 : i64} {
  %r = tn.fused -> tensor<?x?x32xf32> {
    %0 = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x?x32xf32> -> tensor<?x?x32xf32>
    %1 = tn.round_groups %0 group 16 : tensor<?x?x32xf32>
    tn.yield %1 : tensor<?x?x32xf32>
  }
  %w = tn.get_param @w : tensor<20x32xi8>
  %s = tn.row_scales @w : tensor<20xf32>
  %y = tn.linear %r, %w scales %s : tensor<20xf32>
      : tensor<?x?x32xf32>, tensor<20x32xi8> -> tensor<?x?x20xf32>
  %z = tn.linear %r, %w scales %s : tensor<20xf32>
      : tensor<?x?x32xf32>, tensor<20x32xi8> -> tensor<?x?x20xf32>
  return %y, %z : tensor<?x?x20xf32>, tensor<?x?x20xf32>
}
