// Unslices of disjoint columns become one; of all columns, none.
// RUN: tnllm-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: func @merge
// CHECK-SAME: (%[[A:.*]]: tensor<?x2xf32>, %[[B:.*]]: tensor<?x2xf32>)
// CHECK-NEXT: %[[R:.*]] = tn.unslice %[[B]], %[[A]] at [0, 3] : tensor<?x2xf32>, tensor<?x2xf32> -> tensor<?x6xf32>
// CHECK-NEXT: return %[[R]]
func.func @merge(%a: tensor<?x2xf32>, %b: tensor<?x2xf32>) -> tensor<?x6xf32> {
  %0 = tn.unslice %a at [3] : tensor<?x2xf32> -> tensor<?x6xf32>
  %1 = tn.unslice %b at [0] : tensor<?x2xf32> -> tensor<?x6xf32>
  %2 = tn.add %0, %1 : tensor<?x6xf32>
  return %2 : tensor<?x6xf32>
}

// CHECK-LABEL: func @overlap
// CHECK: tn.add
func.func @overlap(%a: tensor<?x2xf32>, %b: tensor<?x2xf32>) -> tensor<?x6xf32> {
  %0 = tn.unslice %a at [3] : tensor<?x2xf32> -> tensor<?x6xf32>
  %1 = tn.unslice %b at [2] : tensor<?x2xf32> -> tensor<?x6xf32>
  %2 = tn.add %0, %1 : tensor<?x6xf32>
  return %2 : tensor<?x6xf32>
}

// Used elsewhere: merging would compute it twice.
// CHECK-LABEL: func @shared
// CHECK: tn.add
func.func @shared(%a: tensor<?x2xf32>, %b: tensor<?x2xf32>) -> (tensor<?x6xf32>, tensor<?x6xf32>) {
  %0 = tn.unslice %a at [3] : tensor<?x2xf32> -> tensor<?x6xf32>
  %1 = tn.unslice %b at [0] : tensor<?x2xf32> -> tensor<?x6xf32>
  %2 = tn.add %0, %1 : tensor<?x6xf32>
  return %0, %2 : tensor<?x6xf32>, tensor<?x6xf32>
}

// CHECK-LABEL: func @whole
// CHECK-SAME: (%[[A:.*]]: tensor<?x2xf32>)
// CHECK-NEXT: return %[[A]]
func.func @whole(%a: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %0 = tn.unslice %a at [0] : tensor<?x2xf32> -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
