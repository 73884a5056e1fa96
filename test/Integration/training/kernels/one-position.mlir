// Softmax attention of one position natively beside the interpreter, one step after the
// other with one cache.
// RUN: rm -rf %t && %python %S/run_functions.py %s %t --shapes 1x1,5x1 | FileCheck %s
// RUN: %python %S/run_functions.py %s %t --convert "panel-width=16 chunk=8" --shapes 3x1 | FileCheck %s

// CHECK: whole: agrees
func.func @whole(%q: tensor<?x1x3x20xf32>, %k: tensor<?x1x3x20xf32>, %v: tensor<?x1x3x70xf32>,
                 %starts: tensor<?xi64>)
    -> (tensor<?x1x3x70xf32>, tensor<?x1x3x70xf32>, tensor<?x1x3xf32>) attributes {tn.rows = 16 : i64} {
  %s = tn.zeros like %q : tensor<?x1x3x20xf32> -> tensor<?x3x40x90xf32>
  %0, %l, %n = tn.softmax_attention %q, %k, %v cache %s : tensor<?x3x40x90xf32> at %starts : tensor<?xi64>
      {scale = 0.4 : f32} : tensor<?x1x3x20xf32>, tensor<?x1x3x20xf32>, tensor<?x1x3x70xf32>
     -> tensor<?x1x3x70xf32>, tensor<?x1x3xf32>, tensor<?x3x40x90xf32>
  %1, %m, %p = tn.softmax_attention %k, %q, %0 cache %n : tensor<?x3x40x90xf32> at %starts : tensor<?xi64>
      {scale = 0.4 : f32} : tensor<?x1x3x20xf32>, tensor<?x1x3x20xf32>, tensor<?x1x3x70xf32>
     -> tensor<?x1x3x70xf32>, tensor<?x1x3xf32>, tensor<?x3x40x90xf32>
  return %0, %1, %m : tensor<?x1x3x70xf32>, tensor<?x1x3x70xf32>, tensor<?x1x3xf32>
}

// CHECK: block: agrees
func.func @block(%q: tensor<?x1x2x7xf32>, %k: tensor<?x1x2x7xf32>, %v: tensor<?x1x2x5xf32>,
                 %positions: tensor<?xi64>)
    -> tensor<?x1x2x5xf32> attributes {tn.rows = 16 : i64} {
  %s = tn.zeros like %q : tensor<?x1x2x7xf32> -> tensor<?x2x9x12xf32>
  %0, %l, %n = tn.softmax_attention %q, %k, %v cache %s : tensor<?x2x9x12xf32> at %positions : tensor<?xi64> block 9
      : tensor<?x1x2x7xf32>, tensor<?x1x2x7xf32>, tensor<?x1x2x5xf32>
     -> tensor<?x1x2x5xf32>, tensor<?x1x2xf32>, tensor<?x2x9x12xf32>
  return %0 : tensor<?x1x2x5xf32>
}
