// The tiled kernels down to machine code: tensor copies, barriers and wgmma in the PTX; no
// spill and no serialised product in what ptxas reports.
// REQUIRES: ptxas
// RUN: tnllm-opt %s --tnk-generate-attention="heads=8 key-width=128 value-width=128" -o %t.mlir
// RUN: tnllm-opt %t.mlir --tnk-to-ptx="output=%t.ptx report=1" -o %t.llvm 2>&1 | FileCheck %s
// RUN: FileCheck %s --check-prefix=PTX < %t.ptx
// RUN: tnllm-opt %s --tnk-generate-attention="key-width=64 value-width=64" -o %t.mlir
// RUN: tnllm-opt %t.mlir --tnk-to-ptx="output=%t.ptx report=1" -o %t.llvm 2>&1 | FileCheck %s
// RUN: tnllm-opt %s --tnk-generate-attention="key-width=192 value-width=192" -o %t.mlir
// RUN: tnllm-opt %t.mlir --tnk-to-ptx="output=%t.ptx report=1" -o %t.llvm 2>&1 | FileCheck %s
// RUN: tnllm-opt %s --tnk-generate-attention="key-width=256 value-width=128" -o %t.mlir
// RUN: tnllm-opt %t.mlir --tnk-to-ptx="output=%t.ptx report=1" -o %t.llvm 2>&1 | FileCheck %s
// RUN: tnllm-opt %s --tnk-generate-attention="key-width=80 value-width=80" -o %t.mlir
// RUN: tnllm-opt %t.mlir --tnk-to-ptx="output=%t.ptx report=1" -o %t.llvm 2>&1 | FileCheck %s
// RUN: tnllm-opt %s --tnk-generate-linear="columns=1024" -o %t.mlir
// RUN: tnllm-opt %t.mlir --tnk-to-ptx="output=%t.ptx report=1" -o %t.llvm 2>&1 | FileCheck %s
// RUN: tnllm-opt %s --tnk-generate-linear="rows=300 depth=200 columns=136" -o %t.mlir
// RUN: tnllm-opt %t.mlir --tnk-to-ptx="output=%t.ptx report=1" -o %t.llvm 2>&1 | FileCheck %s

// CHECK-NOT: warpgroup.wait is injected
// CHECK-NOT: serialized
// CHECK: 0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
// CHECK-NOT: serialized

// PTX: .extern .shared .align 1024
// PTX: .param .align 64 .b8 attention_param_0[128]
// PTX: .maxntid 512
// PTX: .minnctapersm 1
// PTX: mbarrier.init.shared.b64
// PTX: setmaxnreg.dec.sync.aligned.u32 24
// PTX: mbarrier.arrive.expect_tx
// PTX: cp.async.bulk.tensor.4d.shared::cluster.global
// PTX: setmaxnreg.dec.sync.aligned.u32 104
// PTX: wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16
// PTX: stmatrix.sync.aligned
// PTX: fence.proxy.async.shared::cta
// PTX: setmaxnreg.inc.sync.aligned.u32 192
// PTX: ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16
// PTX: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16
// PTX: cp.async.bulk.tensor.4d.global.shared::cta
module {}
