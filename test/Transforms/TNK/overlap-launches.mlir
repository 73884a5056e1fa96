// A kernel lets the next one start at once and waits where it says, or first of all.
// RUN: tnllm-opt %s --tnk-overlap-launches --split-input-file | FileCheck %s
// RUN: tnllm-opt %s --convert-tnk-to-gpu --split-input-file | FileCheck %s --check-prefix=WITHOUT
// RUN: tnllm-opt %s --tnk-to-ptx="overlap=1" --split-input-file -o /dev/null | FileCheck %s --check-prefix=PTX
// RUN: tnllm-opt %s --tnk-to-ptx --split-input-file -o /dev/null | FileCheck %s --check-prefix=NONE

// WITHOUT-NOT: griddepcontrol
// WITHOUT-NOT: tnk.wait_inputs
// WITHOUT-NOT: tnk.overlaps
// NONE-NOT: griddepcontrol

// CHECK-LABEL: tnk.kernel @first(
// CHECK-SAME: threads(64) attributes {tnk.overlaps}
// CHECK-NEXT: nvvm.griddepcontrol launch_dependents
// CHECK-NEXT: llvm.inline_asm has_side_effects {{.*}}"griddepcontrol.wait;", "~{memory}"
// CHECK: vector.load
// PTX-LABEL: .visible .entry first(
// PTX: griddepcontrol.launch_dependents;
// PTX-NOT: ld.global
// PTX: griddepcontrol.wait;
// PTX: ld.global
tnk.kernel @first(%x: memref<8x64xf32>, %y: memref<8x64xf32>, %row: index) threads(64) {
  %c0 = arith.constant 0 : index
  %v = vector.load %x[%row, %c0] : memref<8x64xf32>, vector<64xf32>
  vector.store %v, %y[%row, %c0] : memref<8x64xf32>, vector<64xf32>
  tnk.return
}

// -----

// The weight is loaded before the wait, the rest after.
// CHECK-LABEL: tnk.kernel @second(
// CHECK-NEXT: nvvm.griddepcontrol launch_dependents
// CHECK: vector.load
// CHECK-NEXT: llvm.inline_asm has_side_effects {{.*}}"griddepcontrol.wait;"
// CHECK-NOT: griddepcontrol
// PTX-LABEL: .visible .entry second(
// PTX: griddepcontrol.launch_dependents;
// PTX: ld.global
// PTX: griddepcontrol.wait;
// PTX: ld.global
tnk.kernel @second(%w: memref<8x64xf32>, %x: memref<8x64xf32>, %y: memref<8x64xf32>, %row: index)
    threads(64) {
  %c0 = arith.constant 0 : index
  %v = vector.load %w[%row, %c0] : memref<8x64xf32>, vector<64xf32>
  tnk.wait_inputs
  %u = vector.load %x[%row, %c0] : memref<8x64xf32>, vector<64xf32>
  %s = arith.addf %v, %u : vector<64xf32>
  vector.store %s, %y[%row, %c0] : memref<8x64xf32>, vector<64xf32>
  tnk.return
}

// -----

// Not a kernel of a GPU.
// CHECK-LABEL: tnk.kernel @cpu(
// CHECK-NOT: griddepcontrol
// CHECK: tnk.return
tnk.kernel @cpu(%x: memref<8x64xf32>, %row: index) {
  tnk.return
}

// -----

// Nor one that is to stay as it is.
// CHECK-LABEL: tnk.kernel @serial(
// CHECK-NOT: griddepcontrol
// CHECK: tnk.return
tnk.kernel @serial(%x: memref<8x64xf32>, %row: index) threads(64) attributes {tnk.serial} {
  tnk.return
}
