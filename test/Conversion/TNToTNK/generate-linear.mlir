// RUN: tnllm-opt --tnk-generate-linear="rows=300 depth=200 columns=136" %s | FileCheck %s
// RUN: tnllm-opt --tnk-generate-linear="rows=4096 depth=1024 columns=1024" %s | FileCheck %s --check-prefix=WIDE
// RUN: not tnllm-opt --tnk-generate-linear="depth=100" %s 2>&1 | FileCheck %s --check-prefix=ERROR
// ERROR: error: expected rows, columns and a depth that is a multiple of 8

// Tiles of 128 x 128, 64 rows for each of two warpgroups; the last depth, columns and rows
// are partial.
// CHECK-LABEL: tnk.kernel @linear(
// CHECK-SAME: %[[X:[^:]*]]: !tnk.map<128x64xbf16>, %[[W:[^:]*]]: !tnk.map<128x64xbf16>, %[[Y:[^:]*]]: memref<300x136xf32>, %[[ROWS:[^:]*]]: index, %{{.*}}: index) threads(384)
// CHECK: %[[STEPS:.*]] = arith.constant 4 : index
// CHECK: %[[RING:.*]] = tnk.ring filled_by copies read_by(2) : !tnk.ring<6, <128x64xbf16>, <128x64xbf16>>
// CHECK: tnk.load_async %[[X]]
// CHECK: tnk.load_async %[[W]]
// CHECK: tnk.role "multiply" groups(2)
// CHECK: scf.for {{.*}} -> (vector<64x128xf32>)
// CHECK:   tnk.part %{{.*}} : !tnk.tile<128x64xbf16> -> !tnk.tile<64x64xbf16>
// CHECK:   tnk.mma %{{.*}}, transpose_b %{{.*}} : !tnk.tile<64x64xbf16>, !tnk.tile<128x64xbf16>, vector<64x128xf32>
// CHECK:   tnk.mma_wait pending(1)
// CHECK: tnk.mma_wait %
// CHECK: tnk.ring_release %[[RING]]
// CHECK-COUNT-2: vector.transfer_write %{{.*}}, %[[Y]]{{.*}} {in_bounds = [true, false]} : vector<64x64xf32>, memref<300x136xf32>
// CHECK-NOT: vector.transfer_write

// WIDE: tnk.kernel @linear({{.*}}: !tnk.map<128x64xbf16>, {{.*}}: !tnk.map<256x64xbf16>
// WIDE-COUNT-4: vector.transfer_write {{.*}} {in_bounds = [true, true]}
module {}
