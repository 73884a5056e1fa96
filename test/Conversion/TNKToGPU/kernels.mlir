// Kernels with threads become functions of one gpu.module; their shared buffers
// share one dynamic buffer. CPU kernels stay.
// RUN: tnllm-opt %s --convert-tnk-to-gpu | FileCheck %s

// CHECK: tnk.kernel @cpu
tnk.kernel @cpu(%x: memref<8xf32>, %task: index) {
  tnk.return
}

// CHECK-NOT: tnk.kernel
// CHECK-LABEL: gpu.module @kernels

// CHECK: gpu.func @plain(%[[X:.*]]: memref<8xf32> {llvm.align = 16 : i64}, %{{.*}}: index) kernel
// CHECK-SAME: known_block_size = array<i32: 64, 1, 1>
// CHECK-SAME: tnk.shared_bytes = 0 : i64
// CHECK: %[[TASK:.*]] = gpu.block_id x
// CHECK: memref.load %[[X]][%[[TASK]]]
// CHECK: gpu.return
tnk.kernel @plain(%x: memref<8xf32>, %n: index, %task: index) threads(64) {
  %v = memref.load %x[%task] : memref<8xf32>
  memref.store %v, %x[%n] : memref<8xf32>
  tnk.return
}

// The buffer of the larger alignment comes first; the other two follow in their order,
// each at a multiple of 16.
// CHECK: gpu.func @shared
// CHECK-SAME: tnk.shared_bytes = 8240 : i64
// CHECK: %[[BYTES:.*]] = gpu.dynamic_shared_memory : memref<?xi8, #gpu.address_space<workgroup>>
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: memref.view %[[BYTES]][%[[C0]]][] : memref<?xi8, #gpu.address_space<workgroup>> to memref<64x64xbf16, #gpu.address_space<workgroup>>
// CHECK-DAG: %[[C8192:.*]] = arith.constant 8192 : index
// CHECK-DAG: memref.view %[[BYTES]][%[[C8192]]][] : memref<?xi8, #gpu.address_space<workgroup>> to memref<3xf32, #gpu.address_space<workgroup>>
// CHECK-DAG: %[[C8208:.*]] = arith.constant 8208 : index
// CHECK-DAG: memref.view %[[BYTES]][%[[C8208]]][] : memref<?xi8, #gpu.address_space<workgroup>> to memref<8xf32, #gpu.address_space<workgroup>>
tnk.kernel @shared(%x: memref<8xf32>, %task: index) threads(32) {
  %a = tnk.shared : memref<3xf32, #gpu.address_space<workgroup>>
  %b = tnk.shared : memref<8xf32, #gpu.address_space<workgroup>>
  %c = tnk.shared align(1024) : memref<64x64xbf16, #gpu.address_space<workgroup>>
  %v = memref.load %a[%task] : memref<3xf32, #gpu.address_space<workgroup>>
  memref.store %v, %b[%task] : memref<8xf32, #gpu.address_space<workgroup>>
  %w = memref.load %c[%task, %task] : memref<64x64xbf16, #gpu.address_space<workgroup>>
  tnk.return
}
