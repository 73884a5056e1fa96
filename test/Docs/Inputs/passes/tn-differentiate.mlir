// tnllm-opt %s --tn-differentiate=function=f
tn.param @w : tensor<8x8xf32> init <normal, 2.0e-02 : f64>

func.func @f(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %w = tn.get_param @w : tensor<8x8xf32>
  %0 = tn.linear %x, %w : tensor<?x8xf32>, tensor<8x8xf32> -> tensor<?x8xf32>
  %1 = tn.activation <silu> %0 : tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}
