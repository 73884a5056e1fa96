// tnllm-opt %s --tnk-overlap-launches
tnk.kernel @double(%x: memref<8x64xf32>, %y: memref<8x64xf32>, %row: index) threads(64) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<8x64xf32>, vector<64xf32>
  %w = arith.addf %v, %v : vector<64xf32>
  vector.store %w, %y[%row, %c0] : memref<8x64xf32>, vector<64xf32>
  tnk.return
}
