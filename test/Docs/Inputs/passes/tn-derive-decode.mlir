// tnllm-opt %s --tn-derive-decode="rows=16"
tn.param @table : tensor<256x8xf32> init <normal, 2.0e-02 : f64>

func.func private @block(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %0 = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x?x8xf32> -> tensor<?x?x8xf32>
  return %0 : tensor<?x?x8xf32>
}

func.func @prefill(%ids: tensor<?x?xi32>) -> tensor<?x?x8xf32> attributes {tn.rows = 64 : i64} {
  %table = tn.get_param @table : tensor<256x8xf32>
  %x = tn.embedding %ids, %table : tensor<?x?xi32>, tensor<256x8xf32> -> tensor<?x?x8xf32>
  %y = call @block(%x) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}
