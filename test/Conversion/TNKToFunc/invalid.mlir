// What is not in a kernel is asked here: upstream's lowering writes out every row of a vector.
// RUN: tnllm-opt %s --convert-tnk-to-func --split-input-file --verify-diagnostics
// RUN: tnllm-opt %s --convert-tnk-to-gpu --split-input-file --verify-diagnostics

// expected-error @below {{expected vectors of at most 2^20 elements, got 'vector<1048577xf32>'}}
func.func @argument(%v: vector<1048577xf32>) {
  return
}

// -----

// 2^20 are taken.
func.func @most(%v: vector<1024x1024xf32>) {
  return
}

// -----

func.func @load(%x: memref<8x8xf32>, %i: index) {
  // expected-error @below {{expected vectors of at most 2^20 elements, got 'vector<4294967296x4294967296xf32>'}}
  %v = vector.load %x[%i, %i] : memref<8x8xf32>, vector<4294967296x4294967296xf32>
  return
}
