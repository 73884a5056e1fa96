// A training program on a GPU has the optimizer's two entry points. Three parameters of less
// than a chunk of 1024 elements are three chunks.
// RUN: tnllm-opt %S/training.mlir --convert-tn-to-tnk='training=1 gpu-threads=256' | FileCheck %s
// RUN: tnllm-opt %S/training.mlir --convert-tn-to-tnk='training=1 gpu-threads=256' \
// RUN:   --canonicalize --cse | tnllm-opt - --device-pipeline -o /dev/null
// A block of 96 threads takes a chunk in a tile and a rest.
// RUN: tnllm-opt %S/training.mlir --convert-tn-to-tnk='training=1 gpu-threads=96' \
// RUN:   --canonicalize --cse | tnllm-opt - --device-pipeline -o /dev/null
// RUN: tnllm-opt %S/training.mlir --convert-tn-to-tnk=training=1 | FileCheck %s --check-prefix=CPU

// CPU-NOT: @adamw

// Four chunks at most are one task's.
// CHECK: func.func @gradient_norm(%[[C:[^:]*]]: !tnrt.context, %{{[^:]*}}: index,
// CHECK-SAME: %[[G:[^:]*]]: memref<3x1024xf32>, %[[SUMS:[^:]*]]: memref<1xf32>, %[[NORM:[^:]*]]: memref<1xf32>) attributes {tnrt.entry}
// CHECK: tnrt.launch %[[C]] @gradient_squares tasks(%c1{{[^)]*}}) (%[[G]], %[[SUMS]])
// CHECK: tnrt.launch %[[C]] @norm_of_squares tasks(%c1{{[^)]*}}) (%[[SUMS]], %[[NORM]])

// CHECK: tnk.kernel @gradient_squares(%[[G:[^:]*]]: memref<3x1024xf32>, %[[SUMS:[^:]*]]: memref<1xf32>, %[[TASK:[^:]*]]: index) threads(128)
// CHECK: %[[BEGIN:.*]] = arith.muli %[[TASK]], %c4
// CHECK: %[[AFTER:.*]] = arith.addi %[[BEGIN]], %c4
// CHECK: %[[END:.*]] = arith.minsi %[[AFTER]], %c3
// CHECK: scf.for %[[CHUNK:.*]] = %[[BEGIN]] to %[[END]]
// CHECK: vector.transfer_read %[[G]][%[[CHUNK]],
// CHECK: vector.reduction <add>
// CHECK: memref.store %{{.*}}, %[[SUMS]][%[[TASK]]]

// CHECK: tnk.kernel @norm_of_squares(
// CHECK: math.sqrt

// CHECK: func.func @adamw(%[[C:[^:]*]]: !tnrt.context, %[[N:[^:]*]]: index,
// CHECK-SAME: %[[FACTORS:[^:]*]]: memref<8xf32>, %[[DECAYS:[^:]*]]: memref<3xf32>, %[[G:[^:]*]]: memref<3x1024xf32>,
// CHECK-SAME: %[[P:[^:]*]]: memref<3x1024xf32>, %[[M:[^:]*]]: memref<3x1024xf32>, %[[V:[^:]*]]: memref<3x1024xf32>) attributes {tnrt.entry}
// CHECK: tnrt.launch %[[C]] @adamw_step tasks(%[[N]]) (%[[FACTORS]], %[[DECAYS]], %[[G]], %[[P]], %[[M]], %[[V]])

// What decays is decided by the chunk's flag.
// CHECK: tnk.kernel @adamw_step(%{{.*}}: memref<8xf32>, %[[DECAYS:[^:]*]]: memref<3xf32>, {{.*}}, %[[TASK:[^:]*]]: index) threads(128)
// CHECK: %[[FLAG:.*]] = memref.load %[[DECAYS]][%[[TASK]]]
// CHECK: %[[IS:.*]] = arith.cmpf ogt, %[[FLAG]], %{{.*}}
// CHECK: arith.select %[[IS]]
