// RUN: tnllm-opt --tnk-lower-roles %s | FileCheck %s

// Three warpgroups: 65536 / 384 registers each, 168, at the start.
// CHECK-LABEL: tnk.kernel @three
// CHECK-SAME: nvvm.minctasm = 1
// CHECK: %[[GROUP:.*]] = nvvm.shfl.sync idx
// CHECK: %[[FIRST:.*]] = arith.cmpi ult, %[[GROUP]], %c1_i32
// CHECK: scf.if %[[FIRST]] {
// CHECK:   nvvm.setmaxregister decrease 24
// CHECK:   %[[WARP:.*]] = arith.cmpi ult, %{{.*}}, %c32_i32
// CHECK:   scf.if %[[WARP]] {
// CHECK:     memref.store
// CHECK:   }
// CHECK: } else {
// CHECK:   nvvm.setmaxregister increase 240
// CHECK:   %[[NUMBER:.*]] = arith.subi %[[GROUP]], %c1_i32
// CHECK:   %[[INDEX:.*]] = arith.index_cast %[[NUMBER]] : i32 to index
// CHECK:   memref.store %{{.*}}, %{{.*}}[%[[INDEX]]]
// CHECK: }
// CHECK-NOT: tnk.role
tnk.kernel @three(%x: memref<2xf32>, %task: index) threads(384) {
  %c0 = arith.constant 0 : index
  %one = arith.constant 1.0 : f32
  tnk.roles {
    tnk.role "copy" warps(1) registers(24) {
      memref.store %one, %x[%c0] : memref<2xf32>
    }
    tnk.role "multiply" groups(2) registers(240) {
      %g = tnk.group
      memref.store %one, %x[%g] : memref<2xf32>
    }
  }
  tnk.return
}

// Four: each starts with 128. Who keeps them moves none.
// CHECK-LABEL: tnk.kernel @four
// CHECK: setmaxregister decrease 104
// CHECK: else
// CHECK: arith.cmpi ult, %{{.*}}, %c2_i32
// CHECK-NOT: setmaxregister
// CHECK: else
// CHECK: setmaxregister increase 136
tnk.kernel @four(%x: memref<2xf32>, %task: index) threads(512) {
  tnk.roles {
    tnk.role "a" registers(104) {
    }
    tnk.role "b" registers(128) {
    }
    tnk.role "c" groups(2) registers(136) {
    }
  }
  tnk.return
}
