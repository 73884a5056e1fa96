// RUN: tnllm-opt --tnk-generate-attention="heads=3 sequences=2 key-width=128 value-width=128" %s | FileCheck %s
// RUN: tnllm-opt --tnk-generate-attention="key-width=80 value-width=48 scale=0.5" %s | FileCheck %s --check-prefix=NARROW
// RUN: tnllm-opt --tnk-generate-attention="key-width=256 value-width=128" %s | FileCheck %s --check-prefix=WIDE
// RUN: tnllm-opt --tnk-generate-attention="heads=3 sequences=2 key-width=128 value-width=128 segments=132" %s \
// RUN:   --canonicalize | FileCheck %s --check-prefix=SEGMENTS
// RUN: not tnllm-opt --tnk-generate-attention="segments=1" %s 2>&1 | FileCheck %s --check-prefix=ONE
// ONE: error: expected no segments, or room for at least 2, got 1
// RUN: not tnllm-opt --tnk-generate-attention="key-width=264" %s 2>&1 | FileCheck %s --check-prefix=ERROR
// RUN: not tnllm-opt --tnk-generate-attention="value-width=12" %s 2>&1 | FileCheck %s --check-prefix=ERROR
// RUN: not tnllm-opt --tnk-generate-attention="sequences=-1" %s 2>&1 | FileCheck %s --check-prefix=ERROR
// ERROR: error: expected widths that are multiples of 8, keys of at most 256, at least one head, and no fewer than 0 states
// RUN: tnllm-opt --tnk-generate-attention="heads=3 sequences=0 key-width=128 value-width=128 reversed=1" %s \
// RUN:   --canonicalize | FileCheck %s --check-prefix=REVERSED
// RUN: tnllm-opt --tnk-generate-attention="heads=3 sequences=0 key-width=128 value-width=128 gradients=1 segments=132" %s \
// RUN:   --canonicalize --cse | FileCheck %s --check-prefix=GRADIENTS
// RUN: not tnllm-opt --tnk-generate-attention="sequences=0 value-width=64 gradients=1" %s 2>&1 | FileCheck %s --check-prefix=WIDTHS
// RUN: not tnllm-opt --tnk-generate-attention="gradients=1" %s 2>&1 | FileCheck %s --check-prefix=WIDTHS
// RUN: not tnllm-opt --tnk-generate-attention="sequences=0 reversed=1 gradients=1" %s 2>&1 | FileCheck %s --check-prefix=WIDTHS
// WIDTHS: error: expected keys and values of one width, no states and no direction with gradients

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

// The states of segments: neither q nor scores nor outputs, from zero and from the last chunk
// to the first, whose values weigh less and less; the last segment has no chunk to do.
// SEGMENTS-LABEL: tnk.kernel @attention_states(
// SEGMENTS-SAME: %[[K:[^:]*]]: !tnk.map<64x64xbf16>, %[[V:[^:]*]]: !tnk.map<64x64xbf16>, %{{[^:]*}}: memref<3xf32>, %[[N:[^:]*]]: index, %[[S:[^:]*]]: memref<132x128x128xf32>, %[[CHUNKS:[^:]*]]: index, %[[COUNT:[^:]*]]: index, %[[TASK:[^:]*]]: index) threads(384)
// SEGMENTS: %[[SEGMENT:.*]] = arith.remui %[[TASK]], %[[COUNT]]
// SEGMENTS: %[[FIRST:.*]] = arith.muli %[[SEGMENT]], %[[CHUNKS]]
// SEGMENTS: %[[LAST:.*]] = arith.cmpi eq, %[[SEGMENT]]
// SEGMENTS: %[[DO:.*]] = arith.select %[[LAST]], %c0
// SEGMENTS: tnk.ring filled_by copies read_by(2) : !tnk.ring<4, <64x128xbf16>, <64x128xbf16>>
// SEGMENTS-NOT: tnk.ring filled_by
// SEGMENTS: tnk.role "copy"
// SEGMENTS: scf.for %[[I:.*]] = %c0 to %[[DO]]
// SEGMENTS: %[[LATER:.*]] = arith.subi %{{.*}}, %[[I]]
// SEGMENTS: %[[CHUNK:.*]] = arith.addi %[[FIRST]], %[[LATER]]
// SEGMENTS: tnk.load_async %[[K]]
// SEGMENTS: tnk.load_async %[[V]]
// SEGMENTS-NOT: tnk.load_async
// SEGMENTS: tnk.role "values" groups(2) registers(240)
// SEGMENTS: scf.for {{.*}} -> (vector<64x128xf32>, f32)
// SEGMENTS-COUNT-1: tnk.mma
// SEGMENTS-NOT: tnk.mma %
// SEGMENTS: vector.transfer_write %{{.*}}, %[[S]]

// Their scan: sixteen segments' rows are loaded before the first is stored.
// SEGMENTS-LABEL: tnk.kernel @attention_scan(
// SEGMENTS-SAME: %[[SLOPES:[^:]*]]: memref<3xf32>, %[[STATE:[^:]*]]: memref<2x3x128x128xf32>, %[[S:[^:]*]]: memref<132x128x128xf32>, %[[CHUNKS:[^:]*]]: index, %[[COUNT:[^:]*]]: index, %[[TASK:[^:]*]]: index) threads(32)
// SEGMENTS: math.exp2
// SEGMENTS: vector.transfer_read %[[STATE]]
// SEGMENTS: scf.for %{{.*}} = %c0 to %[[COUNT]] step %c16
// SEGMENTS-COUNT-16: vector.transfer_read %[[S]]
// SEGMENTS: scf.if
// SEGMENTS-NEXT: arith.addi
// SEGMENTS-NEXT: vector.transfer_write %{{.*}}, %[[S]]
// SEGMENTS: math.fma

// The outputs: as the whole, from the state of the segment; the last one keeps the new state.
// SEGMENTS-LABEL: tnk.kernel @attention_outputs(
// SEGMENTS-SAME: %{{[^:]*}}: memref<3xf32>, %[[STATE:[^:]*]]: memref<2x3x128x128xf32>, %{{[^:]*}}: index, %[[S:[^:]*]]: memref<132x128x128xf32>
// SEGMENTS: tnk.role "scores"
// SEGMENTS: vector.transfer_read %[[S]]
// SEGMENTS: scf.if
// SEGMENTS-NEXT: vector.transfer_write %{{.*}}, %[[STATE]]
module {}

// Backwards in time: the last chunk first, keys from the query on, and no state to read or
// write: it begins as zeros and nobody wants it.
// REVERSED-LABEL: tnk.kernel @attention(
// REVERSED-SAME: %{{[^:]*}}: memref<3xf32>, %[[N:[^:]*]]: index, %{{[^:]*}}: index) threads(512)
// REVERSED: arith.divui
// REVERSED: %[[CHUNKS:.*]] = arith.divui
// REVERSED: tnk.role "copy"
// REVERSED: scf.for %[[I:.*]] = %c0 to %[[CHUNKS]]
// REVERSED: %[[LAST:.*]] = arith.subi %[[CHUNKS]], %c1
// REVERSED: %[[CHUNK:.*]] = arith.subi %[[LAST]], %[[I]]
// REVERSED: arith.muli %[[CHUNK]], %c64
// REVERSED: tnk.role "scores"
// REVERSED-DAG: %[[QUERY:.*]] = tnk.index 0
// REVERSED-DAG: %[[KEY:.*]] = tnk.index 1
// REVERSED: arith.subi %[[KEY]], %[[QUERY]]
// REVERSED: tnk.role "values"
// REVERSED-NOT: vector.transfer_read
// REVERSED-NOT: vector.transfer_write
// REVERSED: tnk.return

// The adjoint: a task of each attention after the other, the first forwards, the other two
// backwards, each with copies and stores of its own: which maps is chosen before the chunks.
// GRADIENTS-LABEL: tnk.kernel @attention(
// GRADIENTS-SAME: %[[Q:[^:]*]]: !tnk.map<64x64xbf16>, %[[K:[^:]*]]: !tnk.map<64x64xbf16>, %[[V:[^:]*]]: !tnk.map<64x64xbf16>, %[[DO:[^:]*]]: !tnk.map<64x64xbf16>,
// GRADIENTS-SAME: %[[DQ:[^:]*]]: !tnk.map<64x64xbf16>, %[[DK:[^:]*]]: !tnk.map<64x64xbf16>, %[[DV:[^:]*]]: !tnk.map<64x64xbf16>, %{{[^:]*}}: memref<3xf32>, %{{[^:]*}}: index, %[[TASK:[^:]*]]: index) threads(512)
// GRADIENTS: %[[WHICH:.*]] = arith.remui %[[TASK]], %c3
// GRADIENTS: %[[TURNED:.*]] = arith.cmpi ne, %[[WHICH]], %c0
// GRADIENTS: tnk.role "copy"
// GRADIENTS-DAG: %[[IS_DK:.*]] = arith.cmpi eq, %[[WHICH]], %c1
// GRADIENTS-DAG: %[[IS_DV:.*]] = arith.cmpi eq, %[[WHICH]], %c2
// GRADIENTS-DAG: %[[A1:.*]] = arith.select %[[IS_DK]], %[[V]], %[[DO]]
// GRADIENTS-DAG: %[[A:.*]] = arith.select %[[IS_DV]], %[[K]], %[[A1]]
// GRADIENTS-DAG: %[[B1:.*]] = arith.select %[[IS_DK]], %[[DO]], %[[V]]
// GRADIENTS-DAG: %[[B:.*]] = arith.select %[[IS_DV]], %[[Q]], %[[B1]]
// GRADIENTS-DAG: %[[C1:.*]] = arith.select %[[IS_DK]], %[[Q]], %[[K]]
// GRADIENTS-DAG: %[[C:.*]] = arith.select %[[IS_DV]], %[[DO]], %[[C1]]
// GRADIENTS: scf.for
// GRADIENTS: arith.select %[[TURNED]]
// GRADIENTS: tnk.load_async %[[A]]
// GRADIENTS: tnk.load_async %[[B]]
// GRADIENTS: tnk.load_async %[[C]]
// GRADIENTS-NOT: tnk.load_async
// GRADIENTS: tnk.role "scores"
// GRADIENTS: %[[SIGN:.*]] = arith.select %[[TURNED]], %c-1_i32, %c1_i32
// GRADIENTS: arith.muli
// GRADIENTS: tnk.role "values"
// GRADIENTS-DAG: %[[IS_DK:.*]] = arith.cmpi eq, %[[WHICH]], %c1
// GRADIENTS-DAG: %[[IS_DV:.*]] = arith.cmpi eq, %[[WHICH]], %c2
// GRADIENTS-DAG: %[[OUT1:.*]] = arith.select %[[IS_DK]], %[[DK]], %[[DQ]]
// GRADIENTS-DAG: %[[OUT:.*]] = arith.select %[[IS_DV]], %[[DV]], %[[OUT1]]
// GRADIENTS: scf.for
// GRADIENTS: tnk.store_async %{{.*}} to %[[OUT]]
// GRADIENTS-NOT: tnk.store_async
// Of segments a state for each attention, and a row of the scan.
// GRADIENTS-LABEL: tnk.kernel @attention_states(
// GRADIENTS-COUNT-2: tnk.load_async
// GRADIENTS-NOT: tnk.load_async
// GRADIENTS-LABEL: tnk.kernel @attention_scan(
// GRADIENTS: arith.divui %{{.*}}, %c3
// GRADIENTS: arith.remui %{{.*}}, %c3
// GRADIENTS-LABEL: tnk.kernel @attention_outputs(
// GRADIENTS: tnk.store_async
// GRADIENTS-NOT: tnk.store_async
