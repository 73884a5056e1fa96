// RUN: tnllm-opt --tnk-generate-attention="heads=3 sequences=2 key-width=128 value-width=128" %s | FileCheck %s
// RUN: tnllm-opt --tnk-generate-attention="key-width=80 value-width=48 scale=0.5" %s | FileCheck %s --check-prefix=NARROW
// RUN: tnllm-opt --tnk-generate-attention="key-width=256 value-width=128" %s | FileCheck %s --check-prefix=WIDE
// RUN: not tnllm-opt --tnk-generate-attention="key-width=264" %s 2>&1 | FileCheck %s --check-prefix=ERROR
// RUN: not tnllm-opt --tnk-generate-attention="value-width=12" %s 2>&1 | FileCheck %s --check-prefix=ERROR
// ERROR: error: expected widths that are multiples of 8, keys of at most 256, and at least one head and sequence

// Two warpgroups of 64 value columns, one of scores, one that copies.
// CHECK-LABEL: tnk.kernel @attention(
// CHECK-SAME: %[[Q:[^:]*]]: !tnk.map<64x64xbf16>, %[[K:[^:]*]]: !tnk.map<64x64xbf16>, %[[V:[^:]*]]: !tnk.map<64x64xbf16>, %[[OUT:[^:]*]]: !tnk.map<64x64xbf16>,
// CHECK-SAME: %{{.*}}: memref<3xf32>, %[[STATE:[^:]*]]: memref<2x3x128x128xf32>, %{{.*}}: index, %{{.*}}: index) threads(512)
// CHECK: %[[IN:.*]] = tnk.ring filled_by copies read_by(3) : !tnk.ring<4, <64x128xbf16>, <64x128xbf16>, <64x128xbf16>>
// CHECK: %[[P:.*]] = tnk.ring filled_by threads read_by(2) : !tnk.ring<2, <64x64xbf16>>
// CHECK: tnk.role "copy" warps(1)
// CHECK: tnk.load_async %[[Q]]
// CHECK: tnk.load_async %[[K]]
// CHECK: tnk.load_async %[[V]]
// P = (Q K^T) * M, masked by a select of powers that never exceed 1.
// CHECK: tnk.role "scores"
// CHECK: arith.maxsi
// CHECK: math.exp2
// CHECK: %[[M:.*]] = arith.select
// CHECK: tnk.mma %{{.*}}, transpose_b %{{.*}} : !tnk.tile<64x128xbf16>, !tnk.tile<64x128xbf16>, vector<64x64xf32>
// CHECK: arith.mulf %{{.*}}, %[[M]]
// CHECK: tnk.write %{{.*}} to
// CHECK: tnk.ring_commit %[[P]]
// CHECK: tnk.role "values" groups(2)
// CHECK: vector.transfer_read %[[STATE]]{{.*}} {in_bounds = [true, true], {{.*}} : memref<2x3x128x128xf32>, vector<64x128xf32>
// CHECK: scf.for {{.*}} -> (vector<64x128xf32>)
// O^T = S^T Q^T, with the state as operand in registers.
// CHECK:   tnk.mma %{{.*}}, transpose_b %{{.*}} : vector<64x128xbf16>, !tnk.tile<64x128xbf16>, vector<64x64xf32>
// CHECK:   tnk.read transpose
// S^T = lambda^n S^T + (V^T diag) K
// CHECK:   tnk.mma %{{.*}}, %{{.*}} : vector<64x64xbf16>, !tnk.tile<64x128xbf16>, vector<64x128xf32>
// CHECK:   tnk.mma_wait pending(1)
// O^T += V^T P^T
// CHECK:   tnk.mma transpose_a %{{.*}}, transpose_b %{{.*}} : !tnk.tile<64x64xbf16>, !tnk.tile<64x64xbf16>, vector<64x64xf32>
// CHECK:   tnk.mma_wait %{{.*}}, %{{.*}} : vector<64x64xf32>, vector<64x128xf32>
// CHECK:   tnk.write transpose
// CHECK:   tnk.store_async %{{.*}} to %[[OUT]]
// CHECK: vector.transfer_write %{{.*}}, %[[STATE]]

// Widths are padded to 64 columns; the state's reads and writes stop at its own.
// NARROW: tnk.kernel @attention({{.*}} threads(384)
// NARROW: tnk.ring filled_by copies read_by(2) : !tnk.ring<4, <64x128xbf16>, <64x128xbf16>, <64x64xbf16>>
// NARROW: arith.constant dense<5.000000e-01>
// NARROW: vector.transfer_read {{.*}} {permutation_map = {{[^,]*}}} : memref<1x1x80x48xf32>, vector<64x128xf32>

// The state of 256 key columns leaves room for one warpgroup of values, and for a quarter of
// its rounded form at a time.
// WIDE: tnk.kernel @attention({{.*}} threads(384)
// WIDE-COUNT-4: tnk.mma %{{.*}}, transpose_b %{{.*}} : vector<64x64xbf16>, !tnk.tile<64x64xbf16>, vector<64x64xf32>
module {}
