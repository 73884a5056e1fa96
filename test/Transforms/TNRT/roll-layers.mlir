// RUN: tnllm-opt %s --tnrt-roll-layers --split-input-file | FileCheck %s

// Everything a layer may take: the same value, parameters in steps of 2, states in steps
// of 1, constants, the buffer of the layer before, and a probe. The last buffer, which
// something reads later, is the loop's result; the constants that nothing reads are gone.
// CHECK-LABEL: module @layers
// CHECK: memref.global "private" constant @table : memref<4x2xf32> = dense<{{\[\[}}1.000000e+00, 2.000000e+00], [3.000000e+00, 4.000000e+00], [5.000000e+00, 6.000000e+00], [7.000000e+00, 8.000000e+00]]>
// CHECK-NOT: @s0
// CHECK: constant @s1
// CHECK-NOT: @s2
// CHECK-LABEL: func.func @f(
// CHECK-SAME: %[[C:[^:]*]]: !tnrt.context, %[[N:[^:]*]]: index)
// CHECK: %[[A:.*]] = tnrt.alloc
// CHECK: tnrt.probe %[[C]][0] %[[A]], %[[N]]
// CHECK: memref.get_global @s1
// CHECK: %[[B:.*]] = tnrt.alloc
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[C4:.*]] = arith.constant 4 : index
// CHECK-DAG: %[[C1:.*]] = arith.constant 1 : index
// CHECK-DAG: %[[C2:.*]] = arith.constant 2 : index
// CHECK-DAG: %[[TABLE:.*]] = memref.get_global @table : memref<4x2xf32>
// CHECK: %[[R:.*]]:2 = scf.for %[[I:.*]] = %[[C0]] to %[[C4]] step %[[C1]] iter_args(%[[IN:.*]] = %[[A]], %[[OUT:.*]] = %[[B]]) -> (memref<8x4xf32>, memref<8x4xf32>) {
// CHECK-NEXT: %[[BY2:.*]] = arith.muli %[[I]], %[[C2]]
// CHECK-NEXT: tnrt.probe %[[C]][1 + %[[I]]] %[[IN]], %[[N]]
// CHECK-NEXT: %[[ROW:.*]] = tnrt.row %[[TABLE]][%[[I]]] : memref<4x2xf32> -> memref<2xf32>
// CHECK-NEXT: %[[STATE:.*]] = tnrt.state %[[C]][3 + %[[I]]]
// CHECK-NEXT: %[[W:.*]] = tnrt.param %[[C]][5 + %[[BY2]]]
// CHECK-NEXT: func.call @block(%[[C]], %[[N]], %[[IN]], %[[ROW]], %[[STATE]], %[[W]], %[[OUT]])
// CHECK-NEXT: scf.yield %[[OUT]], %[[IN]]
// CHECK-NEXT: }
// CHECK-NOT: call
// CHECK-NOT: tnrt.alloc
// CHECK: tnrt.probe %[[C]][5] %[[R]]#0, %[[N]]
// CHECK-NEXT: return
module @layers {
  memref.global "private" constant @s0 : memref<2xf32> = dense<[1.0, 2.0]>
  memref.global "private" constant @s1 : memref<2xf32> = dense<[3.0, 4.0]>
  memref.global "private" constant @s2 : memref<2xf32> = dense<[5.0, 6.0]>
  memref.global "private" constant @s3 : memref<2xf32> = dense<[7.0, 8.0]>
  func.func private @block(!tnrt.context, index, memref<8x4xf32>, memref<2xf32>, memref<8x6xf32>, memref<4x4xf32>, memref<8x4xf32>)
  tnk.kernel @read(%x: memref<2xf32>, %task: index) {
    tnk.return
  }
  func.func @f(%c: !tnrt.context, %n: index) {
    %a = tnrt.alloc : memref<8x4xf32>
    tnrt.probe %c[0] %a, %n : memref<8x4xf32>
    %s0 = memref.get_global @s0 : memref<2xf32>
    %s1 = memref.get_global @s1 : memref<2xf32>
    %s2 = memref.get_global @s2 : memref<2xf32>
    %s3 = memref.get_global @s3 : memref<2xf32>
    tnrt.launch %c @read tasks(%n) (%s1) : memref<2xf32>
    %t0 = tnrt.state %c[3] : memref<8x6xf32>
    %t1 = tnrt.state %c[4] : memref<8x6xf32>
    %t2 = tnrt.state %c[5] : memref<8x6xf32>
    %t3 = tnrt.state %c[6] : memref<8x6xf32>
    tnrt.probe %c[1] %a, %n : memref<8x4xf32>
    %w0 = tnrt.param %c[5] : memref<4x4xf32>
    %b = tnrt.alloc : memref<8x4xf32>
    call @block(%c, %n, %a, %s0, %t0, %w0, %b) : (!tnrt.context, index, memref<8x4xf32>, memref<2xf32>, memref<8x6xf32>, memref<4x4xf32>, memref<8x4xf32>) -> ()
    tnrt.probe %c[2] %b, %n : memref<8x4xf32>
    %w1 = tnrt.param %c[7] : memref<4x4xf32>
    %d = tnrt.alloc : memref<8x4xf32>
    call @block(%c, %n, %b, %s1, %t1, %w1, %d) : (!tnrt.context, index, memref<8x4xf32>, memref<2xf32>, memref<8x6xf32>, memref<4x4xf32>, memref<8x4xf32>) -> ()
    tnrt.probe %c[3] %d, %n : memref<8x4xf32>
    %w2 = tnrt.param %c[9] : memref<4x4xf32>
    %e = tnrt.alloc : memref<8x4xf32>
    call @block(%c, %n, %d, %s2, %t2, %w2, %e) : (!tnrt.context, index, memref<8x4xf32>, memref<2xf32>, memref<8x6xf32>, memref<4x4xf32>, memref<8x4xf32>) -> ()
    tnrt.probe %c[4] %e, %n : memref<8x4xf32>
    %w3 = tnrt.param %c[11] : memref<4x4xf32>
    %f = tnrt.alloc : memref<8x4xf32>
    call @block(%c, %n, %e, %s3, %t3, %w3, %f) : (!tnrt.context, index, memref<8x4xf32>, memref<2xf32>, memref<8x6xf32>, memref<4x4xf32>, memref<8x4xf32>) -> ()
    tnrt.probe %c[5] %f, %n : memref<8x4xf32>
    return
  }
}

// -----

// Layers that pass nothing on need no buffers. A call whose parameter is out of step
// stays outside, and so does one that a launch separates.
// CHECK-LABEL: module @irregular
// CHECK-LABEL: func.func @f(
// CHECK: %[[W9:.*]] = tnrt.param %{{.*}}[9]
// CHECK: %[[N3:.*]] = arith.constant 3 : index
// CHECK: scf.for %[[I:.*]] = %{{.*}} to %[[N3]] step %{{.*}} {
// CHECK-NEXT: %[[W:.*]] = tnrt.param %{{.*}}[0 + %[[I]]]
// CHECK-NEXT: func.call @g(%{{.*}}, %[[W]])
// CHECK-NEXT: }
// CHECK-NEXT: call @g(%{{.*}}, %[[W9]])
// CHECK: tnrt.launch
// CHECK: call @g
// CHECK-NEXT: return
module @irregular {
  func.func private @g(!tnrt.context, memref<4x4xf32>)
  tnk.kernel @k(%task: index) {
    tnk.return
  }
  func.func @f(%c: !tnrt.context, %n: index) {
    %w0 = tnrt.param %c[0] : memref<4x4xf32>
    %w1 = tnrt.param %c[1] : memref<4x4xf32>
    %w2 = tnrt.param %c[2] : memref<4x4xf32>
    %w9 = tnrt.param %c[9] : memref<4x4xf32>
    %w16 = tnrt.param %c[16] : memref<4x4xf32>
    call @g(%c, %w0) : (!tnrt.context, memref<4x4xf32>) -> ()
    call @g(%c, %w1) : (!tnrt.context, memref<4x4xf32>) -> ()
    call @g(%c, %w2) : (!tnrt.context, memref<4x4xf32>) -> ()
    call @g(%c, %w9) : (!tnrt.context, memref<4x4xf32>) -> ()
    tnrt.launch %c @k tasks(%n) ()
    call @g(%c, %w16) : (!tnrt.context, memref<4x4xf32>) -> ()
    return
  }
}

// -----

// What the run reads first must be free to be written: an argument is not, nor a buffer
// that is read later, so the first call stays outside. The last call writes an argument
// and stays too.
// CHECK-LABEL: module @ends
// CHECK-LABEL: func.func @argument(
// CHECK-SAME: %[[X:[^:]*]]: memref<8x4xf32>, %[[Y:[^:]*]]: memref<8x4xf32>)
// CHECK: %[[A:.*]] = tnrt.alloc
// CHECK: call @g(%[[X]], %[[A]])
// CHECK: %[[B:.*]] = tnrt.alloc
// CHECK: %[[N:.*]] = arith.constant 3 : index
// CHECK: %[[R:.*]]:2 = scf.for %{{.*}} to %[[N]] step %{{.*}} iter_args(%{{.*}} = %[[A]], %{{.*}} = %[[B]])
// CHECK: call @g(%[[R]]#0, %[[Y]])
// CHECK-LABEL: func.func @read_later(
// CHECK: %[[A:.*]] = tnrt.alloc
// CHECK: %[[B:.*]] = tnrt.alloc
// CHECK: call @g(%[[A]], %[[B]])
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[B]], %{{.*}} = %{{.*}})
// CHECK: tnrt.probe %{{.*}}[0] %[[A]]
module @ends {
  func.func private @g(memref<8x4xf32>, memref<8x4xf32>)
  func.func @argument(%x: memref<8x4xf32>, %y: memref<8x4xf32>) {
    %a = tnrt.alloc : memref<8x4xf32>
    call @g(%x, %a) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
    %b = tnrt.alloc : memref<8x4xf32>
    call @g(%a, %b) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
    %c = tnrt.alloc : memref<8x4xf32>
    call @g(%b, %c) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
    %d = tnrt.alloc : memref<8x4xf32>
    call @g(%c, %d) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
    call @g(%d, %y) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
    return
  }
  func.func @read_later(%context: !tnrt.context, %n: index) {
    %a = tnrt.alloc : memref<8x4xf32>
    %b = tnrt.alloc : memref<8x4xf32>
    call @g(%a, %b) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
    %c = tnrt.alloc : memref<8x4xf32>
    call @g(%b, %c) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
    %d = tnrt.alloc : memref<8x4xf32>
    call @g(%c, %d) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
    %e = tnrt.alloc : memref<8x4xf32>
    call @g(%d, %e) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
    tnrt.probe %context[0] %a, %n : memref<8x4xf32>
    return
  }
}

// -----

// Buffers of two types passed on, two of each in turns.
// CHECK-LABEL: module @pairs
// CHECK: %[[A0:.*]] = tnrt.alloc : memref<8x4xf32>
// CHECK: %[[B0:.*]] = tnrt.alloc : memref<8x4xbf16>
// CHECK: %[[A1:.*]] = tnrt.alloc : memref<8x4xf32>
// CHECK: %[[B1:.*]] = tnrt.alloc : memref<8x4xbf16>
// CHECK: %[[R:.*]]:4 = scf.for {{.*}} iter_args(%[[A:.*]] = %[[A0]], %[[NEXTA:.*]] = %[[A1]], %[[B:.*]] = %[[B0]], %[[NEXTB:.*]] = %[[B1]])
// CHECK-NEXT: func.call @h(%[[A]], %[[B]], %[[NEXTA]], %[[NEXTB]])
// CHECK-NEXT: scf.yield %[[NEXTA]], %[[A]], %[[NEXTB]], %[[B]]
// CHECK-NOT: tnrt.alloc
// CHECK: tnrt.probe %{{.*}}[0] %[[R]]#0, %{{.*}}
// CHECK: call @read(%[[R]]#2)
module @pairs {
  func.func private @h(memref<8x4xf32>, memref<8x4xbf16>, memref<8x4xf32>, memref<8x4xbf16>)
  func.func private @read(memref<8x4xbf16>)
  func.func @f(%context: !tnrt.context, %n: index) {
    %a0 = tnrt.alloc : memref<8x4xf32>
    %b0 = tnrt.alloc : memref<8x4xbf16>
    %a1 = tnrt.alloc : memref<8x4xf32>
    %b1 = tnrt.alloc : memref<8x4xbf16>
    call @h(%a0, %b0, %a1, %b1) : (memref<8x4xf32>, memref<8x4xbf16>, memref<8x4xf32>, memref<8x4xbf16>) -> ()
    %a2 = tnrt.alloc : memref<8x4xf32>
    %b2 = tnrt.alloc : memref<8x4xbf16>
    call @h(%a1, %b1, %a2, %b2) : (memref<8x4xf32>, memref<8x4xbf16>, memref<8x4xf32>, memref<8x4xbf16>) -> ()
    %a3 = tnrt.alloc : memref<8x4xf32>
    %b3 = tnrt.alloc : memref<8x4xbf16>
    call @h(%a2, %b2, %a3, %b3) : (memref<8x4xf32>, memref<8x4xbf16>, memref<8x4xf32>, memref<8x4xbf16>) -> ()
    tnrt.probe %context[0] %a3, %n : memref<8x4xf32>
    call @read(%b3) : (memref<8x4xbf16>) -> ()
    return
  }
}

// -----

// Left alone: two calls; a buffer in the middle that is read after the next layer; two
// buffers that the calls already exchange; two that they swap; a constant that others may
// write.
// CHECK-LABEL: module @left_alone
// CHECK-NOT: scf.for
module @left_alone {
  memref.global "private" @m0 : memref<2xf32> = dense<[1.0, 2.0]>
  memref.global "private" @m1 : memref<2xf32> = dense<[3.0, 4.0]>
  memref.global "private" @m2 : memref<2xf32> = dense<[5.0, 6.0]>
  func.func private @g(memref<8x4xf32>, memref<8x4xf32>)
  func.func private @h(memref<8x4xf32>, memref<8x4xf32>, memref<8x4xf32>, memref<8x4xf32>)
  func.func private @s(memref<2xf32>)
  func.func @two() {
    %a = tnrt.alloc : memref<8x4xf32>
    %b = tnrt.alloc : memref<8x4xf32>
    call @g(%a, %b) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
    %c = tnrt.alloc : memref<8x4xf32>
    call @g(%b, %c) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
    return
  }
  func.func @middle(%context: !tnrt.context, %n: index) {
    %a = tnrt.alloc : memref<8x4xf32>
    %b = tnrt.alloc : memref<8x4xf32>
    call @g(%a, %b) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
    %c = tnrt.alloc : memref<8x4xf32>
    call @g(%b, %c) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
    %d = tnrt.alloc : memref<8x4xf32>
    call @g(%c, %d) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
    tnrt.probe %context[0] %b, %n : memref<8x4xf32>
    tnrt.probe %context[0] %c, %n : memref<8x4xf32>
    return
  }
  func.func @exchanged() {
    %a = tnrt.alloc : memref<8x4xf32>
    %b = tnrt.alloc : memref<8x4xf32>
    call @g(%a, %b) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
    call @g(%b, %a) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
    call @g(%a, %b) : (memref<8x4xf32>, memref<8x4xf32>) -> ()
    return
  }
  func.func @swapped() {
    %a0 = tnrt.alloc : memref<8x4xf32>
    %b0 = tnrt.alloc : memref<8x4xf32>
    %a1 = tnrt.alloc : memref<8x4xf32>
    %b1 = tnrt.alloc : memref<8x4xf32>
    call @h(%a0, %b0, %a1, %b1) : (memref<8x4xf32>, memref<8x4xf32>, memref<8x4xf32>, memref<8x4xf32>) -> ()
    %a2 = tnrt.alloc : memref<8x4xf32>
    %b2 = tnrt.alloc : memref<8x4xf32>
    call @h(%b1, %a1, %a2, %b2) : (memref<8x4xf32>, memref<8x4xf32>, memref<8x4xf32>, memref<8x4xf32>) -> ()
    %a3 = tnrt.alloc : memref<8x4xf32>
    %b3 = tnrt.alloc : memref<8x4xf32>
    call @h(%b2, %a2, %a3, %b3) : (memref<8x4xf32>, memref<8x4xf32>, memref<8x4xf32>, memref<8x4xf32>) -> ()
    return
  }
  func.func @variables() {
    %0 = memref.get_global @m0 : memref<2xf32>
    %1 = memref.get_global @m1 : memref<2xf32>
    %2 = memref.get_global @m2 : memref<2xf32>
    call @s(%0) : (memref<2xf32>) -> ()
    call @s(%1) : (memref<2xf32>) -> ()
    call @s(%2) : (memref<2xf32>) -> ()
    return
  }
  func.func private @declared(!tnrt.context)
}
