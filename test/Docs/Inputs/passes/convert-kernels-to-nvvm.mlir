// tnllm-opt %s --pass-pipeline="builtin.module(gpu.module(convert-kernels-to-nvvm,canonicalize))"
gpu.module @kernels {
  gpu.func @k(%x: memref<256xf32>) kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %t = gpu.thread_id x
    %v = vector.load %x[%t] {alignment = 16} : memref<256xf32>, vector<4xf32>
    %e = math.exp2 %v : vector<4xf32>
    vector.store %e, %x[%t] {alignment = 16} : memref<256xf32>, vector<4xf32>
    gpu.return
  }
}
