// tnllm-opt %s --pass-pipeline="builtin.module(tnk.kernel(tnk-lower-contract,canonicalize))"
tnk.kernel @k(%a: memref<8x64xf32>, %b: memref<64x32xf32>, %c: memref<8x32xf32>, %row: index) {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant dense<0.0> : vector<2x32xf32>
  %r = tnk.contract %a[%row, %c0], %b[%c0, %c0], %zero depth %c64
      : memref<8x64xf32>, memref<64x32xf32>, vector<2x32xf32>
  vector.store %r, %c[%row, %c0] : memref<8x32xf32>, vector<2x32xf32>
  tnk.return
}
