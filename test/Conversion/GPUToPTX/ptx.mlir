// From a kernel's text to PTX, with one pipeline; and the pass alone, with what it
// cannot do.
// RUN: tnllm-opt %s --tnk-to-ptx=chip=sm_90a -o %t.mlir | FileCheck %s --check-prefixes=CHECK,SM90
// RUN: tnllm-opt %s --tnk-to-ptx=chip=sm_80 -o %t.mlir | FileCheck %s --check-prefixes=CHECK,SM80
// RUN: tnllm-opt %s --tnk-to-ptx=output=%t.ptx -o %t.mlir && FileCheck %s < %t.ptx
// RUN: FileCheck %s --check-prefix=MODULE < %t.mlir
// RUN: not tnllm-opt %s --tnk-to-ptx=chip=sm_1 2>&1 | FileCheck %s --check-prefix=CHIP
// RUN: not tnllm-opt %s --tnk-to-ptx=format=text 2>&1 | FileCheck %s --check-prefix=FORMAT
// RUN: not tnllm-opt %s --tnk-to-ptx=output=%t.no-folder/x.ptx 2>&1 | FileCheck %s --check-prefix=OUTPUT

// MODULE: llvm.func @softmax
// CHIP: error: unknown GPU 'sm_1', expected one of sm_80, sm_90a
// FORMAT: error: convert-gpu-to-ptx: expected the format ptx or cubin, got 'text'
// OUTPUT: error: cannot open output file

// Nothing is left for a library that would have to be linked.
// CHECK-NOT: __nv_
// CHECK-NOT: .extern .func
// SM90: .target sm_90a
// SM80: .target sm_80
// CHECK: .extern .shared .align 1024 .b8
// CHECK: .visible .entry softmax(
// CHECK: .maxntid 128
// CHECK: ld.global.v4.b32
// CHECK: shfl.sync.bfly.b32
// CHECK: st.shared
// CHECK: bar.sync
// CHECK: st.global.v4.b32
// CHECK-NOT: __nv_
tnk.kernel @softmax(%x: memref<64x512xf32>, %row: index) threads(128) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<64x512xf32>, vector<512xf32>
  %m = vector.reduction <maximumf>, %v : vector<512xf32> into f32
  %ms = vector.broadcast %m : f32 to vector<512xf32>
  %d = arith.subf %v, %ms : vector<512xf32>
  %e = math.exp %d : vector<512xf32>
  %s = vector.reduction <add>, %e : vector<512xf32> into f32
  %ss = vector.broadcast %s : f32 to vector<512xf32>
  %y = arith.divf %e, %ss : vector<512xf32>
  vector.store %y, %x[%row, %c0] : memref<64x512xf32>, vector<512xf32>
  tnk.return
}
