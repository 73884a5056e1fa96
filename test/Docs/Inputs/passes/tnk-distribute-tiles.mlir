// tnllm-opt %s --pass-pipeline="builtin.module(tnk.kernel(tnk-distribute-tiles,canonicalize,cse))"
tnk.kernel @k(%y: memref<64x8xf32>, %task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %x = vector.transfer_read %y[%c0, %c0], %zero {in_bounds = [true, true]} : memref<64x8xf32>, vector<64x8xf32>
  %row = tnk.index 0 : vector<64x8xi32>
  %column = tnk.index 1 : vector<64x8xi32>
  %past = arith.cmpi sge, %row, %column : vector<64x8xi32>
  %zeros = vector.broadcast %zero : f32 to vector<64x8xf32>
  %lower = arith.select %past, %x, %zeros : vector<64x8xi1>, vector<64x8xf32>
  vector.transfer_write %lower, %y[%c0, %c0] {in_bounds = [true, true]} : vector<64x8xf32>, memref<64x8xf32>
  tnk.return
}
