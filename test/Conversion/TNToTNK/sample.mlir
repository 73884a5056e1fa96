// One body for both targets: threads of a block, or one thread.
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256' | FileCheck %s --check-prefixes=CHECK,GPU
// RUN: tnllm-opt %s --convert-tn-to-tnk='panel-width=64' | FileCheck %s --check-prefixes=CHECK,CPU
// With threads it goes all the way down.
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256' --tnk-distribute-rows | FileCheck %s --check-prefix=THREADS

// CHECK-LABEL: func.func @sample(
// CHECK-SAME: %[[ROWS:[^:, ]*]]: index, %[[L:[^:]*]]: memref<4x9000xf32>, %[[S:[^:]*]]: memref<4x5xf32>, %[[T:[^:]*]]: memref<4xi32>)
// CHECK: tnrt.launch %{{.*}} @sample_token tasks(%[[ROWS]]) (%[[L]], %[[S]], %[[T]])

// 8 logits a thread, and 1024 threads at most. A launch moves the row, its settings and a
// token, and looks at each logit.
// GPU-LABEL: tnk.kernel @sample_token(
// GPU-SAME: threads(1024) attributes {tnk.cost = array<i64: 0, 36024, 0, 9000>}
// GPU: tnk.shared : memref<4096xi64, #gpu.address_space<workgroup>>
// GPU: vector.reduction <maximumf>, %{{.*}} : vector<8192xf32> into f32
// The rest of the row.
// GPU: vector.reduction <maximumf>, %{{.*}} : vector<808xf32> into f32
// GPU: vector.compressstore {{.*}} : memref<4096xi64, #gpu.address_space<workgroup>>, vector<8192xi1>, vector<8192xi64>
// GPU: gpu.barrier
// The list is searched in vectors of one element a thread, where it does not fit the row.
// GPU: vector.load {{.*}} : memref<4096xi64, #gpu.address_space<workgroup>>, vector<1024xi64>
// GPU: memref.store %{{.*}} : memref<4xi32>
// THREADS-LABEL: tnk.kernel @sample_token(
// THREADS: gpu.thread_id
// THREADS-NOT: vector<8192x

// CPU-LABEL: tnk.kernel @sample_token(
// CPU-NOT: threads
// CPU: memref.alloca() {alignment = 64 : i64} : memref<4096xi64>
// CPU-NOT: gpu.
// CPU: vector.compressstore {{.*}} : memref<4096xi64>, vector<64xi1>, vector<64xi64>
func.func @sample(%logits: tensor<?x9000xf32>, %settings: tensor<?x5xf32>) -> tensor<?xi32>
    attributes {tn.rows = 4 : i64} {
  %0 = tn.sample %logits, %settings : tensor<?x9000xf32>, tensor<?x5xf32> -> tensor<?xi32>
  return %0 : tensor<?xi32>
}
