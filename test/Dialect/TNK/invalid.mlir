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

tnk.kernel @k(%a: memref<8x8xf32>, %b: memref<8x8xf32>, %task: index) {
  %acc = arith.constant dense<0.0> : vector<2x8xf32>
  // expected-error @+1 {{expected to prefetch at least 1 row ahead, got 0 [contract-C5]}}
  %r = tnk.contract %a[%task, %task], %b[%task, %task], %acc depth %task prefetch 0 : memref<8x8xf32>, memref<8x8xf32>, vector<2x8xf32>
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

// -----

// expected-error @+1 {{expected threads to be a multiple of 32 up to 1024, got 48 [kernel-C5]}}
tnk.kernel @k(%task: index) threads(48) {
  tnk.return
}

// -----

// expected-error @+1 {{expected threads to be a multiple of 32 up to 1024, got 0 [kernel-C5]}}
tnk.kernel @k(%task: index) threads(0) {
  tnk.return
}

// -----

// expected-error @+1 {{expected threads to be a multiple of 32 up to 1024, got 1056 [kernel-C5]}}
tnk.kernel @k(%task: index) threads(1056) {
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(32) {
  // expected-error @+1 {{expected a dense buffer in the address space #gpu.address_space<workgroup>, got 'memref<8xf32>' [shared-C1]}}
  %s = tnk.shared : memref<8xf32>
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(32) {
  // expected-error @+1 {{expected a dense buffer in the address space #gpu.address_space<workgroup>, got 'memref<8x8xf32, strided<[9, 1]>, #gpu.address_space<workgroup>>' [shared-C1]}}
  %s = tnk.shared : memref<8x8xf32, strided<[9, 1]>, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(32) {
  // expected-error @+1 {{expected an alignment that is a power of two up to 1024, got 48 [shared-C2]}}
  %s = tnk.shared align(48) : memref<8xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

tnk.kernel @k(%task: index) {
  // expected-error @+1 {{expected a kernel with threads around it [shared-C3]}}
  %s = tnk.shared : memref<8xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

tnk.kernel @k(%a: memref<1xf32>, %task: index) threads(64) {
  %x = arith.constant dense<1.0> : vector<256xf32>
  %acc = arith.constant dense<0.0> : vector<32xf32>
  // expected-error @+1 {{expected one partial sum for each thread of the kernel, got 'vector<32xf32>' [partial_dot-C1]}}
  %r = tnk.partial_dot %x, %x, %acc : vector<256xf32>, vector<32xf32>
  tnk.return
}

// -----

tnk.kernel @three_weights(%x: memref<8x32xbf16>, %w: memref<8x32xbf16>, %task: index) threads(32) {
  %s = tnk.shared : memref<8x8xf32, #gpu.address_space<workgroup>>
  // expected-error @+1 {{expected one or two weights and a result for each, got 2 and 1 [multiply_rows-C1]}}
  tnk.multiply_rows %x, weights(%w, %w) [%task] rows(%task) to(%s)
      : memref<8x32xbf16>, memref<8x32xbf16>, memref<8x32xbf16> to memref<8x8xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

tnk.kernel @depths(%x: memref<8x64xbf16>, %w: memref<8x32xbf16>, %task: index) threads(32) {
  %s = tnk.shared : memref<8x8xf32, #gpu.address_space<workgroup>>
  // expected-error @+1 {{expected rows of one depth, a multiple of 32, without gaps, got 'memref<8x32xbf16>' [multiply_rows-C2]}}
  tnk.multiply_rows %x, weights(%w) [%task] rows(%task) to(%s)
      : memref<8x64xbf16>, memref<8x32xbf16> to memref<8x8xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

tnk.kernel @gaps(%x: memref<8x32xbf16, strided<[64, 2]>>, %w: memref<8x32xbf16>, %task: index) threads(32) {
  %s = tnk.shared : memref<8x8xf32, #gpu.address_space<workgroup>>
  // expected-error @+1 {{without gaps, got 'memref<8x32xbf16, strided<[64, 2]>>' [multiply_rows-C2]}}
  tnk.multiply_rows %x, weights(%w) [%task] rows(%task) to(%s)
      : memref<8x32xbf16, strided<[64, 2]>>, memref<8x32xbf16> to memref<8x8xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

tnk.kernel @columns(%x: memref<8x32xbf16>, %w: memref<8x32xbf16>, %task: index) threads(32) {
  %s = tnk.shared : memref<8x24xf32, #gpu.address_space<workgroup>>
  // expected-error @+1 {{of a multiple of 8 rows up to 64 and 8, 16 or 32 columns, got 'memref<8x24xf32, #gpu.address_space<workgroup>>' [multiply_rows-C3]}}
  tnk.multiply_rows %x, weights(%w) [%task] rows(%task) to(%s)
      : memref<8x32xbf16>, memref<8x32xbf16> to memref<8x24xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

tnk.kernel @global_sums(%x: memref<8x32xbf16>, %w: memref<8x32xbf16>, %s: memref<8x8xf32>, %task: index) threads(32) {
  // expected-error @+1 {{#gpu.address_space<workgroup>, of a multiple of 8 rows up to 64 and 8, 16 or 32 columns, got 'memref<8x8xf32>' [multiply_rows-C3]}}
  tnk.multiply_rows %x, weights(%w) [%task] rows(%task) to(%s)
      : memref<8x32xbf16>, memref<8x32xbf16> to memref<8x8xf32>
  tnk.return
}

// -----

tnk.kernel @weights_as(%x: memref<8x128xbf16>, %w: memref<8x128xi8>, %c: memref<8xf32>, %task: index) threads(32) {
  %s = tnk.shared : memref<8x8xf32, #gpu.address_space<workgroup>>
  // expected-error @+1 {{expected weights as i8, f8E4M3FN or i4, got 'i16' [multiply_rows-C5]}}
  tnk.multiply_rows %x, weights(%w) as i16 scales(%c) [%task] rows(%task) to(%s)
      : memref<8x128xbf16>, memref<8x128xi8> scales memref<8xf32> to memref<8x8xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

tnk.kernel @no_scales(%x: memref<8x128xbf16>, %w: memref<8x128xi8>, %task: index) threads(32) {
  %s = tnk.shared : memref<8x8xf32, #gpu.address_space<workgroup>>
  // expected-error @+1 {{expected scales for each quantised weight and no others, got 0 [multiply_rows-C6]}}
  tnk.multiply_rows %x, weights(%w) as i8 [%task] rows(%task) to(%s)
      : memref<8x128xbf16>, memref<8x128xi8> to memref<8x8xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

tnk.kernel @group_scales(%x: memref<8x128xbf16>, %w: memref<8x64xi8>, %c: memref<8xf32>, %task: index) threads(32) {
  %s = tnk.shared : memref<8x8xf32, #gpu.address_space<workgroup>>
  // expected-error @+1 {{expected dense scales of each row or, of i4, each 128 columns, got 'memref<8xf32>' for 'memref<8x64xi8>' [multiply_rows-C6]}}
  tnk.multiply_rows %x, weights(%w) as i4 scales(%c) [%task] rows(%task) to(%s)
      : memref<8x128xbf16>, memref<8x64xi8> scales memref<8xf32> to memref<8x8xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

tnk.kernel @bytes_depth(%x: memref<8x96xbf16>, %w: memref<8x96xi8>, %c: memref<8xf32>, %task: index) threads(32) {
  %s = tnk.shared : memref<8x8xf32, #gpu.address_space<workgroup>>
  // expected-error @+1 {{expected rows of one depth, a multiple of 64, without gaps, got 'memref<8x96xi8>' [multiply_rows-C2]}}
  tnk.multiply_rows %x, weights(%w) as i8 scales(%c) [%task] rows(%task) to(%s)
      : memref<8x96xbf16>, memref<8x96xi8> scales memref<8xf32> to memref<8x8xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

tnk.kernel @widen_type(%w: memref<8x64xi8>, %c: memref<8xf32>, %o: memref<8x64xbf16>, %task: index) threads(32) {
  // expected-error @+1 {{expected a weight as i8, f8E4M3FN or i4, got 'bf16' [widen_row-C1]}}
  tnk.widen_row %w as bf16 scales(%c) [%task] to %o : memref<8x64xi8> scales memref<8xf32> to memref<8x64xbf16>
  tnk.return
}

// -----

tnk.kernel @widen_shape(%w: memref<8x64xi8>, %c: memref<8xf32>, %o: memref<8x32xbf16>, %task: index) threads(32) {
  // expected-error @+1 {{expected dense matrices of as many rows and columns, got 'memref<8x64xi8>' and 'memref<8x32xbf16>' [widen_row-C2]}}
  tnk.widen_row %w as i8 scales(%c) [%task] to %o : memref<8x64xi8> scales memref<8xf32> to memref<8x32xbf16>
  tnk.return
}

// -----

tnk.kernel @widen_scales(%w: memref<8x64xi8>, %c: memref<4xf32>, %o: memref<8x64xbf16>, %task: index) threads(32) {
  // expected-error @+1 {{got 'memref<4xf32>' [widen_row-C3]}}
  tnk.widen_row %w as i8 scales(%c) [%task] to %o : memref<8x64xi8> scales memref<4xf32> to memref<8x64xbf16>
  tnk.return
}

// -----

tnk.kernel @widen_cpu(%w: memref<8x64xi8>, %c: memref<8xf32>, %o: memref<8x64xbf16>, %task: index) {
  // expected-error @+1 {{expected a kernel with threads around it [widen_row-C4]}}
  tnk.widen_row %w as i8 scales(%c) [%task] to %o : memref<8x64xi8> scales memref<8xf32> to memref<8x64xbf16>
  tnk.return
}

// -----

tnk.kernel @cpu_rows(%x: memref<8x32xbf16>, %w: memref<8x32xbf16>,
                     %s: memref<8x8xf32, #gpu.address_space<workgroup>>, %task: index) {
  // expected-error @+1 {{expected a kernel with threads around it [multiply_rows-C4]}}
  tnk.multiply_rows %x, weights(%w) [%task] rows(%task) to(%s)
      : memref<8x32xbf16>, memref<8x32xbf16> to memref<8x8xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

tnk.kernel @cpu_waits(%task: index) {
  // expected-error @+1 {{expected a kernel with threads around it [wait_inputs-C1]}}
  tnk.wait_inputs
  tnk.return
}

// -----

tnk.kernel @k(%a: memref<8x16xi8>, %s: memref<8x2xf32>, %t: memref<8x2xi32>, %b: memref<4x64xi8>, %task: index) {
  %acc = arith.constant dense<0.0> : vector<2x16xf32>
  // expected-error @+1 {{expected groups of a multiple of 4 columns, got 6 [contract_groups-C1]}}
  %r = tnk.contract_groups %a[%task, %task] scales %s starts %t, %b[%task, %task], %acc depth %task group 6 : memref<8x16xi8>, memref<8x2xf32>, memref<8x2xi32>, memref<4x64xi8>, vector<2x16xf32>
  tnk.return
}

// -----

tnk.kernel @k(%a: memref<8x16xi8>, %s: memref<8x2xf32>, %t: memref<8x2xi32>, %b: memref<4x64xi8>, %task: index) {
  %acc = arith.constant dense<0.0> : vector<2x16xf32>
  // expected-error @+1 {{expected groups of a multiple of 4 columns, got 0 [contract_groups-C1]}}
  %r = tnk.contract_groups %a[%task, %task] scales %s starts %t, %b[%task, %task], %acc depth %task group 0 : memref<8x16xi8>, memref<8x2xf32>, memref<8x2xi32>, memref<4x64xi8>, vector<2x16xf32>
  tnk.return
}

// -----

tnk.kernel @k(%a: memref<8x16xi8>, %s: memref<8x2xf32>, %t: memref<8x2xi32>, %b: memref<4x64xi8>, %task: index) {
  %acc = arith.constant dense<0.0> : vector<2x16xf32>
  // expected-error @+1 {{expected A to have whole groups of 12 columns, got 'memref<8x16xi8>' [contract_groups-C2]}}
  %r = tnk.contract_groups %a[%task, %task] scales %s starts %t, %b[%task, %task], %acc depth %task group 12 : memref<8x16xi8>, memref<8x2xf32>, memref<8x2xi32>, memref<4x64xi8>, vector<2x16xf32>
  tnk.return
}

// -----

tnk.kernel @k(%a: memref<8x16xi8>, %s: memref<8x1xf32>, %t: memref<8x2xi32>, %b: memref<4x64xi8>, %task: index) {
  %acc = arith.constant dense<0.0> : vector<2x16xf32>
  // expected-error @+1 {{expected a scale and a start for each group of A, 8 x 2, got 'memref<8x1xf32>' [contract_groups-C3]}}
  %r = tnk.contract_groups %a[%task, %task] scales %s starts %t, %b[%task, %task], %acc depth %task group 8 : memref<8x16xi8>, memref<8x1xf32>, memref<8x2xi32>, memref<4x64xi8>, vector<2x16xf32>
  tnk.return
}

// -----

tnk.kernel @k(%a: memref<8x16xi8>, %s: memref<8x2xf32>, %t: memref<4x2xi32>, %b: memref<4x64xi8>, %task: index) {
  %acc = arith.constant dense<0.0> : vector<2x16xf32>
  // expected-error @+1 {{expected a scale and a start for each group of A, 8 x 2, got 'memref<4x2xi32>' [contract_groups-C3]}}
  %r = tnk.contract_groups %a[%task, %task] scales %s starts %t, %b[%task, %task], %acc depth %task group 8 : memref<8x16xi8>, memref<8x2xf32>, memref<4x2xi32>, memref<4x64xi8>, vector<2x16xf32>
  tnk.return
}

// -----

tnk.kernel @k(%a: memref<8x16xi8>, %s: memref<8x2xf32>, %t: memref<8x2xi32>, %b: memref<4x64xi8>, %task: index) {
  %acc = arith.constant dense<0.0> : vector<2x16xf32>
  // expected-error @+1 {{expected to prefetch at least 1 row ahead, got 0 [contract_groups-C4]}}
  %r = tnk.contract_groups %a[%task, %task] scales %s starts %t, %b[%task, %task], %acc depth %task group 8 prefetch 0 : memref<8x16xi8>, memref<8x2xf32>, memref<8x2xi32>, memref<4x64xi8>, vector<2x16xf32>
  tnk.return
}

// -----

// expected-error @+1 {{expected vectors of at most 2^20 elements, got 'vector<4294967296xf32>' [kernel-C6]}}
tnk.kernel @k(%x: memref<8x4294967296xf32>, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<8x4294967296xf32>, vector<4294967296xf32>
  vector.store %v, %x[%row, %c0] : memref<8x4294967296xf32>, vector<4294967296xf32>
  tnk.return
}

// -----

// A size that overflows, of an argument of a block.
// expected-error @+1 {{expected vectors of at most 2^20 elements, got 'vector<4294967296x4294967296xf32>' [kernel-C6]}}
tnk.kernel @k(%task: index) {
  "scf.execute_region"() ({
    "cf.br"()[^next] : () -> ()
  ^next:
    "scf.yield"() : () -> ()
  ^never(%v: vector<4294967296x4294967296xf32>):
    "scf.yield"() : () -> ()
  }) : () -> ()
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(32) {
  // expected-error @+1 {{expected elements that are integers or floats, got 'complex<f32>' [shared-C4]}}
  %s = tnk.shared : memref<3xcomplex<f32>, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(32) {
  // expected-error @+1 {{expected elements that are integers or floats, got 'vector<4xf32>' [shared-C4]}}
  %s = tnk.shared : memref<3xvector<4xf32>, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(32) {
  // 1 MiB is taken, one element more is not.
  %most = tnk.shared : memref<262144xf32, #gpu.address_space<workgroup>>
  // expected-error @+1 {{expected at most 1 MiB, got 'memref<262145xf32, #gpu.address_space<workgroup>>' [shared-C5]}}
  %s = tnk.shared : memref<262145xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

tnk.kernel @k(%task: index) threads(32) {
  // expected-error @+1 {{expected at most 1 MiB, got 'memref<4294967296x4294967296xf32, #gpu.address_space<workgroup>>' [shared-C5]}}
  %s = tnk.shared : memref<4294967296x4294967296xf32, #gpu.address_space<workgroup>>
  tnk.return
}
