// The schedule of a GPU program: kernels by number, products and constants by calls.
// RUN: tnllm-opt %s --convert-tnrt-to-llvm --allow-unregistered-dialect | FileCheck %s

// The table holds what is launched, in the order of the first launches, and what the runtime
// launches.
// CHECK: module attributes {tnrt.device_kernels = [@kernels::@b, @kernels::@a, @kernels::@runtime]}

// CHECK-LABEL: llvm.func @prefill(
// CHECK-SAME: %[[C:[^:]*]]: !llvm.ptr, %[[N:[^:]*]]: i64, %[[X:[^:]*]]: !llvm.ptr, %[[W:[^:]*]]: !llvm.ptr, %[[Y:[^:]*]]: !llvm.ptr)
// CHECK: llvm.call @tnrt_constants(%[[C]]) : (!llvm.ptr) -> !llvm.ptr
// Rows, N = 16, K = 64; 3 is bf16 and 1 is f32, as in tnrt::DType.
// CHECK: %[[COLUMNS:.*]] = llvm.mlir.constant(16 : i64)
// CHECK: %[[DEPTH:.*]] = llvm.mlir.constant(64 : i64)
// CHECK: %[[FORM:.*]] = llvm.mlir.constant(0 : i64)
// CHECK: %[[BF16:.*]] = llvm.mlir.constant(3 : i64)
// CHECK: %[[F32:.*]] = llvm.mlir.constant(1 : i64)
// CHECK: llvm.call @tnrt_matmul(%[[C]], %[[N]], %[[COLUMNS]], %[[DEPTH]], %[[FORM]], %[[BF16]], %[[F32]], %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) : (!llvm.ptr, i64, i64, i64, i64, i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr) -> ()
// CHECK: llvm.store %{{.*}}, %{{.*}} : !llvm.ptr, !llvm.ptr
// CHECK: llvm.store %[[N]], %{{.*}} : i64, !llvm.ptr
// CHECK: %[[FIRST:.*]] = llvm.mlir.constant(0 : i64)
// CHECK: llvm.call @tnrt_launch_device(%[[C]], %[[FIRST]], %[[N]], %{{.*}}) : (!llvm.ptr, i64, i64, !llvm.ptr) -> ()
// CHECK: %[[SECOND:.*]] = llvm.mlir.constant(1 : i64)
// CHECK: llvm.call @tnrt_launch_device(%[[C]], %[[SECOND]], %[[N]], %{{.*}})
// CHECK: %[[AGAIN:.*]] = llvm.mlir.constant(0 : i64)
// CHECK: llvm.call @tnrt_launch_device(%[[C]], %[[AGAIN]], %[[N]], %{{.*}})
// CHECK-NOT: @tnrt_launch(
func.func @prefill(%c: !tnrt.context, %n: index, %x: memref<8x64xbf16>, %w: memref<16x64xbf16>,
                   %y: memref<8x16xf32>) attributes {tnrt.entry} {
  %bytes = tnrt.constants %c : memref<64xi8>
  "test.use"(%bytes) : (memref<64xi8>) -> ()
  tnrt.matmul %c %x, %w, %y, %n : memref<8x64xbf16>, memref<16x64xbf16>, memref<8x16xf32>
  tnrt.launch %c @kernels::@b tasks(%n) (%y, %n) : memref<8x16xf32>, index
  tnrt.launch %c @kernels::@a tasks(%n) (%y) : memref<8x16xf32>
  tnrt.launch %c @kernels::@b tasks(%n) (%y, %n) : memref<8x16xf32>, index
  return
}

gpu.module @kernels {
  llvm.func @a(%x: !llvm.ptr) attributes {gpu.kernel} {
    llvm.return
  }
  llvm.func @unused(%x: !llvm.ptr) attributes {gpu.kernel} {
    llvm.return
  }
  llvm.func @runtime(%x: !llvm.ptr) attributes {gpu.kernel, tnrt.entry} {
    llvm.return
  }
  llvm.func @b(%x: !llvm.ptr, %n: i64) attributes {gpu.kernel} {
    llvm.return
  }
}

// A map is 128 bytes of the stack at a multiple of 64, in the entry block though it is used in
// another. Its geometry is [column, head, position, batch]: sizes, strides in bytes, boxes.
// Here 2 heads of 32 columns, rows of 128 elements, from element 64 on.
// CHECK-LABEL: llvm.func internal @maps(
// CHECK-SAME: %[[C:[^:]*]]: !llvm.ptr, %[[B:[^:]*]]: i64, %[[N:[^:]*]]: i64, %[[Q:[^:]*]]: !llvm.ptr
// CHECK-DAG: %[[WORDS:.*]] = llvm.mlir.constant(11 : i64)
// CHECK-DAG: %[[GEOMETRY:.*]] = llvm.alloca %[[WORDS]] x i64 {alignment = 8 : i64}
// CHECK-DAG: %[[BYTES:.*]] = llvm.mlir.constant(128 : i64)
// CHECK-DAG: %[[MAP:.*]] = llvm.alloca %[[BYTES]] x i8 {alignment = 64 : i64}
// CHECK: llvm.cond_br
// CHECK: ^{{.*}}:
// CHECK: %[[ROW:.*]] = llvm.mlir.constant(256 : i64)
// CHECK: %[[SEQUENCE:.*]] = llvm.mul %[[N]], %[[ROW]]
// CHECK: llvm.getelementptr %[[GEOMETRY]][0]
// CHECK: llvm.getelementptr %[[GEOMETRY]][2]
// CHECK-NEXT: llvm.store %[[N]],
// CHECK: llvm.getelementptr %[[GEOMETRY]][3]
// CHECK-NEXT: llvm.store %[[B]],
// CHECK: llvm.getelementptr %[[GEOMETRY]][6]
// CHECK-NEXT: llvm.store %[[SEQUENCE]],
// CHECK: llvm.getelementptr %[[GEOMETRY]][10]
// CHECK: %[[DATA:.*]] = llvm.getelementptr {{.*}} : (!llvm.ptr, i64) -> !llvm.ptr, bf16
// CHECK: llvm.call @tnrt_tensor_map(%[[C]], %[[MAP]], %{{.*}}, %{{.*}}, %{{.*}}, %[[GEOMETRY]])
// CHECK: llvm.store %[[MAP]], %{{.*}} : !llvm.ptr, !llvm.ptr
// CHECK: llvm.call @tnrt_launch_device(
func.func private @maps(%c: !tnrt.context, %b: index, %n: index,
                        %q: memref<8x64xbf16, strided<[128, 1], offset: 64>>, %p: i1) {
  cf.cond_br %p, ^then, ^end
^then:
  %m = tnrt.tensor_map %c %q batch(%b) length(%n) heads(2)
      : memref<8x64xbf16, strided<[128, 1], offset: 64>> -> <64x64xbf16>
  tnrt.launch %c @kernels::@a tasks(%n) (%m) : !tnk.map<64x64xbf16>
  cf.br ^end
^end:
  return
}

// The adjoints: w as it lies (2), x transposed too (3), added to y (4).
// CHECK-LABEL: llvm.func @gradients(
// CHECK-SAME: %[[C:[^:]*]]: !llvm.ptr, %[[N:[^:]*]]: i64,
// CHECK-DAG: %[[PLAIN:.*]] = llvm.mlir.constant(2 : i64)
// CHECK: llvm.call @tnrt_matmul(%[[C]], %[[N]], %{{.*}}, %{{.*}}, %[[PLAIN]],
// CHECK: %[[WIDTH:.*]] = llvm.mlir.constant(64 : i64)
// CHECK: %[[ROWS:.*]] = llvm.mlir.constant(16 : i64)
// CHECK: %[[ALL:.*]] = llvm.mlir.constant(7 : i64)
// CHECK: llvm.call @tnrt_matmul(%[[C]], %[[ROWS]], %[[WIDTH]], %[[N]], %[[ALL]],
func.func @gradients(%c: !tnrt.context, %n: index, %x: memref<8x64xf32>, %w: memref<16x64xf32>,
                     %dy: memref<8x16xf32>, %dx: memref<8x64xf32>, %dw: memref<16x64xf32>)
    attributes {tnrt.entry} {
  tnrt.matmul form(input_grad) %c %dy, %w, %dx, %n : memref<8x16xf32>, memref<16x64xf32>, memref<8x64xf32>
  tnrt.matmul form(weight_grad) accumulate %c %dy, %x, %dw, %n : memref<8x16xf32>, memref<8x64xf32>, memref<16x64xf32>
  return
}
