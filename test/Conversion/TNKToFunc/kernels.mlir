// RUN: tnllm-opt %s --convert-tnk-to-func | FileCheck %s

// Buffers and sizes come out of the argument array, the task as i64; what launches a
// kernel stays as it is.

// CHECK-LABEL: func.func private @double(
// CHECK-SAME: %[[ARGS:.*]]: !tnrt.arguments, %[[T:.*]]: i64) {
// CHECK-DAG: %[[X:.*]] = tnrt.kernel_arg %[[ARGS]][0] : memref<8x64xf32>
// CHECK-DAG: %[[N:.*]] = tnrt.kernel_arg %[[ARGS]][1] : index
// CHECK-DAG: %[[Y:.*]] = tnrt.kernel_arg %[[ARGS]][2] : memref<8x64xf32, strided<[128, 1], offset: 64>>
// CHECK-DAG: %[[TASK:.*]] = arith.index_cast %[[T]] : i64 to index
// CHECK: scf.for %[[I:.*]] = %[[TASK]] to %[[N]]
// CHECK: vector.load %[[X]][%[[I]],
// CHECK: vector.store %{{.*}}, %[[Y]][%[[I]],
// CHECK: return
// CHECK-NOT: tnk.
tnk.kernel @double(%x: memref<8x64xf32>, %n: index,
                   %y: memref<8x64xf32, strided<[128, 1], offset: 64>>, %task: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %task to %n step %c1 {
    %v = vector.load %x[%i, %c0] : memref<8x64xf32>, vector<64xf32>
    %w = arith.addf %v, %v : vector<64xf32>
    vector.store %w, %y[%i, %c0]
        : memref<8x64xf32, strided<[128, 1], offset: 64>>, vector<64xf32>
  }
  tnk.return
}

// A kernel of nothing but its task.
// CHECK-LABEL: func.func private @nothing(
// CHECK-SAME: !tnrt.arguments, %{{.*}}: i64)
// CHECK-NOT: tnrt.kernel_arg
// CHECK: return
tnk.kernel @nothing(%task: index) {
  tnk.return
}

// CHECK-LABEL: func.func private @size(
tnk.kernel @size(%n: index, %task: index) {
  tnk.return
}

// Several blocks keep their order.
// CHECK-LABEL: func.func private @branches(
// CHECK: cf.cond_br
// CHECK: return
// CHECK: return
tnk.kernel @branches(%x: memref<1xf32>, %task: index) {
  %c0 = arith.constant 0 : index
  %first = arith.cmpi eq, %task, %c0 : index
  cf.cond_br %first, ^yes, ^no
^yes:
  %v = memref.load %x[%task] : memref<1xf32>
  memref.store %v, %x[%c0] : memref<1xf32>
  tnk.return
^no:
  tnk.return
}

// CHECK-LABEL: func.func @host(
// CHECK: tnrt.launch %{{.*}} @size tasks(%[[N:.*]]) (%[[N]]) : index
func.func @host(%c: !tnrt.context, %n: index) {
  tnrt.launch %c @size tasks(%n) (%n) : index
  return
}
