// tnllm-opt %s --tnk-distribute-rows --canonicalize
tnk.kernel @scale_by_sum(%x: memref<8x128xf32>, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<8x128xf32>, vector<128xf32>
  %s = vector.reduction <add>, %v : vector<128xf32> into f32
  %t = vector.broadcast %s : f32 to vector<128xf32>
  %y = arith.mulf %v, %t : vector<128xf32>
  vector.store %y, %x[%row, %c0] : memref<8x128xf32>, vector<128xf32>
  tnk.return
}
