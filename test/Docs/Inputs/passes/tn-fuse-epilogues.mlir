// tnllm-opt %s --tn-fuse-epilogues
func.func @f(%x: tensor<?x?x160xf32>, %w: tensor<64x160xf32>, %r: tensor<?x?x64xf32>) -> tensor<?x?x64xf32> {
  %0 = tn.linear %x, %w : tensor<?x?x160xf32>, tensor<64x160xf32> -> tensor<?x?x64xf32>
  %1 = tn.activation <silu> %0 : tensor<?x?x64xf32>
  %2 = tn.add %r, %1 : tensor<?x?x64xf32>
  return %2 : tensor<?x?x64xf32>
}
