// tnllm-opt %s --tn-insert-probes
func.func @prefill(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> attributes {tn.rows = 8 : i64} {
  %y = call @block(%x) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32> loc("layers.0")
  %z = call @block(%y) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32> loc("layers.1")
  return %z : tensor<?x?x8xf32>
}
func.func private @block(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> attributes {tn.rows = 8 : i64} {
  %n = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x?x8xf32> -> tensor<?x?x8xf32> loc("token_norm")
  %a = tn.activation <silu> %n : tensor<?x?x8xf32> loc("act")
  return %a : tensor<?x?x8xf32>
}
