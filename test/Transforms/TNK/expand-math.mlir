// RUN: tnllm-opt %s --tnk-expand-math | FileCheck %s

// Every function of f32 becomes arithmetic; test/Integration/cpu/math.test measures how
// well. sin and cos reduce their argument in f64.

// CHECK-LABEL: tnk.kernel @sine(
// CHECK: %[[X:.*]] = vector.load
// CHECK: %[[WIDE:.*]] = arith.extf %[[X]] : vector<16xf32> to vector<16xf64>
// CHECK: %[[TURNS:.*]] = arith.mulf %[[WIDE]], %{{.*}} : vector<16xf64>
// CHECK: %[[ROUND:.*]] = math.roundeven %[[TURNS]] : vector<16xf64>
// CHECK-COUNT-2: math.fma {{.*}} : vector<16xf64>
// CHECK-DAG: arith.fptosi %[[ROUND]] : vector<16xf64> to vector<16xi32>
// CHECK-DAG: arith.truncf %{{.*}} : vector<16xf64> to vector<16xf32>
// CHECK-COUNT-2: arith.select {{.*}} : vector<16xi1>, vector<16xf32>
// CHECK-NOT: math.sin
tnk.kernel @sine(%x: memref<16xf32>, %y: memref<16xf32>, %task: index) {
  %v = vector.load %x[%task] : memref<16xf32>, vector<16xf32>
  %w = math.sin %v : vector<16xf32>
  vector.store %w, %y[%task] : memref<16xf32>, vector<16xf32>
  tnk.return
}

// CHECK-LABEL: func.func @all(
// CHECK-NOT: math.{{(sin|cos|exp|expm1|erf|log)}} 
// CHECK: return
func.func @all(%x: vector<8xf32>, %s: f32)
    -> (vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, f32, f32) {
  %0 = math.cos %x : vector<8xf32>
  %1 = math.exp %x : vector<8xf32>
  %2 = math.expm1 %x : vector<8xf32>
  %3 = math.erf %x : vector<8xf32>
  %4 = math.exp %s : f32
  %5 = math.sin %s : f32
  return %0, %1, %2, %3, %4, %5
    : vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, f32, f32
}

// Other types and other functions stay.
// CHECK-LABEL: func.func @others(
// CHECK-NEXT: math.sin %{{.*}} : f64
// CHECK-NEXT: math.sqrt %{{.*}} : vector<8xf32>
// CHECK-NEXT: return
func.func @others(%x: f64, %y: vector<8xf32>) -> (f64, vector<8xf32>) {
  %0 = math.sin %x : f64
  %1 = math.sqrt %y : vector<8xf32>
  return %0, %1 : f64, vector<8xf32>
}
