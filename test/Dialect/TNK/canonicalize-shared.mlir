// Shared buffers go with their last use; two of one type are two.
// RUN: tnllm-opt %s --canonicalize --cse | FileCheck %s

// CHECK-LABEL: tnk.kernel @buffers
// CHECK: %[[A:.*]] = tnk.shared
// CHECK: %[[B:.*]] = tnk.shared
// CHECK-NOT: tnk.shared
// CHECK: memref.copy %[[A]], %[[B]]
tnk.kernel @buffers(%task: index) threads(32) {
  %a = tnk.shared : memref<64xf32, #gpu.address_space<workgroup>>
  %b = tnk.shared : memref<64xf32, #gpu.address_space<workgroup>>
  %unused = tnk.shared align(128) : memref<64xf32, #gpu.address_space<workgroup>>
  memref.copy %a, %b : memref<64xf32, #gpu.address_space<workgroup>> to memref<64xf32, #gpu.address_space<workgroup>>
  tnk.return
}
