// Products of few rows: what each thread loads, and the instructions.
// RUN: tnllm-opt %s --tnk-lower-multiply-rows --canonicalize --cse --split-input-file | FileCheck %s

// 128 depths are four steps for two warps: two rounds, all of whose weights (16 rows,
// two pieces a round) come before the inputs. Rows that are not there are the last one.
// CHECK-LABEL: tnk.kernel @all(
// CHECK-SAME: %[[X:[^:]*]]: memref<64x128xf32>, %[[W:[^:]*]]: memref<256x128xbf16>, %[[Y:[^:]*]]: memref<8x16xf32>, %[[ROWS:[^:]*]]: index
// CHECK-DAG: %[[SUMS:.*]] = tnk.shared : memref<8x16xf32, #gpu.address_space<workgroup>>
// CHECK-DAG: %[[PARTS:.*]] = tnk.shared : memref<2x128xf32, #gpu.address_space<workgroup>>
// CHECK-DAG: %[[T:.*]] = gpu.thread_id x
// CHECK-DAG: %[[LAST:.*]] = arith.subi %[[ROWS]], %c1
// CHECK-DAG: %[[ROW:.*]] = arith.minui %{{.*}}, %[[LAST]]
// CHECK: memref.extract_aligned_pointer_as_index %[[W]]
// CHECK-COUNT-4: llvm.inline_asm has_side_effects {{.*}}"ld.global.L1::no_allocate.L2::256B.v4.b32 {$0, $1, $2, $3}, [$4];", "=r,=r,=r,=r,l"
// CHECK-NOT: vector.load
// CHECK: tnk.wait_inputs
// CHECK: vector.load %[[X]][%[[ROW]], %{{.*}}] {alignment = 16 : i64} : memref<64x128xf32>, vector<8xf32>
// CHECK: arith.truncf {{.*}} : vector<8xf32> to vector<8xbf16>
// CHECK: vector.bitcast {{.*}} : vector<8xbf16> to vector<4xi32>
// CHECK-COUNT-4: nvvm.mma.sync {{.*}}shape = #nvvm.shape<m = 16, n = 8, k = 16>
// CHECK-NOT: nvvm.mma.sync
// Four sums of a thread, in the parts of its warp.
// CHECK-COUNT-4: memref.store %{{.*}}, %[[PARTS]]
// CHECK: gpu.barrier
// Both warps' sums, in their order; 128 elements, two for each of the 64 threads.
// CHECK: %[[A:.*]] = memref.load %[[PARTS]][%c0,
// CHECK: %[[B:.*]] = memref.load %[[PARTS]][%c1,
// CHECK: %[[S:.*]] = arith.addf %[[A]], %[[B]]
// CHECK: memref.store %[[S]], %[[SUMS]]
// CHECK: memref.store %{{.*}}, %[[SUMS]]
// CHECK-NEXT: gpu.barrier
// CHECK: vector.load %[[SUMS]]
tnk.kernel @all(%x: memref<64x128xf32>, %w: memref<256x128xbf16>, %y: memref<8x16xf32>,
                %rows: index, %task: index) threads(64) {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %column = arith.muli %task, %c16 : index
  %sums = tnk.shared : memref<8x16xf32, #gpu.address_space<workgroup>>
  tnk.multiply_rows %x, weights(%w) [%column] rows(%rows) to(%sums)
      : memref<64x128xf32>, memref<256x128xbf16>
      to memref<8x16xf32, #gpu.address_space<workgroup>>
  %v = vector.load %sums[%c0, %c0] : memref<8x16xf32, #gpu.address_space<workgroup>>, vector<2xf32>
  vector.store %v, %y[%c0, %c0] : memref<8x16xf32>, vector<2xf32>
  tnk.return
}

// -----

// Two weights of 8 columns, a gate, squares. 96 depths are three steps for two warps: in
// the second round one warp has none and multiplies zeros.
// CHECK-LABEL: tnk.kernel @joined(
// CHECK-SAME: %[[X:[^:]*]]: memref<64x96xbf16>, %[[U:[^:]*]]: memref<64x96xf32>, %[[W1:[^:]*]]: memref<256x96xbf16>, %[[W2:[^:]*]]: memref<256x96xbf16>
// CHECK-DAG: tnk.shared : memref<2x128xf32, #gpu.address_space<workgroup>>
// CHECK-DAG: %[[SQUARES:.*]] = tnk.shared : memref<2x8xf32, #gpu.address_space<workgroup>>
// CHECK-DAG: memref.extract_aligned_pointer_as_index %[[W1]]
// CHECK-DAG: memref.extract_aligned_pointer_as_index %[[W2]]
// CHECK-COUNT-1: llvm.inline_asm
// CHECK: %[[HAS:.*]] = arith.cmpi ult, %{{.*}}, %c3
// CHECK: arith.minui
// CHECK: llvm.inline_asm
// CHECK: arith.select %[[HAS]], {{.*}} : vector<4xi32>
// CHECK: llvm.inline_asm
// CHECK: tnk.wait_inputs
// CHECK: vector.load %[[X]]
// CHECK-COUNT-8: math.fma
// CHECK: vector.load %[[U]]
// CHECK: arith.mulf {{.*}} : vector<8xf32>
// CHECK: arith.truncf
// CHECK: arith.select %[[HAS]]
// CHECK-COUNT-8: nvvm.mma.sync
// CHECK-COUNT-2: gpu.shuffle xor
// CHECK: memref.store %{{.*}}, %[[SQUARES]]
// CHECK: gpu.barrier
tnk.kernel @joined(%x: memref<64x96xbf16>, %u: memref<64x96xf32>, %w1: memref<256x96xbf16>,
                   %w2: memref<256x96xbf16>, %y: memref<8x8xf32>, %rows: index, %task: index)
    threads(64) {
  %c0 = arith.constant 0 : index
  %a = tnk.shared : memref<8x8xf32, #gpu.address_space<workgroup>>
  %b = tnk.shared : memref<8x8xf32, #gpu.address_space<workgroup>>
  %s = tnk.shared : memref<8x8xf32, #gpu.address_space<workgroup>>
  tnk.multiply_rows %x times %u, weights(%w1, %w2) [%c0] rows(%rows) to(%a, %b) squares(%s)
      : memref<64x96xbf16> times memref<64x96xf32>, memref<256x96xbf16>, memref<256x96xbf16>
      to memref<8x8xf32, #gpu.address_space<workgroup>>, memref<8x8xf32, #gpu.address_space<workgroup>>
      squares memref<8x8xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

// 1056 depths are 33 steps of one warp, too many for registers: blocks of four, one
// ahead, and one step at the end.
// CHECK-LABEL: tnk.kernel @long(
// CHECK-SAME: %[[X:[^:]*]]: memref<64x1056xbf16>, %[[W:[^:]*]]: memref<256x1056xbf16>
// CHECK-COUNT-8: llvm.inline_asm
// CHECK-NOT: vector.load
// CHECK: tnk.wait_inputs
// CHECK: scf.for %{{.*}} = %c0 to %c28 step %c4 iter_args({{.*}}) -> (f32, f32, f32, f32, vector<4xi32>, vector<4xi32>, vector<4xi32>, vector<4xi32>, vector<4xi32>, vector<4xi32>, vector<4xi32>, vector<4xi32>)
// CHECK-COUNT-8: llvm.inline_asm
// CHECK-COUNT-4: vector.load %[[X]]
// CHECK-COUNT-8: nvvm.mma.sync
// CHECK: scf.yield
// CHECK-COUNT-2: llvm.inline_asm
// CHECK-COUNT-4: vector.load %[[X]]
// CHECK-COUNT-8: nvvm.mma.sync
// CHECK: vector.load %[[X]]
// CHECK-COUNT-2: nvvm.mma.sync
// CHECK-NOT: nvvm.mma.sync
tnk.kernel @long(%x: memref<64x1056xbf16>, %w: memref<256x1056xbf16>, %y: memref<8x16xf32>,
                 %rows: index, %task: index) threads(32) {
  %c0 = arith.constant 0 : index
  %sums = tnk.shared : memref<8x16xf32, #gpu.address_space<workgroup>>
  tnk.multiply_rows %x, weights(%w) [%c0] rows(%rows) to(%sums)
      : memref<64x1056xbf16>, memref<256x1056xbf16>
      to memref<8x16xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

// 64 rows of x: eight groups, whose pieces of a round are loaded before its products; two
// times 16 columns. What the kernel reads later of other buffers is asked for after the wait.
// CHECK-LABEL: tnk.kernel @many(
// CHECK-SAME: %[[X:[^:]*]]: memref<64x64xbf16>, %[[W:[^:]*]]: memref<256x64xbf16>, %[[Z:[^:]*]]: memref<64x32xf32>
// CHECK-DAG: %[[SUMS:.*]] = tnk.shared : memref<64x32xf32, #gpu.address_space<workgroup>>
// CHECK-DAG: tnk.shared : memref<2x2048xf32, #gpu.address_space<workgroup>>
// CHECK-COUNT-8: arith.minui
// CHECK-COUNT-4: llvm.inline_asm
// CHECK: tnk.wait_inputs
// CHECK-NEXT: %[[EARLY:.*]] = vector.load %[[Z]]
// CHECK-COUNT-8: vector.load %[[X]]
// CHECK-COUNT-32: nvvm.mma.sync
// CHECK-NOT: nvvm.mma.sync
// CHECK-COUNT-64: memref.store
// CHECK: gpu.barrier
// CHECK: vector.load %[[SUMS]]
// CHECK-NEXT: arith.addf %{{.*}}, %[[EARLY]]
tnk.kernel @many(%x: memref<64x64xbf16>, %w: memref<256x64xbf16>, %z: memref<64x32xf32>,
                 %rows: index, %task: index) threads(64) {
  %c0 = arith.constant 0 : index
  %sums = tnk.shared : memref<64x32xf32, #gpu.address_space<workgroup>>
  tnk.multiply_rows %x, weights(%w) [%task] rows(%rows) to(%sums)
      : memref<64x64xbf16>, memref<256x64xbf16>
      to memref<64x32xf32, #gpu.address_space<workgroup>>
  %v = vector.load %sums[%c0, %c0] : memref<64x32xf32, #gpu.address_space<workgroup>>, vector<2xf32>
  %u = vector.load %z[%c0, %c0] : memref<64x32xf32>, vector<2xf32>
  %s = arith.addf %v, %u : vector<2xf32>
  vector.store %s, %z[%c0, %c0] : memref<64x32xf32>, vector<2xf32>
  tnk.return
}

// -----

// Weights of bytes: a warp takes 64 depths, a thread 16 of them. Bytes become pairs of bf16
// by a permutation, two masks and a subtraction; x is 16 depths in two loads. Each thread has
// asked for the scales of its sums' columns before the wait, and multiplies the sums. The
// assembler is told to leave registers for two blocks, and no fewer.
// CHECK-LABEL: tnk.kernel @bytes(
// CHECK-SAME: %[[X:[^:]*]]: memref<64x128xbf16>, %[[W:[^:]*]]: memref<256x128xi8>, %[[C:[^:]*]]: memref<256xf32>
// CHECK-SAME: attributes {nvvm.minctasm = 2 : i32}
// CHECK: memref.extract_aligned_pointer_as_index %[[W]]
// CHECK-COUNT-2: llvm.inline_asm
// CHECK-NOT: llvm.inline_asm
// CHECK-COUNT-2: %[[SCALE:.*]] = memref.load %[[C]]
// CHECK: tnk.wait_inputs
// CHECK-COUNT-2: vector.load %[[X]]{{.*}} vector<8xbf16>
// CHECK: %[[P:.*]] = nvvm.prmt
// CHECK: arith.andi %[[P]]
// CHECK: arith.andi %[[P]]
// CHECK: arith.subf {{.*}} : vector<2xbf16>
// CHECK-COUNT-4: nvvm.mma.sync
// CHECK-NOT: nvvm.mma.sync
// CHECK: gpu.barrier
// CHECK: arith.mulf {{.*}}, %{{.*}} : f32
// CHECK-NEXT: memref.store
// CHECK: arith.mulf {{.*}}, %[[SCALE]] : f32
// CHECK-NEXT: memref.store
tnk.kernel @bytes(%x: memref<64x128xbf16>, %w: memref<256x128xi8>, %c: memref<256xf32>,
                  %y: memref<8x16xf32>, %rows: index, %task: index) threads(64) {
  %c0 = arith.constant 0 : index
  %sums = tnk.shared : memref<8x16xf32, #gpu.address_space<workgroup>>
  tnk.multiply_rows %x, weights(%w) as i8 scales(%c) [%task] rows(%rows) to(%sums)
      : memref<64x128xbf16>, memref<256x128xi8> scales memref<256xf32>
      to memref<8x16xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

// It is told so of weights of bf16 neither of whose sides is short, but not where two of them
// have 16 columns of a block each.
// CHECK-LABEL: tnk.kernel @sides(
// CHECK-SAME: threads(256) attributes {nvvm.minctasm = 2 : i32}
tnk.kernel @sides(%x: memref<64x2048xbf16>, %w: memref<2048x2048xbf16>, %rows: index,
                  %task: index) threads(256) {
  %sums = tnk.shared : memref<8x16xf32, #gpu.address_space<workgroup>>
  tnk.multiply_rows %x, weights(%w) [%task] rows(%rows) to(%sums)
      : memref<64x2048xbf16>, memref<2048x2048xbf16>
      to memref<8x16xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

// CHECK-LABEL: tnk.kernel @short_side(
// CHECK-NOT: nvvm.minctasm
tnk.kernel @short_side(%x: memref<64x2816xbf16>, %w: memref<1024x2816xbf16>, %rows: index,
                       %task: index) threads(256) {
  %sums = tnk.shared : memref<8x16xf32, #gpu.address_space<workgroup>>
  tnk.multiply_rows %x, weights(%w) [%task] rows(%rows) to(%sums)
      : memref<64x2816xbf16>, memref<1024x2816xbf16>
      to memref<8x16xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

// CHECK-LABEL: tnk.kernel @two_of_sixteen(
// CHECK-NOT: nvvm.minctasm
tnk.kernel @two_of_sixteen(%x: memref<64x2048xbf16>, %v: memref<2048x2048xbf16>,
                           %w: memref<2048x2048xbf16>, %rows: index, %task: index)
    threads(256) {
  %a = tnk.shared : memref<8x16xf32, #gpu.address_space<workgroup>>
  %b = tnk.shared : memref<8x16xf32, #gpu.address_space<workgroup>>
  tnk.multiply_rows %x, weights(%v, %w) [%task] rows(%rows) to(%a, %b)
      : memref<64x2048xbf16>, memref<2048x2048xbf16>, memref<2048x2048xbf16>
      to memref<8x16xf32, #gpu.address_space<workgroup>>,
         memref<8x16xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

// The fields of an e4m3, shifted into those of a bf16, times 2^120.
// CHECK-LABEL: tnk.kernel @floats(
// CHECK-COUNT-2: llvm.inline_asm
// CHECK: nvvm.prmt
// CHECK: arith.andi
// CHECK: arith.shrui
// CHECK: arith.andi
// CHECK: arith.ori
// CHECK: arith.mulf %{{.*}}, %{{.*}} : vector<2xbf16>
// CHECK-COUNT-4: nvvm.mma.sync
tnk.kernel @floats(%x: memref<64x64xbf16>, %w: memref<256x64xi8>, %c: memref<256xf32>,
                   %rows: index, %task: index) threads(32) {
  %sums = tnk.shared : memref<8x16xf32, #gpu.address_space<workgroup>>
  tnk.multiply_rows %x, weights(%w) as f8E4M3FN scales(%c) [%task] rows(%rows) to(%sums)
      : memref<64x64xbf16>, memref<256x64xi8> scales memref<256xf32>
      to memref<8x16xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

// A step of i4 is a group: its sums begin at zero and are added times the group's scale,
// which comes with the weights. 32 depths of a thread are eight instructions.
// CHECK-LABEL: tnk.kernel @groups(
// CHECK-SAME: %[[X:[^:]*]]: memref<64x256xbf16>, %[[W:[^:]*]]: memref<256x128xi8>, %[[C:[^:]*]]: memref<256x2xf32>
// CHECK-DAG: %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
// CHECK: llvm.inline_asm
// CHECK: %[[LOW:.*]] = memref.load %[[C]]
// CHECK: llvm.inline_asm
// CHECK: %[[HIGH:.*]] = memref.load %[[C]]
// CHECK: tnk.wait_inputs
// CHECK-COUNT-4: vector.load %[[X]]
// CHECK: arith.subf {{.*}} : vector<2xbf16>
// CHECK: nvvm.mma.sync {{.*}} C[%[[ZERO]], %[[ZERO]], %[[ZERO]], %[[ZERO]]]
// CHECK-COUNT-7: nvvm.mma.sync
// CHECK-NOT: nvvm.mma.sync
// CHECK: math.fma %{{.*}}, %[[LOW]], %[[ZERO]]
// CHECK: math.fma %{{.*}}, %[[LOW]], %[[ZERO]]
// CHECK: math.fma %{{.*}}, %[[HIGH]], %[[ZERO]]
// CHECK: math.fma %{{.*}}, %[[HIGH]], %[[ZERO]]
tnk.kernel @groups(%x: memref<64x256xbf16>, %w: memref<256x128xi8>, %c: memref<256x2xf32>,
                   %rows: index, %task: index) threads(64) {
  %sums = tnk.shared : memref<8x16xf32, #gpu.address_space<workgroup>>
  tnk.multiply_rows %x, weights(%w) as i4 scales(%c) [%task] rows(%rows) to(%sums)
      : memref<64x256xbf16>, memref<256x128xi8> scales memref<256x2xf32>
      to memref<8x16xf32, #gpu.address_space<workgroup>>
  tnk.return
}

// -----

// A row in bf16: 16 bytes a thread at a time.
// CHECK-LABEL: tnk.kernel @widen(
// CHECK-SAME: %[[W:[^:]*]]: memref<256x128xi8>, %[[C:[^:]*]]: memref<256x2xf32>, %[[Y:[^:]*]]: memref<256x256xbf16>, %[[TASK:[^:]*]]: index
// CHECK: %[[T:.*]] = gpu.thread_id x
// CHECK: scf.for %[[I:.*]] = %[[T]] to %c8 step %c64
// CHECK: %[[BYTE:.*]] = arith.muli %[[I]], %c16
// CHECK: %[[GROUP:.*]] = arith.divui
// CHECK: memref.load %[[C]][%[[TASK]], %[[GROUP]]]
// CHECK: vector.load %[[W]][%[[TASK]], %[[BYTE]]] {alignment = 16 : i64} : memref<256x128xi8>, vector<16xi8>
// CHECK-COUNT-4: vector.store {{.*}}, %[[Y]][%[[TASK]], %{{.*}}] {alignment = 16 : i64} : memref<256x256xbf16>, vector<8xbf16>
// CHECK-NOT: vector.store
tnk.kernel @widen(%w: memref<256x128xi8>, %c: memref<256x2xf32>, %y: memref<256x256xbf16>,
                  %task: index) threads(64) {
  tnk.widen_row %w as i4 scales(%c) [%task] to %y
      : memref<256x128xi8> scales memref<256x2xf32> to memref<256x256xbf16>
  tnk.return
}

// -----

// Rows that begin at any byte: one number at a time.
// CHECK-LABEL: tnk.kernel @widen_odd(
// CHECK: scf.for {{.*}} to %c35 step
// CHECK: vector.load {{.*}} {alignment = 1 : i64} : memref<6x35xi8>, vector<1xi8>
// CHECK: arith.extui
// CHECK: memref.store {{.*}} : memref<6x35xbf16>
tnk.kernel @widen_odd(%w: memref<6x35xi8>, %c: memref<6xf32>, %y: memref<6x35xbf16>,
                      %task: index) threads(32) {
  tnk.widen_row %w as f8E4M3FN scales(%c) [%task] to %y
      : memref<6x35xi8> scales memref<6xf32> to memref<6x35xbf16>
  tnk.return
}
