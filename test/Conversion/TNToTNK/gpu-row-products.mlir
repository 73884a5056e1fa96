// Up to 8 rows with weights of bf16 go to tensor cores, with the norm before a map and a
// second map of the same rows in the same kernel; up to 16 without the norm. More rows take
// the library's products.
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256 bf16-storage row-products fold-norms join-gates' \
// RUN:   --canonicalize --cse --split-input-file | FileCheck %s
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256 bf16-storage row-products' \
// RUN:   --canonicalize --cse --split-input-file | FileCheck %s --check-prefix=ALONE
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256 bf16-storage row-products fold-norms join-gates' \
// RUN:   --canonicalize --cse --tnk-to-ptx -o /dev/null --split-input-file | FileCheck %s --check-prefix=PTX

// The norm is a kernel of its own for many rows alone, and so is the first map.
// CHECK-LABEL: func.func @glu(
// CHECK-SAME: %[[C:[^:]*]]: !tnrt.context, %{{[^:]*}}: index, %{{[^:]*}}: index, %[[X:[^:]*]]: memref<80x64xf32>, %[[OUT:[^:]*]]: memref<80x64xf32>)
// CHECK-DAG: %[[W1:.*]] = tnrt.param %[[C]][0]
// CHECK-DAG: %[[W2:.*]] = tnrt.param %[[C]][1]
// CHECK-DAG: %[[W3:.*]] = tnrt.param %[[C]][2]
// CHECK: %[[FEW:.*]] = arith.cmpi ule, %[[ROWS:.*]], %c8
// CHECK: scf.if %[[FEW]] {
// CHECK-NEXT: } else {
// CHECK-NEXT: tnrt.launch %[[C]] @norm_cast
// CHECK: %[[SOME:.*]] = arith.cmpi ule, %[[ROWS]], %c16
// CHECK: scf.if %[[SOME]] {
// CHECK-NEXT: } else {
// CHECK-NEXT: tnrt.matmul
// CHECK: scf.if %[[FEW]] {
// CHECK-NEXT: tnrt.launch %[[C]] @norm_linear_linear_k64_n96_mul_cast tasks(%c12) (%{{.*}}) : memref<96x64xbf16>, memref<80x64xf32>, memref<96x64xbf16>, memref<80x96xbf16>, index
// CHECK-NEXT: } else {
// CHECK: scf.if %[[SOME]] {
// CHECK-NEXT: tnrt.launch %[[C]] @linear_linear_k64_n96_mul_cast tasks(%c6) (%{{.*}}) : memref<80x64xbf16>, memref<96x64xbf16>, memref<96x64xbf16>, memref<80x96xbf16>, index
// CHECK-NEXT: } else {
// CHECK-NEXT: tnrt.matmul
// CHECK: tnrt.launch %[[C]] @tail_mul_cast
// CHECK: scf.if %[[FEW]] {
// CHECK-NEXT: tnrt.launch %[[C]] @linear_k96_n64_add tasks(%c8)
// CHECK-NEXT: } else {

// CHECK-LABEL: tnk.kernel @norm_linear_linear_k64_n96_mul_cast(
// CHECK-SAME: %[[W2:[^:]*]]: memref<96x64xbf16>, %[[X:[^:]*]]: memref<80x64xf32>, %[[W1:[^:]*]]: memref<96x64xbf16>, %[[Y:[^:]*]]: memref<80x96xbf16>, %[[ROWS:[^:]*]]: index, %[[TASK:[^:]*]]: index) threads(64)
// CHECK: %[[COLUMN:.*]] = arith.muli %[[TASK]], %c8
// CHECK: tnk.multiply_rows %[[X]], weights(%[[W1]], %[[W2]]) [%[[COLUMN]]] rows(%[[ROWS]]) to(%[[A:.*]], %[[B:.*]]) squares(%[[S:.*]]) :
// CHECK: vector.transfer_read %[[A]][%c0, %c0]{{.*}} vector<8x8xf32>
// CHECK: vector.transfer_read %[[B]]
// CHECK: vector.transfer_read %[[S]]
// CHECK: arith.divf
// CHECK: arith.addf
// CHECK: math.sqrt
// CHECK: %[[R:.*]] = arith.divf
// CHECK: %[[L1:.*]] = arith.mulf %{{.*}}, %[[R]]
// CHECK: %[[L2:.*]] = arith.mulf %{{.*}}, %[[R]]
// CHECK: %[[P:.*]] = arith.mulf %[[L1]], %[[L2]]
// CHECK: %[[MASK:.*]] = vector.create_mask %[[ROWS]], %c8 : vector<8x8xi1>
// CHECK: arith.truncf
// CHECK: vector.transfer_write %{{.*}}, %[[Y]][%c0, %[[COLUMN]]], %[[MASK]]

// CHECK-LABEL: tnk.kernel @linear_k96_n64_add(
// CHECK: tnk.multiply_rows %{{[^ ]*}}, weights
// CHECK-NOT: squares
// CHECK: vector.transfer_read %{{.*}}, %{{.*}}, %{{.*}} {in_bounds = [true, true]} : memref<80x64xf32>, vector<8x8xf32>
// CHECK: arith.addf

// ALONE-LABEL: func.func @glu(
// ALONE-NOT: scf.if
// ALONE: tnrt.launch %{{.*}} @norm_cast
// ALONE: tnrt.launch %{{.*}} @linear_k64_n96 tasks(%c12)
// ALONE: tnrt.launch %{{.*}} @linear_k64_n96_mul_cast tasks(%c12)

// PTX: .visible .entry norm_linear_linear_k64_n96_mul_cast(
// PTX-COUNT-2: ld.global.v4.b32
// PTX: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
tn.param @w1 : tensor<96x64xbf16> init <normal, 1.0>
tn.param @w2 : tensor<96x64xbf16> init <normal, 1.0>
tn.param @w3 : tensor<64x96xbf16> init <normal, 1.0>
func.func @glu(%x: tensor<?x?x64xf32>) -> tensor<?x?x64xf32> attributes {tn.rows = 80 : i64} {
  %w1 = tn.get_param @w1 : tensor<96x64xbf16>
  %w2 = tn.get_param @w2 : tensor<96x64xbf16>
  %w3 = tn.get_param @w3 : tensor<64x96xbf16>
  %n = tn.fused -> tensor<?x?x64xbf16> {
    %0 = tn.norm <srms> %x {epsilon = 1.0e-6 : f32} : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %1 = tn.cast %0 : tensor<?x?x64xf32> -> tensor<?x?x64xbf16>
    tn.yield %1 : tensor<?x?x64xbf16>
  }
  %l1 = tn.linear %n, %w1 : tensor<?x?x64xbf16>, tensor<96x64xbf16> -> tensor<?x?x96xf32>
  %p = tn.fused -> tensor<?x?x96xbf16> {
    %0 = tn.linear %n, %w2 : tensor<?x?x64xbf16>, tensor<96x64xbf16> -> tensor<?x?x96xf32>
    %1 = tn.mul %l1, %0 : tensor<?x?x96xf32>
    %2 = tn.cast %1 : tensor<?x?x96xf32> -> tensor<?x?x96xbf16>
    tn.yield %2 : tensor<?x?x96xbf16>
  }
  %y = tn.fused -> tensor<?x?x64xf32> {
    %0 = tn.linear %p, %w3 : tensor<?x?x96xbf16>, tensor<64x96xbf16> -> tensor<?x?x64xf32>
    %1 = tn.add %x, %0 : tensor<?x?x64xf32>
    tn.yield %1 : tensor<?x?x64xf32>
  }
  return %y : tensor<?x?x64xf32>
}

// -----

// A gated norm is folded with its gate, a slice that begins at a multiple of 16 bytes.
// CHECK-LABEL: func.func @gated(
// CHECK: tnrt.launch %{{.*}} @norm_mul_linear_k64_n2048_activation tasks(%c128) (%{{.*}}) : memref<2048x64xbf16>, memref<80x64xf32>, memref<80x64xf32, strided<[128, 1], offset: 64>>, memref<80x2048xf32>, index
// CHECK-LABEL: tnk.kernel @norm_mul_linear_k64_n2048_activation(
// CHECK: tnk.multiply_rows %{{.*}} times %{{.*}}, weights(%{{.*}}) {{.*}} to memref<8x16xf32, #gpu.address_space<workgroup>> squares
// A task is all inside or all outside of the columns that are activated.
// CHECK: scf.if {{.*}} -> (vector<8x16xf32>)
tn.param @w : tensor<2048x64xbf16> init <normal, 1.0>
func.func @gated(%x: tensor<?x?x64xf32>, %u: tensor<?x?x128xf32>) -> tensor<?x?x2048xf32>
    attributes {tn.rows = 80 : i64} {
  %w = tn.get_param @w : tensor<2048x64xbf16>
  %g = tn.slice %u [64, 128] : tensor<?x?x128xf32> -> tensor<?x?x64xf32>
  %n = tn.fused -> tensor<?x?x64xbf16> {
    %0 = tn.norm <srms> %x {epsilon = 1.0e-6 : f32} : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %1 = tn.mul %0, %g : tensor<?x?x64xf32>
    %2 = tn.cast %1 : tensor<?x?x64xf32> -> tensor<?x?x64xbf16>
    tn.yield %2 : tensor<?x?x64xbf16>
  }
  %y = tn.fused -> tensor<?x?x2048xf32> {
    %0 = tn.linear %n, %w : tensor<?x?x64xbf16>, tensor<2048x64xbf16> -> tensor<?x?x2048xf32>
    %1 = tn.activation <silu> %0 columns [0, 1024] : tensor<?x?x2048xf32>
    tn.yield %1 : tensor<?x?x2048xf32>
  }
  return %y : tensor<?x?x2048xf32>
}

// -----

// What does not fit keeps its own kernels: a norm with a weight, one that somebody else
// reads, a bias, a depth that is no multiple of 32, an activation of columns that cut a task.
// CHECK-LABEL: func.func @others(
// CHECK: tnrt.launch %{{.*}} @norm_cast tasks
// CHECK: tnrt.launch %{{.*}} @linear_k64_n96 tasks(%c12)
// CHECK: tnrt.launch %{{.*}} @norm_cast_{{[0-9]}} tasks
// CHECK: tnrt.launch %{{.*}} @linear_k64_n96 tasks(%c12)
// CHECK: tnrt.launch %{{.*}} @linear_k64_n96_0 tasks(%c6)
// CHECK: scf.if
// CHECK-NEXT: tnrt.launch %{{.*}} @linear_k64_n96_{{[0-9]}} tasks(%c24)
// CHECK: tnrt.launch %{{.*}} @linear_k64_n96_activation tasks(%c24)
// CHECK: tnrt.launch %{{.*}} @linear_k96_n8 tasks(%c1)
// CHECK: tnrt.launch %{{.*}} @linear_k40_n96 tasks(%c24)
tn.param @w : tensor<96x64xbf16> init <normal, 1.0>
tn.param @v : tensor<8x96xbf16> init <normal, 1.0>
tn.param @u : tensor<96x40xbf16> init <normal, 1.0>
tn.param @scale : tensor<64xf32> init <constant, 1.0>
tn.param @b : tensor<96xf32> init <constant, 0.0>
func.func @others(%x: tensor<?x?x64xf32>, %z: tensor<?x?x40xbf16>)
    -> (tensor<?x?x96xf32>, tensor<?x?x96xf32>, tensor<?x?x96xf32>, tensor<?x?x96xf32>, tensor<?x?x8xf32>, tensor<?x?x96xf32>)
    attributes {tn.rows = 80 : i64} {
  %w = tn.get_param @w : tensor<96x64xbf16>
  %v = tn.get_param @v : tensor<8x96xbf16>
  %u = tn.get_param @u : tensor<96x40xbf16>
  %scale = tn.get_param @scale : tensor<64xf32>
  %b = tn.get_param @b : tensor<96xf32>
  %n = tn.fused -> tensor<?x?x64xbf16> {
    %0 = tn.norm <rms> %x weight %scale : tensor<64xf32> {epsilon = 1.0e-6 : f32} : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %1 = tn.cast %0 : tensor<?x?x64xf32> -> tensor<?x?x64xbf16>
    tn.yield %1 : tensor<?x?x64xbf16>
  }
  %y0 = tn.linear %n, %w : tensor<?x?x64xbf16>, tensor<96x64xbf16> -> tensor<?x?x96xf32>
  %m = tn.fused -> tensor<?x?x64xbf16> {
    %0 = tn.norm <srms> %x {epsilon = 1.0e-6 : f32} : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %1 = tn.cast %0 : tensor<?x?x64xf32> -> tensor<?x?x64xbf16>
    tn.yield %1 : tensor<?x?x64xbf16>
  }
  %y1 = tn.linear %m, %w : tensor<?x?x64xbf16>, tensor<96x64xbf16> -> tensor<?x?x96xf32>
  %y2 = tn.linear %m, %w bias %b : tensor<96xf32> : tensor<?x?x64xbf16>, tensor<96x64xbf16> -> tensor<?x?x96xf32>
  %y3 = tn.fused -> tensor<?x?x96xf32> {
    %0 = tn.linear %m, %w : tensor<?x?x64xbf16>, tensor<96x64xbf16> -> tensor<?x?x96xf32>
    %1 = tn.activation <silu> %0 columns [0, 12] : tensor<?x?x96xf32>
    tn.yield %1 : tensor<?x?x96xf32>
  }
  %h = tn.cast %y0 : tensor<?x?x96xf32> -> tensor<?x?x96xbf16>
  %y4 = tn.linear %h, %v : tensor<?x?x96xbf16>, tensor<8x96xbf16> -> tensor<?x?x8xf32>
  %y5 = tn.linear %z, %u : tensor<?x?x40xbf16>, tensor<96x40xbf16> -> tensor<?x?x96xf32>
  return %y0, %y1, %y2, %y3, %y4, %y5 : tensor<?x?x96xf32>, tensor<?x?x96xf32>, tensor<?x?x96xf32>, tensor<?x?x96xf32>, tensor<?x?x8xf32>, tensor<?x?x96xf32>
}
