// RUN: tnllm-opt %s --tnrt-plan-memory --split-input-file | FileCheck %s
// RUN: tnllm-opt %s --tnrt-plan-memory=alignment=512 --split-input-file \
// RUN:   | FileCheck %s --check-prefix=WIDE

// A life runs from the first to the last use: %a and %b live together; %d comes after
// %a's last use and takes its place.
// CHECK: module @share attributes {tnrt.arena_bytes = 512 : i64}
// CHECK-LABEL: func.func @f(
// CHECK-SAME: %[[C:.*]]: !tnrt.context
// CHECK: %[[ARENA:.*]] = tnrt.arena %[[C]] : memref<512xi8>
// CHECK: %[[O0:.*]] = arith.constant 0 : index
// CHECK: %[[A:.*]] = memref.view %[[ARENA]][%[[O0]]][] : memref<512xi8> to memref<8x8xf32>
// CHECK: %[[O1:.*]] = arith.constant 256 : index
// CHECK: %[[B:.*]] = memref.view %[[ARENA]][%[[O1]]][]
// CHECK: tnrt.probe %[[C]][0] %[[A]]
// CHECK: tnrt.probe %[[C]][0] %[[B]]
// CHECK: tnrt.probe %[[C]][0] %[[A]]
// CHECK: %[[O2:.*]] = arith.constant 0 : index
// CHECK: memref.view %[[ARENA]][%[[O2]]][]
// CHECK-NOT: tnrt.alloc
// WIDE: module @share attributes {tnrt.arena_bytes = 1024 : i64}
// WIDE: arith.constant 512 : index
module @share {
  func.func @f(%c: !tnrt.context, %n: index) {
    %a = tnrt.alloc : memref<8x8xf32>
    %b = tnrt.alloc : memref<8x8xf32>
    tnrt.probe %c[0] %a, %n : memref<8x8xf32>
    tnrt.probe %c[0] %b, %n : memref<8x8xf32>
    tnrt.probe %c[0] %a, %n : memref<8x8xf32>
    %d = tnrt.alloc : memref<8x8xf32>
    tnrt.probe %c[0] %d, %n : memref<8x8xf32>
    tnrt.probe %c[0] %b, %n : memref<8x8xf32>
    return
  }
}

// -----

// Sizes are rounded up to the alignment; bf16 counts two bytes; the largest is placed
// first, so the small one stands behind it although it came first.
// CHECK: module @sizes attributes {tnrt.arena_bytes = 192 : i64}
// CHECK: arith.constant 128 : index
// CHECK: to memref<3x3xf32>
// CHECK: arith.constant 0 : index
// CHECK: to memref<5x11xbf16>
// WIDE: module @sizes attributes {tnrt.arena_bytes = 1024 : i64}
module @sizes {
  tnk.kernel @k(%x: memref<3x3xf32>, %y: memref<5x11xbf16>, %task: index) {
    tnk.return
  }
  func.func @f(%c: !tnrt.context, %n: index) {
    %a = tnrt.alloc : memref<3x3xf32>
    %b = tnrt.alloc : memref<5x11xbf16>
    tnrt.launch %c @k tasks(%n) (%a, %b) : memref<3x3xf32>, memref<5x11xbf16>
    return
  }
}

// -----

// A view keeps its buffer alive: %a is read through it after %b is written.
// CHECK: module @views attributes {tnrt.arena_bytes = 512 : i64}
// CHECK: %[[O0:.*]] = arith.constant 0 : index
// CHECK: memref.view %{{.*}}[%[[O0]]]
// CHECK: memref.subview
// CHECK: %[[O1:.*]] = arith.constant 256 : index
// CHECK: memref.view %{{.*}}[%[[O1]]]
module @views {
  func.func @f(%c: !tnrt.context, %n: index) {
    %a = tnrt.alloc : memref<8x8xf32>
    %v = memref.subview %a[0, 4] [8, 4] [1, 1]
        : memref<8x8xf32> to memref<8x4xf32, strided<[8, 1], offset: 4>>
    %w = memref.subview %v[0, 2] [8, 2] [1, 1]
        : memref<8x4xf32, strided<[8, 1], offset: 4>> to memref<8x2xf32, strided<[8, 1], offset: 6>>
    %b = tnrt.alloc : memref<8x8xf32>
    tnrt.probe %c[0] %a, %n : memref<8x8xf32>
    tnrt.probe %c[0] %b, %n : memref<8x8xf32>
    tnrt.probe %c[0] %w, %n : memref<8x2xf32, strided<[8, 1], offset: 6>>
    return
  }
}

// -----

// A callee's frame lies above what of all its callers lives during the call: @leaf above
// @middle (1024 of @entry and 256 of its own), not above what @other no longer needs.
// CHECK: module @callees attributes {tnrt.arena_bytes = 32768 : i64}
// CHECK-LABEL: func.func @entry(
// CHECK: arith.constant 0 : index
// CHECK-LABEL: func.func @other(
// CHECK: arith.constant 0 : index
// CHECK-LABEL: func.func private @middle(
// CHECK: arith.constant 1024 : index
// CHECK-LABEL: func.func private @leaf(
// CHECK: arith.constant 1280 : index
// CHECK: to memref<128xf32>
module @callees {
  tnk.kernel @k(%x: memref<128xf32>, %task: index) {
    tnk.return
  }
  func.func @entry(%c: !tnrt.context, %n: index) {
    %a = tnrt.alloc : memref<32x8xf32>
    tnrt.probe %c[0] %a, %n : memref<32x8xf32>
    call @middle(%c, %n) : (!tnrt.context, index) -> ()
    tnrt.probe %c[0] %a, %n : memref<32x8xf32>
    return
  }
  func.func @other(%c: !tnrt.context, %n: index) {
    %a = tnrt.alloc : memref<1024x8xf32>
    tnrt.probe %c[0] %a, %n : memref<1024x8xf32>
    call @leaf(%c, %n) : (!tnrt.context, index) -> ()
    return
  }
  func.func private @middle(%c: !tnrt.context, %n: index) {
    %a = tnrt.alloc : memref<8x8xf32>
    tnrt.probe %c[0] %a, %n : memref<8x8xf32>
    call @leaf(%c, %n) : (!tnrt.context, index) -> ()
    tnrt.probe %c[0] %a, %n : memref<8x8xf32>
    call @leaf(%c, %n) : (!tnrt.context, index) -> ()
    return
  }
  func.func private @leaf(%c: !tnrt.context, %n: index) {
    %a = tnrt.alloc : memref<128xf32>
    tnrt.launch %c @k tasks(%n) (%a) : memref<128xf32>
    return
  }
}

// -----

// Lives that do not meet share their bytes, whichever comes first.
// CHECK: module @apart attributes {tnrt.arena_bytes = 256 : i64}
// WIDE: module @apart attributes {tnrt.arena_bytes = 512 : i64}
module @apart {
  func.func @f(%c: !tnrt.context, %n: index) {
    %a = tnrt.alloc : memref<8x8xf32>
    %b = tnrt.alloc : memref<4x8xf32>
    tnrt.probe %c[0] %b, %n : memref<4x8xf32>
    tnrt.probe %c[0] %a, %n : memref<8x8xf32>
    return
  }
}

// -----

// A use inside a loop is a use: %a and %b live together.
// CHECK: module @nested_use attributes {tnrt.arena_bytes = 512 : i64}
module @nested_use {
  func.func @f(%c: !tnrt.context, %n: index) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %a = tnrt.alloc : memref<8x8xf32>
    %b = tnrt.alloc : memref<8x8xf32>
    tnrt.probe %c[0] %a, %n : memref<8x8xf32>
    tnrt.probe %c[0] %b, %n : memref<8x8xf32>
    scf.for %i = %c0 to %n step %c1 {
      tnrt.probe %c[0] %a, %n : memref<8x8xf32>
    }
    return
  }
}

// -----

// A loop may give back either buffer that it carries, so both live to the last use of
// its results: %c, which is used in between, has a place of its own.
// CHECK: module @carried attributes {tnrt.arena_bytes = 768 : i64}
module @carried {
  func.func @f(%context: !tnrt.context, %n: index) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %a = tnrt.alloc : memref<8x8xf32>
    %b = tnrt.alloc : memref<8x8xf32>
    %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%x = %a, %y = %b)
        -> (memref<8x8xf32>, memref<8x8xf32>) {
      tnrt.probe %context[0] %x, %n : memref<8x8xf32>
      scf.yield %y, %x : memref<8x8xf32>, memref<8x8xf32>
    }
    %c = tnrt.alloc : memref<8x8xf32>
    tnrt.probe %context[0] %c, %n : memref<8x8xf32>
    tnrt.probe %context[0] %r#0, %n : memref<8x8xf32>
    return
  }
}

// -----

// Without a use of the results they end with the loop, and %c takes the place of one.
// CHECK: module @carried_to_the_end attributes {tnrt.arena_bytes = 512 : i64}
module @carried_to_the_end {
  func.func @f(%context: !tnrt.context, %n: index) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %a = tnrt.alloc : memref<8x8xf32>
    %b = tnrt.alloc : memref<8x8xf32>
    %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%x = %a, %y = %b)
        -> (memref<8x8xf32>, memref<8x8xf32>) {
      tnrt.probe %context[0] %x, %n : memref<8x8xf32>
      scf.yield %y, %x : memref<8x8xf32>, memref<8x8xf32>
    }
    %c = tnrt.alloc : memref<8x8xf32>
    tnrt.probe %context[0] %c, %n : memref<8x8xf32>
    return
  }
}

// -----

// A buffer that a region yields is one of the results.
// CHECK: module @yielded attributes {tnrt.arena_bytes = 768 : i64}
module @yielded {
  func.func @f(%context: !tnrt.context, %n: index, %which: i1) {
    %a = tnrt.alloc : memref<8x8xf32>
    %b = tnrt.alloc : memref<8x8xf32>
    %r = scf.if %which -> memref<8x8xf32> {
      %v = memref.cast %a : memref<8x8xf32> to memref<8x8xf32>
      scf.yield %v : memref<8x8xf32>
    } else {
      scf.yield %b : memref<8x8xf32>
    }
    %c = tnrt.alloc : memref<8x8xf32>
    tnrt.probe %context[0] %c, %n : memref<8x8xf32>
    tnrt.probe %context[0] %r, %n : memref<8x8xf32>
    return
  }
}

// -----

// Nothing to place.
// CHECK: module @empty attributes {tnrt.arena_bytes = 0 : i64}
// CHECK-NOT: tnrt.arena %
module @empty {
  func.func @f(%c: !tnrt.context) {
    return
  }
  func.func private @declared(!tnrt.context)
}

// -----

// A kernel reads a buffer through its tensor map: %x lives until the launch, beside %y.
// CHECK: module @maps attributes {tnrt.arena_bytes = 16384 : i64}
// CHECK: %[[OX:.*]] = arith.constant 0 : index
// CHECK: memref.view %{{.*}}[%[[OX]]][]
// CHECK: %[[OY:.*]] = arith.constant 8192 : index
// CHECK: memref.view %{{.*}}[%[[OY]]][]
module @maps {
  tnk.kernel @k(%x: !tnk.map<64x64xbf16>, %y: memref<64x64xbf16>, %task: index) threads(128) {
    tnk.return
  }
  func.func @f(%c: !tnrt.context, %n: index) {
    %x = tnrt.alloc : memref<64x64xbf16>
    %y = tnrt.alloc : memref<64x64xbf16>
    %map = tnrt.tensor_map %c %x batch(%n) length(%n) heads(1) : memref<64x64xbf16> -> <64x64xbf16>
    tnrt.launch %c @k tasks(%n) (%map, %y) : !tnk.map<64x64xbf16>, memref<64x64xbf16>
    return
  }
}
