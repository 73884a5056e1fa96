// The loss and its gradients, run natively beside the interpreter. A small vocabulary is one
// piece; the others are several, the last one shorter or not, with labels in each, and
// positions that do not count.
// RUN: rm -rf %t && %python %S/run_functions.py %s %t --words 37 --shapes 1x1,1x7,3x21 | FileCheck %s
// RUN: %python %S/run_functions.py %S/Inputs/large-vocabulary.mlir %t --words 611 --shapes 1x1,2x130,1x17 | FileCheck %s --check-prefix=LARGE
// RUN: %python %S/run_functions.py %S/Inputs/large-vocabulary.mlir %t --words 1 --shapes 1x6 | FileCheck %s --check-prefix=LARGE

// CHECK: small: agrees
// LARGE: pieces: agrees
func.func @small(%x: tensor<?x?x30xf32>, %w: tensor<37x30xf32>, %labels: tensor<?x?xi32>,
                 %d: tensor<1xf32>)
    -> (tensor<1xf32>, tensor<?x?xf32>, tensor<?x?x30xf32>, tensor<37x30xf32>)
    attributes {tn.rows = 64 : i64} {
  %loss, %lse = tn.cross_entropy %x, %w, %labels : tensor<?x?x30xf32>, tensor<37x30xf32>,
      tensor<?x?xi32> -> tensor<1xf32>, tensor<?x?xf32>
  %dx, %dw = tn.cross_entropy_grad %x, %w, %labels, %lse, %d : tensor<?x?x30xf32>,
      tensor<37x30xf32>, tensor<?x?xi32>, tensor<?x?xf32>, tensor<1xf32>
      -> tensor<?x?x30xf32>, tensor<37x30xf32>
  return %loss, %lse, %dx, %dw : tensor<1xf32>, tensor<?x?xf32>, tensor<?x?x30xf32>,
      tensor<37x30xf32>
}
