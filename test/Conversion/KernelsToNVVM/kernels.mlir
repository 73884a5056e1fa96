// Kernels become LLVM functions with bare pointers; mathematics stays with LLVM's
// intrinsics.
// RUN: tnllm-opt %s --pass-pipeline='builtin.module(gpu.module(convert-kernels-to-nvvm,reconcile-unrealized-casts))' | FileCheck %s

gpu.module @kernels {
  // CHECK: llvm.mlir.global external @[[SHARED:.*]]() {addr_space = 3 : i32, alignment = 1024 : i64} : !llvm.array<0 x i8>
  // CHECK: llvm.func @k(%{{.*}}: !llvm.ptr {llvm.align = 16 : i64}, %{{.*}}: i64)
  // CHECK-SAME: gpu.kernel
  // CHECK-SAME: nvvm.kernel
  // CHECK-SAME: nvvm.maxntid = array<i32: 64, 1, 1>
  // CHECK-SAME: tnk.shared_bytes = 256 : i64
  gpu.func @k(%x: memref<8x64xf32> {llvm.align = 16 : i64}, %n: index) kernel
      attributes {known_block_size = array<i32: 64, 1, 1>, tnk.shared_bytes = 256 : i64} {
    // CHECK: nvvm.read.ptx.sreg.ctaid.x
    %task = gpu.block_id x
    // CHECK: nvvm.read.ptx.sreg.tid.x
    %t = gpu.thread_id x
    %c0 = arith.constant 0 : index
    // CHECK: llvm.mlir.addressof @[[SHARED]] : !llvm.ptr<3>
    %bytes = gpu.dynamic_shared_memory : memref<?xi8, #gpu.address_space<workgroup>>
    %s = memref.view %bytes[%c0][] : memref<?xi8, #gpu.address_space<workgroup>>
        to memref<64xf32, #gpu.address_space<workgroup>>
    // CHECK: llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr -> vector<4xf32>
    %v = vector.load %x[%task, %t] {alignment = 16} : memref<8x64xf32>, vector<4xf32>
    // CHECK: llvm.intr.exp2
    %e = math.exp2 %v : vector<4xf32>
    // CHECK: llvm.intr.sqrt
    %q = math.sqrt %e : vector<4xf32>
    %one = arith.constant 1 : i32
    %lanes = arith.constant 32 : i32
    %f = vector.extract %q[0] : f32 from vector<4xf32>
    // CHECK: nvvm.shfl.sync bfly
    %o, %ok = gpu.shuffle xor %f, %one, %lanes : f32
    // CHECK: llvm.store %{{.*}} : f32, !llvm.ptr<3>
    memref.store %o, %s[%t] : memref<64xf32, #gpu.address_space<workgroup>>
    // CHECK: nvvm.barrier
    gpu.barrier
    // CHECK: llvm.load %{{.*}} : !llvm.ptr<3> -> f32
    %r = memref.load %s[%n] : memref<64xf32, #gpu.address_space<workgroup>>
    // CHECK: llvm.store %{{.*}} : f32, !llvm.ptr
    memref.store %r, %x[%task, %t] : memref<8x64xf32>
    // CHECK: llvm.return
    gpu.return
  }
}
