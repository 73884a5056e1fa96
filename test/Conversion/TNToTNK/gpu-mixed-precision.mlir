// What tn-mixed-precision says, as buffers: weights rounded once before the calls, products of
// bf16, no kernel where a value is read in f32 again, and attention's adjoint by one kernel of
// tiles, which writes the columns where its results belong.
// RUN: tnllm-opt %s --tn-mixed-precision --tn-differentiate --canonicalize --cse \
// RUN:   --convert-tn-to-tnk='training=1 gpu-threads=256 bf16-storage tensor-cores' --canonicalize --cse \
// RUN:   | FileCheck %s
// RUN: tnllm-opt %s --tn-mixed-precision --tn-differentiate --canonicalize --cse \
// RUN:   --convert-tn-to-tnk='training=1 gpu-threads=256 bf16-storage tensor-cores' --canonicalize --cse \
// RUN:   | tnllm-opt - --device-pipeline -o /dev/null
// Elsewhere a weight is cast where it is loaded.
// RUN: not tnllm-opt %s --tn-mixed-precision --convert-tn-to-tnk='gpu-threads=256' 2>&1 \
// RUN:   | FileCheck %s --check-prefix=PLAIN
// PLAIN: 'tn.cast' op expected the cast of a parameter in training alone

tn.param @table : tensor<32x64xf32> init <normal, 2.0e-02 : f64>
tn.param @a : tensor<192x64xf32> init <normal, 2.0e-02 : f64>
tn.param @b : tensor<64x64xf32> init <normal, 2.0e-02 : f64>

// CHECK-LABEL: func.func private @block_forward(
// The product is bf16 at once, and nothing follows it; slices of it are read by tiles.
// CHECK: tnrt.matmul %{{.*}} %{{.*}}, %{{.*}}, %[[QKV:[^,]*]], %{{.*}} : memref<128x64xbf16>, memref<192x64xbf16>, memref<128x192xbf16>
// CHECK-NOT: @tail
// CHECK: tnrt.tensor_map %{{.*}} %{{.*}} : memref<128x64xbf16, strided<[192, 1]
// CHECK: @attention_tiled tasks(
// CHECK: tnrt.matmul {{.*}} : memref<128x64xbf16>, memref<64x64xbf16>, memref<128x64xf32>
// CHECK: return

// The gradient comes in rounded too.
// CHECK-LABEL: func.func private @block_backward(
// CHECK: %[[D:.*]] = tnrt.alloc : memref<128x192xbf16>
// CHECK: tnrt.matmul form(weight_grad) accumulate {{.*}} : memref<128x64xbf16>, memref<128x64xbf16>, memref<64x64xf32>
// CHECK: tnrt.matmul form(input_grad) {{.*}} : memref<128x64xbf16>, memref<64x64xbf16>, memref<128x64xbf16>
// CHECK: tnrt.tensor_map {{.*}} : memref<128x64xbf16, strided<[192, 1], offset: 64>>
// CHECK: @attention_gradients tasks(
// CHECK-NOT: @unslice
// CHECK: tnrt.matmul form({{.*}}) {{.*}} %[[D]],
// CHECK: return

// CHECK-LABEL: func.func @loss_gradient(
// CHECK-COUNT-3: @cast_parameter{{.*}} tasks(
// CHECK: call @block_forward
// The logits of all words, bf16 as their gradients in the same place, once.
// CHECK: @label_partials tasks(
// CHECK: @loss_scale tasks(%c1)
// CHECK: tnrt.matmul {{.*}} : memref<128x64xbf16{{.*}}>, memref<32x64xbf16>, memref<128x32xbf16{{.*}}>
// CHECK: @loss_gradient{{[^ ]*}} tasks({{.*}} : memref<128x32xbf16>, memref<128xi32>, memref<128xf32>, memref<1xf32>, index
// CHECK: tnrt.matmul form(input_grad) {{.*}} : memref<128x32xbf16{{.*}}>, memref<32x64xbf16>, memref<128x64xf32{{.*}}>
// CHECK: tnrt.matmul form(weight_grad) accumulate {{.*}} : memref<128x32xbf16{{.*}}>, memref<128x64xbf16{{.*}}>, memref<32x64xf32
// CHECK-NOT: @logit_grad
// CHECK: @loss_partials tasks(
// CHECK: @mean_loss{{[^ ]*}} tasks(%c1)
// CHECK: call @block_backward
func.func private @block(%x: tensor<?x?x64xf32>, %slopes: tensor<1xf32>, %a: tensor<192x64xf32>,
                         %b: tensor<64x64xf32>) -> tensor<?x?x64xf32>
    attributes {tn.rows = 128 : i64, tn.sequences = 4 : i64} {
  %0 = tn.linear %x, %a : tensor<?x?x64xf32>, tensor<192x64xf32> -> tensor<?x?x192xf32>
  %1 = tn.slice %0 [0, 64] : tensor<?x?x192xf32> -> tensor<?x?x64xf32>
  %2 = tn.slice %0 [64, 128] : tensor<?x?x192xf32> -> tensor<?x?x64xf32>
  %3 = tn.slice %0 [128, 192] : tensor<?x?x192xf32> -> tensor<?x?x64xf32>
  %q = tn.split_heads %1 : tensor<?x?x64xf32> -> tensor<?x?x1x64xf32>
  %k = tn.split_heads %2 : tensor<?x?x64xf32> -> tensor<?x?x1x64xf32>
  %v = tn.split_heads %3 : tensor<?x?x64xf32> -> tensor<?x?x1x64xf32>
  %s = tn.zeros like %x : tensor<?x?x64xf32> -> tensor<?x1x64x64xf32>
  %o, %n = tn.lightning_attention %q, %k, %v, %slopes, %s : tensor<?x?x1x64xf32>,
      tensor<?x?x1x64xf32>, tensor<?x?x1x64xf32>, tensor<1xf32>, tensor<?x1x64x64xf32>
      -> tensor<?x?x1x64xf32>, tensor<?x1x64x64xf32>
  %m = tn.merge_heads %o : tensor<?x?x1x64xf32> -> tensor<?x?x64xf32>
  %y = tn.linear %m, %b : tensor<?x?x64xf32>, tensor<64x64xf32> -> tensor<?x?x64xf32>
  %z = tn.add %x, %y : tensor<?x?x64xf32>
  return %z : tensor<?x?x64xf32>
}

func.func @loss(%ids: tensor<?x?xi32>, %labels: tensor<?x?xi32>) -> tensor<1xf32>
    attributes {tn.rows = 128 : i64, tn.sequences = 4 : i64} {
  %slopes = arith.constant dense<0.5> : tensor<1xf32>
  %t = tn.get_param @table : tensor<32x64xf32>
  %x = tn.embedding %ids, %t : tensor<?x?xi32>, tensor<32x64xf32> -> tensor<?x?x64xf32>
  %a = tn.get_param @a : tensor<192x64xf32>
  %b = tn.get_param @b : tensor<64x64xf32>
  %y = call @block(%x, %slopes, %a, %b) : (tensor<?x?x64xf32>, tensor<1xf32>, tensor<192x64xf32>, tensor<64x64xf32>) -> tensor<?x?x64xf32>
  %loss, %lse = tn.cross_entropy %y, %t, %labels : tensor<?x?x64xf32>, tensor<32x64xf32>,
      tensor<?x?xi32> -> tensor<1xf32>, tensor<?x?xf32>
  return %loss : tensor<1xf32>
}
