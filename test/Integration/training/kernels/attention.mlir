// Lightning attention's adjoint, run natively beside the interpreter: head widths from less
// than a vector to more than a panel, lengths around the chunk of 64 positions, slopes from
// fast to hardly any decay, one sequence and several.
// RUN: rm -rf %t && %python %S/run_functions.py %s %t --shapes 1x1,1x2,3x63,2x64,2x65,1x200 | FileCheck %s
// RUN: %python %S/run_functions.py %s %t --convert "panel-width=16 tile-rows=4 chunk=16" --shapes 1x15,2x17,1x50 | FileCheck %s

// CHECK: narrow: agrees
func.func @narrow(%q: tensor<?x?x4x16xf32>, %k: tensor<?x?x4x16xf32>, %v: tensor<?x?x4x16xf32>,
                  %slopes: tensor<4xf32>, %do: tensor<?x?x4x16xf32>)
    -> (tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>)
    attributes {tn.rows = 256 : i64} {
  %dq, %dk, %dv, %ds = tn.lightning_attention_grad %q, %k, %v, %slopes, %do
      : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<4xf32>,
        tensor<?x?x4x16xf32>
     -> tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x4x16x16xf32>
  return %dq, %dk, %dv : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>
}

// Keys of two thirds, values of one and a half panels; a scale.
// CHECK: uneven: agrees
func.func @uneven(%q: tensor<?x?x2x42xf32>, %k: tensor<?x?x2x42xf32>, %v: tensor<?x?x2x96xf32>,
                  %slopes: tensor<2xf32>, %do: tensor<?x?x2x96xf32>)
    -> (tensor<?x?x2x42xf32>, tensor<?x?x2x42xf32>, tensor<?x?x2x96xf32>)
    attributes {tn.rows = 256 : i64} {
  %dq, %dk, %dv, %ds = tn.lightning_attention_grad %q, %k, %v, %slopes, %do {scale = 0.3 : f32}
      : tensor<?x?x2x42xf32>, tensor<?x?x2x42xf32>, tensor<?x?x2x96xf32>, tensor<2xf32>,
        tensor<?x?x2x96xf32>
     -> tensor<?x?x2x42xf32>, tensor<?x?x2x42xf32>, tensor<?x?x2x96xf32>, tensor<?x2x42x96xf32>
  return %dq, %dk, %dv : tensor<?x?x2x42xf32>, tensor<?x?x2x42xf32>, tensor<?x?x2x96xf32>
}

// CHECK: wide: agrees
func.func @wide(%q: tensor<?x?x1x384xf32>, %k: tensor<?x?x1x384xf32>, %v: tensor<?x?x1x192xf32>,
                %slopes: tensor<1xf32>, %do: tensor<?x?x1x192xf32>)
    -> (tensor<?x?x1x384xf32>, tensor<?x?x1x384xf32>, tensor<?x?x1x192xf32>)
    attributes {tn.rows = 256 : i64} {
  %dq, %dk, %dv, %ds = tn.lightning_attention_grad %q, %k, %v, %slopes, %do
      : tensor<?x?x1x384xf32>, tensor<?x?x1x384xf32>, tensor<?x?x1x192xf32>, tensor<1xf32>,
        tensor<?x?x1x192xf32>
     -> tensor<?x?x1x384xf32>, tensor<?x?x1x384xf32>, tensor<?x?x1x192xf32>, tensor<?x1x384x192xf32>
  return %dq, %dk, %dv : tensor<?x?x1x384xf32>, tensor<?x?x1x384xf32>, tensor<?x?x1x192xf32>
}

// A state at the start, a gradient of the one at the end, and the gradient of the first.
// CHECK: states: agrees
func.func @states(%q: tensor<?x?x3x20xf32>, %k: tensor<?x?x3x20xf32>, %v: tensor<?x?x3x32xf32>,
                  %slopes: tensor<3xf32>, %do: tensor<?x?x3x32xf32>,
                  %s: tensor<?x3x20x32xf32>, %dn: tensor<?x3x20x32xf32>)
    -> (tensor<?x?x3x20xf32>, tensor<?x?x3x20xf32>, tensor<?x?x3x32xf32>, tensor<?x3x20x32xf32>)
    attributes {tn.rows = 256 : i64} {
  %dq, %dk, %dv, %ds = tn.lightning_attention_grad %q, %k, %v, %slopes, %do
      state %s : tensor<?x3x20x32xf32> behind %dn : tensor<?x3x20x32xf32>
      {scale = 0.5 : f32}
      : tensor<?x?x3x20xf32>, tensor<?x?x3x20xf32>, tensor<?x?x3x32xf32>, tensor<3xf32>,
        tensor<?x?x3x32xf32>
     -> tensor<?x?x3x20xf32>, tensor<?x?x3x20xf32>, tensor<?x?x3x32xf32>, tensor<?x3x20x32xf32>
  return %dq, %dk, %dv, %ds : tensor<?x?x3x20xf32>, tensor<?x?x3x20xf32>,
      tensor<?x?x3x32xf32>, tensor<?x3x20x32xf32>
}

// The forward that begins and ends in the call keeps its state to itself.
// CHECK: forward: agrees
func.func @forward(%q: tensor<?x?x2x16xf32>, %k: tensor<?x?x2x16xf32>, %v: tensor<?x?x2x24xf32>,
                   %slopes: tensor<2xf32>) -> tensor<?x?x2x24xf32>
    attributes {tn.rows = 256 : i64} {
  %s = tn.zeros like %q : tensor<?x?x2x16xf32> -> tensor<?x2x16x24xf32>
  %o, %n = tn.lightning_attention %q, %k, %v, %slopes, %s : tensor<?x?x2x16xf32>,
      tensor<?x?x2x16xf32>, tensor<?x?x2x24xf32>, tensor<2xf32>, tensor<?x2x16x24xf32>
      -> tensor<?x?x2x24xf32>, tensor<?x2x16x24xf32>
  return %o : tensor<?x?x2x24xf32>
}

// Two begin with the same zeros and go on with each other's state.
// CHECK: chained: agrees
func.func @chained(%q: tensor<?x?x2x16xf32>, %k: tensor<?x?x2x16xf32>, %v: tensor<?x?x2x24xf32>,
                   %slopes: tensor<2xf32>) -> (tensor<?x?x2x24xf32>, tensor<?x?x2x24xf32>)
    attributes {tn.rows = 256 : i64} {
  %s = tn.zeros like %q : tensor<?x?x2x16xf32> -> tensor<?x2x16x24xf32>
  %0, %n = tn.lightning_attention %q, %k, %v, %slopes, %s : tensor<?x?x2x16xf32>,
      tensor<?x?x2x16xf32>, tensor<?x?x2x24xf32>, tensor<2xf32>, tensor<?x2x16x24xf32>
      -> tensor<?x?x2x24xf32>, tensor<?x2x16x24xf32>
  %c = tn.copy %n : tensor<?x2x16x24xf32>
  %1, %m = tn.lightning_attention %k, %q, %v, %slopes, %c : tensor<?x?x2x16xf32>,
      tensor<?x?x2x16xf32>, tensor<?x?x2x24xf32>, tensor<2xf32>, tensor<?x2x16x24xf32>
      -> tensor<?x?x2x24xf32>, tensor<?x2x16x24xf32>
  return %0, %1 : tensor<?x?x2x24xf32>, tensor<?x?x2x24xf32>
}
