// A contraction reads memory: without users it goes, and equal ones are one only
// where nothing was written between them.
// RUN: tnllm-opt %s --canonicalize --cse | FileCheck %s

// CHECK-LABEL: tnk.kernel @unused
// CHECK-NOT: tnk.contract
// CHECK: tnk.return
tnk.kernel @unused(%a: memref<8x8xf32>, %b: memref<8x8xf32>, %task: index) {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0.0> : vector<2x8xf32>
  %r = tnk.contract %a[%c0, %c0], %b[%c0, %c0], %acc depth %task
     : memref<8x8xf32>, memref<8x8xf32>, vector<2x8xf32>
  tnk.return
}

// CHECK-LABEL: tnk.kernel @written_between
// CHECK: tnk.contract
// CHECK: vector.store
// CHECK: tnk.contract
// CHECK: vector.store
tnk.kernel @written_between(%a: memref<8x8xf32>, %b: memref<8x8xf32>, %task: index) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %acc = arith.constant dense<0.0> : vector<2x8xf32>
  %r = tnk.contract %a[%c0, %c0], %b[%c0, %c0], %acc depth %task
     : memref<8x8xf32>, memref<8x8xf32>, vector<2x8xf32>
  vector.store %r, %b[%c0, %c0] : memref<8x8xf32>, vector<2x8xf32>
  %s = tnk.contract %a[%c0, %c0], %b[%c0, %c0], %acc depth %task
     : memref<8x8xf32>, memref<8x8xf32>, vector<2x8xf32>
  vector.store %s, %a[%c2, %c0] : memref<8x8xf32>, vector<2x8xf32>
  tnk.return
}

// CHECK-LABEL: tnk.kernel @groups
// CHECK: tnk.contract_groups
// CHECK-NOT: tnk.contract_groups
// CHECK: tnk.return
tnk.kernel @groups(%a: memref<8x8xi8>, %s: memref<8x2xf32>, %t: memref<8x2xi32>,
                   %b: memref<2x64xi8>, %y: memref<8x16xf32>, %task: index) {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0.0> : vector<2x16xf32>
  %unused = tnk.contract_groups %a[%c0, %c0] scales %s starts %t, %b[%c0, %c0], %acc depth %task
     group 4 prefetch 1 : memref<8x8xi8>, memref<8x2xf32>, memref<8x2xi32>, memref<2x64xi8>, vector<2x16xf32>
  %r = tnk.contract_groups %a[%c0, %c0] scales %s starts %t, %b[%c0, %c0], %acc depth %task
     group 4 : memref<8x8xi8>, memref<8x2xf32>, memref<8x2xi32>, memref<2x64xi8>, vector<2x16xf32>
  vector.store %r, %y[%c0, %c0] : memref<8x16xf32>, vector<2x16xf32>
  tnk.return
}
