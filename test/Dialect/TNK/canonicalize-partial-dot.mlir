// Partial sums have no effects: unused ones go, equal ones are one.
// RUN: tnllm-opt %s --canonicalize --cse | FileCheck %s

// CHECK-LABEL: tnk.kernel @sums
// CHECK: %[[P:.*]] = tnk.partial_dot
// CHECK-NOT: tnk.partial_dot
// CHECK: arith.addf %[[P]], %[[P]]
tnk.kernel @sums(%x: memref<64xf32>, %y: memref<32xf32>, %task: index) threads(32) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : vector<32xf32>
  %v = vector.load %x[%c0] : memref<64xf32>, vector<64xf32>
  %p = tnk.partial_dot %v, %v, %zero : vector<64xf32>, vector<32xf32>
  %q = tnk.partial_dot %v, %v, %zero : vector<64xf32>, vector<32xf32>
  %unused = tnk.partial_dot %v, %v, %p : vector<64xf32>, vector<32xf32>
  %s = arith.addf %p, %q : vector<32xf32>
  vector.store %s, %y[%c0] : memref<32xf32>, vector<32xf32>
  tnk.return
}
