// What has no rule is an error, never a slow or wrong kernel.
// RUN: tnllm-opt %s --tnk-distribute-rows --verify-diagnostics --split-input-file

tnk.kernel @long(%x: memref<8x512xf32>, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  // expected-error @+1 {{cannot be distributed to the threads of a kernel: 512 elements are more than 8 for each of 32 threads}}
  %v = vector.load %x[%row, %c0] : memref<8x512xf32>, vector<512xf32>
  tnk.return
}

// -----

tnk.kernel @tile(%x: memref<8x8x8xf32>, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  // expected-error @+1 {{expected vectors of rank 1 or 2}}
  %v = vector.load %x[%row, %c0, %c0] : memref<8x8x8xf32>, vector<2x2x8xf32>
  tnk.return
}

// -----

tnk.kernel @unit(%x: memref<8x34xf32>, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  // expected-error @+1 {{its rows are no multiple of what a thread holds}}
  %v = vector.load %x[%row, %c0] : memref<8x34xf32>, vector<2x34xf32>
  tnk.return
}

// -----

tnk.kernel @columns(%x: memref<8x8xf32>, %n: index, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f32
  %mask = vector.create_mask %n, %c4 : vector<2x8xi1>
  // expected-error @+1 {{expected a row without mask or permutation}}
  %v = vector.transfer_read %x[%row, %c0], %zero, %mask {in_bounds = [true, true]} : memref<8x8xf32>, vector<2x8xf32>
  tnk.return
}

// -----

tnk.kernel @shuffled(%x: memref<8x8xf32>, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<8x8xf32>, vector<8xf32>
  // expected-error @+1 {{no rule for this operation}}
  %w = vector.shuffle %v, %v [7, 6, 5, 4, 3, 2, 1, 0] : vector<8xf32>, vector<8xf32>
  vector.store %w, %x[%row, %c0] : memref<8x8xf32>, vector<8xf32>
  tnk.return
}

// -----

tnk.kernel @element(%x: memref<8x8xf32>, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<8x8xf32>, vector<8xf32>
  // expected-error @+1 {{expected a vector of one element}}
  %e = vector.extract %v[3] : f32 from vector<8xf32>
  memref.store %e, %x[%row, %c0] : memref<8x8xf32>
  tnk.return
}

// -----

tnk.kernel @different(%x: memref<8x2xf32>, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  // expected-error @+1 {{its elements differ}}
  %v = arith.constant dense<[1.0, 2.0]> : vector<2xf32>
  vector.store %v, %x[%row, %c0] : memref<8x2xf32>, vector<2xf32>
  tnk.return
}

// -----

tnk.kernel @stack(%task: index) threads(32) {
  // expected-error @+1 {{the stack is a thread's own}}
  %x = memref.alloca() : memref<8xf32>
  tnk.return
}

// -----

tnk.kernel @masked(%x: memref<8x8xf32>, %m: index, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %pad = arith.constant 0.0 : f32
  %mask = vector.create_mask %m : vector<8xi1>
  // expected-error @+1 {{expected a row without mask or permutation}}
  %v = vector.transfer_read %x[%row, %c0], %pad, %mask {in_bounds = [true]} : memref<8x8xf32>, vector<8xf32>
  tnk.return
}

// -----

tnk.kernel @columns(%x: memref<8x8xf32, strided<[1, 8]>>, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %pad = arith.constant 0.0 : f32
  // expected-error @+1 {{its elements are not neighbours in memory}}
  %v = vector.transfer_read %x[%row, %c0], %pad {in_bounds = [true]} : memref<8x8xf32, strided<[1, 8]>>, vector<8xf32>
  tnk.return
}

// -----

tnk.kernel @integers(%x: memref<8x8xi32>, %y: memref<8xi32>, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<8x8xi32>, vector<8xi32>
  // expected-error @+1 {{expected a sum, maximum or minimum of f32}}
  %s = vector.reduction <add>, %v : vector<8xi32> into i32
  memref.store %s, %y[%row] : memref<8xi32>
  tnk.return
}

// -----

tnk.kernel @while(%x: memref<8x8xf32>, %row: index) threads(32) {
  // expected-error @+1 {{expected scf.for and scf.if alone around operations}}
  scf.execute_region {
    %c0 = arith.constant 0 : index
    %v = vector.load %x[%row, %c0] : memref<8x8xf32>, vector<8xf32>
    scf.yield
  }
  tnk.return
}
