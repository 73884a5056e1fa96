// What the declarations alone reject: element types, and places.
// RUN: tnllm-opt %s --verify-diagnostics --split-input-file

func.func @f(%x: tensor<?x8xi32>) {
  // expected-error @+1 {{'tn.add' op operand #0 must be ranked tensor of 32-bit float values, but got 'tensor<?x8xi32>'}}
  %0 = tn.add %x, %x : tensor<?x8xi32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %y: tensor<?x9xf32>) {
  // expected-error @+1 {{'tn.add' op requires the same type for all operands and results}}
  %0 = "tn.add"(%x, %y) : (tensor<?x8xf32>, tensor<?x9xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xbf16>) {
  // expected-error @+1 {{'tn.probe' op operand #0 must be ranked tensor of 32-bit float values, but got 'tensor<?x8xbf16>'}}
  tn.probe "hidden.0" %x : tensor<?x8xbf16>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{'tn.yield' op expects parent op 'tn.fused'}}
  tn.yield %x : tensor<?x8xf32>
}
