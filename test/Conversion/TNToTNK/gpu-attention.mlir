// Attention on a GPU by recurrence: a task is a warp with some columns of a head.
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256' --canonicalize --cse | FileCheck %s

// 192 columns are six tasks of 32, for each of 3 heads.
// CHECK-LABEL: func.func @prefill(
// CHECK: %[[TASKS:.*]] = arith.muli %{{.*}}, %c18
// CHECK: tnrt.launch %{{.*}} @attention_sequential tasks(%[[TASKS]])
// 20 columns are one task of 20.
// CHECK-LABEL: func.func @decode(
// CHECK: %[[TASKS:.*]] = arith.muli %{{.*}}, %c3
// CHECK: tnrt.launch %{{.*}} @attention_recurrent tasks(%[[TASKS]])

// Any length: the state stays in shared memory from the first position to the last. Keys,
// queries and values of 8 positions are loaded at once, between two barriers; rows past the
// last position are that one.
// CHECK-LABEL: tnk.kernel @attention_sequential(
// CHECK-SAME: %[[LENGTH:[^:]*]]: index, %[[TASK:[^:]*]]: index) threads(32)
// What a launch costs: the slopes; q, k, v and the output of a row; a state, read and
// written; 5 operations for each of its elements and position.
// CHECK-SAME: tnk.cost = array<i64: 12, 5760, 221184, 138240>
// CHECK-DAG: %[[STATE:.*]] = tnk.shared : memref<48x32xf32, #gpu.address_space<workgroup>>
// CHECK-DAG: tnk.shared : memref<8x48xf32, #gpu.address_space<workgroup>>
// CHECK-DAG: tnk.shared : memref<8x32xf32, #gpu.address_space<workgroup>>
// CHECK: scf.for %{{.*}} = %c0 to %c48
// CHECK: vector.transfer_write {{.*}}, %[[STATE]]
// CHECK: scf.for %[[START:.*]] = %c0 to %[[LENGTH]] step %c8
// CHECK: arith.minsi
// CHECK-COUNT-24: vector.transfer_read
// CHECK-NOT: vector.transfer_read
// CHECK: gpu.barrier
// CHECK-COUNT-24: vector.transfer_write
// CHECK: gpu.barrier
// CHECK: scf.for
// CHECK: scf.for %{{.*}} = %c0 to %c48 step %c16 iter_args({{.*}}) -> (vector<32xf32>, vector<32xf32>, vector<32xf32>, vector<32xf32>)
// CHECK: math.fma
// CHECK: vector.transfer_write {{.*}}, %[[STATE]]
// CHECK: math.fma
// CHECK: scf.yield
// CHECK-COUNT-3: arith.addf {{.*}} : vector<32xf32>
// CHECK: scf.for
// CHECK: vector.transfer_read %[[STATE]]

// One position: four warps share the 24 rows of the state, all of which are loaded before
// the inputs are there. Keys and queries go along the rows of a tile, values along its columns.
// CHECK-LABEL: tnk.kernel @attention_recurrent(
// CHECK-SAME: %[[Q:[^:]*]]: memref<16x72xf32>, %[[K:[^:]*]]: memref<16x72xf32>, %[[V:[^:]*]]: memref<16x60xf32>, %{{[^:]*}}: memref<3xf32>, %{{[^:]*}}: memref<16x3x24x20xf32>, %[[OUT:[^:]*]]: memref<16x60xf32>
// CHECK-SAME: threads(128)
// CHECK-COUNT-6: vector.transfer_read {{.*}} : memref<24x20xf32, {{.*}}>, vector<4x20xf32>
// CHECK: tnk.wait_inputs
// CHECK: vector.transfer_read %[[V]]{{.*}} {in_bounds = [true, true], permutation_map = #[[$COLUMNS:.*]]} : memref<16x60xf32>, vector<4x20xf32>
// CHECK: vector.transfer_read %[[K]]{{.*}} {in_bounds = [true, true], permutation_map = #[[$ROWS:.*]]} : memref<16x72xf32>, vector<4x20xf32>
// CHECK: vector.transfer_read %[[Q]]
// CHECK-COUNT-6: vector.transfer_write {{.*}} : vector<4x20xf32>, memref<24x20xf32
// The warps' sums, in their order.
// CHECK: %[[PARTS:.*]] = tnk.shared : memref<4x20xf32, #gpu.address_space<workgroup>>
// CHECK: vector.transfer_write %{{.*}}, %[[PARTS]]
// CHECK: gpu.barrier
// CHECK-COUNT-4: vector.transfer_read %[[PARTS]]{{.*}} vector<20xf32>
// CHECK: vector.transfer_write {{.*}}, %[[OUT]]
func.func @prefill(%q: tensor<?x?x3x48xf32>, %k: tensor<?x?x3x48xf32>,
                   %v: tensor<?x?x3x192xf32>,
                   %s: tensor<?x3x48x192xf32> {tn.state = 0 : i64})
    -> (tensor<?x?x3x192xf32>, tensor<?x3x48x192xf32>) attributes {tn.rows = 16 : i64} {
  %d = tn.decay_slopes <headwise, layer = 0 of 1> : tensor<3xf32>
  %o, %n = tn.lightning_attention %q, %k, %v, %d, %s {scale = 0.5 : f32}
      : tensor<?x?x3x48xf32>, tensor<?x?x3x48xf32>, tensor<?x?x3x192xf32>, tensor<3xf32>,
        tensor<?x3x48x192xf32> -> tensor<?x?x3x192xf32>, tensor<?x3x48x192xf32>
  return %o, %n : tensor<?x?x3x192xf32>, tensor<?x3x48x192xf32>
}
func.func @decode(%q: tensor<?x1x3x24xf32>, %k: tensor<?x1x3x24xf32>,
                  %v: tensor<?x1x3x20xf32>,
                  %s: tensor<?x3x24x20xf32> {tn.state = 1 : i64})
    -> (tensor<?x1x3x20xf32>, tensor<?x3x24x20xf32>) attributes {tn.rows = 16 : i64} {
  %d = tn.decay_slopes <headwise, layer = 0 of 1> : tensor<3xf32>
  %o, %n = tn.lightning_attention %q, %k, %v, %d, %s {scale = 0.5 : f32}
      : tensor<?x1x3x24xf32>, tensor<?x1x3x24xf32>, tensor<?x1x3x20xf32>, tensor<3xf32>,
        tensor<?x3x24x20xf32> -> tensor<?x1x3x20xf32>, tensor<?x3x24x20xf32>
  return %o, %n : tensor<?x1x3x20xf32>, tensor<?x3x24x20xf32>
}
