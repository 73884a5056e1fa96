// RUN: tnllm-opt %s | tnllm-opt | FileCheck %s
// RUN: tnllm-opt %s -mlir-print-op-generic | tnllm-opt | FileCheck %s

// CHECK-LABEL: tnk.kernel @tiles(
// CHECK-SAME: %[[MAP:.*]]: !tnk.map<64x64xbf16>, %{{.*}}: index) threads(512)
tnk.kernel @tiles(%map: !tnk.map<64x64xbf16>, %task: index) threads(512) {
  %c0 = arith.constant 0 : index
  // CHECK: %[[IN:.*]] = tnk.ring filled_by copies read_by(3) : !tnk.ring<3, <64x128xbf16>, <64x64xbf16>>
  %in = tnk.ring filled_by copies read_by(3) : !tnk.ring<3, <64x128xbf16>, <64x64xbf16>>
  // CHECK: %[[P:.*]] = tnk.ring filled_by threads read_by(2) : !tnk.ring<2, <64x64xbf16>>
  %p = tnk.ring filled_by threads read_by(2) : !tnk.ring<2, <64x64xbf16>>
  // CHECK: %[[STAGE:.*]] = tnk.scratch : !tnk.tile<64x128xbf16>
  %stage = tnk.scratch : !tnk.tile<64x128xbf16>
  // CHECK: tnk.roles {
  tnk.roles {
    // CHECK: tnk.role "copy" warps(1) registers(24) {
    tnk.role "copy" warps(1) registers(24) {
      // CHECK: tnk.ring_acquire %[[IN]][%{{.*}}] : !tnk.ring<3,
      tnk.ring_acquire %in[%c0] : !tnk.ring<3, <64x128xbf16>, <64x64xbf16>>
      // CHECK: %[[T:.*]] = tnk.ring_tile %[[IN]][%{{.*}}], 0 : !tnk.ring<3, <64x128xbf16>, <64x64xbf16>> -> !tnk.tile<64x128xbf16>
      %t = tnk.ring_tile %in[%c0], 0 : !tnk.ring<3, <64x128xbf16>, <64x64xbf16>> -> !tnk.tile<64x128xbf16>
      // CHECK: tnk.load_async %[[MAP]][%{{.*}}] to %[[T]] on %[[IN]][%{{.*}}]
      tnk.load_async %map[%c0, %c0, %c0, %c0] to %t on %in[%c0] : !tnk.map<64x64xbf16>, !tnk.tile<64x128xbf16>, !tnk.ring<3, <64x128xbf16>, <64x64xbf16>>
    }
    // CHECK: tnk.role "scores" registers(104) {
    tnk.role "scores" registers(104) {
      // CHECK: tnk.index 0 : vector<64x64xi32>
      %row = tnk.index 0 : vector<64x64xi32>
      %t = tnk.ring_tile %in[%c0], 0 : !tnk.ring<3, <64x128xbf16>, <64x64xbf16>> -> !tnk.tile<64x128xbf16>
      %zero = arith.constant dense<0.0> : vector<64x64xf32>
      // CHECK: tnk.ring_wait %[[IN]]
      tnk.ring_wait %in[%c0] : !tnk.ring<3, <64x128xbf16>, <64x64xbf16>>
      // CHECK: %[[S:.*]] = tnk.mma %[[T2:.*]], transpose_b %[[T2]], %{{.*}} : !tnk.tile<64x128xbf16>, !tnk.tile<64x128xbf16>, vector<64x64xf32>
      %s = tnk.mma %t, transpose_b %t, %zero : !tnk.tile<64x128xbf16>, !tnk.tile<64x128xbf16>, vector<64x64xf32>
      // CHECK: tnk.mma_wait %[[S]] : vector<64x64xf32>
      %w = tnk.mma_wait %s : vector<64x64xf32>
      // CHECK: tnk.ring_release %[[IN]]
      tnk.ring_release %in[%c0] : !tnk.ring<3, <64x128xbf16>, <64x64xbf16>>
      %b = arith.truncf %w : vector<64x64xf32> to vector<64x64xbf16>
      tnk.ring_acquire %p[%c0] : !tnk.ring<2, <64x64xbf16>>
      %to = tnk.ring_tile %p[%c0], 0 : !tnk.ring<2, <64x64xbf16>> -> !tnk.tile<64x64xbf16>
      // CHECK: tnk.write %{{.*}} to %{{.*}} : vector<64x64xbf16> -> !tnk.tile<64x64xbf16>
      tnk.write %b to %to : vector<64x64xbf16> -> !tnk.tile<64x64xbf16>
      // CHECK: tnk.ring_commit %[[P]]
      tnk.ring_commit %p[%c0] : !tnk.ring<2, <64x64xbf16>>
    }
    // CHECK: tnk.role "values" groups(2) registers(192) {
    tnk.role "values" groups(2) registers(192) {
      // CHECK: %[[G:.*]] = tnk.group
      %g = tnk.group
      // CHECK: %[[PART:.*]] = tnk.part %[[STAGE]][%[[G]]] : !tnk.tile<64x128xbf16> -> !tnk.tile<64x64xbf16>
      %part = tnk.part %stage[%g] : !tnk.tile<64x128xbf16> -> !tnk.tile<64x64xbf16>
      %zero = arith.constant dense<0.0> : vector<64x64xf32>
      // CHECK: tnk.read transpose %[[PART]] : !tnk.tile<64x64xbf16> -> vector<64x64xbf16>
      %v = tnk.read transpose %part : !tnk.tile<64x64xbf16> -> vector<64x64xbf16>
      // CHECK: tnk.mma transpose_a %[[PART]], %[[PART]], %{{.*}}
      %x = tnk.mma transpose_a %part, %part, %zero : !tnk.tile<64x64xbf16>, !tnk.tile<64x64xbf16>, vector<64x64xf32>
      // CHECK: tnk.mma %{{.*}}, %[[PART]], %{{.*}} : vector<64x64xbf16>, !tnk.tile<64x64xbf16>, vector<64x64xf32>
      %y = tnk.mma %v, %part, %zero : vector<64x64xbf16>, !tnk.tile<64x64xbf16>, vector<64x64xf32>
      // CHECK: tnk.mma_wait pending(1) %{{.*}} : vector<64x64xf32>
      %xw = tnk.mma_wait pending(1) %x : vector<64x64xf32>
      %yw = tnk.mma_wait %y : vector<64x64xf32>
      // CHECK: tnk.store_wait
      tnk.store_wait
      // CHECK: tnk.write transpose %{{.*}} to %[[PART]]
      tnk.write transpose %v to %part : vector<64x64xbf16> -> !tnk.tile<64x64xbf16>
      // CHECK: tnk.store_async %[[PART]] to %[[MAP]][%{{.*}}] : !tnk.tile<64x64xbf16>, !tnk.map<64x64xbf16>
      tnk.store_async %part to %map[%c0, %c0, %c0, %c0] : !tnk.tile<64x64xbf16>, !tnk.map<64x64xbf16>
    }
  }
  tnk.return
}
