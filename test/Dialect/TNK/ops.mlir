// Kernels and contractions print as they were parsed.
// RUN: tnllm-opt %s | tnllm-opt | FileCheck %s
// RUN: tnllm-opt %s --mlir-print-op-generic | tnllm-opt | FileCheck %s

// CHECK-LABEL: tnk.kernel @double(
// CHECK-SAME: %{{.*}}: memref<8x64xf32>, %{{.*}}: memref<8x64xf32>, %{{.*}}: index)
tnk.kernel @double(%x: memref<8x64xf32>, %y: memref<8x64xf32>, %row: index) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<8x64xf32>, vector<64xf32>
  %w = arith.addf %v, %v : vector<64xf32>
  vector.store %w, %y[%row, %c0] : memref<8x64xf32>, vector<64xf32>
  // CHECK: tnk.return
  tnk.return
}

// CHECK-LABEL: tnk.kernel @contract
tnk.kernel @contract(%a: memref<256x64xf32>, %b: memref<64x64xf32>, %rows: index, %task: index) {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0.0> : vector<6x64xf32>
  // CHECK: %[[R:.*]] = tnk.contract %{{.*}}[%{{.*}}, %{{.*}}], %{{.*}}[%{{.*}}, %{{.*}}], %{{.*}} depth %{{.*}} : memref<256x64xf32>, memref<64x64xf32>, vector<6x64xf32>
  %r = tnk.contract %a[%task, %c0], %b[%c0, %c0], %acc depth %rows
     : memref<256x64xf32>, memref<64x64xf32>, vector<6x64xf32>
  // CHECK: tnk.contract %{{.*}} depth %{{.*}} prefetch 64 : memref<256x64xf32>
  %p = tnk.contract %a[%task, %c0], %b[%c0, %c0], %acc depth %rows prefetch 64
     : memref<256x64xf32>, memref<64x64xf32>, vector<6x64xf32>
  // CHECK: tnk.contract transpose_a %{{.*}}, %[[R]] depth
  %s = tnk.contract transpose_a %a[%c0, %task], %b[%c0, %c0], %r depth %rows
     : memref<256x64xf32>, memref<64x64xf32>, vector<6x64xf32>
  vector.store %s, %b[%c0, %c0] : memref<64x64xf32>, vector<6x64xf32>
  tnk.return
}

// CHECK-LABEL: tnk.kernel @pairs
tnk.kernel @pairs(%a: memref<256x64xbf16>, %b: memref<32x128xbf16>, %c: memref<6x64xf32>, %task: index) {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %acc = arith.constant dense<0.0> : vector<6x64xf32>
  // CHECK: tnk.contract pairs %{{.*}} : memref<256x64xbf16>, memref<32x128xbf16>, vector<6x64xf32>
  %r = tnk.contract pairs %a[%task, %c0], %b[%c0, %c0], %acc depth %c64
     : memref<256x64xbf16>, memref<32x128xbf16>, vector<6x64xf32>
  vector.store %r, %c[%c0, %c0] : memref<6x64xf32>, vector<6x64xf32>
  tnk.return
}

// CHECK-LABEL: tnk.kernel @quantised
tnk.kernel @quantised(%a: memref<256x64xf32>, %b: memref<64x64xi8>, %c: memref<6x64xf32>, %task: index) {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0.0> : vector<6x64xf32>
  // CHECK: tnk.contract %{{.*}} : memref<256x64xf32>, memref<64x64xi8>, vector<6x64xf32>
  %r = tnk.contract %a[%task, %c0], %b[%c0, %c0], %acc depth %task
     : memref<256x64xf32>, memref<64x64xi8>, vector<6x64xf32>
  vector.store %r, %c[%c0, %c0] : memref<6x64xf32>, vector<6x64xf32>
  tnk.return
}

// CHECK-LABEL: tnk.kernel @threads(%{{.*}}: memref<8xf32>, %{{.*}}: index) threads(128) {
tnk.kernel @threads(%x: memref<8xf32>, %task: index) threads(128) {
  // CHECK: tnk.shared : memref<8x8xf32, #gpu.address_space<workgroup>>
  %a = tnk.shared : memref<8x8xf32, #gpu.address_space<workgroup>>
  // CHECK: tnk.shared align(1024) : memref<64x64xbf16, #gpu.address_space<workgroup>>
  %b = tnk.shared align(1024) : memref<64x64xbf16, #gpu.address_space<workgroup>>
  tnk.return
}

// CHECK-LABEL: tnk.kernel private @attributes(%{{.*}}: index) threads(32) attributes {note = "kept"} {
tnk.kernel private @attributes(%task: index) threads(32) attributes {note = "kept"} {
  tnk.return
}

// CHECK-LABEL: tnk.kernel @partial_dot
tnk.kernel @partial_dot(%y: memref<32xf32>, %task: index) threads(32) {
  %c0 = arith.constant 0 : index
  %x = arith.constant dense<1.0> : vector<256xf32>
  %acc = arith.constant dense<0.0> : vector<32xf32>
  // CHECK: tnk.partial_dot %{{.*}}, %{{.*}}, %{{.*}} : vector<256xf32>, vector<32xf32>
  %r = tnk.partial_dot %x, %x, %acc : vector<256xf32>, vector<32xf32>
  vector.store %r, %y[%c0] : memref<32xf32>, vector<32xf32>
  tnk.return
}

// CHECK-LABEL: tnk.kernel @few_rows(
tnk.kernel @few_rows(%x: memref<64x512xf32>, %u: memref<64x512xbf16>, %w: memref<1024x512xbf16>,
                     %rows: index, %task: index) threads(256) {
  %a = tnk.shared : memref<8x16xf32, #gpu.address_space<workgroup>>
  %b = tnk.shared : memref<8x16xf32, #gpu.address_space<workgroup>>
  %s = tnk.shared : memref<8x16xf32, #gpu.address_space<workgroup>>
  // CHECK: tnk.multiply_rows %{{.*}}, weights(%{{.*}}) [%{{.*}}] rows(%{{.*}}) to(%{{.*}}) : memref<64x512xf32>, memref<1024x512xbf16> to memref<8x16xf32, #gpu.address_space<workgroup>>
  tnk.multiply_rows %x, weights(%w) [%task] rows(%rows) to(%a)
      : memref<64x512xf32>, memref<1024x512xbf16> to memref<8x16xf32, #gpu.address_space<workgroup>>
  // CHECK: tnk.multiply_rows %{{.*}} times %{{.*}}, weights(%{{.*}}, %{{.*}}) [%{{.*}}] rows(%{{.*}}) to(%{{.*}}, %{{.*}}) squares(%{{.*}}) : memref<64x512xf32> times memref<64x512xbf16>, memref<1024x512xbf16>, memref<1024x512xbf16> to memref<8x16xf32, #gpu.address_space<workgroup>>, memref<8x16xf32, #gpu.address_space<workgroup>> squares memref<8x16xf32, #gpu.address_space<workgroup>>
  tnk.multiply_rows %x times %u, weights(%w, %w) [%task] rows(%rows) to(%a, %b) squares(%s)
      : memref<64x512xf32> times memref<64x512xbf16>, memref<1024x512xbf16>, memref<1024x512xbf16>
      to memref<8x16xf32, #gpu.address_space<workgroup>>, memref<8x16xf32, #gpu.address_space<workgroup>>
      squares memref<8x16xf32, #gpu.address_space<workgroup>>
  // CHECK: tnk.wait_inputs
  tnk.wait_inputs
  tnk.return
}

// CHECK-LABEL: tnk.kernel @quantised_rows
tnk.kernel @quantised_rows(%x: memref<64x512xf32>, %w: memref<1024x512xi8>, %s: memref<1024xf32>,
                           %q: memref<1024x256xi8>, %t: memref<1024x4xf32>, %o: memref<1024x512xbf16>,
                           %rows: index, %task: index) threads(256) {
  %a = tnk.shared : memref<8x16xf32, #gpu.address_space<workgroup>>
  // CHECK: tnk.multiply_rows %{{.*}}, weights(%{{.*}}) as f8E4M3FN scales(%{{.*}}) [%{{.*}}] rows(%{{.*}}) to(%{{.*}}) : memref<64x512xf32>, memref<1024x512xi8> scales memref<1024xf32> to memref<8x16xf32, #gpu.address_space<workgroup>>
  tnk.multiply_rows %x, weights(%w) as f8E4M3FN scales(%s) [%task] rows(%rows) to(%a)
      : memref<64x512xf32>, memref<1024x512xi8> scales memref<1024xf32> to memref<8x16xf32, #gpu.address_space<workgroup>>
  // CHECK: tnk.multiply_rows %{{.*}}, weights(%{{.*}}) as i4 scales(%{{.*}}) [%{{.*}}] rows(%{{.*}}) to(%{{.*}}) : memref<64x512xf32>, memref<1024x256xi8> scales memref<1024x4xf32> to
  tnk.multiply_rows %x, weights(%q) as i4 scales(%t) [%task] rows(%rows) to(%a)
      : memref<64x512xf32>, memref<1024x256xi8> scales memref<1024x4xf32> to memref<8x16xf32, #gpu.address_space<workgroup>>
  // CHECK: tnk.widen_row %{{.*}} as i8 scales(%{{.*}}) [%{{.*}}] to %{{.*}} : memref<1024x512xi8> scales memref<1024xf32> to memref<1024x512xbf16>
  tnk.widen_row %w as i8 scales(%s) [%task] to %o
      : memref<1024x512xi8> scales memref<1024xf32> to memref<1024x512xbf16>
  tnk.return
}

// CHECK-LABEL: tnk.kernel @contract_groups
tnk.kernel @contract_groups(%a: memref<8x128xi8>, %s: memref<8x2xf32>, %t: memref<8x2xi32>,
                            %b: memref<32x64xi8>, %depth: index, %task: index) {
  %c0 = arith.constant 0 : index
  %acc = arith.constant dense<0.0> : vector<2x16xf32>
  // CHECK: tnk.contract_groups %{{.*}}[%{{.*}}, %{{.*}}] scales %{{.*}} starts %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}], %{{.*}} depth %{{.*}} group 64 : memref<8x128xi8>, memref<8x2xf32>, memref<8x2xi32>, memref<32x64xi8>, vector<2x16xf32>
  %r = tnk.contract_groups %a[%task, %c0] scales %s starts %t, %b[%c0, %c0], %acc depth %depth
     group 64 : memref<8x128xi8>, memref<8x2xf32>, memref<8x2xi32>, memref<32x64xi8>, vector<2x16xf32>
  // CHECK: group 64 prefetch 16 : memref<8x128xi8>
  %q = tnk.contract_groups %a[%task, %c0] scales %s starts %t, %b[%c0, %c0], %r depth %depth
     group 64 prefetch 16 : memref<8x128xi8>, memref<8x2xf32>, memref<8x2xi32>, memref<32x64xi8>, vector<2x16xf32>
  tnk.return
}
