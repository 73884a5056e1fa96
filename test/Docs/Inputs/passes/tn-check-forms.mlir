// tnllm-opt %s --tn-check-forms="length=130 chunk=64" -o /dev/null
func.func @f(%q: tensor<?x?x2x4xf32>, %v: tensor<?x?x2x3xf32>, %s: tensor<?x2x4x3xf32>)
    -> (tensor<?x?x2x3xf32>, tensor<?x2x4x3xf32>) {
  %slopes = arith.constant dense<[0.25, 0.0625]> : tensor<2xf32>
  %o, %n = tn.lightning_attention %q, %q, %v, %slopes, %s
      : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<2xf32>, tensor<?x2x4x3xf32>
     -> tensor<?x?x2x3xf32>, tensor<?x2x4x3xf32>
  return %o, %n : tensor<?x?x2x3xf32>, tensor<?x2x4x3xf32>
}
