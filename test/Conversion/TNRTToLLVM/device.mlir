// The schedule of a GPU program: kernels by number, products and constants by calls.
// RUN: tnllm-opt %s --convert-tnrt-to-llvm --allow-unregistered-dialect | FileCheck %s

// The table holds what is launched, in the order of the first launches.
// CHECK: module attributes {tnrt.device_kernels = [@kernels::@b, @kernels::@a]}

// CHECK-LABEL: llvm.func @prefill(
// CHECK-SAME: %[[C:[^:]*]]: !llvm.ptr, %[[N:[^:]*]]: i64, %[[X:[^:]*]]: !llvm.ptr, %[[W:[^:]*]]: !llvm.ptr, %[[Y:[^:]*]]: !llvm.ptr)
// CHECK: llvm.call @tnrt_constants(%[[C]]) : (!llvm.ptr) -> !llvm.ptr
// Rows, N = 16, K = 64; 3 is bf16 and 1 is f32, as in tnrt::DType.
// CHECK: %[[COLUMNS:.*]] = llvm.mlir.constant(16 : i64)
// CHECK: %[[DEPTH:.*]] = llvm.mlir.constant(64 : i64)
// CHECK: %[[BF16:.*]] = llvm.mlir.constant(3 : i64)
// CHECK: %[[F32:.*]] = llvm.mlir.constant(1 : i64)
// CHECK: llvm.call @tnrt_matmul(%[[C]], %[[N]], %[[COLUMNS]], %[[DEPTH]], %[[BF16]], %[[F32]], %{{.*}}, %{{.*}}, %{{.*}}) : (!llvm.ptr, i64, i64, i64, i64, i64, !llvm.ptr, !llvm.ptr, !llvm.ptr) -> ()
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
  llvm.func @b(%x: !llvm.ptr, %n: i64) attributes {gpu.kernel} {
    llvm.return
  }
}
