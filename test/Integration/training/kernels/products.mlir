// The three products of a linear map, run natively beside the interpreter: shapes of one
// element, around a register tile, a panel, a block of the depth and a task.
// RUN: rm -rf %t && %python %S/run_functions.py %s %t --shapes 1x1,1x6,5x13,1x575,4x150 | FileCheck %s
// RUN: %python %S/run_functions.py %s %t --convert "panel-width=16 tile-rows=4" --shapes 1x2,1x257 | FileCheck %s

// CHECK-NOT: error
// CHECK: small: agrees
func.func @small(%x: tensor<?x?x1xf32>, %dy: tensor<?x?x3xf32>, %w: tensor<3x1xf32>)
    -> (tensor<?x?x3xf32>, tensor<?x?x1xf32>, tensor<3x1xf32>)
    attributes {tn.rows = 600 : i64} {
  %y = tn.linear %x, %w : tensor<?x?x1xf32>, tensor<3x1xf32> -> tensor<?x?x3xf32>
  %dx = tn.linear_input_grad %dy, %w : tensor<?x?x3xf32>, tensor<3x1xf32> -> tensor<?x?x1xf32>
  %dw = tn.linear_weight_grad %dy, %x : tensor<?x?x3xf32>, tensor<?x?x1xf32> -> tensor<3x1xf32>
  return %y, %dx, %dw : tensor<?x?x3xf32>, tensor<?x?x1xf32>, tensor<3x1xf32>
}

// CHECK: even: agrees
func.func @even(%x: tensor<?x?x64xf32>, %dy: tensor<?x?x128xf32>, %w: tensor<128x64xf32>)
    -> (tensor<?x?x128xf32>, tensor<?x?x64xf32>, tensor<128x64xf32>)
    attributes {tn.rows = 600 : i64} {
  %y = tn.linear %x, %w : tensor<?x?x64xf32>, tensor<128x64xf32> -> tensor<?x?x128xf32>
  %dx = tn.linear_input_grad %dy, %w : tensor<?x?x128xf32>, tensor<128x64xf32> -> tensor<?x?x64xf32>
  %dw = tn.linear_weight_grad %dy, %x : tensor<?x?x128xf32>, tensor<?x?x64xf32> -> tensor<128x64xf32>
  return %y, %dx, %dw : tensor<?x?x128xf32>, tensor<?x?x64xf32>, tensor<128x64xf32>
}

// Deeper and wider than a block, and no multiple of anything.
// CHECK: odd: agrees
func.func @odd(%x: tensor<?x?x523xf32>, %dy: tensor<?x?x389xf32>, %w: tensor<389x523xf32>)
    -> (tensor<?x?x389xf32>, tensor<?x?x523xf32>, tensor<389x523xf32>)
    attributes {tn.rows = 600 : i64} {
  %y = tn.linear %x, %w : tensor<?x?x523xf32>, tensor<389x523xf32> -> tensor<?x?x389xf32>
  %dx = tn.linear_input_grad %dy, %w : tensor<?x?x389xf32>, tensor<389x523xf32> -> tensor<?x?x523xf32>
  %dw = tn.linear_weight_grad %dy, %x : tensor<?x?x389xf32>, tensor<?x?x523xf32> -> tensor<389x523xf32>
  return %y, %dx, %dw : tensor<?x?x389xf32>, tensor<?x?x523xf32>, tensor<389x523xf32>
}

// A bias, a tail, and operands that are columns of something wider.
// CHECK: fused: agrees
func.func @fused(%a: tensor<?x?x100xf32>, %r: tensor<?x?x70xf32>, %w: tensor<70x90xf32>,
                 %b: tensor<70xf32>)
    -> (tensor<?x?x70xf32>, tensor<70x90xf32>) attributes {tn.rows = 600 : i64} {
  %x = tn.slice %a [7, 97] : tensor<?x?x100xf32> -> tensor<?x?x90xf32>
  %y = tn.fused -> tensor<?x?x70xf32> {
    %0 = tn.linear %x, %w bias %b : tensor<70xf32>
       : tensor<?x?x90xf32>, tensor<70x90xf32> -> tensor<?x?x70xf32>
    %1 = tn.activation <silu> %0 columns [3, 67] : tensor<?x?x70xf32>
    %2 = tn.add %r, %1 : tensor<?x?x70xf32>
    tn.yield %2 : tensor<?x?x70xf32>
  }
  %dw = tn.linear_weight_grad %r, %x : tensor<?x?x70xf32>, tensor<?x?x90xf32> -> tensor<70x90xf32>
  return %y, %dw : tensor<?x?x70xf32>, tensor<70x90xf32>
}

// bf16 operands; sums and gradients are f32.
// CHECK: narrow: agrees
func.func @narrow(%x: tensor<?x?x80xf32>, %dy: tensor<?x?x300xf32>)
    -> tensor<300x80xf32> attributes {tn.rows = 600 : i64} {
  %0 = tn.cast %x : tensor<?x?x80xf32> -> tensor<?x?x80xbf16>
  %1 = tn.cast %dy : tensor<?x?x300xf32> -> tensor<?x?x300xbf16>
  %dw = tn.linear_weight_grad %1, %0 : tensor<?x?x300xbf16>, tensor<?x?x80xbf16> -> tensor<300x80xf32>
  return %dw : tensor<300x80xf32>
}
