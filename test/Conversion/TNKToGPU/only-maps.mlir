// A kernel whose only use of LLVM's dialect is the type of a tensor map.
// RUN: tnllm-opt %s --convert-tnk-to-gpu | FileCheck %s

// CHECK: gpu.func @k(%{{.*}}: !llvm.ptr
tnk.kernel @k(%a: !tnk.map<64x64xbf16>, %b: memref<64x64xbf16>, %t: index) threads(128) {
  tnk.return
}
