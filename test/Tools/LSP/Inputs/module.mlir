// A kernel and its launch.
tnk.kernel @twice(%x: memref<8x64xf32>, %rows: index, %row: index) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<8x64xf32>, vector<64xf32>
  %w = arith.addf %v, %v : vector<64xf32>
  vector.store %w, %x[%row, %c0] : memref<8x64xf32>, vector<64xf32>
  tnk.return
}

func.func @host(%context: !tnrt.context, %n: index) {
  %buffer = tnrt.alloc : memref<8x64xf32>
  %rows = arith.constant 8 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c1 to %n step %c1 {
    %j = arith.addi %i, %n : index
    scf.yield
  }
  tnrt.launch %context @twice tasks(%n) (%buffer, %rows) : memref<8x64xf32>, index
  return
}
