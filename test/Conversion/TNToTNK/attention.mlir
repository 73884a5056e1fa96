// RUN: tnllm-opt %s --convert-tn-to-tnk='panel-width=16 chunk=32 tile-rows=4' --canonicalize \
// RUN:   | FileCheck %s
// RUN: tnllm-opt %s --convert-tn-to-tnk='panel-width=16 chunk=32 tile-rows=4 block-bytes=2048' \
// RUN:   | FileCheck %s --check-prefix=SMALL

// A second cache of four blocks of 2 KiB holds keys of 16 positions, not of 32.
// SMALL-LABEL: tnk.kernel @attention_chunked(
// SMALL-DAG: memref.alloca() {alignment = 64 : i64} : memref<24x16xf32>
// SMALL-DAG: memref.alloca() {alignment = 64 : i64} : memref<16x16xf32>

// One definition, two forms: the recurrence where the length is 1, chunks else. A task
// is one head of one sequence; the state is updated in place.

// CHECK: tnrt.states = [tensor<?x3x24x20xf32>]
// CHECK-LABEL: func.func @prefill(
// CHECK-SAME: %[[C:.*]]: !tnrt.context, %[[B:.*]]: index, %[[N:.*]]: index,
// CHECK-DAG: %[[STATE:.*]] = tnrt.state %[[C]][0] : memref<16x3x24x20xf32>
// CHECK-DAG: %[[SLOPES:.*]] = memref.get_global @constant : memref<3xf32>
// CHECK-DAG: %[[TASKS:.*]] = arith.muli %[[B]], %c3
// CHECK: tnrt.launch %[[C]] @attention_chunked tasks(%[[TASKS]]) ({{.*}}, %[[SLOPES]], %[[STATE]], %{{.*}}, %[[N]])
// CHECK-LABEL: func.func @decode(
// CHECK-SAME: %[[C:.*]]: !tnrt.context, %[[B:.*]]: index, %{{.*}}: index,
// CHECK: tnrt.launch %[[C]] @attention_recurrent

// CHECK-LABEL: tnk.kernel @attention_chunked(
// CHECK-SAME: %[[Q:[^ ]*]]: memref<16x72xf32>, %[[K:[^ ]*]]: memref<16x72xf32>, %[[V:[^ ]*]]: memref<16x60xf32>, %[[S:[^ ]*]]: memref<3xf32>, %[[STATE:[^ ]*]]: memref<16x3x24x20xf32>, %[[O:[^ ]*]]: memref<16x60xf32>, %[[N:[^ ]*]]: index, %[[T:[^ ]*]]: index)
// CHECK-DAG: %[[SEQ:.*]] = arith.divui %[[T]], %c3
// CHECK-DAG: %[[HEAD:.*]] = arith.remui %[[T]], %c3
// CHECK: memref.load %[[S]][%[[HEAD]]]
// CHECK: %[[MINE:.*]] = memref.subview %[[STATE]][%[[SEQ]], %[[HEAD]], 0, 0] [1, 1, 24, 20]
// CHECK-DAG: %[[POWERS:.*]] = memref.alloca() {alignment = 64 : i64} : memref<1x64xf32>
// CHECK-DAG: %[[KT:.*]] = memref.alloca() {alignment = 64 : i64} : memref<24x32xf32>
// CHECK-DAG: %[[KD:.*]] = memref.alloca() {alignment = 64 : i64} : memref<32x24xf32>
// CHECK-DAG: %[[P:.*]] = memref.alloca() {alignment = 64 : i64} : memref<32x32xf32>
// Powers of lambda up to the chunk, none below zero exponents.
// CHECK: math.exp {{.*}} : vector<32xf32>
// CHECK: vector.transfer_write {{.*}}, %[[POWERS]]
// CHECK: scf.for %{{.*}} = %c0 to %[[N]] step %c32
// CHECK: vector.transpose {{.*}} : vector<16x16xf32>
// CHECK: vector.transpose {{.*}} : vector<16x8xf32> to vector<8x16xf32>
// Scores, masked by select: what is above the diagonal may be infinite.
// CHECK: tnk.contract %[[Q]][{{.*}}], %[[KT]][{{.*}}], %{{.*}} depth %c24 : {{.*}}, vector<4x16xf32>
// CHECK: arith.cmpf ogt
// CHECK: arith.select
// CHECK: vector.transfer_write %{{.*}}, %[[P]]
// Outputs: what the state gives, then what the chunk gives; 20 columns are 16 and 4.
// CHECK: tnk.contract %[[Q]][{{.*}}], %[[MINE]][{{.*}}], %{{.*}} depth %c24 : {{.*}}, vector<4x16xf32>
// CHECK: tnk.contract %[[P]][{{.*}}], %[[V]][{{.*}}, vector<4x16xf32>
// CHECK: arith.mulf %{{.*}}, %{{.*}} : vector<4x16xf32>
// CHECK: vector.transfer_write %{{.*}}, %[[O]]
// CHECK: tnk.contract %[[Q]][{{.*}}], %[[MINE]][{{.*}}], %{{.*}} depth %c24 : {{.*}}, vector<4x4xf32>
// The state of the next chunk.
// CHECK: tnk.contract transpose_a %[[KD]][{{.*}}], %[[V]][{{.*}}, vector<4x16xf32>
// CHECK: vector.transfer_write %{{.*}}, %[[MINE]]

// The recurrence reads and writes the state once, a row of it at a time.
// CHECK-LABEL: tnk.kernel @attention_recurrent(
// CHECK-NOT: tnk.contract
// CHECK: %[[MINE:.*]] = memref.subview
// CHECK: %[[SUM:.*]] = scf.for %[[D:[^ ]*]] = %c0 to %c24 {{.*}} -> (vector<16xf32>) {
// CHECK: %[[ROW:.*]] = vector.{{.*}} %[[MINE]][%[[D]], %c0]
// CHECK: arith.mulf %[[ROW]]
// CHECK: %[[NEW:.*]] = math.fma
// CHECK: vector.transfer_write %[[NEW]], %[[MINE]][%[[D]], %c0]
// CHECK: math.fma {{.*}}, %[[NEW]],
// CHECK: arith.mulf
// CHECK: scf.for {{.*}} -> (vector<4xf32>) {
// CHECK-NOT: tnk.kernel
func.func @prefill(%q: tensor<?x?x3x24xf32>, %k: tensor<?x?x3x24xf32>,
                   %v: tensor<?x?x3x20xf32>,
                   %s: tensor<?x3x24x20xf32> {tn.state = 0 : i64})
    -> (tensor<?x?x3x20xf32>, tensor<?x3x24x20xf32>) attributes {tn.rows = 16 : i64} {
  %d = tn.decay_slopes <headwise, layer = 0 of 1> : tensor<3xf32>
  %o, %n = tn.lightning_attention %q, %k, %v, %d, %s {scale = 0.5 : f32}
      : tensor<?x?x3x24xf32>, tensor<?x?x3x24xf32>, tensor<?x?x3x20xf32>, tensor<3xf32>,
        tensor<?x3x24x20xf32> -> tensor<?x?x3x20xf32>, tensor<?x3x24x20xf32>
  return %o, %n : tensor<?x?x3x20xf32>, tensor<?x3x24x20xf32>
}
func.func @decode(%q: tensor<?x1x3x24xf32>, %k: tensor<?x1x3x24xf32>,
                  %v: tensor<?x1x3x20xf32>,
                  %s: tensor<?x3x24x20xf32> {tn.state = 0 : i64})
    -> (tensor<?x1x3x20xf32>, tensor<?x3x24x20xf32>) attributes {tn.rows = 16 : i64} {
  %d = tn.decay_slopes <headwise, layer = 0 of 1> : tensor<3xf32>
  %o, %n = tn.lightning_attention %q, %k, %v, %d, %s {scale = 0.5 : f32}
      : tensor<?x1x3x24xf32>, tensor<?x1x3x24xf32>, tensor<?x1x3x20xf32>, tensor<3xf32>,
        tensor<?x3x24x20xf32> -> tensor<?x1x3x20xf32>, tensor<?x3x24x20xf32>
  return %o, %n : tensor<?x1x3x20xf32>, tensor<?x3x24x20xf32>
}
