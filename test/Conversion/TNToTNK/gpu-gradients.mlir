// The operations of training on a GPU: products by the library, kernels of rows from the
// CPU's bodies, and attention's adjoint by three attentions, two of them backwards in time.
// RUN: tnllm-opt %S/gradients.mlir --convert-tn-to-tnk='training=1 gpu-threads=256' \
// RUN:   --canonicalize --split-input-file | FileCheck %s
// Each of the kernels can be given to threads.
// RUN: tnllm-opt %S/gradients.mlir --convert-tn-to-tnk='training=1 gpu-threads=256' \
// RUN:   --canonicalize --cse --split-input-file \
// RUN:   | tnllm-opt - --split-input-file --device-pipeline -o /dev/null

// CHECK-LABEL: func.func @linear(
// CHECK-SAME: %[[C:[^:]*]]: !tnrt.context, %{{.*}}: index, %{{.*}}: index, %[[DY:[^:]*]]: memref<8x40xf32>,
// CHECK-SAME: %[[X:[^:]*]]: memref<8x24xf32>, %[[W:[^:]*]]: memref<40x24xf32>, %[[DX:[^:]*]]: memref<8x24xf32>, %[[DW:[^:]*]]: memref<40x24xf32>)
// CHECK: tnrt.matmul form(input_grad) %[[C]] %[[DY]], %[[W]], %[[DX]], %[[ROWS:.*]] :
// CHECK: tnrt.matmul form(weight_grad) accumulate %[[C]] %[[DY]], %[[X]], %[[DW]], %[[ROWS]] :

// CHECK-LABEL: func.func @sums(
// Columns alone are few warps: blocks of 128 rows first, of which this call has one.
// CHECK: %[[PARTIALS:.*]] = tnrt.alloc : memref<1x16xf32>
// CHECK: tnrt.launch %{{.*}} @sum_rows_partials tasks(%[[BLOCKS:[^)]*]]) (%{{.*}}, %[[PARTIALS]], %{{.*}})
// CHECK: tnrt.launch %{{.*}} @sum_rows{{[_0-9]*}} tasks(%c1) (%[[PARTIALS]], %{{.*}}, %[[BLOCKS]])
// CHECK: tnk.kernel @sum_rows_partials({{.*}}) threads(32)

// A loss with its gradient: some rows and all words at a time, 877056 rows being 2^29 logits;
// their logits become their gradients where they are. The call has fewer rows.
// CHECK-LABEL: func.func @loss(
// CHECK: %[[Z:.*]] = tnrt.alloc : memref<262144x612xf32>
// CHECK: @label_partials tasks(
// CHECK: @loss_scale tasks(%c1)
// CHECK: tnrt.matmul %{{.*}} %{{.*}}, %{{.*}}, %[[ROWS:.*]], %{{.*}} :
// CHECK: @loss_gradient tasks({{.*}}) (%[[Z]], %{{.*}}, %{{.*}}, %{{.*}}, %c0)
// CHECK: tnrt.matmul form(input_grad) %{{.*}} %{{.*}} :
// CHECK: tnrt.matmul form(weight_grad) accumulate %{{.*}} :
// CHECK-NOT: @logit_grad
// CHECK: @loss_partials tasks(
// CHECK: @mean_loss tasks(%c1)
// CHECK: return

// Each attention has a state, which begins as zeros.
// CHECK-LABEL: func.func @attention(
// CHECK: @zero_states
// CHECK: @attention_sequential tasks(
// CHECK: @zero_states
// CHECK: @attention_sequential{{.*}} tasks(
// CHECK: @zero_states
// CHECK: @attention_reversed tasks(
// CHECK: @zero_states
// CHECK: @attention_reversed tasks(

// CHECK-LABEL: func.func @rows(
// CHECK: @norm_grad tasks(%[[ROWS:[^)]*]])
// CHECK: @norm_statistics tasks(%[[ROWS]])
// CHECK: @norm_weight_partials tasks(
// CHECK: @sum_rows{{[_0-9]*}} tasks(%c1)
// CHECK: @embedding_grad tasks(%c9)

// CHECK-LABEL: func.func @lrpe(
// CHECK: @lrpe_input_grad tasks(
// CHECK: %[[BLOCKS:.*]] = arith.ceildivui %{{.*}}, %c128
// CHECK: %[[TASKS:.*]] = arith.muli %[[BLOCKS]], %c6
// CHECK: @lrpe_theta_partials tasks(%[[TASKS]])
// CHECK: @sum_rows tasks(%c2) ({{.*}}, %[[BLOCKS]])
