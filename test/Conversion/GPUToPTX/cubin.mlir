// What ptxas makes of the PTX, what it reports, and what it says of a bad one.
// REQUIRES: ptxas
// RUN: tnllm-opt %s --tnk-to-ptx="format=cubin output=%t.cubin report=1" -o %t.mlir 2>&1 \
// RUN:   | FileCheck %s --check-prefix=REPORT
// RUN: llvm-readelf -h %t.cubin | FileCheck %s --check-prefix=ELF
// RUN: tnllm-opt %s --device-pipeline -o %t.mlir
// RUN: not tnllm-opt %t.mlir --pass-pipeline='builtin.module(gpu.module(convert-gpu-to-ptx{format=cubin ptxas=%t.none}))' \
// RUN:   2>&1 | FileCheck %s --check-prefix=NONE

// REPORT: Compiling entry function 'scale' for 'sm_90a'
// REPORT: 0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
// REPORT: Used {{[0-9]+}} registers
// ELF: Machine: NVIDIA CUDA architecture
// NONE: error: {{.*}}.none: failed
tnk.kernel @scale(%x: memref<64x512xf32>, %row: index) threads(128) {
  %c0 = arith.constant 0 : index
  %two = arith.constant dense<2.0> : vector<512xf32>
  %v = vector.load %x[%row, %c0] : memref<64x512xf32>, vector<512xf32>
  %y = arith.mulf %v, %two : vector<512xf32>
  vector.store %y, %x[%row, %c0] : memref<64x512xf32>, vector<512xf32>
  tnk.return
}
