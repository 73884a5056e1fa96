// Every handle is a value: unused ones go, equal ones are one. A matrix product stays,
// for it writes.
// RUN: tnllm-opt %s --canonicalize --cse | FileCheck %s

// CHECK-LABEL: func @unused
// CHECK-NEXT: return
func.func @unused(%context: !tnrt.context, %table: memref<3x4xf32>, %i: index) {
  %a = tnrt.arena %context : memref<4096xi8>
  %c = tnrt.constants %context : memref<64xi8>
  %r = tnrt.row %table[%i] : memref<3x4xf32> -> memref<4xf32>
  return
}

// CHECK-LABEL: func private @kernel
// CHECK: %[[X:.*]] = tnrt.kernel_arg %{{.*}}[0]
// CHECK-NEXT: memref.copy %[[X]], %[[X]]
// CHECK-NEXT: return
func.func private @kernel(%args: !tnrt.arguments, %task: i64) {
  %x = tnrt.kernel_arg %args[0] : memref<4xf32>
  %same = tnrt.kernel_arg %args[0] : memref<4xf32>
  %unused = tnrt.kernel_arg %args[1] : index
  memref.copy %x, %same : memref<4xf32> to memref<4xf32>
  return
}

// CHECK-LABEL: func @equal
// CHECK: tnrt.arena
// CHECK-NOT: tnrt.arena
// CHECK: tnrt.constants
// CHECK-NOT: tnrt.constants
// CHECK: return
func.func @equal(%context: !tnrt.context) -> (memref<64xi8>, memref<64xi8>, memref<64xi8>, memref<64xi8>) {
  %a = tnrt.arena %context : memref<64xi8>
  %b = tnrt.arena %context : memref<64xi8>
  %c = tnrt.constants %context : memref<64xi8>
  %d = tnrt.constants %context : memref<64xi8>
  return %a, %b, %c, %d : memref<64xi8>, memref<64xi8>, memref<64xi8>, memref<64xi8>
}

// CHECK-LABEL: func @rows
// CHECK: %[[R:.*]] = tnrt.row
// CHECK-NOT: tnrt.row
// CHECK: return %[[R]], %[[R]]
func.func @rows(%table: memref<3x4xf32>, %i: index) -> (memref<4xf32>, memref<4xf32>) {
  %r = tnrt.row %table[%i] : memref<3x4xf32> -> memref<4xf32>
  %s = tnrt.row %table[%i] : memref<3x4xf32> -> memref<4xf32>
  return %r, %s : memref<4xf32>, memref<4xf32>
}

// CHECK-LABEL: func @matmul
// CHECK: tnrt.matmul
// CHECK: tnrt.matmul
func.func @matmul(%context: !tnrt.context, %x: memref<8x64xf32>, %w: memref<16x64xf32>,
                  %y: memref<8x16xf32>, %n: index) {
  tnrt.matmul %context %x, %w, %y, %n : memref<8x64xf32>, memref<16x64xf32>, memref<8x16xf32>
  tnrt.matmul %context %x, %w, %y, %n : memref<8x64xf32>, memref<16x64xf32>, memref<8x16xf32>
  return
}
