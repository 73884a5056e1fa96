// RUN: tnllm-opt %s --tnrt-plan-memory --split-input-file --verify-diagnostics
// RUN: not tnllm-opt --tnrt-plan-memory=alignment=48 %S/Inputs/empty.mlir 2>&1 \
// RUN:   | FileCheck %s --check-prefix=ALIGN
// RUN: not tnllm-opt --tnrt-plan-memory=alignment=0 %S/Inputs/empty.mlir 2>&1 \
// RUN:   | FileCheck %s --check-prefix=ZERO
// ALIGN: error: expected an alignment that is a power of two, got 48
// ZERO: error: expected an alignment that is a power of two, got 0

// expected-error @below {{expected no recursive calls in a host schedule}}
func.func @f(%c: !tnrt.context) {
  call @g(%c) : (!tnrt.context) -> ()
  return
}
func.func private @g(%c: !tnrt.context) {
  call @f(%c) : (!tnrt.context) -> ()
  return
}

// -----

func.func @nested(%c: !tnrt.context, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    // expected-error @below {{expected buffers to be allocated in the function's entry block}}
    %a = tnrt.alloc : memref<8x8xf32>
    tnrt.probe %c[0] %a, %n : memref<8x8xf32>
  }
  return
}

// -----

// expected-error @below {{expected !tnrt.context as the first argument of a function that allocates buffers}}
func.func @f() {
  %0 = tnrt.alloc : memref<8xf32>
  return
}

// -----

// The product of the sizes is 2^64 bytes.
func.func @large(%c: !tnrt.context) {
  // expected-error @below {{expected a buffer of integers or floats, of at most 2^40 bytes}}
  %a = tnrt.alloc : memref<4294967296x1073741824xf32>
  return
}

// -----

func.func @vectors(%c: !tnrt.context) {
  // expected-error @below {{expected a buffer of integers or floats, of at most 2^40 bytes}}
  %a = tnrt.alloc : memref<4xvector<8xf32>>
  return
}
