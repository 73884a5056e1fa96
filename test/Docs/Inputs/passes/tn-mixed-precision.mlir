// tnllm-opt %s --tn-mixed-precision
tn.param @w : tensor<16x8xf32> init <normal, 2.0e-02 : f64>

func.func @f(%x: tensor<?x?x8xf32>) -> tensor<?x?x16xf32> {
  %w = tn.get_param @w : tensor<16x8xf32>
  %0 = tn.linear %x, %w : tensor<?x?x8xf32>, tensor<16x8xf32> -> tensor<?x?x16xf32>
  return %0 : tensor<?x?x16xf32>
}
