// Quantised weights of a GPU lie in rows of bytes, their scales beside them. Few rows are
// products that read them; for more, the weight becomes bf16 before the library's product.
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256 bf16-storage row-products fold-norms join-gates' \
// RUN:   --canonicalize --cse --split-input-file | FileCheck %s
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256 bf16-storage row-products fold-norms join-gates' \
// RUN:   --canonicalize --cse --tnk-to-ptx -o /dev/null --split-input-file | FileCheck %s --check-prefix=PTX

// CHECK: layout = #tnrt.layout<rows, 0, 0>, tensor = "w", type = tensor<96x64xi8>
// CHECK-SAME: layout = #tnrt.layout<row_scales, 0, 0>, tensor = "w", type = tensor<96x64xf32>
// CHECK-LABEL: func.func @bytes(
// CHECK-DAG: %[[W:.*]] = tnrt.param %{{.*}}[0] : memref<96x64xi8>
// CHECK-DAG: %[[S:.*]] = tnrt.param %{{.*}}[1] : memref<96xf32>
// CHECK-DAG: %[[WIDE:.*]] = tnrt.alloc : memref<96x64xbf16>
// CHECK: tnrt.launch %{{.*}} @linear_k64_n96 tasks(%c12) (%[[W]], %[[S]], %{{.*}}) : memref<96x64xi8>, memref<96xf32>, memref<80x64xf32>, memref<80x96xf32>, index
// CHECK: tnrt.launch %{{.*}} @linear_k64_n96{{.*}} tasks(%c6)
// CHECK: tnrt.launch %{{.*}} @widen_k64_n96 tasks(%c96) (%[[W]], %[[S]], %[[WIDE]])
// CHECK-NEXT: tnrt.matmul %{{.*}}, %[[WIDE]], %{{.*}} : memref<80x64xbf16>, memref<96x64xbf16>, memref<80x96xf32>
// CHECK-LABEL: tnk.kernel @linear_k64_n96(
// CHECK: tnk.multiply_rows %{{.*}}, weights(%{{.*}}) as i8 scales(%{{.*}}) [
// CHECK-LABEL: tnk.kernel @widen_k64_n96(
// CHECK-SAME: threads(32)
// CHECK-NEXT: tnk.widen_row %{{.*}} as i8 scales(%{{.*}}) [%{{.*}}] to
// PTX: .visible .entry linear_k64_n96(
// PTX: .minnctapersm 2
// PTX: ld.global.L1::no_allocate
// PTX: prmt.b32
// PTX: sub{{.*}}.bf16x2
// PTX: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// PTX: .visible .entry widen_k64_n96(
// PTX: ld.global.v4.b32
// PTX: st.global.v4.b32
tn.param @w : tensor<96x64xi8> init <normal, 1.0>
func.func @bytes(%x: tensor<?x?x64xf32>) -> tensor<?x?x96xf32> attributes {tn.rows = 80 : i64} {
  %w = tn.get_param @w : tensor<96x64xi8>
  %s = tn.row_scales @w : tensor<96xf32>
  %0 = tn.cast %x : tensor<?x?x64xf32> -> tensor<?x?x64xbf16>
  %1 = tn.linear %0, %w scales %s : tensor<96xf32>
     : tensor<?x?x64xbf16>, tensor<96x64xi8> -> tensor<?x?x96xf32>
  return %1 : tensor<?x?x96xf32>
}

// -----

// A depth that no step of a warp divides has products by the library alone.
// CHECK: layout = #tnrt.layout<row_scales_f8, 0, 0>, tensor = "w"
// CHECK-LABEL: func.func @odd(
// CHECK-NOT: scf.if
// CHECK: tnrt.launch %{{.*}} @widen_k36_n10 tasks(%c10)
// CHECK: tnrt.matmul
// PTX: .visible .entry widen_k36_n10(
tn.param @w : tensor<10x36xf8E4M3FN> init <normal, 1.0>
func.func @odd(%x: tensor<?x?x36xf32>) -> tensor<?x?x10xf32> attributes {tn.rows = 80 : i64} {
  %w = tn.get_param @w : tensor<10x36xf8E4M3FN>
  %s = tn.row_scales @w : tensor<10xf32>
  %0 = tn.cast %x : tensor<?x?x36xf32> -> tensor<?x?x36xbf16>
  %1 = tn.linear %0, %w scales %s : tensor<10xf32>
     : tensor<?x?x36xbf16>, tensor<10x36xf8E4M3FN> -> tensor<?x?x10xf32>
  return %1 : tensor<?x?x10xf32>
}

// -----

// Two numbers of i4 in a byte, and a norm and a second map inside.
// CHECK: layout = #tnrt.layout<rows, 0, 0>, tensor = "w", type = tensor<96x128xi4>
// CHECK-SAME: layout = #tnrt.layout<group_scales, 128, 0>, tensor = "w", type = tensor<96x128xf32>
// CHECK-LABEL: func.func @groups(
// CHECK-DAG: tnrt.param %{{.*}}[0] : memref<96x64xi8>
// CHECK-DAG: tnrt.param %{{.*}}[1] : memref<96x1xf32>
// CHECK: tnrt.launch %{{.*}} @norm_linear_linear_k128_n96_mul
// CHECK-LABEL: tnk.kernel @norm_linear_linear_k128_n96_mul(
// CHECK: tnk.multiply_rows %{{.*}}, weights(%{{.*}}, %{{.*}}) as i4 scales(%{{.*}}, %{{.*}}) [%{{.*}}] rows(%{{.*}}) to(%{{.*}}, %{{.*}}) squares
// PTX: .visible .entry norm_linear_linear_k128_n96_mul(
// PTX: add.rn.bf16x2
// PTX: mma.sync
tn.param @w : tensor<96x128xi4> init <normal, 1.0>
tn.param @v : tensor<96x128xi4> init <normal, 1.0>
func.func @groups(%x: tensor<?x?x128xf32>) -> tensor<?x?x96xf32> attributes {tn.rows = 80 : i64} {
  %w = tn.get_param @w : tensor<96x128xi4>
  %s = tn.row_scales @w : tensor<96x1xf32>
  %v = tn.get_param @v : tensor<96x128xi4>
  %t = tn.row_scales @v : tensor<96x1xf32>
  %n = tn.fused -> tensor<?x?x128xbf16> {
    %0 = tn.norm <srms> %x {epsilon = 1.0e-6 : f32} : tensor<?x?x128xf32> -> tensor<?x?x128xf32>
    %1 = tn.cast %0 : tensor<?x?x128xf32> -> tensor<?x?x128xbf16>
    tn.yield %1 : tensor<?x?x128xbf16>
  }
  %l1 = tn.linear %n, %w scales %s : tensor<96x1xf32>
     : tensor<?x?x128xbf16>, tensor<96x128xi4> -> tensor<?x?x96xf32>
  %g = tn.fused -> tensor<?x?x96xf32> {
    %l2 = tn.linear %n, %v scales %t : tensor<96x1xf32>
       : tensor<?x?x128xbf16>, tensor<96x128xi4> -> tensor<?x?x96xf32>
    %p = tn.mul %l1, %l2 : tensor<?x?x96xf32>
    tn.yield %p : tensor<?x?x96xf32>
  }
  return %g : tensor<?x?x96xf32>
}
