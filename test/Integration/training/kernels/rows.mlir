// Adjoints that treat each row alone, and those that sum over rows, run natively beside
// the interpreter: widths of one column, of less and more than a vector, of several.
// RUN: rm -rf %t && %python %S/run_functions.py %s %t | FileCheck %s
// RUN: %python %S/run_functions.py %s %t --convert "panel-width=16 tile-rows=4 row-block=3" | FileCheck %s

// CHECK-NOT: error
// CHECK: silu: agrees
func.func @silu(%x: tensor<?x?x100xf32>, %dy: tensor<?x?x100xf32>) -> tensor<?x?x100xf32>
    attributes {tn.rows = 256 : i64} {
  %0 = tn.activation_grad <silu> %x, %dy : tensor<?x?x100xf32>
  return %0 : tensor<?x?x100xf32>
}

// CHECK: some_columns: agrees
func.func @some_columns(%x: tensor<?x?x150xf32>, %dy: tensor<?x?x150xf32>) -> tensor<?x?x150xf32>
    attributes {tn.rows = 256 : i64} {
  %0 = tn.activation_grad <silu> %x, %dy columns [3, 131] : tensor<?x?x150xf32>
  return %0 : tensor<?x?x150xf32>
}

// CHECK: each_kind: agrees
func.func @each_kind(%x: tensor<?x?x24xf32>, %dy: tensor<?x?x24xf32>) -> tensor<?x?x24xf32>
    attributes {tn.rows = 256 : i64} {
  %1 = tn.activation_grad <gelu> %x, %dy columns [0, 3] : tensor<?x?x24xf32>
  %2 = tn.activation_grad <relu> %x, %1 columns [3, 6] : tensor<?x?x24xf32>
  %3 = tn.activation_grad <elu> %x, %2 columns [6, 9] : tensor<?x?x24xf32>
  %4 = tn.activation_grad <sigmoid> %x, %3 columns [9, 12] : tensor<?x?x24xf32>
  %5 = tn.activation_grad <one_plus_elu> %x, %4 columns [12, 15] : tensor<?x?x24xf32>
  %6 = tn.activation_grad <two_plus_elu> %x, %5 columns [15, 18] : tensor<?x?x24xf32>
  %7 = tn.activation_grad <leaky_relu> %x, %6 columns [18, 21] : tensor<?x?x24xf32>
  %8 = tn.activation_grad <none> %x, %7 columns [21, 24] : tensor<?x?x24xf32>
  return %8 : tensor<?x?x24xf32>
}

// CHECK: srms: agrees
func.func @srms(%x: tensor<?x?x129xf32>, %dy: tensor<?x?x129xf32>) -> tensor<?x?x129xf32>
    attributes {tn.rows = 256 : i64} {
  %0 = tn.norm_grad <srms> %x, %dy {epsilon = 1.0e-06 : f32} : tensor<?x?x129xf32>
  return %0 : tensor<?x?x129xf32>
}

// CHECK: rms: agrees
func.func @rms(%x: tensor<?x?x64xf32>, %dy: tensor<?x?x64xf32>, %w: tensor<64xf32>)
    -> (tensor<?x?x64xf32>, tensor<64xf32>) attributes {tn.rows = 256 : i64} {
  %0 = tn.norm_grad <rms> %x, %dy weight %w : tensor<64xf32> {epsilon = 1.0e-06 : f32}
     : tensor<?x?x64xf32>
  %1 = tn.norm_weight_grad <rms> %x, %dy {epsilon = 1.0e-06 : f32}
     : tensor<?x?x64xf32> -> tensor<64xf32>
  return %0, %1 : tensor<?x?x64xf32>, tensor<64xf32>
}

// CHECK: layer: agrees
func.func @layer(%x: tensor<?x?x83xf32>, %dy: tensor<?x?x83xf32>, %w: tensor<83xf32>)
    -> (tensor<?x?x83xf32>, tensor<83xf32>, tensor<83xf32>)
    attributes {tn.rows = 256 : i64} {
  %0 = tn.norm_grad <layer> %x, %dy weight %w : tensor<83xf32> {epsilon = 1.0e-05 : f32}
     : tensor<?x?x83xf32>
  %1 = tn.norm_weight_grad <layer> %x, %dy {epsilon = 1.0e-05 : f32}
     : tensor<?x?x83xf32> -> tensor<83xf32>
  %2 = tn.sum_rows %dy : tensor<?x?x83xf32> -> tensor<83xf32>
  return %0, %1, %2 : tensor<?x?x83xf32>, tensor<83xf32>, tensor<83xf32>
}

// CHECK: one_column: agrees
func.func @one_column(%x: tensor<?x?x1xf32>, %dy: tensor<?x?x1xf32>)
    -> (tensor<?x?x1xf32>, tensor<?x?x1xf32>) attributes {tn.rows = 256 : i64} {
  %0 = tn.norm_grad <srms> %x, %dy {epsilon = 1.0 : f32} : tensor<?x?x1xf32>
  %1 = tn.activation_grad <sigmoid> %x, %dy : tensor<?x?x1xf32>
  return %0, %1 : tensor<?x?x1xf32>, tensor<?x?x1xf32>
}

// With gaps before, between and behind the pieces, one of them a view.
// CHECK: pieces: agrees
func.func @pieces(%x: tensor<?x?x70xf32>, %y: tensor<?x?x5xf32>) -> tensor<?x?x180xf32>
    attributes {tn.rows = 256 : i64} {
  %0 = tn.slice %x [2, 69] : tensor<?x?x70xf32> -> tensor<?x?x67xf32>
  %1 = tn.unslice %0, %y at [4, 100] : tensor<?x?x67xf32>, tensor<?x?x5xf32> -> tensor<?x?x180xf32>
  return %1 : tensor<?x?x180xf32>
}

// CHECK: zeros: agrees
func.func @zeros(%x: tensor<?x?x7xf32>) -> tensor<?x?x70xf32>
    attributes {tn.rows = 256 : i64} {
  %0 = tn.zeros like %x : tensor<?x?x7xf32> -> tensor<?x?x70xf32>
  return %0 : tensor<?x?x70xf32>
}

// Ids come again and again; the padding's row stays as it is.
// CHECK: embedding: agrees
func.func @embedding(%ids: tensor<?x?xi32>, %dy: tensor<?x?x90xf32>) -> tensor<37x90xf32>
    attributes {tn.rows = 256 : i64} {
  %0 = tn.embedding_grad %ids, %dy {scale = 3.0 : f32, padding = 5 : i64}
     : tensor<?x?xi32>, tensor<?x?x90xf32> -> tensor<37x90xf32>
  return %0 : tensor<37x90xf32>
}

// Two gradients of one table are one accumulator; a third joins by an addition of its own.
// CHECK: sums: agrees
func.func @sums(%ids: tensor<?x?xi32>, %dy: tensor<?x?x16xf32>, %dz: tensor<?x?x16xf32>)
    -> tensor<37x16xf32> attributes {tn.rows = 256 : i64} {
  %0 = tn.embedding_grad %ids, %dy : tensor<?x?xi32>, tensor<?x?x16xf32> -> tensor<37x16xf32>
  %1 = tn.embedding_grad %ids, %dz : tensor<?x?xi32>, tensor<?x?x16xf32> -> tensor<37x16xf32>
  %2 = tn.add %0, %1 : tensor<37x16xf32>
  %3 = tn.add %2, %2 : tensor<37x16xf32>
  return %3 : tensor<37x16xf32>
}

// CHECK: lrpe: agrees
func.func @lrpe(%x: tensor<?x?x3x20xf32>, %theta: tensor<3x1x20xf32>,
                %positions: tensor<?xi64>, %dy: tensor<?x?x3x40xf32>)
    -> (tensor<?x?x3x20xf32>, tensor<3x1x20xf32>) attributes {tn.rows = 256 : i64} {
  %0, %1 = tn.lrpe_grad %x, %theta, %positions, %dy : tensor<?x?x3x20xf32>,
      tensor<3x1x20xf32>, tensor<?xi64>, tensor<?x?x3x40xf32>
      -> tensor<?x?x3x20xf32>, tensor<3x1x20xf32>
  return %0, %1 : tensor<?x?x3x20xf32>, tensor<3x1x20xf32>
}
