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

// CHECK-LABEL: tnk.kernel @widen(
// CHECK-COUNT-2: tnk.widen_row
// CHECK: tnk.return
tnk.kernel @widen(%w: memref<8x64xi8>, %s: memref<8xf32>, %o: memref<8x64xbf16>, %task: index) threads(32) {
  tnk.widen_row %w as i8 scales(%s) [%task] to %o : memref<8x64xi8> scales memref<8xf32> to memref<8x64xbf16>
  tnk.widen_row %w as i8 scales(%s) [%task] to %o : memref<8x64xi8> scales memref<8xf32> to memref<8x64xbf16>
  tnk.return
}
