// Calls of 17 to 64 rows: a map with a tail of its own, and two maps whose results are
// multiplied, are one kernel of warpgroup products. A residual is added by the library.
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256 bf16-storage tensor-cores row-products fold-norms join-gates tiled-linears' \
// RUN:   --canonicalize --cse | FileCheck %s
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256 bf16-storage tensor-cores row-products fold-norms join-gates' \
// RUN:   --canonicalize --cse | FileCheck %s --check-prefix=WITHOUT
// WITHOUT-NOT: tnk.ring
// All of it goes down to PTX; two blocks live on a multiprocessor.
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256 bf16-storage tensor-cores row-products fold-norms join-gates tiled-linears' \
// RUN:   --canonicalize --cse --tnk-to-ptx=output=%t.ptx -o /dev/null
// RUN: FileCheck %s --check-prefix=PTX --input-file=%t.ptx

// CHECK-LABEL: func.func @glu(
// CHECK-SAME: %[[C:[^:]*]]: !tnrt.context,
// CHECK-DAG: %[[W1:.*]] = tnrt.param %[[C]][0]
// CHECK-DAG: %[[W2:.*]] = tnrt.param %[[C]][1]
// The first map alone is for more rows than are tiled.
// CHECK: %[[NARROW:.*]] = arith.cmpi ule, %[[ROWS:.*]], %c64
// CHECK: scf.if %[[NARROW]] {
// CHECK-NEXT: } else {
// CHECK-NEXT: tnrt.matmul
// CHECK: scf.if %[[NARROW]] {
// CHECK-DAG: tnrt.tensor_map %[[C]] %{{.*}} batch(%c1) length(%[[ROWS]]) heads(1) : memref<80x64xbf16> -> <64x64xbf16>
// CHECK-DAG: tnrt.tensor_map %[[C]] %[[W1]] batch(%c1) length(%c2816) heads(1) : memref<2816x64xbf16> -> <24x64xbf16>
// CHECK-DAG: tnrt.tensor_map %[[C]] %[[W2]] batch(%c1) length(%c2816) heads(1) : memref<2816x64xbf16> -> <24x64xbf16>
// 118 tiles of 24 columns.
// CHECK: tnrt.launch %[[C]] @linear_linear_k64_n2816_mul_cast{{[_0-9]*}} tasks(%c118)
// CHECK: } else {
// CHECK: tnrt.matmul
// CHECK: tnrt.launch %[[C]] @tail_mul_cast
// CHECK: tnrt.matmul %[[C]] %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}} plus %{{.*}} : memref<80x64xf32>
// CHECK-NOT: tail_add

// CHECK-LABEL: tnk.kernel @linear_linear_k64_n2816_mul_cast_{{[0-9]+}}(
// CHECK-SAME: threads(256)
// CHECK: tnk.ring filled_by copies read_by(1) : !tnk.ring<6, <64x64xbf16>, <24x64xbf16>, <24x64xbf16>>
// CHECK: tnk.role "multiply" registers(104)
// CHECK-COUNT-2: tnk.mma
// CHECK: tnk.mma_wait pending(2)
// CHECK: arith.mulf %{{.*}}, %{{.*}} : vector<64x24xf32>
// CHECK: vector.transfer_write %{{.*}} : vector<64x24xbf16>, memref<80x2816xbf16>

// PTX: .minnctapersm 2
// PTX: wgmma.mma_async.sync.aligned.m64n24k16.f32.bf16.bf16
func.func @glu(%x: tensor<?x?x64xf32>) -> tensor<?x?x64xf32> attributes {tn.rows = 80 : i64} {
  %w1 = tn.get_param @w1 : tensor<2816x64xbf16>
  %w2 = tn.get_param @w2 : tensor<2816x64xbf16>
  %w3 = tn.get_param @w3 : tensor<64x2816xbf16>
  %n = tn.fused -> tensor<?x?x64xbf16> {
    %0 = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %1 = tn.cast %0 : tensor<?x?x64xf32> -> tensor<?x?x64xbf16>
    tn.yield %1 : tensor<?x?x64xbf16>
  }
  %l1 = tn.linear %n, %w1 : tensor<?x?x64xbf16>, tensor<2816x64xbf16> -> tensor<?x?x2816xf32>
  %p = tn.fused -> tensor<?x?x2816xbf16> {
    %0 = tn.linear %n, %w2 : tensor<?x?x64xbf16>, tensor<2816x64xbf16> -> tensor<?x?x2816xf32>
    %1 = tn.mul %l1, %0 : tensor<?x?x2816xf32>
    %2 = tn.cast %1 : tensor<?x?x2816xf32> -> tensor<?x?x2816xbf16>
    tn.yield %2 : tensor<?x?x2816xbf16>
  }
  %y = tn.fused -> tensor<?x?x64xf32> {
    %0 = tn.linear %p, %w3 : tensor<?x?x2816xbf16>, tensor<64x2816xbf16> -> tensor<?x?x64xf32>
    %1 = tn.add %x, %0 : tensor<?x?x64xf32>
    tn.yield %1 : tensor<?x?x64xf32>
  }
  return %y : tensor<?x?x64xf32>
}
tn.param @w1 : tensor<2816x64xbf16> init <normal, 2.0e-02 : f64>
tn.param @w2 : tensor<2816x64xbf16> init <normal, 2.0e-02 : f64>
tn.param @w3 : tensor<64x2816xbf16> init <normal, 2.0e-02 : f64>
