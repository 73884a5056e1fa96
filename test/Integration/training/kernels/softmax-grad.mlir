// Softmax attention that begins in the call and its adjoint, run natively beside the
// interpreter: widths from less than a vector to more than a panel, lengths around the chunk
// of 64 positions and around blocks. (Of one position the gradients are zero but for
// rounding.)
// RUN: rm -rf %t && %python %S/run_functions.py %s %t --shapes 1x5,3x63,2x64,2x65,1x200 | FileCheck %s
// RUN: %python %S/run_functions.py %s %t --convert "panel-width=16 tile-rows=4 chunk=32" --shapes 2x33,1x50 | FileCheck %s
// RUN: %python %S/run_functions.py %s %t --convert "panel-width=8 chunk=24" --shapes 1x41 | FileCheck %s

// CHECK: narrow: agrees
func.func @narrow(%q: tensor<?x?x4x16xf32>, %k: tensor<?x?x4x16xf32>, %v: tensor<?x?x4x16xf32>,
                  %do: tensor<?x?x4x16xf32>)
    -> (tensor<?x?x4x16xf32>, tensor<?x?x4xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>)
    attributes {tn.rows = 256 : i64} {
  %o, %l = tn.softmax_attention %q, %k, %v {scale = 0.25 : f32}
      : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>
     -> tensor<?x?x4x16xf32>, tensor<?x?x4xf32>
  %dq, %dk, %dv = tn.softmax_attention_grad %q, %k, %v, %o, %l, %do {scale = 0.25 : f32}
      : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>,
        tensor<?x?x4x16xf32>, tensor<?x?x4xf32>, tensor<?x?x4x16xf32>
     -> tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>
  return %o, %l, %dq, %dk, %dv : tensor<?x?x4x16xf32>, tensor<?x?x4xf32>,
      tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>
}

// Keys of two thirds, values of one and a half panels; blocks of no multiple of anything.
// CHECK: uneven: agrees
func.func @uneven(%q: tensor<?x?x2x42xf32>, %k: tensor<?x?x2x42xf32>, %v: tensor<?x?x2x96xf32>,
                  %do: tensor<?x?x2x96xf32>)
    -> (tensor<?x?x2x96xf32>, tensor<?x?x2xf32>, tensor<?x?x2x42xf32>, tensor<?x?x2x42xf32>, tensor<?x?x2x96xf32>)
    attributes {tn.rows = 256 : i64} {
  %o, %l = tn.softmax_attention %q, %k, %v block 23 {scale = 0.3 : f32}
      : tensor<?x?x2x42xf32>, tensor<?x?x2x42xf32>, tensor<?x?x2x96xf32>
     -> tensor<?x?x2x96xf32>, tensor<?x?x2xf32>
  %dq, %dk, %dv = tn.softmax_attention_grad %q, %k, %v, %o, %l, %do block 23 {scale = 0.3 : f32}
      : tensor<?x?x2x42xf32>, tensor<?x?x2x42xf32>, tensor<?x?x2x96xf32>,
        tensor<?x?x2x96xf32>, tensor<?x?x2xf32>, tensor<?x?x2x96xf32>
     -> tensor<?x?x2x42xf32>, tensor<?x?x2x42xf32>, tensor<?x?x2x96xf32>
  return %o, %l, %dq, %dk, %dv : tensor<?x?x2x96xf32>, tensor<?x?x2xf32>,
      tensor<?x?x2x42xf32>, tensor<?x?x2x42xf32>, tensor<?x?x2x96xf32>
}

// CHECK: wide: agrees
func.func @wide(%q: tensor<?x?x1x384xf32>, %k: tensor<?x?x1x384xf32>, %v: tensor<?x?x1x192xf32>,
                %do: tensor<?x?x1x192xf32>)
    -> (tensor<?x?x1x192xf32>, tensor<?x?x1xf32>, tensor<?x?x1x384xf32>, tensor<?x?x1x384xf32>, tensor<?x?x1x192xf32>)
    attributes {tn.rows = 256 : i64} {
  %o, %l = tn.softmax_attention %q, %k, %v block 100 {scale = 0.05 : f32}
      : tensor<?x?x1x384xf32>, tensor<?x?x1x384xf32>, tensor<?x?x1x192xf32>
     -> tensor<?x?x1x192xf32>, tensor<?x?x1xf32>
  %dq, %dk, %dv = tn.softmax_attention_grad %q, %k, %v, %o, %l, %do block 100 {scale = 0.05 : f32}
      : tensor<?x?x1x384xf32>, tensor<?x?x1x384xf32>, tensor<?x?x1x192xf32>,
        tensor<?x?x1x192xf32>, tensor<?x?x1xf32>, tensor<?x?x1x192xf32>
     -> tensor<?x?x1x384xf32>, tensor<?x?x1x384xf32>, tensor<?x?x1x192xf32>
  return %o, %l, %dq, %dk, %dv : tensor<?x?x1x192xf32>, tensor<?x?x1xf32>,
      tensor<?x?x1x384xf32>, tensor<?x?x1x384xf32>, tensor<?x?x1x192xf32>
}
