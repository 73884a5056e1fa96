// A GPU program that chooses tokens itself carries the kernel with which the runtime scores
// texts (tnrt/score.h), though nothing here launches it. A CPU's does not, nor one that
// leaves the choice to the runtime.
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256' --split-input-file | FileCheck %s
// RUN: tnllm-opt %s --convert-tn-to-tnk='panel-width=64' --split-input-file | FileCheck %s --check-prefix=CPU
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256' --canonicalize --cse --split-input-file \
// RUN:   | tnllm-opt - --split-input-file --device-pipeline | FileCheck %s --check-prefix=DEVICE
// CPU-NOT: score_rows

// The largest logit, then the sum of exponentials, then what the label's logit has less.
// CHECK-LABEL: tnk.kernel @score_rows(
// CHECK-SAME: %[[L:[^:]*]]: memref<4x9000xf32>, %[[LABELS:[^:]*]]: memref<4xi32>, %[[S:[^:]*]]: memref<4xf32>, %[[ROW:[^:]*]]: index) threads(256) attributes {{.*}}tnrt.entry
// CHECK: vector.reduction <maximumf>
// CHECK: %[[MAX:.*]] = arith.maximumf
// CHECK: math.exp
// CHECK: vector.reduction <add>
// CHECK: %[[SUM:.*]] = arith.addf
// CHECK: %[[LABEL:.*]] = memref.load %[[LABELS]][%[[ROW]]]
// CHECK: %[[AT:.*]] = arith.index_cast %[[LABEL]] : i32 to index
// CHECK: %[[TARGET:.*]] = memref.load %[[L]][%[[ROW]], %[[AT]]]
// CHECK: %[[ABOVE:.*]] = arith.subf %[[TARGET]], %[[MAX]]
// CHECK: %[[LOG:.*]] = math.log %[[SUM]]
// CHECK: %[[SCORE:.*]] = arith.subf %[[ABOVE]], %[[LOG]]
// CHECK: memref.store %[[SCORE]], %[[S]][%[[ROW]]]
// DEVICE: llvm.func @score_rows({{.*}} attributes {{.*}}tnrt.entry
func.func @sample(%logits: tensor<?x9000xf32>, %settings: tensor<?x5xf32>) -> tensor<?xi32>
    attributes {tn.rows = 4 : i64} {
  %tokens = tn.sample %logits, %settings : tensor<?x9000xf32>, tensor<?x5xf32> -> tensor<?xi32>
  return %tokens : tensor<?xi32>
}

// -----

// CHECK-LABEL: func.func @other(
// CHECK-NOT: score_rows
func.func @other(%logits: tensor<?x9000xf32>, %settings: tensor<?x5xf32>) -> tensor<?xi32>
    attributes {tn.rows = 4 : i64} {
  %tokens = tn.sample %logits, %settings : tensor<?x9000xf32>, tensor<?x5xf32> -> tensor<?xi32>
  return %tokens : tensor<?xi32>
}
