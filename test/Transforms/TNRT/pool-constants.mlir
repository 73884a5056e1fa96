// Constants of host functions become one global of bytes, addressed on the GPU.
// RUN: tnllm-opt %s --tnrt-pool-constants --split-input-file \
// RUN:   --verify-diagnostics --allow-unregistered-dialect | FileCheck %s

// 12 bytes, then 52 to the next multiple of 64, then 16 bytes of the splat. A constant that
// two functions read is there once; one that nobody reads stays as it is.
// CHECK-LABEL: module @two
// CHECK: memref.global "private" constant @device_constants : memref<80xi8> = dense<[0, 0, -128, 63, 0, 0, 0, 64, 0, 0, 64, 64, 0, {{(0, )*}}0, 0, 0, 63, 0, 0, 0, 63, 0, 0, 0, 63, 0, 0, 0, 63]> {alignment = 64 : i64}
// CHECK-NOT: @first
// CHECK-NOT: @second
// CHECK: memref.global "private" constant @unread
module @two {
  memref.global "private" constant @first : memref<3xf32> = dense<[1.0, 2.0, 3.0]> {alignment = 64 : i64}
  memref.global "private" constant @second : memref<2x2xf32> = dense<0.5>
  memref.global "private" constant @unread : memref<2xf32> = dense<0.5>
  // CHECK-LABEL: func.func @f(
  // CHECK-SAME: %[[C:.*]]: !tnrt.context
  // CHECK: %[[BYTES:.*]] = tnrt.constants %[[C]] : memref<80xi8>
  // CHECK: %[[O0:.*]] = arith.constant 0 : index
  // CHECK: %[[A:.*]] = memref.view %[[BYTES]][%[[O0]]][] : memref<80xi8> to memref<3xf32>
  // CHECK: scf.for
  // CHECK: %[[O1:.*]] = arith.constant 64 : index
  // CHECK: %[[B:.*]] = memref.view %[[BYTES]][%[[O1]]][] : memref<80xi8> to memref<2x2xf32>
  // CHECK: "test.use"(%[[A]], %[[B]])
  func.func @f(%c: !tnrt.context, %n: index) {
    %a = memref.get_global @first : memref<3xf32>
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    scf.for %i = %c0 to %n step %c1 {
      %b = memref.get_global @second : memref<2x2xf32>
      "test.use"(%a, %b) : (memref<3xf32>, memref<2x2xf32>) -> ()
    }
    return
  }
  // CHECK-LABEL: func.func @g(
  // CHECK: tnrt.constants
  // CHECK: arith.constant 0 : index
  // CHECK: memref.view
  func.func @g(%c: !tnrt.context) {
    %a = memref.get_global @first : memref<3xf32>
    "test.use"(%a) : (memref<3xf32>) -> ()
    return
  }
}

// -----

// CHECK-LABEL: module @none
// CHECK-NOT: device_constants
// CHECK-NOT: tnrt.constants
module @none {
  func.func @f(%c: !tnrt.context) {
    return
  }
}

// -----

memref.global "private" @variable : memref<3xf32>
func.func @f(%c: !tnrt.context) {
  // expected-error @+1 {{expected 'variable' to be a constant whose value is known}}
  %a = memref.get_global @variable : memref<3xf32>
  "test.use"(%a) : (memref<3xf32>) -> ()
  return
}

// -----

memref.global "private" constant @table : memref<3xf32> = dense<1.0>
// expected-error @+1 {{expected !tnrt.context as the first argument of a function that reads constants}}
func.func @f(%n: index) {
  %a = memref.get_global @table : memref<3xf32>
  "test.use"(%a) : (memref<3xf32>) -> ()
  return
}

// -----

// A declaration reads nothing.
// CHECK-LABEL: func.func private @declared(memref<2xf32>)
func.func private @declared(memref<2xf32>)
