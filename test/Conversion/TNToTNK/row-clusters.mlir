// Operations on rows that one kernel computes while a model is trained on a GPU.
// RUN: tnllm-opt %s --convert-tn-to-tnk='training=1 gpu-threads=256 bf16-storage tensor-cores' \
// RUN:   --canonicalize --cse --split-input-file | FileCheck %s
// The kernels can be given to threads.
// RUN: tnllm-opt %s --convert-tn-to-tnk='training=1 gpu-threads=256 bf16-storage tensor-cores' \
// RUN:   --canonicalize --cse --split-input-file \
// RUN:   | tnllm-opt - --split-input-file --device-pipeline -o /dev/null

// The gate's gradients and the gate, computed again, behind the product that gives dh; what
// multiplies the gate then waits for it.
// CHECK-LABEL: func.func @gate(
// CHECK-SAME: %[[DY:[^:]*]]: memref<128x256xbf16>, %[[A:[^:]*]]: memref<128x512xbf16>, %[[B:[^:]*]]: memref<128x512xbf16>,
// CHECK: tnrt.matmul form(input_grad) %{{[^ ]*}} %[[DY]], %{{[^ ]*}}, %[[DH:[^,]*]], %{{[^ ]*}} :
// CHECK: tnrt.launch %{{.*}} @rows_mul_cast tasks(%{{.*}}) (%[[A]], %[[B]], %[[DH]], %[[H:[^,]*]], %[[DA:[^,]*]], %[[DB:[^,)]*]])
// CHECK-NOT: tnrt.launch
// CHECK: tnrt.matmul form(weight_grad) accumulate {{.*}} %[[DY]], %[[H]],
// CHECK: tnrt.matmul form(weight_grad) accumulate {{.*}} %[[DA]], %[[DY]],
// CHECK: tnrt.matmul form(weight_grad) accumulate {{.*}} %[[DB]], %[[DY]],
// CHECK-NOT: tnrt.launch
// CHECK: return
// 512 columns are 8 for each of two warps; all is loaded before anything is stored.
// CHECK-LABEL: tnk.kernel @rows_mul_cast(
// CHECK-SAME: threads(64)
// CHECK-COUNT-3: vector.transfer_read
// CHECK-NOT: vector.transfer_read
// CHECK-COUNT-3: vector.transfer_write
// CHECK-NOT: vector.transfer_write
// CHECK: tnk.return
func.func @gate(%dy: tensor<?x?x256xbf16>, %a16: tensor<?x?x512xbf16>, %b16: tensor<?x?x512xbf16>,
                %w: tensor<256x512xbf16>)
    -> (tensor<256x512xf32>, tensor<512x256xf32>, tensor<512x256xf32>)
    attributes {tn.rows = 128 : i64} {
  %a = tn.cast %a16 : tensor<?x?x512xbf16> -> tensor<?x?x512xf32>
  %b = tn.cast %b16 : tensor<?x?x512xbf16> -> tensor<?x?x512xf32>
  %h = tn.mul %a, %b : tensor<?x?x512xf32>
  %h16 = tn.cast %h : tensor<?x?x512xf32> -> tensor<?x?x512xbf16>
  %dw = tn.linear_weight_grad %dy, %h16 : tensor<?x?x256xbf16>, tensor<?x?x512xbf16> -> tensor<256x512xf32>
  %dh = tn.linear_input_grad %dy, %w : tensor<?x?x256xbf16>, tensor<256x512xbf16> -> tensor<?x?x512xf32>
  %da = tn.mul %dh, %b : tensor<?x?x512xf32>
  %da16 = tn.cast %da : tensor<?x?x512xf32> -> tensor<?x?x512xbf16>
  %db = tn.mul %dh, %a : tensor<?x?x512xf32>
  %db16 = tn.cast %db : tensor<?x?x512xf32> -> tensor<?x?x512xbf16>
  %dwa = tn.linear_weight_grad %da16, %dy : tensor<?x?x512xbf16>, tensor<?x?x256xbf16> -> tensor<512x256xf32>
  %dwb = tn.linear_weight_grad %db16, %dy : tensor<?x?x512xbf16>, tensor<?x?x256xbf16> -> tensor<512x256xf32>
  return %dw, %dwa, %dwb : tensor<256x512xf32>, tensor<512x256xf32>, tensor<512x256xf32>
}

// -----

// A norm and its adjoint find the row's statistics once: one square root, two sums. The
// residual's gradient joins them, and its bf16 is another store.
// CHECK-LABEL: func.func @residual(
// CHECK-SAME: %[[X:[^:]*]]: memref<128x256xf32>, %[[A:[^:]*]]: memref<128x256xbf16>, %[[G:[^:]*]]: memref<128x256xf32>, %{{.*}}: memref<256x256xbf16>, %[[DX:[^:]*]]: memref<128x256xf32>,
// The sum's terms come through linear maps: bf16.
// CHECK: tnrt.matmul form(input_grad) %{{[^ ]*}} %{{[^ ]*}}, %{{[^ ]*}}, %[[S:[^,]*]], %{{[^ ]*}} : {{.*}}, memref<128x256xbf16>
// CHECK: tnrt.launch %{{.*}} @rows_norm_cast_norm_grad_add tasks(%{{.*}}) (%[[X]], %[[S]], %[[G]], %[[Y16:[^,]*]], %[[DX]], %[[DX16:[^,)]*]])
// CHECK: tnrt.matmul form(weight_grad) accumulate {{.*}} %[[A]], %[[Y16]],
// CHECK: tnrt.matmul form(weight_grad) accumulate {{.*}} %[[DX16]], %[[A]],
// CHECK-LABEL: tnk.kernel @rows_norm_cast_norm_grad_add(
// CHECK-SAME: threads(32)
// CHECK-COUNT-2: vector.reduction <add>
// CHECK-NOT: vector.reduction
// CHECK: tnk.return
func.func @residual(%x: tensor<?x?x256xf32>, %a: tensor<?x?x256xbf16>, %g: tensor<?x?x256xf32>,
                    %w: tensor<256x256xbf16>)
    -> (tensor<?x?x256xf32>, tensor<256x256xf32>, tensor<256x256xf32>)
    attributes {tn.rows = 128 : i64} {
  %y = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x?x256xf32> -> tensor<?x?x256xf32>
  %y16 = tn.cast %y : tensor<?x?x256xf32> -> tensor<?x?x256xbf16>
  %dw = tn.linear_weight_grad %a, %y16 : tensor<?x?x256xbf16>, tensor<?x?x256xbf16> -> tensor<256x256xf32>
  %s = tn.linear_input_grad %a, %w : tensor<?x?x256xbf16>, tensor<256x256xbf16> -> tensor<?x?x256xf32>
  %d = tn.norm_grad <srms> %x, %s {epsilon = 1.0e-06 : f32} : tensor<?x?x256xf32>
  %dx = tn.add %g, %d : tensor<?x?x256xf32>
  %dx16 = tn.cast %dx : tensor<?x?x256xf32> -> tensor<?x?x256xbf16>
  %dv = tn.linear_weight_grad %dx16, %a : tensor<?x?x256xbf16>, tensor<?x?x256xbf16> -> tensor<256x256xf32>
  return %dx, %dw, %dv : tensor<?x?x256xf32>, tensor<256x256xf32>, tensor<256x256xf32>
}

// -----

// What a product stands between is two kernels: one would have to wait for itself.
// CHECK-LABEL: func.func @between(
// CHECK: tnrt.launch %{{.*}} @rows_norm_cast tasks(
// CHECK: tnrt.matmul form(input_grad)
// CHECK: tnrt.launch %{{.*}} @{{add|rows_add}}
// CHECK: return
func.func @between(%x: tensor<?x?x64xf32>, %w: tensor<64x64xbf16>) -> tensor<?x?x64xf32>
    attributes {tn.rows = 128 : i64} {
  %y = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
  %y16 = tn.cast %y : tensor<?x?x64xf32> -> tensor<?x?x64xbf16>
  %z = tn.linear_input_grad %y16, %w : tensor<?x?x64xbf16>, tensor<64x64xbf16> -> tensor<?x?x64xf32>
  %s = tn.add %x, %z : tensor<?x?x64xf32>
  return %s : tensor<?x?x64xf32>
}

// -----

// An activation of some columns, slice by slice: what it leaves alone is a view. Pieces of
// the gradient are made in the columns where they belong.
// CHECK-LABEL: func.func @slices(
// CHECK-SAME: %[[Z:[^:]*]]: memref<128x192xbf16>, %[[D:[^:]*]]: memref<128x64xf32>, %[[E:[^:]*]]: memref<128x128xf32>, %[[Y:[^:]*]]: memref<128x64xf32>,
// CHECK-DAG: %[[DZ:.*]] = tnrt.alloc : memref<128x192xbf16>
// CHECK-DAG: %[[LOW:.*]] = memref.subview %[[DZ]][0, 0] [128, 128]
// CHECK-DAG: %[[HIGH:.*]] = memref.subview %[[DZ]][0, 128] [128, 64]
// CHECK-DAG: %[[Z0:.*]] = memref.subview %[[Z]][0, 0] [128, 128]
// CHECK: tnrt.launch %{{.*}} @rows_activation_cast tasks(%{{.*}}) (%[[Z0]], %[[F:[^)]*]])
// CHECK: %[[Z1:.*]] = memref.subview %[[Z]][0, 128] [128, 64]
// CHECK: tnrt.launch %{{.*}} @rows_mul tasks(%{{.*}}) (%[[D]], %[[Z1]], %[[Y]], %[[HIGH]])
// CHECK: tnrt.launch %{{.*}} @rows_mul_activation_grad tasks(%{{.*}}) (%[[E]], %[[F]], %[[Z0]], %[[LOW]])
// CHECK-NOT: @unslice
// CHECK: tnrt.matmul form(weight_grad) accumulate {{.*}} %[[DZ]],
// What is activated is bf16 in memory, and an instruction good enough for its exponential.
// CHECK-LABEL: tnk.kernel @rows_activation_cast(
// CHECK-NOT: math.exp %
// CHECK: math.exp2 %
// CHECK-LABEL: tnk.kernel @rows_mul_activation_grad(
// CHECK-NOT: math.exp %
// CHECK: math.exp2 %
func.func @slices(%z16: tensor<?x?x192xbf16>, %d: tensor<?x?x64xf32>, %e: tensor<?x?x128xf32>)
    -> (tensor<?x?x64xf32>, tensor<192x192xf32>) attributes {tn.rows = 128 : i64} {
  %z = tn.cast %z16 : tensor<?x?x192xbf16> -> tensor<?x?x192xf32>
  %f = tn.activation <silu> %z columns [0, 128] : tensor<?x?x192xf32>
  %f16 = tn.cast %f : tensor<?x?x192xf32> -> tensor<?x?x192xbf16>
  %g = tn.cast %f16 : tensor<?x?x192xbf16> -> tensor<?x?x192xf32>
  %low = tn.slice %g [0, 128] : tensor<?x?x192xf32> -> tensor<?x?x128xf32>
  %high = tn.slice %g [128, 192] : tensor<?x?x192xf32> -> tensor<?x?x64xf32>
  %y = tn.mul %d, %high : tensor<?x?x64xf32>
  %dhigh = tn.mul %d, %d : tensor<?x?x64xf32>
  %dlow = tn.mul %e, %low : tensor<?x?x128xf32>
  %df = tn.unslice %dlow, %dhigh at [0, 128] : tensor<?x?x128xf32>, tensor<?x?x64xf32> -> tensor<?x?x192xf32>
  %dz = tn.activation_grad <silu> %z, %df columns [0, 128] : tensor<?x?x192xf32>
  %dz16 = tn.cast %dz : tensor<?x?x192xf32> -> tensor<?x?x192xbf16>
  %dw = tn.linear_weight_grad %dz16, %z16 : tensor<?x?x192xbf16>, tensor<?x?x192xbf16> -> tensor<192x192xf32>
  return %y, %dw : tensor<?x?x64xf32>, tensor<192x192xf32>
}
