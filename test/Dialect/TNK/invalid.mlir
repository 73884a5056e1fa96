// Each constraint of docs/Spec.md, violated.
// RUN: tnllm-opt %s --verify-diagnostics --split-input-file

// expected-error @+1 {{expected its last argument, the task, of type index [kernel-C1]}}
tnk.kernel @k(%task: index, %x: memref<8xf32>) {
  tnk.return
}

// -----

// expected-error @+1 {{expected its last argument, the task, of type index [kernel-C1]}}
tnk.kernel @k() {
  tnk.return
}

// -----

// expected-error @+1 {{expected buffers of static shape and sizes of type index, got 'memref<?xf32>' [kernel-C2]}}
tnk.kernel @k(%x: memref<?xf32>, %task: index) {
  tnk.return
}

// -----

// expected-error @+1 {{expected buffers of static shape and sizes of type index, got 'i64' [kernel-C2]}}
tnk.kernel @k(%n: i64, %task: index) {
  tnk.return
}

// -----

// expected-error @+1 {{expected no results [kernel-C3]}}
tnk.kernel @k(%task: index) -> index {
  tnk.return
}

// -----

tnk.kernel @k(%a: memref<8xf32>, %b: memref<8x8xf32>, %task: index) {
  %acc = arith.constant dense<0.0> : vector<2x8xf32>
  // expected-error @+1 {{expected A to be a matrix with two indices [contract-C1]}}
  %r = tnk.contract %a[%task], %b[%task, %task], %acc depth %task : memref<8xf32>, memref<8x8xf32>, vector<2x8xf32>
  tnk.return
}

// -----

tnk.kernel @k(%a: memref<8x8xf32>, %b: memref<2x8x8xf32>, %task: index) {
  %acc = arith.constant dense<0.0> : vector<2x8xf32>
  // expected-error @+1 {{expected B to be a matrix with two indices [contract-C2]}}
  %r = tnk.contract %a[%task, %task], %b[%task, %task, %task], %acc depth %task : memref<8x8xf32>, memref<2x8x8xf32>, vector<2x8xf32>
  tnk.return
}

// -----

tnk.kernel @k(%a: memref<8x8xf32>, %b: memref<8x8xbf16>, %task: index) {
  %acc = arith.constant dense<0.0> : vector<2x8xf32>
  // expected-error @+1 {{expected A and B of one element type, or f32 and i8, got 'f32' and 'bf16' [contract-C3]}}
  %r = tnk.contract %a[%task, %task], %b[%task, %task], %acc depth %task : memref<8x8xf32>, memref<8x8xbf16>, vector<2x8xf32>
  tnk.return
}

// -----

tnk.kernel @k(%a: memref<8x8xf32>, %b: memref<8x8xf32>, %task: index) {
  %acc = arith.constant dense<0.0> : vector<2x8xf32>
  // expected-error @+1 {{expected pairs to be bf16 with A not transposed [contract-C4]}}
  %r = tnk.contract pairs %a[%task, %task], %b[%task, %task], %acc depth %task : memref<8x8xf32>, memref<8x8xf32>, vector<2x8xf32>
  tnk.return
}

// -----

tnk.kernel @k(%a: memref<8x8xbf16>, %b: memref<8x8xbf16>, %task: index) {
  %acc = arith.constant dense<0.0> : vector<2x8xf32>
  // expected-error @+1 {{expected pairs to be bf16 with A not transposed [contract-C4]}}
  %r = tnk.contract transpose_a pairs %a[%task, %task], %b[%task, %task], %acc depth %task : memref<8x8xbf16>, memref<8x8xbf16>, vector<2x8xf32>
  tnk.return
}

// -----

func.func @f() {
  // expected-error @+1 {{expects parent op 'tnk.kernel'}}
  tnk.return
}

// -----

// expected-error @+1 {{expected a body [kernel-C4]}}
tnk.kernel @declared(index)
