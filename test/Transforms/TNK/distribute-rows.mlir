// Row vectors of a block become pieces of its threads.
// RUN: tnllm-opt %s --tnk-distribute-rows --canonicalize --cse --split-input-file | FileCheck %s

// 128 elements over 32 threads: four each, one access of 16 bytes; a warp needs no
// shared memory.
// CHECK-LABEL: tnk.kernel @warp_sum(
// CHECK-SAME: %[[X:.*]]: memref<8x128xf32>, %[[Y:.*]]: memref<8xf32>, %[[ROW:.*]]: index) threads(32)
// CHECK-NOT: tnk.shared
// CHECK: %[[T:.*]] = gpu.thread_id x
// CHECK: %[[I:.*]] = arith.muli %[[T]], %c4
// CHECK: %[[V:.*]] = vector.load %[[X]][%[[ROW]], %[[I]]] {alignment = 16 : i64} : memref<8x128xf32>, vector<4xf32>
// The elements of a thread as a tree.
// CHECK-DAG: %[[E0:.*]] = vector.extract %[[V]][0]
// CHECK-DAG: %[[E1:.*]] = vector.extract %[[V]][1]
// CHECK-DAG: %[[E2:.*]] = vector.extract %[[V]][2]
// CHECK-DAG: %[[E3:.*]] = vector.extract %[[V]][3]
// CHECK-DAG: %[[P0:.*]] = arith.addf %[[E0]], %[[E1]]
// CHECK-DAG: %[[P1:.*]] = arith.addf %[[E2]], %[[E3]]
// CHECK: %[[S:.*]] = arith.addf %[[P0]], %[[P1]]
// CHECK: %[[O:.*]], %{{.*}} = gpu.shuffle xor %[[S]], %c16_i32, %c32_i32
// CHECK: arith.addf %[[S]], %[[O]]
// CHECK: gpu.shuffle xor {{.*}}, %c8_i32
// CHECK: gpu.shuffle xor {{.*}}, %c4_i32
// CHECK: gpu.shuffle xor {{.*}}, %c2_i32
// CHECK: gpu.shuffle xor {{.*}}, %c1_i32
// CHECK: %[[SUM:.*]] = arith.addf
// CHECK-NOT: gpu.barrier
// CHECK: %[[FIRST:.*]] = arith.cmpi {{.*}} %[[T]]
// CHECK: scf.if %[[FIRST]]
// CHECK: memref.store %[[SUM]], %[[Y]][%[[ROW]]]
tnk.kernel @warp_sum(%x: memref<8x128xf32>, %y: memref<8xf32>, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<8x128xf32>, vector<128xf32>
  %s = vector.reduction <add>, %v : vector<128xf32> into f32
  memref.store %s, %y[%row] : memref<8xf32>
  tnk.return
}

// -----

// Eight elements of f32 are two units of four, so that neighbouring threads read
// neighbouring memory. Two warps meet in shared memory; a sum in a loop waits before it
// writes there again, one outside does not.
// CHECK-LABEL: tnk.kernel @block_sum(
// CHECK-DAG: tnk.shared : memref<2xf32, #gpu.address_space<workgroup>>
// CHECK-DAG: tnk.shared : memref<2xf32, #gpu.address_space<workgroup>>
// CHECK-DAG: %[[T:.*]] = gpu.thread_id x
// CHECK: %[[I:.*]] = arith.muli %[[T]], %c4
// CHECK: vector.load %{{.*}}[%{{.*}}, %[[I]]] {alignment = 16 : i64} : memref<8x512xf32>, vector<4xf32>
// CHECK: %[[J:.*]] = arith.addi %[[I]], %c256
// CHECK: vector.load %{{.*}}[%{{.*}}, %[[J]]] {alignment = 16 : i64} : memref<8x512xf32>, vector<4xf32>
// CHECK: gpu.shuffle
// CHECK-NOT: gpu.barrier
// CHECK: scf.if
// CHECK: memref.store
// CHECK: gpu.barrier
// CHECK: memref.load
// CHECK: memref.load
// CHECK: scf.for
// CHECK: gpu.shuffle
// CHECK: gpu.barrier
// CHECK: memref.store
// CHECK: gpu.barrier
// CHECK: memref.load
// CHECK: scf.yield
tnk.kernel @block_sum(%x: memref<8x512xf32>, %y: memref<8xf32>, %n: index, %row: index) threads(64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %v = vector.load %x[%row, %c0] : memref<8x512xf32>, vector<512xf32>
  %s = vector.reduction <add>, %v : vector<512xf32> into f32
  %total = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %s) -> (f32) {
    %w = vector.load %x[%i, %c0] : memref<8x512xf32>, vector<512xf32>
    %t = vector.reduction <add>, %w, %acc : vector<512xf32> into f32
    scf.yield %t : f32
  }
  memref.store %total, %y[%row] : memref<8xf32>
  tnk.return
}

// -----

// Threads beyond the row neither load nor store, and add nothing to a maximum.
// CHECK-LABEL: tnk.kernel @idle(
// CHECK: %[[NONE:.*]] = arith.constant dense<0xFF800000> : vector<1xf32>
// CHECK: %[[ACTIVE:.*]] = arith.cmpi ult, %{{.*}}, %c20
// CHECK: scf.if %[[ACTIVE]] -> (vector<1xf32>)
// CHECK: vector.load
// CHECK: arith.select %{{.*}}, %{{.*}}, %[[NONE]]
// CHECK: arith.maximumf
// CHECK: scf.if %[[ACTIVE]] {
// CHECK: vector.store
tnk.kernel @idle(%x: memref<8x20xf32>, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<8x20xf32>, vector<20xf32>
  %m = vector.reduction <maximumf>, %v : vector<20xf32> into f32
  %ms = vector.broadcast %m : f32 to vector<20xf32>
  %d = arith.subf %v, %ms : vector<20xf32>
  vector.store %d, %x[%row, %c0] : memref<8x20xf32>, vector<20xf32>
  tnk.return
}

// -----

// 33 elements over 32 threads: two each, 31 of the second ones missing.
// CHECK-LABEL: tnk.kernel @ragged(
// CHECK-DAG: %[[T:.*]] = gpu.thread_id x
// CHECK-DAG: %[[J:.*]] = arith.addi %[[T]], %c32
// CHECK-DAG: %[[HAS:.*]] = arith.cmpi ult, %[[J]], %c33
// CHECK: scf.if %[[HAS]] -> (f32)
// CHECK: memref.load %{{.*}}[%{{.*}}, %[[J]]]
// CHECK: vector.from_elements
// CHECK: scf.if %[[HAS]] {
// CHECK: memref.store
tnk.kernel @ragged(%x: memref<8x33xf32>, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<8x33xf32>, vector<33xf32>
  %w = arith.addf %v, %v : vector<33xf32>
  vector.store %w, %x[%row, %c0] : memref<8x33xf32>, vector<33xf32>
  tnk.return
}

// -----

// bf16 alone: eight elements are one access of 16 bytes. With f32 of the same length
// beside it, four are one of 8. A row of 20 bytes is aligned to 4.
// CHECK-LABEL: tnk.kernel @bf16(
// CHECK: vector.load {{.*}} {alignment = 16 : i64} : memref<8x256xbf16>, vector<8xbf16>
// CHECK: vector.store {{.*}} {alignment = 16 : i64} : memref<8x256xbf16>, vector<8xbf16>
tnk.kernel @bf16(%x: memref<8x256xbf16>, %y: memref<8x256xbf16>, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<8x256xbf16>, vector<256xbf16>
  vector.store %v, %y[%row, %c0] : memref<8x256xbf16>, vector<256xbf16>
  tnk.return
}

// CHECK-LABEL: tnk.kernel @mixed(
// CHECK-COUNT-2: vector.load {{.*}} {alignment = 8 : i64} : memref<8x256xbf16>, vector<4xbf16>
// CHECK: arith.extf {{.*}} : vector<8xbf16> to vector<8xf32>
// CHECK-COUNT-2: vector.store {{.*}} {alignment = 16 : i64} : memref<8x256xf32>, vector<4xf32>
tnk.kernel @mixed(%x: memref<8x256xbf16>, %y: memref<8x256xf32>, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<8x256xbf16>, vector<256xbf16>
  %w = arith.extf %v : vector<256xbf16> to vector<256xf32>
  vector.store %w, %y[%row, %c0] : memref<8x256xf32>, vector<256xf32>
  tnk.return
}

// CHECK-LABEL: tnk.kernel @unaligned(
// CHECK-COUNT-2: vector.load {{.*}} {alignment = 4 : i64} : memref<8x130xbf16>, vector<2xbf16>
tnk.kernel @unaligned(%x: memref<8x130xbf16>, %y: memref<8x128xbf16>, %row: index) threads(32) {
  %c2 = arith.constant 2 : index
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c2] : memref<8x130xbf16>, vector<128xbf16>
  vector.store %v, %y[%row, %c0] : memref<8x128xbf16>, vector<128xbf16>
  tnk.return
}

// -----

// Vectors through loops and branches; a row of a tile is the row. What may pass the
// last column is read and written element by element.
// CHECK-LABEL: tnk.kernel @control(
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}) -> (vector<2xf32>)
// CHECK: scf.if %{{.*}} -> (vector<2xf32>)
// CHECK: vector.load {{.*}} {alignment = 8 : i64} : memref<8x64xf32>, vector<2xf32>
// CHECK: scf.yield %{{.*}} : vector<2xf32>
tnk.kernel @control(%x: memref<8x64xf32>, %y: memref<8x64xf32>, %n: index, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant dense<0.0> : vector<1x64xf32>
  %pad = arith.constant 0.0 : f32
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %zero) -> (vector<1x64xf32>) {
    %even = arith.cmpi eq, %i, %c1 : index
    %t = scf.if %even -> (vector<1x64xf32>) {
      %v = vector.transfer_read %x[%i, %c0], %pad {in_bounds = [true, true]} : memref<8x64xf32>, vector<1x64xf32>
      %w = arith.addf %v, %acc : vector<1x64xf32>
      scf.yield %w : vector<1x64xf32>
    } else {
      scf.yield %acc : vector<1x64xf32>
    }
    scf.yield %t : vector<1x64xf32>
  }
  vector.transfer_write %r, %y[%row, %c0] {in_bounds = [true, true]} : vector<1x64xf32>, memref<8x64xf32>
  tnk.return
}

// CHECK-LABEL: tnk.kernel @tail(
// CHECK: %[[IN:.*]] = arith.cmpi ult, %{{.*}}, %c70
// CHECK: scf.if %[[IN]] -> (f32)
// CHECK: memref.load
// CHECK: scf.if %[[IN]] {
// CHECK: memref.store
tnk.kernel @tail(%x: memref<8x70xf32>, %column: index, %row: index) threads(32) {
  %pad = arith.constant 1.0 : f32
  %v = vector.transfer_read %x[%row, %column], %pad {in_bounds = [false]} : memref<8x70xf32>, vector<32xf32>
  vector.transfer_write %v, %x[%row, %column] {in_bounds = [false]} : vector<32xf32>, memref<8x70xf32>
  tnk.return
}

// -----

// Scalars to elements, columns as numbers, partial sums.
// CHECK-LABEL: tnk.kernel @elements(
// CHECK: %[[T:.*]] = gpu.thread_id x
// CHECK-COUNT-8: math.fma {{.*}} : f32
// CHECK-COUNT-5: gpu.shuffle
// CHECK: %[[IS1:.*]] = arith.cmpi eq, %[[T]], %c1
// CHECK: arith.select %[[IS1]]
tnk.kernel @elements(%x: memref<8x256xf32>, %y: memref<8x2xf32>, %n: index, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<8x256xf32>, vector<256xf32>
  %zero = arith.constant dense<0.0> : vector<32xf32>
  %p = tnk.partial_dot %v, %v, %zero : vector<256xf32>, vector<32xf32>
  %s = vector.reduction <add>, %p : vector<32xf32> into f32
  %m = arith.mulf %s, %s : f32
  %e = vector.from_elements %s, %m : vector<2xf32>
  vector.store %e, %y[%row, %c0] : memref<8x2xf32>, vector<2xf32>
  tnk.return
}

// CHECK-LABEL: tnk.kernel @columns(
// CHECK: %[[T:.*]] = gpu.thread_id x
// CHECK: arith.cmpi slt, %{{.*}} : vector<1xindex>
tnk.kernel @columns(%x: memref<8x32xf32>, %n: index, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : vector<32xf32>
  %i = vector.step : vector<32xindex>
  %ns = vector.broadcast %n : index to vector<32xindex>
  %in = arith.cmpi slt, %i, %ns : vector<32xindex>
  %v = vector.load %x[%row, %c0] : memref<8x32xf32>, vector<32xf32>
  %w = arith.select %in, %v, %zero : vector<32xi1>, vector<32xf32>
  vector.store %w, %x[%row, %c0] : memref<8x32xf32>, vector<32xf32>
  tnk.return
}

// -----

// Kernels without threads, and those that speak of their threads, stay as they are.
// CHECK-LABEL: tnk.kernel @cpu(
// CHECK: vector.load {{.*}} vector<64xf32>
tnk.kernel @cpu(%x: memref<8x64xf32>, %row: index) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<8x64xf32>, vector<64xf32>
  vector.store %v, %x[%c0, %c0] : memref<8x64xf32>, vector<64xf32>
  tnk.return
}

// CHECK-LABEL: tnk.kernel @of_threads(
// CHECK: vector.load {{.*}} vector<2xf32>
tnk.kernel @of_threads(%x: memref<8x64xf32>, %row: index) threads(32) {
  %t = gpu.thread_id x
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %t] : memref<8x64xf32>, vector<2xf32>
  vector.store %v, %x[%c0, %t] : memref<8x64xf32>, vector<2xf32>
  tnk.return
}

// The reduction of one element is its extraction after canonicalisation. One thread holds
// it: the others add nothing.
// CHECK-LABEL: tnk.kernel @only_element(
// CHECK-DAG: %[[ONE:.*]] = arith.constant 1 : index
// CHECK-DAG: %[[T:.*]] = gpu.thread_id x
// CHECK: arith.cmpi ult, %[[T]], %[[ONE]]
// CHECK: arith.select
// CHECK: gpu.shuffle
// CHECK: memref.store
tnk.kernel @only_element(%x: memref<8x1xf32>, %y: memref<8xf32>, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<8x1xf32>, vector<1xf32>
  %e = vector.extract %v[0] : f32 from vector<1xf32>
  memref.store %e, %y[%row] : memref<8xf32>
  tnk.return
}

// Rows of a tile stand one after the other: 32 elements of two rows for 32 threads. Rows
// that are not there are neither read nor written.
// CHECK-LABEL: tnk.kernel @rows(
// CHECK-SAME: %[[X:[^:]*]]: memref<8x64xf32>, %[[N:[^:]*]]: index
// CHECK-DAG: %[[T:.*]] = gpu.thread_id x
// CHECK: %[[R:.*]] = arith.divui %{{.*}}, %c16
// CHECK: %[[LEFT:.*]] = arith.cmpi ult, %[[R]], %[[N]]
// CHECK: scf.if %[[LEFT]] -> (f32) {
// CHECK: memref.load %[[X]]
// CHECK: arith.addf {{.*}} : vector<1xf32>
// CHECK: scf.if
// CHECK: memref.store %{{.*}}, %[[X]]
tnk.kernel @rows(%x: memref<8x64xf32>, %n: index, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0.0 : f32
  %mask = vector.create_mask %n, %c16 : vector<2x16xi1>
  %v = vector.transfer_read %x[%c0, %row], %zero, %mask {in_bounds = [true, true]} : memref<8x64xf32>, vector<2x16xf32>
  %w = arith.addf %v, %v : vector<2x16xf32>
  vector.transfer_write %w, %x[%c0, %row], %mask {in_bounds = [true, true]} : vector<2x16xf32>, memref<8x64xf32>
  tnk.return
}

// -----

// What a mask selects goes to memory side by side, in the order of the vector: each thread
// counts its own, lanes and warps sum what is before them.
// CHECK-LABEL: tnk.kernel @compress(
// CHECK: tnk.shared : memref<2xi32, #gpu.address_space<workgroup>>
// CHECK: arith.extui %{{.*}} : i1 to i32
// CHECK: %[[UP:.*]], %[[VALID:.*]] = gpu.shuffle up %{{.*}}, %c1_i32, %c32_i32
// CHECK: %[[ADDED:.*]] = arith.addi %{{.*}}, %[[UP]] : i32
// CHECK: arith.select %[[VALID]], %[[ADDED]],
// CHECK-COUNT-4: gpu.shuffle up
// CHECK: memref.store
// CHECK: gpu.barrier
// CHECK-COUNT-2: memref.load {{.*}} : memref<2xi32,
// CHECK: scf.if
// CHECK: memref.store %{{.*}}, %{{.*}} : memref<64xi64>
tnk.kernel @compress(%x: memref<8x64xi64>, %y: memref<64xi64>, %row: index) threads(64) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0> : vector<64xi64>
  %v = vector.load %x[%row, %c0] : memref<8x64xi64>, vector<64xi64>
  %mask = arith.cmpi sgt, %v, %zero : vector<64xi64>
  vector.compressstore %y[%c0], %mask, %v : memref<64xi64>, vector<64xi1>, vector<64xi64>
  tnk.return
}

// -----

// A warp needs no shared memory; two units of a thread lie apart, so they are counted one
// after the other.
// CHECK-LABEL: tnk.kernel @compress_warp(
// CHECK-NOT: tnk.shared
// CHECK-COUNT-5: gpu.shuffle up
// CHECK: gpu.shuffle idx
// CHECK-COUNT-5: gpu.shuffle up
// CHECK-NOT: gpu.barrier
tnk.kernel @compress_warp(%x: memref<8x256xf32>, %y: memref<256xf32>, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant dense<0.0> : vector<256xf32>
  %v = vector.load %x[%row, %c0] : memref<8x256xf32>, vector<256xf32>
  %mask = arith.cmpf ogt, %v, %zero : vector<256xf32>
  vector.compressstore %y[%c0], %mask, %v : memref<256xf32>, vector<256xi1>, vector<256xf32>
  tnk.return
}

// -----

// 32 warps combine their values as a warp does: one load and a butterfly, not 32 loads.
// CHECK-LABEL: tnk.kernel @largest_block(
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK: gpu.barrier
// CHECK: %[[V:.*]] = memref.load {{.*}} : memref<32xf32,
// CHECK: gpu.shuffle xor %[[V]], %c16_i32
// CHECK-COUNT-4: gpu.shuffle xor
// CHECK-NOT: memref.load
// CHECK: memref.store
tnk.kernel @largest_block(%x: memref<8x1024xf32>, %y: memref<8xf32>, %row: index) threads(1024) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<8x1024xf32>, vector<1024xf32>
  %s = vector.reduction <add>, %v : vector<1024xf32> into f32
  memref.store %s, %y[%row] : memref<8xf32>
  tnk.return
}

// -----

// A tile whose rows are the elements of a vector, and one whose columns are: an element of
// each thread.
// CHECK-LABEL: tnk.kernel @spread(
// CHECK-SAME: %[[X:[^:]*]]: memref<8x64xf32>, %[[ROW:[^:]*]]: index
// CHECK-DAG: %[[C16:.*]] = arith.constant 16 : index
// CHECK: %[[R:.*]] = arith.divui %{{.*}}, %[[C16]]
// CHECK: %[[ALONG:.*]] = arith.addi %[[R]], %c8
// CHECK: memref.load %[[X]][%[[ROW]], %[[ALONG]]]
// CHECK: %[[C:.*]] = arith.remui %{{.*}}, %[[C16]]
// CHECK: %[[COLUMN:.*]] = arith.addi %[[C]], %c8
// CHECK: memref.load %[[X]][%[[ROW]], %[[COLUMN]]]
tnk.kernel @spread(%x: memref<8x64xf32>, %row: index) threads(32) {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %zero = arith.constant 0.0 : f32
  %v = vector.transfer_read %x[%row, %c8], %zero {in_bounds = [true, true], permutation_map = affine_map<(d0, d1) -> (d1, 0)>} : memref<8x64xf32>, vector<2x16xf32>
  %w = vector.transfer_read %x[%row, %c8], %zero {in_bounds = [true, true], permutation_map = affine_map<(d0, d1) -> (0, d1)>} : memref<8x64xf32>, vector<2x16xf32>
  %s = arith.addf %v, %w : vector<2x16xf32>
  vector.transfer_write %s, %x[%c0, %c0] {in_bounds = [true, true]} : vector<2x16xf32>, memref<8x64xf32>
  tnk.return
}
