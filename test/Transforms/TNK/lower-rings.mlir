// RUN: tnllm-opt --tnk-lower-rings --canonicalize --cse %s | FileCheck %s

// One buffer of shared memory: 2 x (16384 + 8192) bytes of the first ring, 8192 of the second
// from 57344 on after the scratch tile of 8192 bytes at 0, then 2 + 2 and 1 + 1 barriers.

// CHECK-LABEL: tnk.kernel @ring
// CHECK-SAME: %[[MAP:.*]]: !tnk.map<64x64xbf16>, %[[N:.*]]: index, %{{.*}}: index)
// CHECK: %[[MEMORY:.*]] = tnk.shared align(1024) : memref<65584xi8, #gpu.address_space<workgroup>>
// CHECK: %[[ADDRESS:.*]] = memref.extract_aligned_pointer_as_index %[[MEMORY]]
// CHECK: %[[BASE:.*]] = llvm.inttoptr %{{.*}} : i64 to !llvm.ptr<3>

// Thread 0 makes the barriers. One thread arms a stage that copies fill; four warps of
// each reader release it.
// CHECK: scf.if
// CHECK:   %[[FULL:.*]] = llvm.getelementptr %[[BASE]][65536]
// CHECK:   nvvm.mbarrier.init %[[FULL]], %[[ONE:c1.*]] :
// CHECK:   llvm.getelementptr %[[BASE]][65544]
// CHECK:   nvvm.mbarrier.init %{{.*}}, %[[ONE]] :
// CHECK:   llvm.getelementptr %[[BASE]][65552]
// CHECK:   nvvm.mbarrier.init %{{.*}}, %[[FOUR:c4.*]] :
// CHECK:   llvm.getelementptr %[[BASE]][65560]
// CHECK:   llvm.getelementptr %[[BASE]][65568]
// CHECK:   nvvm.mbarrier.init %{{.*}}, %[[FOUR]] :
// CHECK:   llvm.getelementptr %[[BASE]][65576]
// CHECK: nvvm.fence.mbarrier.init
// CHECK: gpu.barrier
tnk.kernel @ring(%map: !tnk.map<64x64xbf16>, %n: index, %task: index) threads(256) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %in = tnk.ring filled_by copies read_by(1) : !tnk.ring<2, <64x128xbf16>, <64x64xbf16>>
  %out = tnk.ring filled_by threads read_by(1) : !tnk.ring<1, <64x64xbf16>>
  %stage = tnk.scratch : !tnk.tile<64x64xbf16>
  tnk.roles {
    // CHECK: tnk.role "copy"
    tnk.role "copy" warps(1) registers(24) {
      scf.for %i = %c0 to %n step %c1 {
        // Iteration i: stage i mod 2, round i / 2. The empty barrier is a round behind.
        // CHECK: %[[I:.*]] = arith.index_cast %{{.*}} : index to i32
        // CHECK: %[[ROUND:.*]] = arith.divui %[[I]], %c2_i32
        // CHECK: %[[PARITY:.*]] = arith.andi %[[ROUND]], %c1_i32
        // CHECK: %[[BEFORE:.*]] = arith.xori %[[PARITY]], %c1_i32
        // CHECK: %[[STAGE:.*]] = arith.remui %[[I]], %c2_i32
        // CHECK: %[[BARRIER:.*]] = arith.muli %[[STAGE]], %c8_i32
        // CHECK: %[[EMPTY:.*]] = llvm.getelementptr %{{.*}}[%[[BARRIER]]]
        // CHECK: nvvm.mbarrier.try_wait.parity %[[EMPTY]], %[[BEFORE]]
        // 24576 bytes will come.
        // CHECK: %[[FULL:.*]] = llvm.getelementptr %{{.*}}[%[[BARRIER]]]
        // CHECK: scf.if
        // CHECK:   nvvm.mbarrier.arrive.expect_tx %[[FULL]], %c24576_i32
        tnk.ring_acquire %in[%i] : !tnk.ring<2, <64x128xbf16>, <64x64xbf16>>
        %a = tnk.ring_tile %in[%i], 0 : !tnk.ring<2, <64x128xbf16>, <64x64xbf16>> -> !tnk.tile<64x128xbf16>
        %b = tnk.ring_tile %in[%i], 1 : !tnk.ring<2, <64x128xbf16>, <64x64xbf16>> -> !tnk.tile<64x64xbf16>
        // A box for each 64 columns.
        // CHECK: scf.if
        // CHECK:   nvvm.cp.async.bulk.tensor.shared.cluster.global %{{.*}}, %{{.*}}, %[[FULL]], box[%c0_i32, %c0_i32, %[[I]], %c0_i32]
        // CHECK:   nvvm.cp.async.bulk.tensor.shared.cluster.global %{{.*}}, %{{.*}}, %[[FULL]], box[%c64_i32, %c0_i32, %[[I]], %c0_i32]
        // CHECK-NOT: cp.async
        tnk.load_async %map[%c0, %i, %c0, %c0] to %a on %in[%i] : !tnk.map<64x64xbf16>, !tnk.tile<64x128xbf16>, !tnk.ring<2, <64x128xbf16>, <64x64xbf16>>
        // CHECK: scf.if
        // CHECK:   nvvm.cp.async
        tnk.load_async %map[%c0, %i, %c0, %c0] to %b on %in[%i] : !tnk.map<64x64xbf16>, !tnk.tile<64x64xbf16>, !tnk.ring<2, <64x128xbf16>, <64x64xbf16>>
      }
    }
    // CHECK: tnk.role "work"
    tnk.role "work" registers(240) {
      scf.for %i = %c0 to %n step %c1 {
        // CHECK: nvvm.mbarrier.try_wait.parity
        tnk.ring_wait %in[%i] : !tnk.ring<2, <64x128xbf16>, <64x64xbf16>>
        %a = tnk.ring_tile %in[%i], 0 : !tnk.ring<2, <64x128xbf16>, <64x64xbf16>> -> !tnk.tile<64x128xbf16>
        // The second 64 columns: 8192 bytes on.
        // CHECK: llvm.getelementptr %{{.*}}[8192]
        // CHECK: tnk.read
        %right = tnk.part %a[%c1] : !tnk.tile<64x128xbf16> -> !tnk.tile<64x64xbf16>
        %v = tnk.read %right : !tnk.tile<64x64xbf16> -> vector<64x64xbf16>
        tnk.write %v to %stage : vector<64x64xbf16> -> !tnk.tile<64x64xbf16>
        // CHECK: nvvm.bar.warp.sync
        // CHECK: scf.if
        // CHECK:   nvvm.mbarrier.arrive
        tnk.ring_release %in[%i] : !tnk.ring<2, <64x128xbf16>, <64x64xbf16>>
        // Filled by threads: nothing to arm; a fence before the arrival.
        // CHECK: nvvm.mbarrier.try_wait.parity
        // CHECK-NOT: expect_tx
        tnk.ring_acquire %out[%i] : !tnk.ring<1, <64x64xbf16>>
        // CHECK: nvvm.fence.proxy {kind = #nvvm.proxy_kind<async.shared>, space = #nvvm.shared_space<cta>}
        // CHECK: nvvm.bar.warp.sync
        // CHECK:   nvvm.mbarrier.arrive
        tnk.ring_commit %out[%i] : !tnk.ring<1, <64x64xbf16>>
        // A barrier of the warpgroup, not 0; one thread stores.
        // CHECK: nvvm.fence.proxy
        // CHECK: %[[ID:.*]] = arith.addi %{{.*}}, %c1_i32
        // CHECK: nvvm.barrier id = %[[ID]] number_of_threads = %c128_i32
        // CHECK: scf.if
        // CHECK:   nvvm.cp.async.bulk.tensor.global.shared.cta
        // CHECK:   nvvm.cp.async.bulk.commit.group
        tnk.store_async %stage to %map[%c0, %i, %c0, %c0] : !tnk.tile<64x64xbf16>, !tnk.map<64x64xbf16>
      }
      // CHECK: scf.if
      // CHECK:   nvvm.cp.async.bulk.wait_group 0 {read}
      // CHECK: nvvm.barrier
      tnk.store_wait
    }
  }
  tnk.return
}

// A choice between maps becomes one between their addresses.
// CHECK-LABEL: tnk.kernel @chosen
// CHECK-SAME: %[[FIRST:.*]]: !tnk.map<64x64xbf16>, %[[SECOND:.*]]: !tnk.map<64x64xbf16>, %[[THIRD:.*]]: !tnk.map<64x64xbf16>, %[[TASK:.*]]: index)
// CHECK-DAG: %[[IS_FIRST:.*]] = arith.cmpi eq, %[[TASK]], %c0
// CHECK-DAG: %[[IS_SECOND:.*]] = arith.cmpi eq, %[[TASK]], %c1
// CHECK-DAG: %[[A:.*]] = builtin.unrealized_conversion_cast %[[FIRST]] : !tnk.map<64x64xbf16> to !llvm.ptr
// CHECK-DAG: %[[B:.*]] = builtin.unrealized_conversion_cast %[[SECOND]] : !tnk.map<64x64xbf16> to !llvm.ptr
// CHECK-DAG: %[[C:.*]] = builtin.unrealized_conversion_cast %[[THIRD]] : !tnk.map<64x64xbf16> to !llvm.ptr
// CHECK-DAG: %[[REST:.*]] = arith.select %[[IS_SECOND]], %[[B]], %[[C]] : !llvm.ptr
// CHECK: %[[CHOSEN:.*]] = arith.select %[[IS_FIRST]], %[[A]], %[[REST]] : !llvm.ptr
// CHECK: nvvm.cp.async.bulk.tensor.global.shared.cta %[[CHOSEN]],
tnk.kernel @chosen(%first: !tnk.map<64x64xbf16>, %second: !tnk.map<64x64xbf16>, %third: !tnk.map<64x64xbf16>,
                   %task: index) threads(128) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %tile = tnk.scratch : !tnk.tile<64x64xbf16>
  %is_first = arith.cmpi eq, %task, %c0 : index
  %is_second = arith.cmpi eq, %task, %c1 : index
  %rest = arith.select %is_second, %second, %third : !tnk.map<64x64xbf16>
  %map = arith.select %is_first, %first, %rest : !tnk.map<64x64xbf16>
  tnk.roles {
    tnk.role "store" registers(240) {
      tnk.store_async %tile to %map[%c0, %c0, %c0, %c0] : !tnk.tile<64x64xbf16>, !tnk.map<64x64xbf16>
    }
  }
  tnk.return
}
