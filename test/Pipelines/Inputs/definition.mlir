// A model of one linear map with a residual.
tn.param @w : tensor<8x8xf32> init <normal, 1.0>
func.func @prefill(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> attributes {tn.rows = 16 : i64} {
  %w = tn.get_param @w : tensor<8x8xf32>
  %0 = tn.linear %x, %w : tensor<?x?x8xf32>, tensor<8x8xf32> -> tensor<?x?x8xf32>
  %1 = tn.add %x, %0 : tensor<?x?x8xf32>
  return %1 : tensor<?x?x8xf32>
}
