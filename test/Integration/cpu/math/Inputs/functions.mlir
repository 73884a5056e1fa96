// Each function over a whole buffer; entry points, so that they are exported.
func.func @test_sin(%x: memref<65536xf32>, %y: memref<65536xf32>) attributes {tnrt.entry} {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %end = arith.constant 65536 : index
  scf.for %i = %c0 to %end step %c16 {
    %v = vector.load %x[%i] : memref<65536xf32>, vector<16xf32>
    %w = math.sin %v : vector<16xf32>
    vector.store %w, %y[%i] : memref<65536xf32>, vector<16xf32>
  }
  return
}
func.func @test_cos(%x: memref<65536xf32>, %y: memref<65536xf32>) attributes {tnrt.entry} {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %end = arith.constant 65536 : index
  scf.for %i = %c0 to %end step %c16 {
    %v = vector.load %x[%i] : memref<65536xf32>, vector<16xf32>
    %w = math.cos %v : vector<16xf32>
    vector.store %w, %y[%i] : memref<65536xf32>, vector<16xf32>
  }
  return
}
func.func @test_exp(%x: memref<65536xf32>, %y: memref<65536xf32>) attributes {tnrt.entry} {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %end = arith.constant 65536 : index
  scf.for %i = %c0 to %end step %c16 {
    %v = vector.load %x[%i] : memref<65536xf32>, vector<16xf32>
    %w = math.exp %v : vector<16xf32>
    vector.store %w, %y[%i] : memref<65536xf32>, vector<16xf32>
  }
  return
}
func.func @test_expm1(%x: memref<65536xf32>, %y: memref<65536xf32>) attributes {tnrt.entry} {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %end = arith.constant 65536 : index
  scf.for %i = %c0 to %end step %c16 {
    %v = vector.load %x[%i] : memref<65536xf32>, vector<16xf32>
    %w = math.expm1 %v : vector<16xf32>
    vector.store %w, %y[%i] : memref<65536xf32>, vector<16xf32>
  }
  return
}
func.func @test_erf(%x: memref<65536xf32>, %y: memref<65536xf32>) attributes {tnrt.entry} {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %end = arith.constant 65536 : index
  scf.for %i = %c0 to %end step %c16 {
    %v = vector.load %x[%i] : memref<65536xf32>, vector<16xf32>
    %w = math.erf %v : vector<16xf32>
    vector.store %w, %y[%i] : memref<65536xf32>, vector<16xf32>
  }
  return
}
