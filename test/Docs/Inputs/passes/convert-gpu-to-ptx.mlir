// tnllm-opt %s --pass-pipeline="builtin.module(gpu.module(convert-gpu-to-ptx{chip=sm_90a}))" -o /dev/null
gpu.module @kernels {
  llvm.func @double(%x: !llvm.ptr) attributes {gpu.kernel, nvvm.kernel} {
    %0 = llvm.load %x : !llvm.ptr -> f32
    %1 = llvm.fadd %0, %0 : f32
    llvm.store %1, %x : f32, !llvm.ptr
    llvm.return
  }
}
