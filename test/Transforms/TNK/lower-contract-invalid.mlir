// RUN: tnllm-opt %s --pass-pipeline='builtin.module(tnk.kernel(tnk-lower-contract))' \
// RUN:   --verify-diagnostics

tnk.kernel @pairs(%a: memref<8x64xbf16>, %b: memref<32x40xbf16>, %c: memref<8x20xf32>,
                  %depth: index, %task: index) {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0.0> : vector<1x20xf32>
  // expected-error @below {{expected a multiple of 16 columns for pairs, got 20}}
  %r = tnk.contract pairs %a[%task, %c0], %b[%c0, %c0], %acc depth %depth
     : memref<8x64xbf16>, memref<32x40xbf16>, vector<1x20xf32>
  vector.transfer_write %r, %c[%task, %c0] {in_bounds = [true, true]}
     : vector<1x20xf32>, memref<8x20xf32>
  tnk.return
}

// -----

tnk.kernel @tile(%a: memref<8x64xf32>, %b: memref<64x32xf32>, %depth: index, %task: index) {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0.0> : vector<8193x8xf32>
  // expected-error @below {{expected a register tile of at most 65536 elements, got 'vector<8193x8xf32>'}}
  %r = tnk.contract %a[%task, %c0], %b[%c0, %c0], %acc depth %depth
     : memref<8x64xf32>, memref<64x32xf32>, vector<8193x8xf32>
  tnk.return
}

// -----

tnk.kernel @groups(%a: memref<8x64xi8>, %s: memref<8x8xf32>, %t: memref<8x8xi32>,
                   %b: memref<16x80xi8>, %depth: index, %task: index) {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0.0> : vector<1x20xf32>
  // expected-error @below {{expected a multiple of 16 columns for products of bytes, got 20}}
  %r = tnk.contract_groups %a[%task, %c0] scales %s starts %t, %b[%c0, %c0], %acc depth %depth
     group 8 : memref<8x64xi8>, memref<8x8xf32>, memref<8x8xi32>, memref<16x80xi8>, vector<1x20xf32>
  tnk.return
}
