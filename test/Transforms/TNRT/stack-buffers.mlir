// RUN: tnllm-opt %s --pass-pipeline='builtin.module(func.func(tnrt-stack-buffers))' --split-input-file | FileCheck %s
// RUN: tnllm-opt %s --pass-pipeline='builtin.module(func.func(tnrt-stack-buffers),tnrt-roll-layers)' --split-input-file | FileCheck %s --check-prefix=LOOP

// What three forwards keep, and the hidden states before, between and after them, are rows;
// the gradients between the backwards, which nothing else reads, are not.
// CHECK-LABEL: func.func @step(
// CHECK-SAME: %[[C:[^:]*]]: !tnrt.context, %[[N:[^:]*]]: index, %[[OUT:.*]]: memref<8x4xf32>)
// CHECK: %[[X:.*]] = tnrt.alloc : memref<4x8x4xf32>
// CHECK: %[[X0:.*]] = tnrt.row %[[X]][%c0{{.*}}] : memref<4x8x4xf32> -> memref<8x4xf32>
// CHECK: %[[X1:.*]] = tnrt.row %[[X]][%c1{{.*}}]
// CHECK: %[[X2:.*]] = tnrt.row %[[X]][%c2{{.*}}]
// CHECK: %[[X3:.*]] = tnrt.row %[[X]][%c3{{.*}}]
// CHECK: tnrt.launch %[[C]] @embed tasks(%[[N]]) (%[[X0]])
// CHECK: %[[S:.*]] = tnrt.alloc : memref<3x8x6xf32>
// CHECK: %[[S0:.*]] = tnrt.row %[[S]][%c0{{.*}}] : memref<3x8x6xf32> -> memref<8x6xf32>
// CHECK: %[[S1:.*]] = tnrt.row %[[S]][%c1{{.*}}]
// CHECK: %[[S2:.*]] = tnrt.row %[[S]][%c2{{.*}}]
// CHECK: call @forward(%[[C]], %[[X0]], %{{.*}}, %[[X1]], %[[S0]])
// CHECK: call @forward(%[[C]], %[[X1]], %{{.*}}, %[[X2]], %[[S1]])
// CHECK: call @forward(%[[C]], %[[X2]], %{{.*}}, %[[X3]], %[[S2]])
// CHECK: %[[D3:.*]] = tnrt.alloc : memref<8x4xf32>
// CHECK: tnrt.launch %[[C]] @loss tasks(%[[N]]) (%[[X3]], %[[D3]])
// CHECK: %[[D2:.*]] = tnrt.alloc : memref<8x4xf32>
// CHECK: call @backward(%[[C]], %[[X2]], %[[S2]], %{{.*}}, %[[D3]], %[[D2]])
// CHECK: %[[D1:.*]] = tnrt.alloc : memref<8x4xf32>
// CHECK: call @backward(%[[C]], %[[X1]], %[[S1]], %{{.*}}, %[[D2]], %[[D1]])
// CHECK: call @backward(%[[C]], %[[X0]], %[[S0]], %{{.*}}, %[[D1]], %[[OUT]])

// The loops: forwards, and backwards from the last row. The last backward writes an argument,
// so two are left, which is too few.
// LOOP-LABEL: func.func @step(
// LOOP: %[[X:.*]] = tnrt.alloc : memref<4x8x4xf32>
// LOOP: %[[S:.*]] = tnrt.alloc : memref<3x8x6xf32>
// LOOP: scf.for %[[I:.*]] = %{{.*}} to %{{.*}} step %{{.*}} {
// LOOP: %[[A:.*]] = arith.addi %c0{{.*}}, %[[I]]
// LOOP: tnrt.row %[[X]][%[[A]]]
// LOOP: tnrt.param %{{.*}}[2 + %[[I]]]
// LOOP: %[[B:.*]] = arith.addi %c1{{.*}}, %[[I]]
// LOOP: tnrt.row %[[X]][%[[B]]]
// LOOP: tnrt.row %[[S]]
// LOOP: call @forward(
// LOOP: }
// LOOP-COUNT-3: call @backward(
func.func private @forward(!tnrt.context, memref<8x4xf32>, memref<4x4xf32>, memref<8x4xf32>, memref<8x6xf32>)
func.func private @backward(!tnrt.context, memref<8x4xf32>, memref<8x6xf32>, memref<4x4xf32>, memref<8x4xf32>, memref<8x4xf32>)
tnk.kernel @embed(%x: memref<8x4xf32>, %task: index) {
  tnk.return
}
tnk.kernel @loss(%x: memref<8x4xf32>, %d: memref<8x4xf32>, %task: index) {
  tnk.return
}
func.func @step(%c: !tnrt.context, %n: index, %out: memref<8x4xf32>) {
  %g0 = tnrt.gradient %c[2] : memref<4x4xf32>
  %g1 = tnrt.gradient %c[3] : memref<4x4xf32>
  %g2 = tnrt.gradient %c[4] : memref<4x4xf32>
  %x0 = tnrt.alloc : memref<8x4xf32>
  tnrt.launch %c @embed tasks(%n) (%x0) : memref<8x4xf32>
  %w0 = tnrt.param %c[2] : memref<4x4xf32>
  %w1 = tnrt.param %c[3] : memref<4x4xf32>
  %w2 = tnrt.param %c[4] : memref<4x4xf32>
  %x1 = tnrt.alloc : memref<8x4xf32>
  %s0 = tnrt.alloc : memref<8x6xf32>
  call @forward(%c, %x0, %w0, %x1, %s0) : (!tnrt.context, memref<8x4xf32>, memref<4x4xf32>, memref<8x4xf32>, memref<8x6xf32>) -> ()
  %x2 = tnrt.alloc : memref<8x4xf32>
  %s1 = tnrt.alloc : memref<8x6xf32>
  call @forward(%c, %x1, %w1, %x2, %s1) : (!tnrt.context, memref<8x4xf32>, memref<4x4xf32>, memref<8x4xf32>, memref<8x6xf32>) -> ()
  %x3 = tnrt.alloc : memref<8x4xf32>
  %s2 = tnrt.alloc : memref<8x6xf32>
  call @forward(%c, %x2, %w2, %x3, %s2) : (!tnrt.context, memref<8x4xf32>, memref<4x4xf32>, memref<8x4xf32>, memref<8x6xf32>) -> ()
  %d3 = tnrt.alloc : memref<8x4xf32>
  tnrt.launch %c @loss tasks(%n) (%x3, %d3) : memref<8x4xf32>, memref<8x4xf32>
  %d2 = tnrt.alloc : memref<8x4xf32>
  call @backward(%c, %x2, %s2, %g2, %d3, %d2) : (!tnrt.context, memref<8x4xf32>, memref<8x6xf32>, memref<4x4xf32>, memref<8x4xf32>, memref<8x4xf32>) -> ()
  %d1 = tnrt.alloc : memref<8x4xf32>
  call @backward(%c, %x1, %s1, %g1, %d2, %d1) : (!tnrt.context, memref<8x4xf32>, memref<8x6xf32>, memref<4x4xf32>, memref<8x4xf32>, memref<8x4xf32>) -> ()
  call @backward(%c, %x0, %s0, %g0, %d1, %out) : (!tnrt.context, memref<8x4xf32>, memref<8x6xf32>, memref<4x4xf32>, memref<8x4xf32>, memref<8x4xf32>) -> ()
  return
}

// -----

// Three backwards that write no argument are a loop that walks down: rows, parameters and
// gradients by steps of -1, and two buffers that it exchanges.
// LOOP-LABEL: func.func @down(
// LOOP: call @forward
// LOOP: scf.for %[[I:.*]] = %{{.*}} to %{{.*}} step %{{.*}} iter_args(%[[IN:.*]] = %{{.*}}, %[[OUT:.*]] = %{{.*}})
// LOOP: %[[MINUS:.*]] = arith.muli %[[I]], %c-1
// LOOP: %[[A:.*]] = arith.addi %c2{{.*}}, %[[MINUS]]
// LOOP: %[[ROW:.*]] = tnrt.row %{{.*}}[%[[A]]] : memref<3x8x6xf32> -> memref<8x6xf32>
// LOOP: %[[G:.*]] = tnrt.gradient %{{.*}}[4 + %[[MINUS]]] : memref<4x4xf32>
// LOOP: call @backward(%{{.*}}, %[[ROW]], %[[G]], %[[IN]], %[[OUT]])
// LOOP: scf.yield %[[OUT]], %[[IN]]
func.func private @forward(!tnrt.context, memref<8x6xf32>)
func.func private @backward(!tnrt.context, memref<8x6xf32>, memref<4x4xf32>, memref<8x4xf32>, memref<8x4xf32>)
tnk.kernel @loss(%d: memref<8x4xf32>, %task: index) {
  tnk.return
}
func.func @down(%c: !tnrt.context, %n: index) {
  %g0 = tnrt.gradient %c[2] : memref<4x4xf32>
  %g1 = tnrt.gradient %c[3] : memref<4x4xf32>
  %g2 = tnrt.gradient %c[4] : memref<4x4xf32>
  %s0 = tnrt.alloc : memref<8x6xf32>
  call @forward(%c, %s0) : (!tnrt.context, memref<8x6xf32>) -> ()
  %s1 = tnrt.alloc : memref<8x6xf32>
  call @forward(%c, %s1) : (!tnrt.context, memref<8x6xf32>) -> ()
  %s2 = tnrt.alloc : memref<8x6xf32>
  call @forward(%c, %s2) : (!tnrt.context, memref<8x6xf32>) -> ()
  %d3 = tnrt.alloc : memref<8x4xf32>
  tnrt.launch %c @loss tasks(%n) (%d3) : memref<8x4xf32>
  %d2 = tnrt.alloc : memref<8x4xf32>
  call @backward(%c, %s2, %g2, %d3, %d2) : (!tnrt.context, memref<8x6xf32>, memref<4x4xf32>, memref<8x4xf32>, memref<8x4xf32>) -> ()
  %d1 = tnrt.alloc : memref<8x4xf32>
  call @backward(%c, %s1, %g1, %d2, %d1) : (!tnrt.context, memref<8x6xf32>, memref<4x4xf32>, memref<8x4xf32>, memref<8x4xf32>) -> ()
  %d0 = tnrt.alloc : memref<8x4xf32>
  call @backward(%c, %s0, %g0, %d1, %d0) : (!tnrt.context, memref<8x6xf32>, memref<4x4xf32>, memref<8x4xf32>, memref<8x4xf32>) -> ()
  tnrt.probe %c[1] %d0, %n : memref<8x4xf32>
  return
}

// -----

// What the calls alone use stays, and so does what differs in type or stands at one place of
// two calls; two calls are too few.
// CHECK-LABEL: func.func @others(
// CHECK-NOT: tnrt.row
// CHECK: return
func.func private @f(memref<8x4xf32>, memref<8x4xf32>)
func.func private @g(memref<8x4xf32>)
func.func @others(%c: !tnrt.context, %n: index) {
  %a0 = tnrt.alloc : memref<8x4xf32>
  %a1 = tnrt.alloc : memref<8x4xf32>
  %a2 = tnrt.alloc : memref<8x4xf32>
  %a3 = tnrt.alloc : memref<8x4xf32>
  call @f(%a0, %a1) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
  call @f(%a1, %a2) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
  call @f(%a2, %a3) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
  tnrt.probe %c[0] %a3, %n : memref<8x4xf32>
  %b = tnrt.alloc : memref<8x4xf32>
  call @g(%b) : (memref<8x4xf32>) -> ()
  call @g(%b) : (memref<8x4xf32>) -> ()
  call @g(%b) : (memref<8x4xf32>) -> ()
  tnrt.probe %c[1] %b, %n : memref<8x4xf32>
  %d0 = tnrt.alloc : memref<8x4xf32>
  call @g(%d0) : (memref<8x4xf32>) -> ()
  %d1 = tnrt.alloc : memref<8x4xf32>
  call @g(%d1) : (memref<8x4xf32>) -> ()
  tnrt.probe %c[2] %d0, %n : memref<8x4xf32>
  tnrt.probe %c[3] %d1, %n : memref<8x4xf32>
  return
}
