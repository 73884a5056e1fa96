// The passes of tn keep what a program computes, to the last digit that is printed.
// RUN: tnllm-opt %s --tn-interpret="length=3 batch=2 print=100" -o /dev/null > %t.before
// RUN: tnllm-opt %s --tn-fuse-epilogues --tn-interpret="length=3 batch=2 print=100" -o /dev/null | diff %t.before -
// RUN: tnllm-opt %s --canonicalize --cse --tn-interpret="length=3 batch=2 print=100" -o /dev/null | diff %t.before -
// RUN: FileCheck %s < %t.before
// RUN: tnllm-opt %s --tn-fuse-epilogues | FileCheck %s --check-prefix=FUSED

// One position of prefill is decode.
// RUN: tnllm-opt %s --tn-interpret="function=prefill batch=2 length=1 print=100" -o /dev/null | tail -n +2 > %t.prefill
// RUN: tnllm-opt %s --tn-derive-decode --tn-interpret="function=decode batch=2 print=100" -o /dev/null | tail -n +2 | diff %t.prefill -

tn.param @table : tensor<9x6xf32> init <normal, 1.0 : f64>
tn.param @w : tensor<6x6xf32> init <normal, 0.4 : f64>

// CHECK: hidden [2x3x6]:
// CHECK-NEXT: result0 [2x3x6]:
// CHECK-NEXT: result1 [2x2x3x3]:
// FUSED: tn.fused
func.func @prefill(%ids: tensor<?x?xi32>, %s: tensor<?x2x3x3xf32> {tn.state = 0 : i64})
    -> (tensor<?x?x6xf32>, tensor<?x2x3x3xf32>) {
  %table = tn.get_param @table : tensor<9x6xf32>
  %w = tn.get_param @w : tensor<6x6xf32>
  %x = tn.embedding %ids, %table : tensor<?x?xi32>, tensor<9x6xf32> -> tensor<?x?x6xf32>
  %0 = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x?x6xf32> -> tensor<?x?x6xf32>
  %1 = tn.linear %0, %w : tensor<?x?x6xf32>, tensor<6x6xf32> -> tensor<?x?x6xf32>
  %2 = tn.activation <silu> %1 columns [0, 4] : tensor<?x?x6xf32>
  %3 = tn.split_heads %2 : tensor<?x?x6xf32> -> tensor<?x?x2x3xf32>
  %slopes = tn.decay_slopes <transnormer, layer = 0 of 2> : tensor<2xf32>
  %o, %n = tn.lightning_attention %3, %3, %3, %slopes, %s
      : tensor<?x?x2x3xf32>, tensor<?x?x2x3xf32>, tensor<?x?x2x3xf32>, tensor<2xf32>, tensor<?x2x3x3xf32>
     -> tensor<?x?x2x3xf32>, tensor<?x2x3x3xf32>
  %4 = tn.merge_heads %o : tensor<?x?x2x3xf32> -> tensor<?x?x6xf32>
  %5 = tn.linear %4, %w : tensor<?x?x6xf32>, tensor<6x6xf32> -> tensor<?x?x6xf32>
  %6 = tn.add %x, %5 : tensor<?x?x6xf32>
  tn.probe "hidden" %6 : tensor<?x?x6xf32>
  return %6, %n : tensor<?x?x6xf32>, tensor<?x2x3x3xf32>
}
