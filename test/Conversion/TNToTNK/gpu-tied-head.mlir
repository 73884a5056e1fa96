// A tensor that two symbols read in two types is two parameters, though both lie in rows.
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=128 bf16-storage' | FileCheck %s

// CHECK: tnrt.parameters = [
// CHECK-SAME: tensor = "table", type = tensor<8x16xf32>}
// CHECK-SAME: tensor = "table", type = tensor<8x16xbf16>}]
tn.param @table : tensor<8x16xf32> init <normal, 1.0>
tn.param @tied_head tensor "table" : tensor<8x16xbf16> init <normal, 1.0>

// CHECK-LABEL: func.func @prefill(
// CHECK: tnrt.param %{{.*}}[0] : memref<8x16xf32>
func.func @prefill(%ids: tensor<?x?xi32>) -> tensor<?x?x16xf32> attributes {tn.rows = 24 : i64} {
  %t = tn.get_param @table : tensor<8x16xf32>
  %x = tn.embedding %ids, %t : tensor<?x?xi32>, tensor<8x16xf32> -> tensor<?x?x16xf32>
  return %x : tensor<?x?x16xf32>
}

// CHECK-LABEL: func.func @head(
// CHECK: tnrt.param %{{.*}}[1] : memref<8x16xbf16>
func.func @head(%x: tensor<?x16xf32>) -> tensor<?x8xf32> attributes {tn.rows = 24 : i64} {
  %w = tn.get_param @tied_head : tensor<8x16xbf16>
  %n = tn.cast %x : tensor<?x16xf32> -> tensor<?x16xbf16>
  %y = tn.linear %n, %w : tensor<?x16xbf16>, tensor<8x16xbf16> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
