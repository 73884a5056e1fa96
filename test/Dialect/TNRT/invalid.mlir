// Each constraint of docs/Spec.md, violated.
// RUN: tnllm-opt %s --verify-diagnostics --split-input-file

func.func @f(%context: !tnrt.context, %n: index) {
  // expected-error @+1 {{expected a tnk.kernel named 'missing' [launch-C1]}}
  tnrt.launch %context @missing tasks(%n) (%n) : index
  return
}

// -----

// A function, but not of a kernel's signature.
func.func private @other(%n: index) {
  return
}
func.func @f(%context: !tnrt.context, %n: index) {
  // expected-error @+1 {{expected a tnk.kernel named 'other' [launch-C1]}}
  tnrt.launch %context @other tasks(%n) (%n) : index
  return
}

// -----

// expected-note @+1 {{kernel declared here}}
tnk.kernel @k(%x: memref<8x64xf32>, %rows: index, %task: index) {
  tnk.return
}
func.func @f(%context: !tnrt.context, %x: memref<8x32xf32>, %n: index) {
  // expected-error @+1 {{arguments differ from the kernel's, which are ('memref<8x64xf32>', 'index') and the task [launch-C2]}}
  tnrt.launch %context @k tasks(%n) (%x, %n) : memref<8x32xf32>, index
  return
}

// -----

// expected-note @+1 {{kernel declared here}}
tnk.kernel @k(%x: memref<8x64xf32>, %task: index) {
  tnk.return
}
func.func @f(%context: !tnrt.context, %x: memref<8x64xf32>, %n: index) {
  // The task's number is not among the arguments of a launch.
  // expected-error @+1 {{[launch-C2]}}
  tnrt.launch %context @k tasks(%n) (%x, %n) : memref<8x64xf32>, index
  return
}

// -----

func.func @f(%table: memref<4xf32>, %i: index) {
  // expected-error @+1 {{expected a contiguous table of rank 2 or more, got 'memref<4xf32>' [row-C1]}}
  %0 = tnrt.row %table[%i] : memref<4xf32> -> memref<1xf32>
  return
}

// -----

func.func @f(%table: memref<3x4xf32, strided<[8, 1]>>, %i: index) {
  // expected-error @+1 {{[row-C1]}}
  %0 = tnrt.row %table[%i] : memref<3x4xf32, strided<[8, 1]>> -> memref<4xf32>
  return
}

// -----

func.func @f(%table: memref<3x4xf32>, %i: index) {
  // expected-error @+1 {{expected the result to be 'memref<4xf32>', a row of the table, got 'memref<3xf32>' [row-C2]}}
  %0 = tnrt.row %table[%i] : memref<3x4xf32> -> memref<3xf32>
  return
}

// -----

func.func @f(%table: memref<3x4xf32>, %i: index) {
  // expected-error @+1 {{[row-C2]}}
  %0 = tnrt.row %table[%i] : memref<3x4xf32> -> memref<4xf16>
  return
}

// -----

gpu.module @kernels {
  gpu.func @k(%x: memref<8x64xf32>) kernel {
    gpu.return
  }
}
func.func @f(%context: !tnrt.context, %x: memref<8x64xf32>, %n: index) {
  // expected-error @+1 {{expected @kernels::@k to be a kernel of 2 arguments [launch-C3]}}
  tnrt.launch %context @kernels::@k tasks(%n) (%x, %n) : memref<8x64xf32>, index
  return
}

// -----

gpu.module @kernels {
}
func.func @f(%context: !tnrt.context, %n: index) {
  // expected-error @+1 {{expected @kernels::@missing to be a kernel of 1 arguments [launch-C3]}}
  tnrt.launch %context @kernels::@missing tasks(%n) (%n) : index
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<8x64xf32>, %w: memref<16x32xf32>, %y: memref<8x16xf32>, %n: index) {
  // expected-error @+1 {{expected matrices [R, K], [N, K] and [R, N], got 'memref<8x64xf32>', 'memref<16x32xf32>' and 'memref<8x16xf32>' [matmul-C1]}}
  tnrt.matmul %context %x, %w, %y, %n : memref<8x64xf32>, memref<16x32xf32>, memref<8x16xf32>
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<8x64xf32>, %w: memref<16x64xf32>, %y: memref<8x64xf32>, %n: index) {
  // expected-error @+1 {{[matmul-C1]}}
  tnrt.matmul %context %x, %w, %y, %n : memref<8x64xf32>, memref<16x64xf32>, memref<8x64xf32>
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<8x64xf32>, %w: memref<16x64xf32>, %y: memref<4x16xf32>, %n: index) {
  // expected-error @+1 {{[matmul-C1]}}
  tnrt.matmul %context %x, %w, %y, %n : memref<8x64xf32>, memref<16x64xf32>, memref<4x16xf32>
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<?x64xf32>, %w: memref<16x64xf32>, %y: memref<?x16xf32>, %n: index) {
  // expected-error @+1 {{[matmul-C1]}}
  tnrt.matmul %context %x, %w, %y, %n : memref<?x64xf32>, memref<16x64xf32>, memref<?x16xf32>
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<8x64xf32>, %w: memref<16x64xbf16>, %y: memref<8x16xf32>, %n: index) {
  // expected-error @+1 {{expected two matrices of one element type and a result of f32 or of that type, got 'f32', 'bf16' and 'f32' [matmul-C2]}}
  tnrt.matmul %context %x, %w, %y, %n : memref<8x64xf32>, memref<16x64xbf16>, memref<8x16xf32>
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<8x64xf32>, %w: memref<16x64xf32>, %y: memref<8x16xbf16>, %n: index) {
  // expected-error @+1 {{[matmul-C2]}}
  tnrt.matmul %context %x, %w, %y, %n : memref<8x64xf32>, memref<16x64xf32>, memref<8x16xbf16>
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<8x64xf32, strided<[128, 1], offset: 64>>, %w: memref<16x64xf32>, %y: memref<8x16xf32>, %n: index) {
  // expected-error @+1 {{expected contiguous matrices, got 'memref<8x64xf32, strided<[128, 1], offset: 64>>' [matmul-C3]}}
  tnrt.matmul %context %x, %w, %y, %n : memref<8x64xf32, strided<[128, 1], offset: 64>>, memref<16x64xf32>, memref<8x16xf32>
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<8x64xbf16, strided<[64, 2]>>, %n: index) {
  // expected-error @+1 {{expected a matrix of contiguous rows that divide into 2 heads, got 'memref<8x64xbf16, strided<[64, 2]>>' [tensor_map-C1]}}
  %m = tnrt.tensor_map %context %x batch(%n) length(%n) heads(2) : memref<8x64xbf16, strided<[64, 2]>> -> <64x64xbf16>
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<8x64xbf16>, %n: index) {
  // expected-error @+1 {{that divide into 3 heads, got 'memref<8x64xbf16>' [tensor_map-C1]}}
  %m = tnrt.tensor_map %context %x batch(%n) length(%n) heads(3) : memref<8x64xbf16> -> <64x64xbf16>
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<8x64xbf16>, %n: index) {
  // expected-error @+1 {{[tensor_map-C1]}}
  %m = tnrt.tensor_map %context %x batch(%n) length(%n) heads(0) : memref<8x64xbf16> -> <64x64xbf16>
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<?x64xbf16>, %n: index) {
  // expected-error @+1 {{[tensor_map-C1]}}
  %m = tnrt.tensor_map %context %x batch(%n) length(%n) heads(2) : memref<?x64xbf16> -> <64x64xbf16>
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<8x64xbf16, strided<[64, 1], offset: ?>>, %n: index) {
  // expected-error @+1 {{[tensor_map-C1]}}
  %m = tnrt.tensor_map %context %x batch(%n) length(%n) heads(2) : memref<8x64xbf16, strided<[64, 1], offset: ?>> -> <64x64xbf16>
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<8x64xf32>, %n: index) {
  // expected-error @+1 {{expected boxes of 'f32', got '!tnk.map<64x64xbf16>' [tensor_map-C2]}}
  %m = tnrt.tensor_map %context %x batch(%n) length(%n) heads(2) : memref<8x64xf32> -> <64x64xbf16>
  return
}

// -----

// Heads of 12 columns begin at multiples of 24 bytes.
func.func @f(%context: !tnrt.context, %x: memref<8x48xbf16>, %n: index) {
  // expected-error @+1 {{expected rows and heads to begin at multiples of 16 bytes, got 'memref<8x48xbf16>' [tensor_map-C3]}}
  %m = tnrt.tensor_map %context %x batch(%n) length(%n) heads(4) : memref<8x48xbf16> -> <64x64xbf16>
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<8x64xbf16, strided<[128, 1], offset: 4>>, %n: index) {
  // expected-error @+1 {{[tensor_map-C3]}}
  %m = tnrt.tensor_map %context %x batch(%n) length(%n) heads(2) : memref<8x64xbf16, strided<[128, 1], offset: 4>> -> <64x64xbf16>
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<8x64xf32>, %w: memref<16x64xf32>, %y: memref<8x16xf32>, %n: index) {
  // expected-error @+1 {{expected matrices [R, N], [N, K] and [R, K], got 'memref<8x64xf32>', 'memref<16x64xf32>' and 'memref<8x16xf32>' [matmul-C1]}}
  tnrt.matmul form(input_grad) %context %x, %w, %y, %n : memref<8x64xf32>, memref<16x64xf32>, memref<8x16xf32>
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<8x64xf32>, %w: memref<16x64xf32>, %y: memref<8x16xf32>, %n: index) {
  // expected-error @+1 {{expected matrices [R, N], [R, K] and [N, K], got 'memref<8x64xf32>', 'memref<16x64xf32>' and 'memref<8x16xf32>' [matmul-C1]}}
  tnrt.matmul form(weight_grad) %context %x, %w, %y, %n : memref<8x64xf32>, memref<16x64xf32>, memref<8x16xf32>
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<8x64xbf16>, %w: memref<16x64xbf16>, %y: memref<8x16xbf16>, %n: index) {
  // expected-error @+1 {{expected a sum of f32 to add to, got 'memref<8x16xbf16>' [matmul-C4]}}
  tnrt.matmul accumulate %context %x, %w, %y, %n : memref<8x64xbf16>, memref<16x64xbf16>, memref<8x16xbf16>
  return
}

// -----

func.func @f(%context: !tnrt.context, %x: memref<8x64xbf16>, %w: memref<16x64xbf16>, %y: memref<8x16xf32>, %n: index, %z: memref<4x16xf32>) {
  // expected-error @+1 {{expected to add a matrix of y's type or to y, got 'memref<4x16xf32>' and 'memref<8x16xf32>' [matmul-C5]}}
  tnrt.matmul %context %x, %w, %y, %n plus %z : memref<4x16xf32> : memref<8x64xbf16>, memref<16x64xbf16>, memref<8x16xf32>
  return
}
