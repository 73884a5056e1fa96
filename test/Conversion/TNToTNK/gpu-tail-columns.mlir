// An activation of the first columns that follows the library's product reads and writes
// those columns alone, where the product has left them.
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256 bf16-storage' --canonicalize --cse \
// RUN:   --split-input-file | FileCheck %s
// It goes all the way down.
// RUN: tnllm-opt %s --convert-tn-to-tnk='gpu-threads=256 bf16-storage' --canonicalize --cse \
// RUN:   --split-input-file | tnllm-opt - --split-input-file --device-pipeline -o /dev/null

// CHECK-LABEL: func.func @first(
// CHECK: %[[Y:.*]] = tnrt.alloc : memref<64x4096xbf16>
// CHECK: tnrt.matmul {{.*}} %[[Y]]
// CHECK: %[[PART:.*]] = memref.subview %[[Y]][0, 0] [64, 2048] [1, 1] : memref<64x4096xbf16> to memref<64x2048xbf16, strided<[4096, 1]>>
// CHECK: tnrt.launch %{{.*}} @tail_activation tasks(%{{.*}}) (%[[PART]], %{{.*}}) : memref<64x2048xbf16, strided<[4096, 1]>>, index
// A thread has 8 of them.
// CHECK-LABEL: tnk.kernel @tail_activation(
// CHECK-SAME: threads(256)
// CHECK-NOT: arith.select
// CHECK: vector.transfer_write {{.*}} : vector<1x2048xbf16>, memref<64x2048xbf16, strided<[4096, 1]>>
tn.param @w : tensor<4096x64xbf16> init <normal, 1.0>
tn.param @v : tensor<64x2048xbf16> init <normal, 1.0>
func.func @first(%x: tensor<?x?x64xbf16>) -> tensor<?x?x64xf32> attributes {tn.rows = 64 : i64} {
  %w = tn.get_param @w : tensor<4096x64xbf16>
  %y = tn.fused -> tensor<?x?x4096xf32> {
    %0 = tn.linear %x, %w : tensor<?x?x64xbf16>, tensor<4096x64xbf16> -> tensor<?x?x4096xf32>
    %1 = tn.activation <silu> %0 columns [0, 2048] : tensor<?x?x4096xf32>
    tn.yield %1 : tensor<?x?x4096xf32>
  }
  %a = tn.slice %y [0, 2048] : tensor<?x?x4096xf32> -> tensor<?x?x2048xf32>
  %b = tn.slice %y [2048, 4096] : tensor<?x?x4096xf32> -> tensor<?x?x2048xf32>
  %p = tn.mul %a, %b : tensor<?x?x2048xf32>
  %m = tn.cast %p : tensor<?x?x2048xf32> -> tensor<?x?x2048xbf16>
  %v = tn.get_param @v : tensor<64x2048xbf16>
  %z = tn.linear %m, %v : tensor<?x?x2048xbf16>, tensor<64x2048xbf16> -> tensor<?x?x64xf32>
  return %z : tensor<?x?x64xf32>
}

// -----

// Other columns, a bias, or something else behind: the whole row.
// CHECK-LABEL: func.func @last(
// CHECK-NOT: memref.subview {{.*}}[0, 0] [64, 96]
// CHECK: tnrt.launch %{{.*}} @tail_activation tasks(%{{.*}}) {{.*}} : memref<64x128xf32>, index
tn.param @w : tensor<128x64xbf16> init <normal, 1.0>
func.func @last(%x: tensor<?x?x64xbf16>) -> tensor<?x?x128xf32> attributes {tn.rows = 64 : i64} {
  %w = tn.get_param @w : tensor<128x64xbf16>
  %y = tn.fused -> tensor<?x?x128xf32> {
    %0 = tn.linear %x, %w : tensor<?x?x64xbf16>, tensor<128x64xbf16> -> tensor<?x?x128xf32>
    %1 = tn.activation <silu> %0 columns [32, 128] : tensor<?x?x128xf32>
    tn.yield %1 : tensor<?x?x128xf32>
  }
  return %y : tensor<?x?x128xf32>
}
