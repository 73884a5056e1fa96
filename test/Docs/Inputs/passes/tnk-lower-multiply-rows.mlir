// tnllm-opt %s --tnk-lower-multiply-rows --canonicalize --cse
tnk.kernel @k(%x: memref<8x32xbf16>, %w: memref<8x32xbf16>, %rows: index, %task: index) threads(32) {
  %column = arith.constant 0 : index
  %sums = tnk.shared : memref<8x8xf32, #gpu.address_space<workgroup>>
  tnk.multiply_rows %x, weights(%w) [%column] rows(%rows) to(%sums)
      : memref<8x32xbf16>, memref<8x32xbf16> to memref<8x8xf32, #gpu.address_space<workgroup>>
  tnk.return
}
