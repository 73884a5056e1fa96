// tnllm-opt %s --tn-differentiate=function=f --tn-check-gradients=function=f -o /dev/null
func.func @f(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %0 = tn.mul %x, %y : tensor<?x8xf32>
  %1 = tn.activation <silu> %0 : tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}
