// tnllm-opt %s --tn-interpret="batch=1 length=2 seed=1 print=4" -o /dev/null
func.func @f(%x: tensor<?x?x4xf32>) -> tensor<?x?x4xf32> {
  %0 = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x?x4xf32> -> tensor<?x?x4xf32>
  tn.probe "normed" %0 : tensor<?x?x4xf32>
  %1 = tn.activation <relu> %0 : tensor<?x?x4xf32>
  return %1 : tensor<?x?x4xf32>
}
