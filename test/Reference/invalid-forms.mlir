// Attention over nothing has no forms to compare.
// RUN: tnllm-opt %s --tn-check-forms -o /dev/null --split-input-file --verify-diagnostics

func.func @no_batch(%q: tensor<0x5x1x2xf32>, %s: tensor<0x1x2x2xf32>) -> tensor<0x5x1x2xf32> {
  %d = tn.decay_slopes <transnormer, layer = 0 of 2> : tensor<1xf32>
  // expected-error @+1 {{the interpreter expects tensors of at least one element, found 'tensor<0x5x1x2xf32>'}}
  %o, %n = tn.lightning_attention %q, %q, %q, %d, %s
      : tensor<0x5x1x2xf32>, tensor<0x5x1x2xf32>, tensor<0x5x1x2xf32>, tensor<1xf32>, tensor<0x1x2x2xf32>
     -> tensor<0x5x1x2xf32>, tensor<0x1x2x2xf32>
  return %o : tensor<0x5x1x2xf32>
}

// -----

func.func @no_length(%q: tensor<1x0x1x2xf32>, %s: tensor<1x1x2x2xf32>) -> tensor<1x0x1x2xf32> {
  %d = tn.decay_slopes <transnormer, layer = 0 of 2> : tensor<1xf32>
  // expected-error @+1 {{the interpreter expects tensors of at least one element, found 'tensor<1x0x1x2xf32>'}}
  %o, %n = tn.lightning_attention %q, %q, %q, %d, %s
      : tensor<1x0x1x2xf32>, tensor<1x0x1x2xf32>, tensor<1x0x1x2xf32>, tensor<1xf32>, tensor<1x1x2x2xf32>
     -> tensor<1x0x1x2xf32>, tensor<1x1x2x2xf32>
  return %o : tensor<1x0x1x2xf32>
}

// -----

func.func @softmax(%q: tensor<0x?x4x16xf32>) -> tensor<0x?x4x16xf32> {
  // expected-error @+1 {{the interpreter expects tensors of at least one element, found 'tensor<0x?x4x16xf32>'}}
  %o, %lse = tn.softmax_attention %q, %q, %q : tensor<0x?x4x16xf32>, tensor<0x?x4x16xf32>,
      tensor<0x?x4x16xf32> -> tensor<0x?x4x16xf32>, tensor<0x?x4xf32>
  return %o : tensor<0x?x4x16xf32>
}
