// Softmax attention with caches, RoPE and positions, run natively beside the interpreter:
// lengths around the chunk of 64 positions and around blocks, caches from empty to nearly
// full.
// RUN: rm -rf %t && %python %S/run_functions.py %s %t --shapes 1x1,1x2,3x63,2x64,2x65,1x200 | FileCheck %s
// RUN: %python %S/run_functions.py %s %t --convert "panel-width=16 tile-rows=4 chunk=32" --shapes 1x15,2x33 | FileCheck %s

// The whole cache, then a second pass over what the first wrote: positions begin anywhere.
// CHECK: cached: agrees
func.func @cached(%q: tensor<?x?x3x20xf32>, %k: tensor<?x?x3x20xf32>, %v: tensor<?x?x3x24xf32>,
                  %starts: tensor<?xi64>)
    -> (tensor<?x?x3x24xf32>, tensor<?x?x3x24xf32>, tensor<?x?x3xf32>) attributes {tn.rows = 256 : i64} {
  %s = tn.zeros like %q : tensor<?x?x3x20xf32> -> tensor<?x3x300x44xf32>
  %0, %l, %n = tn.softmax_attention %q, %k, %v cache %s : tensor<?x3x300x44xf32> at %starts : tensor<?xi64>
      {scale = 0.2 : f32} : tensor<?x?x3x20xf32>, tensor<?x?x3x20xf32>, tensor<?x?x3x24xf32>
     -> tensor<?x?x3x24xf32>, tensor<?x?x3xf32>, tensor<?x3x300x44xf32>
  %1, %m, %p = tn.softmax_attention %k, %q, %0 cache %n : tensor<?x3x300x44xf32> at %starts : tensor<?xi64>
      {scale = 0.2 : f32} : tensor<?x?x3x20xf32>, tensor<?x?x3x20xf32>, tensor<?x?x3x24xf32>
     -> tensor<?x?x3x24xf32>, tensor<?x?x3xf32>, tensor<?x3x300x44xf32>
  return %0, %1, %m : tensor<?x?x3x24xf32>, tensor<?x?x3x24xf32>, tensor<?x?x3xf32>
}

// Blocks: rows are taken again and again, from the middle of a block on.
// CHECK: blocks: agrees
func.func @blocks(%q: tensor<?x?x3x20xf32>, %k: tensor<?x?x3x20xf32>, %v: tensor<?x?x3x24xf32>,
                  %positions: tensor<?xi64>)
    -> (tensor<?x?x3x24xf32>, tensor<?x?x3x24xf32>) attributes {tn.rows = 256 : i64} {
  %s = tn.zeros like %q : tensor<?x?x3x20xf32> -> tensor<?x3x21x44xf32>
  %0, %l, %n = tn.softmax_attention %q, %k, %v cache %s : tensor<?x3x21x44xf32> at %positions : tensor<?xi64> block 21
      : tensor<?x?x3x20xf32>, tensor<?x?x3x20xf32>, tensor<?x?x3x24xf32>
     -> tensor<?x?x3x24xf32>, tensor<?x?x3xf32>, tensor<?x3x21x44xf32>
  %1, %m, %p = tn.softmax_attention %k, %q, %0 cache %n : tensor<?x3x21x44xf32> at %positions : tensor<?xi64> block 21
      : tensor<?x?x3x20xf32>, tensor<?x?x3x20xf32>, tensor<?x?x3x24xf32>
     -> tensor<?x?x3x24xf32>, tensor<?x?x3xf32>, tensor<?x3x21x44xf32>
  return %0, %1 : tensor<?x?x3x24xf32>, tensor<?x?x3x24xf32>
}

// CHECK: rope: agrees
func.func @rope(%x: tensor<?x?x3x20xf32>, %theta: tensor<10xf32>, %positions: tensor<?xi64>)
    -> (tensor<?x?x3x20xf32>, tensor<?x?x3x20xf32>) attributes {tn.rows = 256 : i64} {
  %0 = tn.rope %x, %theta, %positions : tensor<?x?x3x20xf32>, tensor<10xf32>, tensor<?xi64>
  %1 = tn.rope inverse %x, %theta, %positions : tensor<?x?x3x20xf32>, tensor<10xf32>, tensor<?xi64>
  return %0, %1 : tensor<?x?x3x20xf32>, tensor<?x?x3x20xf32>
}

// CHECK: rope_of_pairs: agrees
func.func @rope_of_pairs(%x: tensor<?x?x5x2xf32>, %theta: tensor<1xf32>, %positions: tensor<?xi64>)
    -> tensor<?x?x5x2xf32> attributes {tn.rows = 256 : i64} {
  %0 = tn.rope %x, %theta, %positions : tensor<?x?x5x2xf32>, tensor<1xf32>, tensor<?xi64>
  return %0 : tensor<?x?x5x2xf32>
}

// CHECK: learned: agrees
func.func @learned(%x: tensor<?x?x30xf32>, %table: tensor<300x30xf32>, %starts: tensor<?xi64>)
    -> (tensor<?x?x30xf32>, tensor<300x30xf32>) attributes {tn.rows = 256 : i64} {
  %ids = tn.position_ids %starts like %x : tensor<?xi64>, tensor<?x?x30xf32> -> tensor<?x?xi32>
  %0 = tn.embedding %ids, %table : tensor<?x?xi32>, tensor<300x30xf32> -> tensor<?x?x30xf32>
  %1 = tn.add %x, %0 : tensor<?x?x30xf32>
  %2 = tn.embedding_grad %ids, %x : tensor<?x?xi32>, tensor<?x?x30xf32> -> tensor<300x30xf32>
  return %1, %2 : tensor<?x?x30xf32>, tensor<300x30xf32>
}
