// RUN: tnllm-opt --tnk-distribute-tiles --canonicalize --cse --split-input-file %s | FileCheck %s

// A thread's part of vector<64x16xf32> is vector<8xf32>: the elements (r, c), (r, c+1),
// (r+8, c), (r+8, c+1) of each 8 columns, in r = 16 (t / 32) + (t % 32) / 4, c = 2 (t % 4).

// CHECK-LABEL: tnk.kernel @elementwise
// CHECK-DAG: %[[ROWS:.*]] = arith.constant dense<[0, 0, 8, 8, 0, 0, 8, 8]> : vector<8xi32>
// CHECK-DAG: %[[COLUMNS:.*]] = arith.constant dense<[0, 1, 0, 1, 8, 9, 8, 9]> : vector<8xi32>
// CHECK-DAG: %[[ZERO:.*]] = arith.constant dense<0.000000e+00> : vector<8xf32>
// CHECK: gpu.thread_id x
// CHECK: arith.addi %{{.*}}, %[[ROWS]] : vector<8xi32>
// CHECK: arith.addi %{{.*}}, %[[COLUMNS]] : vector<8xi32>
// CHECK: %[[PAST:.*]] = arith.cmpi sge, %{{.*}}, %{{.*}} : vector<8xi32>
// CHECK: %[[SUM:.*]] = scf.for {{.*}} iter_args(%[[OLD:.*]] = %[[ZERO]]) -> (vector<8xf32>)
// CHECK:   %[[VALUE:.*]] = math.exp2 %[[OLD]] : vector<8xf32>
// CHECK:   arith.select %[[PAST]], %[[VALUE]], %[[OLD]] : vector<8xi1>, vector<8xf32>
// CHECK: vector.extract_strided_slice %[[SUM]] {offsets = [4], sizes = [4], strides = [1]} : vector<8xf32> to vector<4xf32>
tnk.kernel @elementwise(%y: memref<64x16xf32>, %n: index, %task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant dense<0.0> : vector<64x16xf32>
  %row = tnk.index 0 : vector<64x16xi32>
  %column = tnk.index 1 : vector<64x16xi32>
  %past = arith.cmpi sge, %row, %column : vector<64x16xi32>
  %sum = scf.for %i = %c0 to %n step %c1 iter_args(%old = %zero) -> (vector<64x16xf32>) {
    %value = math.exp2 %old : vector<64x16xf32>
    %next = arith.select %past, %value, %old : vector<64x16xi1>, vector<64x16xf32>
    scf.yield %next : vector<64x16xf32>
  }
  %right = vector.extract_strided_slice %sum {offsets = [0, 8], sizes = [64, 8], strides = [1, 1]}
      : vector<64x16xf32> to vector<64x8xf32>
  vector.transfer_write %right, %y[%c0, %c0] {in_bounds = [true, true]} : vector<64x8xf32>, memref<64x16xf32>
  tnk.return
}

// -----

// Neighbouring columns move at once. Rows are checked once for r and once for r + 8.

// CHECK-LABEL: tnk.kernel @rows
// CHECK-COUNT-2: vector.load %{{.*}} : memref<80x8xf32>, vector<2xf32>
// CHECK: %[[IN:.*]] = arith.cmpi ult
// CHECK: scf.if %[[IN]] {
// CHECK:   vector.store %{{.*}} : memref<80x8xf32>, vector<2xf32>
// CHECK: }
// CHECK: scf.if
// CHECK:   vector.store %{{.*}} : memref<80x8xf32>, vector<2xf32>
// CHECK-NOT: vector.store
tnk.kernel @rows(%x: memref<80x8xf32>, %left: index, %task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %zero = arith.constant 0.0 : f32
  %v = vector.transfer_read %x[%c0, %c0], %zero {in_bounds = [true, true]} : memref<80x8xf32>, vector<64x8xf32>
  %mask = vector.create_mask %left, %c8 : vector<64x8xi1>
  vector.transfer_write %v, %x[%c0, %c0], %mask {in_bounds = [true, true]} : vector<64x8xf32>, memref<80x8xf32>
  tnk.return
}

// -----

// Transposed: rows run along the buffer's last dimension. Out of bounds is padding.

// CHECK-LABEL: tnk.kernel @transposed
// CHECK-SAME: %[[X:.*]]: memref<6x64xf32>
// CHECK: %[[PAD:.*]] = arith.constant 1.000000e+00 : f32
// CHECK: scf.if %{{.*}} -> (f32) {
// CHECK:   %[[E:.*]] = memref.load %[[X]]
// CHECK:   scf.yield %[[E]]
// CHECK: } else {
// CHECK:   scf.yield %[[PAD]]
// CHECK-COUNT-4: memref.store %{{.*}}, %{{.*}} : memref<8x64xf32>
tnk.kernel @transposed(%x: memref<6x64xf32>, %y: memref<8x64xf32>, %task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %one = arith.constant 1.0 : f32
  %v = vector.transfer_read %x[%c0, %c0], %one {in_bounds = [true, false],
      permutation_map = affine_map<(d0, d1) -> (d1, d0)>} : memref<6x64xf32>, vector<64x8xf32>
  vector.transfer_write %v, %y[%c0, %c0] {in_bounds = [true, true],
      permutation_map = affine_map<(d0, d1) -> (d1, d0)>} : vector<64x8xf32>, memref<8x64xf32>
  tnk.return
}

// -----

// Transposed and masked: the mask has the order of the buffer's dimensions. The tile's rows
// end with the second bound, 5 of the buffer's columns, and its columns with the first.

// CHECK-LABEL: tnk.kernel @transposed_mask
// CHECK-SAME: %{{[^:]*}}: memref<8x64xf32>, %[[LEFT:[^:]*]]: index
// CHECK: arith.cmpi ult, %{{.*}}, %c5
// CHECK: scf.if
// CHECK: arith.cmpi ult, %{{.*}}, %[[LEFT]]
// CHECK: scf.if
// CHECK: memref.store %{{.*}} : memref<8x64xf32>
tnk.kernel @transposed_mask(%y: memref<8x64xf32>, %left: index, %task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %c5 = arith.constant 5 : index
  %v = arith.constant dense<1.0> : vector<64x8xf32>
  %mask = vector.create_mask %left, %c5 : vector<8x64xi1>
  vector.transfer_write %v, %y[%c0, %c0], %mask {in_bounds = [true, true],
      permutation_map = affine_map<(d0, d1) -> (d1, d0)>} : vector<64x8xf32>, memref<8x64xf32>
  tnk.return
}

// -----

// Operands in tiles: a descriptor for each, 16 depths a step. Sums from zero are not read.
// 4611686293305360384 is the 128-byte swizzle (1 << 62), 64 units of 16 bytes from
// eight rows to the next (64 << 32), 1 (1 << 16).

// CHECK-LABEL: tnk.kernel @tiles
// CHECK-DAG: %[[CONSTANTS:.*]] = arith.constant 4611686293305360384 : i64
// CHECK-DAG: %[[STEP:.*]] = arith.constant 2 : i64
// CHECK-DAG: %[[BLOCK:.*]] = arith.constant 512 : i64
// CHECK: %[[FIRST:.*]] = arith.ori %{{.*}}, %[[CONSTANTS]] : i64
// CHECK: nvvm.wgmma.fence.aligned
// CHECK: nvvm.wgmma.mma_async {{.*}} <m = 64, n = 64, k = 16>, D[<f32>, <zero>], A[<bf16>, <one>, <row>], B[<bf16>, <one>, <col>]
// CHECK: arith.addi %[[FIRST]], %[[STEP]]
// CHECK: nvvm.wgmma.mma_async {{.*}} D[<f32>, <one>]
// CHECK-COUNT-2: nvvm.wgmma.mma_async
// The next 64 columns are another block, of 64 rows.
// CHECK: arith.addi %[[FIRST]], %[[BLOCK]]
// CHECK-COUNT-4: nvvm.wgmma.mma_async
// CHECK-NOT: nvvm.wgmma.mma_async
// CHECK: nvvm.wgmma.commit.group.sync.aligned
// CHECK: llvm.inline_asm has_side_effects {{.*}} "wgmma.wait_group.sync.aligned 0;"
tnk.kernel @tiles(%y: memref<64x64xf32>, %task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %a = tnk.scratch : !tnk.tile<64x128xbf16>
  %b = tnk.scratch : !tnk.tile<64x128xbf16>
  %zero = arith.constant dense<0.0> : vector<64x64xf32>
  %s = tnk.mma %a, transpose_b %b, %zero : !tnk.tile<64x128xbf16>, !tnk.tile<64x128xbf16>, vector<64x64xf32>
  %r = tnk.mma_wait %s : vector<64x64xf32>
  vector.transfer_write %r, %y[%c0, %c0] {in_bounds = [true, true]} : vector<64x64xf32>, memref<64x64xf32>
  tnk.return
}

// -----

// Where the depth runs along rows, the leading stride is from one block of columns to the
// next: 512 units, 4611686293338849280 in all.

// CHECK-LABEL: tnk.kernel @depth_along_rows
// CHECK: arith.constant 4611686293338849280 : i64
// CHECK: nvvm.wgmma.mma_async {{.*}} <m = 64, n = 128, k = 16>, D[<f32>, <zero>], A[<bf16>, <one>, <col>], B[<bf16>, <one>, <row>]
tnk.kernel @depth_along_rows(%y: memref<64x128xf32>, %task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %a = tnk.scratch : !tnk.tile<64x64xbf16>
  %b = tnk.scratch : !tnk.tile<64x128xbf16>
  %zero = arith.constant dense<0.0> : vector<64x128xf32>
  %s = tnk.mma transpose_a %a, %b, %zero : !tnk.tile<64x64xbf16>, !tnk.tile<64x128xbf16>, vector<64x128xf32>
  %r = tnk.mma_wait %s : vector<64x128xf32>
  vector.transfer_write %r, %y[%c0, %c0] {in_bounds = [true, true]} : vector<64x128xf32>, memref<64x128xf32>
  tnk.return
}

// -----

// A in registers, read transposed; the sums go through the fence.

// CHECK-LABEL: tnk.kernel @registers
// CHECK-COUNT-4: nvvm.ldmatrix %{{.*}} {eltType = #nvvm.ld_st_matrix_elt_type<b16>, layout = #nvvm.mma_layout<col>, num = 4 : i32
// CHECK: llvm.inline_asm has_side_effects {{.*}} "wgmma.fence.sync.aligned;"
// CHECK-COUNT-4: llvm.inline_asm has_side_effects {{.*}}wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16
// CHECK: nvvm.wgmma.commit.group.sync.aligned
// CHECK: "wgmma.wait_group.sync.aligned 1;"
// CHECK-COUNT-4: nvvm.stmatrix %{{.*}} {eltType = #nvvm.ld_st_matrix_elt_type<b16>, layout = #nvvm.mma_layout<row>
tnk.kernel @registers(%y: memref<64x64xf32>, %task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %b = tnk.scratch : !tnk.tile<64x64xbf16>
  %a = tnk.read transpose %b : !tnk.tile<64x64xbf16> -> vector<64x64xbf16>
  %sums = vector.transfer_read %y[%c0, %c0], %zero {in_bounds = [true, true]} : memref<64x64xf32>, vector<64x64xf32>
  %s = tnk.mma %a, %b, %sums : vector<64x64xbf16>, !tnk.tile<64x64xbf16>, vector<64x64xf32>
  %r = tnk.mma_wait pending(1) %s : vector<64x64xf32>
  %out = arith.truncf %r : vector<64x64xf32> to vector<64x64xbf16>
  tnk.write %out to %b : vector<64x64xbf16> -> !tnk.tile<64x64xbf16>
  tnk.return
}
