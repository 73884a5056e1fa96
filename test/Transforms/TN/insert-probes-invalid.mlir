// RUN: tnllm-opt %s --tn-insert-probes --split-input-file --verify-diagnostics

func.func @prefill(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %y = call @block(%x) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}
func.func private @block(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  // expected-error@+1 {{expected no recursive calls}}
  %y = call @block(%x) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

func.func @prefill(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  // expected-error@+1 {{expected to call a function with a body of one block}}
  %y = call @block(%x) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}
func.func private @block(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
