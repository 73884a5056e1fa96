// tnllm-opt %s --convert-tnk-to-gpu
tnk.kernel @k(%x: memref<8x64xf32>, %task: index) threads(64) {
  %t = gpu.thread_id x
  %s = tnk.shared : memref<64xf32, #gpu.address_space<workgroup>>
  %v = memref.load %x[%task, %t] : memref<8x64xf32>
  memref.store %v, %s[%t] : memref<64xf32, #gpu.address_space<workgroup>>
  tnk.return
}
