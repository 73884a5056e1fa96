// A tensor map is 128 bytes of the kernel's parameters, used by their address; what passes
// have said of the kernel goes with it.
// RUN: tnllm-opt %s --convert-tnk-to-gpu | FileCheck %s
// RUN: tnllm-opt %s --device-pipeline | FileCheck %s --check-prefix=LLVM

// CHECK: gpu.func @k(%[[X:.*]]: memref<8xf32>{{.*}}, %[[MAP:.*]]: !llvm.ptr) kernel attributes {
// CHECK-SAME: nvvm.minctasm = 1 : i32
// CHECK-SAME: tnk.maps = array<i64: 1>
// CHECK: builtin.unrealized_conversion_cast %[[MAP]] : !llvm.ptr to !tnk.map<64x64xbf16>

// LLVM: llvm.func @k(%{{[^:]*}}: !llvm.ptr {{{[^}]*}}}, %{{[^:]*}}: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant})
// LLVM-SAME: nvvm.minctasm = 1
tnk.kernel @k(%x: memref<8xf32>, %map: !tnk.map<64x64xbf16>, %task: index) threads(128)
    attributes {nvvm.minctasm = 1 : i32} {
  %p = builtin.unrealized_conversion_cast %map : !tnk.map<64x64xbf16> to !llvm.ptr
  nvvm.prefetch tensormap, %p : !llvm.ptr
  tnk.return
}
