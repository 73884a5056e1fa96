// tnllm-opt %s --convert-tn-to-tnk="tile-rows=2 panel-width=8" --canonicalize --cse
tn.param @w : tensor<24x8xf32> init <normal, 2.0e-02 : f64>

func.func @f(%x: tensor<?x?x8xf32>) -> tensor<?x?x24xf32> attributes {tn.rows = 16 : i64} {
  %w = tn.get_param @w : tensor<24x8xf32>
  %y = tn.linear %x, %w : tensor<?x?x8xf32>, tensor<24x8xf32> -> tensor<?x?x24xf32>
  return %y : tensor<?x?x24xf32>
}
