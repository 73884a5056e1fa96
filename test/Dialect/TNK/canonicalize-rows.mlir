// What writes memory or waits stays, however often it is there.
// RUN: tnllm-opt %s --canonicalize --cse | FileCheck %s

// CHECK-LABEL: tnk.kernel @rows(
// CHECK-COUNT-2: tnk.multiply_rows
// CHECK-COUNT-2: tnk.wait_inputs
tnk.kernel @rows(%x: memref<8x32xbf16>, %w: memref<8x32xbf16>, %task: index) threads(32) {
  %s = tnk.shared : memref<8x8xf32, #gpu.address_space<workgroup>>
  tnk.multiply_rows %x, weights(%w) [%task] rows(%task) to(%s)
      : memref<8x32xbf16>, memref<8x32xbf16> to memref<8x8xf32, #gpu.address_space<workgroup>>
  tnk.multiply_rows %x, weights(%w) [%task] rows(%task) to(%s)
      : memref<8x32xbf16>, memref<8x32xbf16> to memref<8x8xf32, #gpu.address_space<workgroup>>
  tnk.wait_inputs
  tnk.wait_inputs
  tnk.return
}
