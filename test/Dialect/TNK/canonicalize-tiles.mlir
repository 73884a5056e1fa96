// Of the operations for tensor cores, those that only make a value go when nobody uses it;
// what waits, copies, writes or multiplies stays.
// RUN: tnllm-opt %s --canonicalize --cse | FileCheck %s

// CHECK-LABEL: tnk.kernel @unused
// CHECK-NOT: tnk.scratch
// CHECK-NOT: tnk.ring
// CHECK: tnk.roles
// CHECK: tnk.role
// CHECK-NOT: tnk.group
// CHECK-NOT: tnk.index
// CHECK-NOT: tnk.part
// CHECK-NOT: tnk.read
// CHECK-NOT: tnk.ring_tile
// CHECK: tnk.return
tnk.kernel @unused(%task: index) threads(128) {
  %t = tnk.scratch : !tnk.tile<64x64xbf16>
  %r = tnk.ring filled_by threads read_by(1) : !tnk.ring<1, <64x64xbf16>>
  tnk.roles {
    tnk.role "work" registers(128) {
      %g = tnk.group
      %i = tnk.index 0 : vector<64x64xi32>
      %p = tnk.part %t[%g] : !tnk.tile<64x64xbf16> -> !tnk.tile<64x64xbf16>
      %v = tnk.read %p : !tnk.tile<64x64xbf16> -> vector<64x64xbf16>
      %s = tnk.ring_tile %r[%g], 0 : !tnk.ring<1, <64x64xbf16>> -> !tnk.tile<64x64xbf16>
    }
  }
  tnk.return
}

// CHECK-LABEL: tnk.kernel @effects
// CHECK: tnk.ring filled_by copies
// CHECK: tnk.ring_acquire
// CHECK: tnk.load_async
// CHECK: tnk.ring_wait
// CHECK-COUNT-2: tnk.mma %
// CHECK: tnk.mma_wait
// CHECK: tnk.ring_release
// CHECK: tnk.ring_acquire
// CHECK: tnk.write
// CHECK: tnk.ring_commit
// CHECK: tnk.store_async
// CHECK: tnk.store_wait
tnk.kernel @effects(%map: !tnk.map<64x64xbf16>, %task: index) threads(256) {
  %c0 = arith.constant 0 : index
  %in = tnk.ring filled_by copies read_by(1) : !tnk.ring<1, <64x64xbf16>>
  %out = tnk.ring filled_by threads read_by(1) : !tnk.ring<1, <64x64xbf16>>
  tnk.roles {
    tnk.role "copy" warps(1) registers(24) {
      tnk.ring_acquire %in[%c0] : !tnk.ring<1, <64x64xbf16>>
      %t = tnk.ring_tile %in[%c0], 0 : !tnk.ring<1, <64x64xbf16>> -> !tnk.tile<64x64xbf16>
      tnk.load_async %map[%c0, %c0, %c0, %c0] to %t on %in[%c0] : !tnk.map<64x64xbf16>, !tnk.tile<64x64xbf16>, !tnk.ring<1, <64x64xbf16>>
    }
    tnk.role "work" registers(240) {
      %zero = arith.constant dense<0.0> : vector<64x64xf32>
      %bf16 = arith.constant dense<0.0> : vector<64x64xbf16>
      tnk.ring_wait %in[%c0] : !tnk.ring<1, <64x64xbf16>>
      %t = tnk.ring_tile %in[%c0], 0 : !tnk.ring<1, <64x64xbf16>> -> !tnk.tile<64x64xbf16>
      // Equal products are not one: each has its place among those that are waited for.
      %a = tnk.mma %t, %t, %zero : !tnk.tile<64x64xbf16>, !tnk.tile<64x64xbf16>, vector<64x64xf32>
      %b = tnk.mma %t, %t, %zero : !tnk.tile<64x64xbf16>, !tnk.tile<64x64xbf16>, vector<64x64xf32>
      %r:2 = tnk.mma_wait %a, %b : vector<64x64xf32>, vector<64x64xf32>
      tnk.ring_release %in[%c0] : !tnk.ring<1, <64x64xbf16>>
      tnk.ring_acquire %out[%c0] : !tnk.ring<1, <64x64xbf16>>
      %to = tnk.ring_tile %out[%c0], 0 : !tnk.ring<1, <64x64xbf16>> -> !tnk.tile<64x64xbf16>
      tnk.write %bf16 to %to : vector<64x64xbf16> -> !tnk.tile<64x64xbf16>
      tnk.ring_commit %out[%c0] : !tnk.ring<1, <64x64xbf16>>
      tnk.store_async %to to %map[%c0, %c0, %c0, %c0] : !tnk.tile<64x64xbf16>, !tnk.map<64x64xbf16>
      tnk.store_wait
    }
  }
  tnk.return
}
