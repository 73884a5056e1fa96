// RUN: tnllm-opt %s --convert-tn-to-tnk=gpu-threads=128 --split-input-file --verify-diagnostics
// RUN: not tnllm-opt %s --convert-tn-to-tnk=gpu-threads=48 2>&1 | FileCheck %s
// RUN: not tnllm-opt %s --convert-tn-to-tnk=gpu-threads=2048 2>&1 | FileCheck %s
// CHECK: expected gpu-threads to be 0 or a multiple of 32 up to 1024, got {{48|2048}}

tn.param @w : tensor<20x8xi8> init <normal, 1.0>
func.func @i8(%x: tensor<?x?x8xf32>) -> tensor<?x?x20xf32> attributes {tn.rows = 24 : i64} {
  %w = tn.get_param @w : tensor<20x8xi8>
  %s = tn.row_scales @w : tensor<20xf32>
  // expected-error @below {{expected inputs of bf16 with a quantised weight on a GPU, got 'tensor<?x?x8xf32>'}}
  %y = tn.linear %x, %w scales %s : tensor<20xf32>
      : tensor<?x?x8xf32>, tensor<20x8xi8> -> tensor<?x?x20xf32>
  return %y : tensor<?x?x20xf32>
}

// -----

func.func @rounded(%x: tensor<?x?x8xf32>) attributes {tn.rows = 24 : i64} {
  // expected-error @below {{expected inputs that are not rounded to 8 bits on a GPU}}
  %0 = tn.round_groups %x group 8 : tensor<?x?x8xf32>
  return
}

// -----

func.func @cached(%x: tensor<?x?x2x4xf32>, %c: tensor<?x2x16x8xf32> {tn.state = 0 : i64}, %p: tensor<?xi64>) -> tensor<?x2x16x8xf32> attributes {tn.rows = 24 : i64} {
  // expected-error @below {{expected a program for a CPU: a GPU has no kernel for it with a cache yet}}
  %o, %l, %n = tn.softmax_attention %x, %x, %x cache %c : tensor<?x2x16x8xf32> at %p : tensor<?xi64> : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32> -> tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<?x2x16x8xf32>
  return %n : tensor<?x2x16x8xf32>
}

// -----

func.func @no_columns(%x: tensor<?x?x0xf32>) -> tensor<?x?x0xf32> attributes {tn.rows = 8 : i64} {
  // expected-error @below {{expected tensors of at least one element, got 'tensor<?x?x0xf32>'}}
  %y = tn.add %x, %x : tensor<?x?x0xf32>
  return %y : tensor<?x?x0xf32>
}

// -----

// Each piece of a vocabulary has launches of its own.
func.func @words(%x: tensor<?x?x16xf32>, %w: tensor<4194305x16xf32>, %labels: tensor<?x?xi32>)
    -> (tensor<1xf32>, tensor<?x?xf32>) attributes {tn.rows = 262144 : i64} {
  // expected-error @below {{expected a vocabulary of at most 4194304 words on a GPU, got 4194305}}
  %loss, %lse = tn.cross_entropy %x, %w, %labels : tensor<?x?x16xf32>, tensor<4194305x16xf32>,
      tensor<?x?xi32> -> tensor<1xf32>, tensor<?x?xf32>
  return %loss, %lse : tensor<1xf32>, tensor<?x?xf32>
}

// -----

func.func @wide_keys(%q: tensor<?x1x3x2147483648xf32>, %v: tensor<?x1x3x64xf32>, %s: tensor<?x3x2147483648x64xf32> {tn.state = 0 : i64})
    -> (tensor<?x1x3x64xf32>, tensor<?x3x2147483648x64xf32>) attributes {tn.rows = 16 : i64} {
  %d = tn.decay_slopes <headwise, layer = 0 of 1> : tensor<3xf32>
  // expected-error @below {{expected heads of at most 16384 columns, got 'tensor<?x1x3x2147483648xf32>'}}
  %o, %n = tn.lightning_attention %q, %q, %v, %d, %s : tensor<?x1x3x2147483648xf32>, tensor<?x1x3x2147483648xf32>,
      tensor<?x1x3x64xf32>, tensor<3xf32>, tensor<?x3x2147483648x64xf32>
     -> tensor<?x1x3x64xf32>, tensor<?x3x2147483648x64xf32>
  return %o, %n : tensor<?x1x3x64xf32>, tensor<?x3x2147483648x64xf32>
}
