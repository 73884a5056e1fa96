// Handles are values: unused ones go, equal ones are one. Launches and probes stay.
// RUN: tnllm-opt %s --canonicalize --cse | FileCheck %s

tnk.kernel @k(%x: memref<8x64xf32>, %y: memref<8x64xf32>, %task: index) {
  tnk.return
}

// CHECK-LABEL: func @handles
// CHECK: %[[W:.*]] = tnrt.param %{{.*}}[0]
// CHECK-NOT: tnrt.param
// CHECK-NOT: tnrt.state
// CHECK-NOT: tnrt.gradient
// CHECK-NOT: tnrt.alloc
// CHECK: tnrt.launch %{{.*}} @k tasks(%{{.*}}) (%[[W]], %[[W]])
// CHECK: tnrt.launch %{{.*}} @k tasks(%{{.*}}) (%[[W]], %[[W]])
// CHECK: tnrt.probe
func.func @handles(%context: !tnrt.context, %n: index) {
  %w = tnrt.param %context[0] : memref<8x64xf32>
  %same = tnrt.param %context[0] : memref<8x64xf32>
  %unused = tnrt.param %context[1] : memref<8x64xf32>
  %state = tnrt.state %context[0] : memref<8x64xf32>
  %gradient = tnrt.gradient %context[0] : memref<8x64xf32>
  %buffer = tnrt.alloc : memref<8x64xf32>
  tnrt.launch %context @k tasks(%n) (%w, %same) : memref<8x64xf32>, memref<8x64xf32>
  tnrt.launch %context @k tasks(%n) (%w, %same) : memref<8x64xf32>, memref<8x64xf32>
  tnrt.probe %context[0] %w, %n : memref<8x64xf32>
  return
}

// Two buffers are two, though their types are the same.
// CHECK-LABEL: func @buffers
// CHECK: %[[X:.*]] = tnrt.alloc
// CHECK: %[[Y:.*]] = tnrt.alloc
// CHECK: tnrt.launch %{{.*}} (%[[X]], %[[Y]])
func.func @buffers(%context: !tnrt.context, %n: index) {
  %x = tnrt.alloc : memref<8x64xf32>
  %y = tnrt.alloc : memref<8x64xf32>
  tnrt.launch %context @k tasks(%n) (%x, %y) : memref<8x64xf32>, memref<8x64xf32>
  return
}

// Maps describe and do nothing: equal ones are one, unused ones go.
// CHECK-LABEL: func @maps
// CHECK: %[[M:.*]] = tnrt.tensor_map %{{.*}} batch(%{{.*}}) length(%{{.*}}) heads(2)
// CHECK-NOT: heads(2)
// CHECK: %[[N:.*]] = tnrt.tensor_map {{.*}} heads(1)
// CHECK-NOT: tnrt.tensor_map
// CHECK: tnrt.launch %{{.*}} @mapped tasks(%{{.*}}) (%[[M]], %[[M]], %[[N]])
func.func @maps(%context: !tnrt.context, %x: memref<8x64xbf16>, %n: index) {
  %m = tnrt.tensor_map %context %x batch(%n) length(%n) heads(2) : memref<8x64xbf16> -> <64x64xbf16>
  %same = tnrt.tensor_map %context %x batch(%n) length(%n) heads(2) : memref<8x64xbf16> -> <64x64xbf16>
  %other = tnrt.tensor_map %context %x batch(%n) length(%n) heads(1) : memref<8x64xbf16> -> <64x64xbf16>
  %unused = tnrt.tensor_map %context %x batch(%n) length(%n) heads(4) : memref<8x64xbf16> -> <64x64xbf16>
  tnrt.launch %context @mapped tasks(%n) (%m, %same, %other)
      : !tnk.map<64x64xbf16>, !tnk.map<64x64xbf16>, !tnk.map<64x64xbf16>
  return
}
tnk.kernel @mapped(%a: !tnk.map<64x64xbf16>, %b: !tnk.map<64x64xbf16>, %c: !tnk.map<64x64xbf16>,
                   %task: index) threads(128) {
  tnk.return
}
