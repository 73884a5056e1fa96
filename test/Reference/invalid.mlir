// What only a run can tell is an error at the operation, and not a crash.
// RUN: tnllm-opt %s --tn-interpret="batch=2 length=3" --verify-diagnostics --split-input-file

func.func @ids() -> tensor<2x8xf32> {
  %ids = arith.constant dense<[0, 12]> : tensor<2xi32>
  %table = arith.constant dense<1.0> : tensor<12x8xf32>
  // expected-error @+1 {{id 12 at element 1 is outside the table of 12 rows}}
  %0 = tn.embedding %ids, %table : tensor<2xi32>, tensor<12x8xf32> -> tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}

// -----

func.func @shapes(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %y = arith.constant dense<1.0> : tensor<5x4xf32>
  %w = arith.constant dense<1.0> : tensor<4x4xf32>
  %0 = tn.linear %y, %w : tensor<5x4xf32>, tensor<4x4xf32> -> tensor<?x4xf32>
  // expected-error @+1 {{run-time shapes [2x4] and [5x4] do not fit}}
  %1 = tn.add %x, %0 : tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// -----

func.func @length(%x: tensor<?x?x2x4xf32>, %s: tensor<1x2x4x4xf32>) -> tensor<?x?x2x4xf32> {
  %slopes = arith.constant dense<0.0> : tensor<2xf32>
  // expected-error @+1 {{run-time shapes [2x3x2x4] and [1x2x4x4] do not fit}}
  %o, %n = tn.lightning_attention %x, %x, %x, %slopes, %s
      : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<2xf32>, tensor<1x2x4x4xf32>
     -> tensor<?x?x2x4xf32>, tensor<1x2x4x4xf32>
  return %o : tensor<?x?x2x4xf32>
}

// -----

func.func @unknown() -> index {
  // expected-error @+1 {{expected a dense tensor constant}}
  %0 = arith.constant 0 : index
  return %0 : index
}

// -----

func.func @other(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{the reference interpreter does not know this operation}}
  %0 = arith.addf %x, %x : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// expected-error @+1 {{argument 0: expected a tensor with dynamic dimensions 0 and 1 at most}}
func.func @dynamic(%x: tensor<?x?x?xf32>) {
  return
}

// -----

func.func @forever() {
  // expected-error @+1 {{calls nest deeper than 64}}
  call @forever() : () -> ()
  return
}

// -----

// Without a block, a position beyond the cache has no row.
func.func @cache(%x: tensor<?x?x2x4xf32>, %c: tensor<?x2x4x8xf32>) -> tensor<?x?x2x4xf32> {
  %at = arith.constant dense<[1, 2]> : tensor<2xi64>
  // expected-error @+1 {{sequence 1 has the positions 2 to 4, expected 0 to 3}}
  %o, %l, %n = tn.softmax_attention %x, %x, %x cache %c : tensor<?x2x4x8xf32> at %at : tensor<2xi64>
      : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>
     -> tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<?x2x4x8xf32>
  return %o : tensor<?x?x2x4xf32>
}

// -----

func.func @positions(%x: tensor<?x?x2x4xf32>) -> tensor<?x?x2x4xf32> {
  %theta = arith.constant dense<1.0> : tensor<2xf32>
  %at = arith.constant dense<[1, 2, 3]> : tensor<3xi64>
  // expected-error @+1 {{run-time shapes [2x3x2x4] and [3] do not fit}}
  %0 = tn.rope %x, %theta, %at : tensor<?x?x2x4xf32>, tensor<2xf32>, tensor<3xi64>
  return %0 : tensor<?x?x2x4xf32>
}

// -----

func.func @f() {
  %x = arith.constant dense<1.0> : tensor<3x1x1x1xf32>
  %s = arith.constant dense<0.0> : tensor<2x1x1x1xf32>
  %slopes = arith.constant dense<0.5> : tensor<1xf32>
  %offsets = arith.constant dense<[0, 2, 4]> : tensor<3xi64>
  // expected-error @+1 {{offsets must begin with 0, never fall and end with the rows, 3}}
  %o, %n = tn.lightning_attention %x, %x, %x, %slopes, %s offsets %offsets : tensor<3xi64>
      : tensor<3x1x1x1xf32>, tensor<3x1x1x1xf32>, tensor<3x1x1x1xf32>, tensor<1xf32>, tensor<2x1x1x1xf32>
     -> tensor<3x1x1x1xf32>, tensor<2x1x1x1xf32>
  return
}

// -----

func.func @grad_ids() -> tensor<4x8xf32> {
  %ids = arith.constant dense<[[0, 4]]> : tensor<1x2xi32>
  %dy = arith.constant dense<1.0> : tensor<1x2x8xf32>
  // expected-error @+1 {{id 4 at element 1 is outside the table of 4 rows}}
  %0 = tn.embedding_grad %ids, %dy : tensor<1x2xi32>, tensor<1x2x8xf32> -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

// expected-error @+1 {{the interpreter holds tensors of at most 2^32 elements, found 'tensor<9223372036854775807xf32>' with batch 2 and length 3}}
func.func @large(%x: tensor<9223372036854775807xf32>) -> tensor<9223372036854775807xf32> {
  return %x : tensor<9223372036854775807xf32>
}

// -----

// The product overflows 64 bits.
// expected-error @+1 {{at most 2^32 elements, found 'tensor<4611686018427387904x4xf32>'}}
tn.param @w : tensor<4611686018427387904x4xf32> init <normal, 2.0e-02 : f64>

// -----

// A width that only the run knows: 3, the length.
func.func @width(%x: tensor<?x?xf32>, %w: tensor<12x8xf32>) -> tensor<?x12xf32> {
  // expected-error @+1 {{with the sizes of this run: 'tn.linear' op expected}}
  %0 = tn.linear %x, %w : tensor<?x?xf32>, tensor<12x8xf32> -> tensor<?x12xf32>
  return %0 : tensor<?x12xf32>
}

// -----

// Rows of a gradient that are no rows of x: 5 and, the batch, 2.
func.func @grad_rows(%dy: tensor<5x12xf32>, %x: tensor<?x8xf32>) -> tensor<12x8xf32> {
  // expected-error @+1 {{with the sizes of this run: 'tn.linear_weight_grad' op expected dy and x of equal leading dimensions}}
  %0 = tn.linear_weight_grad %dy, %x : tensor<5x12xf32>, tensor<?x8xf32> -> tensor<12x8xf32>
  return %0 : tensor<12x8xf32>
}

// -----

// expected-error @+1 {{the interpreter expects tensors of at least one element, found 'tensor<0x4xf32>'}}
func.func @nothing(%x: tensor<0x4xf32>) -> tensor<0x4xf32> {
  return %x : tensor<0x4xf32>
}
