// RUN: tnllm-opt %s --convert-tnrt-to-llvm --allow-unregistered-dialect | FileCheck %s

// The runtime's whole ABI is declared, used or not, as tnrt/ABI.def has it.
// CHECK-DAG: llvm.func @tnrt_launch(!llvm.ptr, !llvm.ptr, i64, !llvm.ptr)
// CHECK-DAG: llvm.func @tnrt_arena(!llvm.ptr) -> !llvm.ptr
// CHECK-DAG: llvm.func @tnrt_param(!llvm.ptr, i64) -> !llvm.ptr
// CHECK-DAG: llvm.func @tnrt_state(!llvm.ptr, i64) -> !llvm.ptr
// CHECK-DAG: llvm.func @tnrt_gradient(!llvm.ptr, i64) -> !llvm.ptr
// CHECK-DAG: llvm.func @tnrt_probe(!llvm.ptr, i64, !llvm.ptr, i64, i64)
// CHECK-DAG: llvm.func @tnrt_constants(!llvm.ptr) -> !llvm.ptr
// CHECK-DAG: llvm.func @tnrt_launch_device(!llvm.ptr, i64, i64, !llvm.ptr)
// CHECK-DAG: llvm.func @tnrt_matmul(!llvm.ptr, i64, i64, i64, i64, i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr)
// CHECK-DAG: llvm.func @tnrt_tensor_map(!llvm.ptr, !llvm.ptr, !llvm.ptr, i64, i64, !llvm.ptr)

// An argument is a slot of the array: a pointer, or the size itself. Kernels are
// internal.
// CHECK-LABEL: llvm.func internal @kernel(
// CHECK-SAME: %[[ARGS:.*]]: !llvm.ptr, %{{.*}}: i64)
// CHECK: %[[S0:.*]] = llvm.getelementptr %[[ARGS]][0] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
// CHECK: llvm.load %[[S0]] : !llvm.ptr -> !llvm.ptr
// CHECK: %[[S1:.*]] = llvm.getelementptr %[[ARGS]][1]
// CHECK: llvm.load %[[S1]] : !llvm.ptr -> i64
func.func private @kernel(%args: !tnrt.arguments, %task: i64) {
  %x = tnrt.kernel_arg %args[0] : memref<8x64xf32>
  %n = tnrt.kernel_arg %args[1] : index
  "test.use"(%x, %n) : (memref<8x64xf32>, index) -> ()
  return
}

// Entry points are external and lose their mark. The argument array stands in the entry
// block.
// CHECK-LABEL: llvm.func @prefill(
// CHECK-SAME: %[[C:.*]]: !llvm.ptr, %[[N:.*]]: i64, %[[OUT:.*]]: !llvm.ptr)
// CHECK-NOT: tnrt.entry
// CHECK: %[[TWO:.*]] = llvm.mlir.constant(2 : i64)
// CHECK-NEXT: %[[ARRAY:.*]] = llvm.alloca %[[TWO]] x !llvm.ptr {alignment = 8 : i64}
// CHECK: %[[I3:.*]] = llvm.mlir.constant(3 : i64)
// CHECK: llvm.call @tnrt_param(%[[C]], %[[I3]]) : (!llvm.ptr, i64) -> !llvm.ptr
// CHECK: %[[I1:.*]] = llvm.mlir.constant(1 : i64)
// CHECK: llvm.call @tnrt_state(%[[C]], %[[I1]]) : (!llvm.ptr, i64) -> !llvm.ptr
// CHECK: llvm.call @tnrt_arena(%[[C]]) : (!llvm.ptr) -> !llvm.ptr
// CHECK: %[[A0:.*]] = llvm.getelementptr %[[ARRAY]][0]
// CHECK: llvm.store %{{.*}}, %[[A0]] : !llvm.ptr, !llvm.ptr
// CHECK: %[[A1:.*]] = llvm.getelementptr %[[ARRAY]][1]
// CHECK: llvm.store %[[N]], %[[A1]] : i64, !llvm.ptr
// CHECK: %[[K:.*]] = llvm.mlir.addressof @kernel : !llvm.ptr
// CHECK: llvm.call @tnrt_launch(%[[C]], %[[K]], %[[N]], %[[ARRAY]]) : (!llvm.ptr, !llvm.ptr, i64, !llvm.ptr) -> ()
// CHECK-DAG: %[[I2:.*]] = llvm.mlir.constant(2 : i64)
// CHECK-DAG: %[[COLUMNS:.*]] = llvm.mlir.constant(64 : i64)
// CHECK: llvm.call @tnrt_probe(%[[C]], %[[I2]], %{{.*}}, %[[N]], %[[COLUMNS]])
// CHECK: llvm.call @inner(%[[C]], %[[N]]) : (!llvm.ptr, i64) -> ()
// CHECK: llvm.return
func.func @prefill(%c: !tnrt.context, %n: index, %out: memref<8x64xf32>)
    attributes {tnrt.entry} {
  %w = tnrt.param %c[3] : memref<4x64x64xf32>
  %s = tnrt.state %c[1] : memref<8x4x32x16xf32>
  %arena = tnrt.arena %c : memref<4096xi8>
  "test.use"(%w, %s, %arena)
    : (memref<4x64x64xf32>, memref<8x4x32x16xf32>, memref<4096xi8>) -> ()
  tnrt.launch %c @kernel tasks(%n) (%out, %n) : memref<8x64xf32>, index
  tnrt.probe %c[2] %out, %n : memref<8x64xf32>
  call @inner(%c, %n) : (!tnrt.context, index) -> ()
  return
}

// A function that the runtime does not call is internal, public or not.
// CHECK-LABEL: llvm.func internal @inner(
func.func private @inner(%c: !tnrt.context, %n: index) {
  return
}
// CHECK-LABEL: llvm.func internal @unmarked(
func.func @unmarked(%c: !tnrt.context) {
  return
}

// An index with an offset is their sum; a row is an address in the table; a branch passes
// buffers as descriptors.
// CHECK-LABEL: llvm.func internal @loop(
// CHECK-SAME: %[[C:[^:]*]]: !llvm.ptr, %[[I:[^:]*]]: i64, %[[T:[^:]*]]: !llvm.ptr)
// CHECK: %[[I3:.*]] = llvm.mlir.constant(3 : i64)
// CHECK: %[[I4:.*]] = llvm.add %[[I3]], %[[I]] : i64
// CHECK: llvm.call @tnrt_param(%[[C]], %[[I4]])
// CHECK: %[[S1:.*]] = llvm.mlir.constant(1 : i64)
// CHECK: %[[S2:.*]] = llvm.add %[[S1]], %[[I]] : i64
// CHECK: llvm.call @tnrt_state(%[[C]], %[[S2]])
// CHECK: %[[G2:.*]] = llvm.mlir.constant(2 : i64)
// CHECK: %[[G3:.*]] = llvm.add %[[G2]], %[[I]] : i64
// CHECK: llvm.call @tnrt_gradient(%[[C]], %[[G3]])
// CHECK: %[[SIZE:.*]] = llvm.mlir.constant(8 : i64)
// CHECK: %[[FIRST:.*]] = llvm.mul %[[I]], %[[SIZE]] : i64
// CHECK: llvm.getelementptr %{{.*}}[%[[FIRST]]] : (!llvm.ptr, i64) -> !llvm.ptr, f32
// CHECK: llvm.br ^[[NEXT:.*]](%{{.*}} : !llvm.struct<
// CHECK: ^[[NEXT]](%{{.*}}: !llvm.struct<
// CHECK: %[[P0:.*]] = llvm.mlir.constant(2 : i64)
// CHECK: %[[P1:.*]] = llvm.add %[[P0]], %[[I]] : i64
// CHECK: llvm.call @tnrt_probe(%[[C]], %[[P1]]
func.func @loop(%c: !tnrt.context, %i: index, %table: memref<4x8xf32>) {
  %w = tnrt.param %c[3 + %i] : memref<8x64xf32>
  %s = tnrt.state %c[1 + %i] : memref<8x4x32x16xf32>
  %g = tnrt.gradient %c[2 + %i] : memref<8x64xf32>
  %r = tnrt.row %table[%i] : memref<4x8xf32> -> memref<8xf32>
  "test.use"(%w, %s, %g, %r) : (memref<8x64xf32>, memref<8x4x32x16xf32>, memref<8x64xf32>, memref<8xf32>) -> ()
  cf.br ^next(%w : memref<8x64xf32>)
^next(%x: memref<8x64xf32>):
  tnrt.probe %c[2 + %i] %x, %i : memref<8x64xf32>
  return
}
