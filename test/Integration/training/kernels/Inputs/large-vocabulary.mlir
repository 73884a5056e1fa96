// Of cross-entropy.mlir. 40,000 rows of room make pieces of 256 words: two and 99.
func.func @pieces(%x: tensor<?x?x48xf32>, %w: tensor<611x48xf32>, %labels: tensor<?x?xi32>,
                  %d: tensor<1xf32>)
    -> (tensor<1xf32>, tensor<?x?xf32>, tensor<?x?x48xf32>, tensor<611x48xf32>)
    attributes {tn.rows = 40000 : i64} {
  %loss, %lse = tn.cross_entropy %x, %w, %labels : tensor<?x?x48xf32>, tensor<611x48xf32>,
      tensor<?x?xi32> -> tensor<1xf32>, tensor<?x?xf32>
  %dx, %dw = tn.cross_entropy_grad %x, %w, %labels, %lse, %d : tensor<?x?x48xf32>,
      tensor<611x48xf32>, tensor<?x?xi32>, tensor<?x?xf32>, tensor<1xf32>
      -> tensor<?x?x48xf32>, tensor<611x48xf32>
  return %loss, %lse, %dx, %dw : tensor<1xf32>, tensor<?x?xf32>, tensor<?x?x48xf32>,
      tensor<611x48xf32>
}
