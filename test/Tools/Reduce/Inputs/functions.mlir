tn.param @w : tensor<12x8xf32> init <normal, 2.0e-02 : f64>

func.func private @other(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %0 = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x8xf32> -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

func.func @g(%y: tensor<?x12xf32>, %x: tensor<?x8xf32>, %s: tensor<8xf32>, %b: tensor<8xf32>)
    -> (tensor<?x12xf32>, tensor<?x8xf32>) attributes {tn.rows = 64 : i64} {
  %w = tn.get_param @w : tensor<12x8xf32>
  %0 = call @other(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %1 = tn.fused -> tensor<?x8xf32> {
    %n = tn.norm <layer> %0 weight %s : tensor<8xf32> bias %b : tensor<8xf32> {epsilon = 1.0e-05 : f32} : tensor<?x8xf32> -> tensor<?x8xf32>
    %a = tn.activation <silu> %n : tensor<?x8xf32>
    tn.yield %a : tensor<?x8xf32>
  }
  %2 = tn.linear %1, %w : tensor<?x8xf32>, tensor<12x8xf32> -> tensor<?x12xf32>
  %3 = tn.add %2, %y : tensor<?x12xf32>
  return %3, %1 : tensor<?x12xf32>, tensor<?x8xf32>
}
