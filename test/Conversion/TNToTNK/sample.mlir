// One body for both targets, in two kernels on a GPU and in one on a CPU.
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256' | FileCheck %s --check-prefixes=CHECK,GPU
// RUN: tnllm-opt %s --convert-tn-to-tnk='panel-width=64' | FileCheck %s --check-prefixes=CHECK,CPU
// With threads it goes all the way down.
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256' --tnk-distribute-rows | FileCheck %s --check-prefix=THREADS

// CHECK-LABEL: func.func @sample(
// CHECK-SAME: %[[ROWS:[^:, ]*]]: index, %[[L:[^:]*]]: memref<4x9000xf32>, %[[S:[^:]*]]: memref<4x5xf32>, %[[T:[^:]*]]: memref<4xi32>)
// CPU: tnrt.launch %{{.*}} @sample_token tasks(%[[ROWS]]) (%[[L]], %[[S]], %[[T]])
// GPU: %[[LIST:.*]] = tnrt.alloc : memref<4x4096xi64>
// GPU: %[[NOTES:.*]] = tnrt.alloc : memref<4x3xf32>
// GPU: tnrt.launch %{{.*}} @sample_list tasks(%[[ROWS]]) (%[[L]], %[[S]], %[[T]], %[[LIST]], %[[NOTES]])
// GPU: tnrt.launch %{{.*}} @sample_token tasks(%[[ROWS]]) (%[[S]], %[[T]], %[[LIST]], %[[NOTES]])

// 8 logits a thread, and 512 threads at most. A launch moves the row, its settings, a
// token and the notes, and looks at each logit.
// GPU-LABEL: tnk.kernel @sample_list(
// GPU-SAME: %[[LIST:[^:]*]]: memref<4x4096xi64>, %[[NOTES:[^:]*]]: memref<4x3xf32>, %[[TASK:[^:]*]]: index) threads(512)
// GPU-SAME: tnk.cost = array<i64: 0, 36036, 0, 9000>
// GPU: vector.reduction <maximumf>, %{{.*}} : vector<4096xf32> into f32
// The rest of the row.
// GPU: vector.reduction <maximumf>, %{{.*}} : vector<808xf32> into f32
// The bound lies between the smallest and the largest of the partial maxima.
// GPU: vector.reduction <minimumf>, %{{.*}} : vector<4096xf32> into f32
// GPU: vector.compressstore %[[LIST]][%[[TASK]], %{{.*}}], {{.*}} : memref<4x4096xi64>, vector<4096xi1>, vector<4096xi64>
// GPU: memref.store %{{.*}}, %[[NOTES]][%[[TASK]], %c2{{[_0-9]*}}]

// One warp searches the list, in vectors of four entries a thread.
// GPU-LABEL: tnk.kernel @sample_token(
// GPU-SAME: %[[LIST:[^:]*]]: memref<4x4096xi64>, %[[NOTES:[^:]*]]: memref<4x3xf32>, %[[TASK:[^:]*]]: index) threads(32)
// GPU: memref.load %[[NOTES]]
// GPU: scf.if
// GPU: vector.load %[[LIST]][%[[TASK]], %{{.*}}] : memref<4x4096xi64>, vector<128xi64>
// GPU: memref.store %{{.*}} : memref<4xi32>
// THREADS-LABEL: tnk.kernel @sample_list(
// THREADS: gpu.thread_id
// THREADS-NOT: vector<4096x
// THREADS-LABEL: tnk.kernel @sample_token(
// THREADS-NOT: gpu.barrier
// THREADS-LABEL: tnk.kernel @score_rows(

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
