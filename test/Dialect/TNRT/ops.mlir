// The schedule prints as it was parsed.
// RUN: tnllm-opt %s | tnllm-opt | FileCheck %s
// RUN: tnllm-opt %s --mlir-print-op-generic | tnllm-opt | FileCheck %s

tnk.kernel @linear(%x: memref<256x64xf32>, %w: memref<1x64x64xf32>, %y: memref<256x64xf32>,
                   %rows: index, %task: index) {
  tnk.return
}

// CHECK-LABEL: func @schedule(%{{.*}}: !tnrt.context
func.func @schedule(%context: !tnrt.context, %rows: index) {
  // CHECK: tnrt.arena %{{.*}} : memref<131072xi8>
  %arena = tnrt.arena %context : memref<131072xi8>
  %c0 = arith.constant 0 : index
  %x = memref.view %arena[%c0][] : memref<131072xi8> to memref<256x64xf32>
  // CHECK: tnrt.alloc : memref<256x64xf32>
  %y = tnrt.alloc : memref<256x64xf32>
  // CHECK: tnrt.param %{{.*}}[3] : memref<1x64x64xf32>
  %w = tnrt.param %context[3] : memref<1x64x64xf32>
  // CHECK: tnrt.state %{{.*}}[0] : memref<64x4x32x16xf32>
  %s = tnrt.state %context[0] : memref<64x4x32x16xf32>
  // CHECK: tnrt.gradient %{{.*}}[3] : memref<192x64xf32>
  %g = tnrt.gradient %context[3] : memref<192x64xf32>
  // CHECK: tnrt.launch %{{.*}} @linear tasks(%{{.*}}) (%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) : memref<256x64xf32>, memref<1x64x64xf32>, memref<256x64xf32>, index
  tnrt.launch %context @linear tasks(%rows) (%x, %w, %y, %rows)
      : memref<256x64xf32>, memref<1x64x64xf32>, memref<256x64xf32>, index
  // CHECK: tnrt.probe %{{.*}}[1] %{{.*}}, %{{.*}} : memref<256x64xf32>
  tnrt.probe %context[1] %y, %rows : memref<256x64xf32>
  // CHECK: tnrt.param %{{.*}}[3 + %{{.*}}] : memref<1x64x64xf32>
  %v = tnrt.param %context[3 + %rows] : memref<1x64x64xf32>
  // CHECK: tnrt.state %{{.*}}[1 + %{{.*}}] : memref<64x4x32x16xf32>
  %t = tnrt.state %context[1 + %rows] : memref<64x4x32x16xf32>
  // CHECK: tnrt.gradient %{{.*}}[3 + %{{.*}}] : memref<192x64xf32>
  %h = tnrt.gradient %context[3 + %rows] : memref<192x64xf32>
  // CHECK: tnrt.probe %{{.*}}[0 + %{{.*}}] %{{.*}}, %{{.*}} : memref<256x64xf32>
  tnrt.probe %context[0 + %rows] %y, %rows : memref<256x64xf32>
  // CHECK: tnrt.row %{{.*}}[%{{.*}}] : memref<1x64x64xf32> -> memref<64x64xf32>
  %r = tnrt.row %w[%rows] : memref<1x64x64xf32> -> memref<64x64xf32>
  return
}

// A kernel after convert-tnk-to-func, and its launch.
// CHECK-LABEL: func private @lowered(%{{.*}}: !tnrt.arguments, %{{.*}}: i64)
func.func private @lowered(%args: !tnrt.arguments, %task: i64) {
  // CHECK: tnrt.kernel_arg %{{.*}}[0] : memref<256x64xf32>
  %x = tnrt.kernel_arg %args[0] : memref<256x64xf32>
  // CHECK: tnrt.kernel_arg %{{.*}}[1] : index
  %rows = tnrt.kernel_arg %args[1] : index
  %v = memref.load %x[%rows, %rows] : memref<256x64xf32>
  memref.store %v, %x[%rows, %rows] : memref<256x64xf32>
  return
}

// CHECK-LABEL: func @launch_lowered
func.func @launch_lowered(%context: !tnrt.context, %x: memref<256x64xf32>, %rows: index) {
  // CHECK: tnrt.launch %{{.*}} @lowered
  tnrt.launch %context @lowered tasks(%rows) (%x, %rows) : memref<256x64xf32>, index
  return
}

// CHECK-LABEL: func private @layouts
// CHECK-SAME: a = #tnrt.layout<rows, 0, 0>, b = #tnrt.layout<panels, 64, 2>, c = #tnrt.layout<row_scales, 0, 0>
func.func private @layouts() attributes {
  a = #tnrt.layout<rows, 0, 0>, b = #tnrt.layout<panels, 64, 2>, c = #tnrt.layout<row_scales, 0, 0>
}

tnk.kernel @nothing(%task: index) {
  tnk.return
}

// A launch without arguments.
// CHECK-LABEL: func @launch_nothing
func.func @launch_nothing(%context: !tnrt.context, %n: index) {
  // CHECK: tnrt.launch %{{.*}} @nothing tasks(%{{.*}}) (){{$}}
  tnrt.launch %context @nothing tasks(%n) ()
  return
}

// CHECK-LABEL: func @device
func.func @device(%context: !tnrt.context, %x: memref<8x64xbf16>, %w: memref<16x64xbf16>,
                  %y: memref<8x16xf32>, %z: memref<8x16xbf16>, %n: index) {
  // CHECK: tnrt.constants %{{.*}} : memref<64xi8>
  %c = tnrt.constants %context : memref<64xi8>
  // CHECK: tnrt.matmul %{{.*}} %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : memref<8x64xbf16>, memref<16x64xbf16>, memref<8x16xf32>
  tnrt.matmul %context %x, %w, %y, %n : memref<8x64xbf16>, memref<16x64xbf16>, memref<8x16xf32>
  // CHECK: tnrt.matmul %{{.*}} %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} plus %{{.*}} : memref<8x16xf32> : memref<8x64xbf16>
  tnrt.matmul %context %x, %w, %y, %n plus %y : memref<8x16xf32> : memref<8x64xbf16>, memref<16x64xbf16>, memref<8x16xf32>
  // CHECK: tnrt.matmul form(input_grad) %{{.*}} %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : memref<8x16xbf16>, memref<16x64xbf16>, memref<8x64xbf16>
  tnrt.matmul form(input_grad) %context %z, %w, %x, %n : memref<8x16xbf16>, memref<16x64xbf16>, memref<8x64xbf16>
  // CHECK: tnrt.matmul {{.*}} memref<8x16xbf16>
  tnrt.matmul %context %x, %w, %z, %n : memref<8x64xbf16>, memref<16x64xbf16>, memref<8x16xbf16>
  // CHECK: tnrt.tensor_map %{{.*}} %{{.*}} batch(%{{.*}}) length(%{{.*}}) heads(2) : memref<8x64xbf16> -> <64x64xbf16>
  %m = tnrt.tensor_map %context %x batch(%n) length(%n) heads(2) : memref<8x64xbf16> -> <64x64xbf16>
  // CHECK: tnrt.launch %{{.*}} @kernels::@k tasks(%{{.*}}) (%{{.*}}, %{{.*}}) : memref<8x16xf32>, index
  tnrt.launch %context @kernels::@k tasks(%n) (%y, %n) : memref<8x16xf32>, index
  // CHECK: tnrt.launch %{{.*}} @kernels::@lowered tasks(%{{.*}}) (%{{.*}}) : !tnk.map<64x64xbf16>
  tnrt.launch %context @kernels::@lowered tasks(%n) (%m) : !tnk.map<64x64xbf16>
  return
}

// Kernels after convert-tnk-to-gpu, and further down.
gpu.module @kernels {
  gpu.func @k(%x: memref<8x16xf32>, %n: i64) kernel {
    gpu.return
  }
  llvm.func @lowered(%x: !llvm.ptr) attributes {gpu.kernel} {
    llvm.return
  }
}
