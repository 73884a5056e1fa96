// Each constraint of docs/Spec.md, violated; and the shapes that once slipped through.
// RUN: tnllm-opt %s --verify-diagnostics --split-input-file

// expected-error @+1 {{expected a ranked tensor of static shape, got 'tensor<?x8xf32>' [param-C1]}}
tn.param @w : tensor<?x8xf32> init <normal, 2.0e-02 : f64>

// -----

// expected-error @+1 {{expected a ranked tensor of static shape, got 'f32' [param-C1]}}
tn.param @w : f32 init <normal, 2.0e-02 : f64>

// -----

// expected-error @+1 {{expected a ranked tensor of static shape, got 'tensor<f32>' [param-C1]}}
tn.param @w : tensor<f32> init <normal, 2.0e-02 : f64>

// -----

// expected-error @+1 {{expected elements of f32, bf16, i8, f8E4M3FN or i4, got 'f16' [param-C2]}}
tn.param @w : tensor<8xf16> init <normal, 2.0e-02 : f64>

// -----

func.func @f() {
  // expected-error @+1 {{expected a tn.param named 'w' [get_param-C1]}}
  %0 = tn.get_param @w : tensor<8xf32>
  return
}

// -----

// A symbol, but no parameter.
func.func @f() {
  // expected-error @+1 {{expected a tn.param named 'f' [get_param-C1]}}
  %0 = tn.get_param @f : tensor<8xf32>
  return
}

// -----

// expected-note @+1 {{declared here}}
tn.param @w : tensor<8xf32> init <normal, 2.0e-02 : f64>
func.func @f() {
  // expected-error @+1 {{type 'tensor<8xbf16>' differs from the parameter's type 'tensor<8xf32>' [get_param-C2]}}
  %0 = tn.get_param @w : tensor<8xbf16>
  return
}

// -----

func.func @f(%ids: tensor<?xi32>, %t: tensor<12xf32>) {
  // expected-error @+1 {{expected a table of rank 2, got 'tensor<12xf32>' [embedding-C1]}}
  %0 = tn.embedding %ids, %t : tensor<?xi32>, tensor<12xf32> -> tensor<?x12xf32>
  return
}

// -----

func.func @f(%ids: tensor<2x3xi32>, %t: tensor<12x8xf32>) {
  // expected-error @+1 {{expected the result's leading dimensions to equal those of ids 'tensor<2x3xi32>', got 'tensor<2x4x8xf32>' [embedding-C2]}}
  %0 = tn.embedding %ids, %t : tensor<2x3xi32>, tensor<12x8xf32> -> tensor<2x4x8xf32>
  return
}

// -----

func.func @f(%ids: tensor<i32>, %t: tensor<12x8xf32>) {
  // expected-error @+1 {{got 'tensor<f32>' [embedding-C2]}}
  %0 = tn.embedding %ids, %t : tensor<i32>, tensor<12x8xf32> -> tensor<f32>
  return
}

// -----

func.func @f(%ids: tensor<?xi32>, %t: tensor<12x8xf32>) {
  // expected-error @+1 {{expected the result's last dimension to equal the table's (8), got 9 [embedding-C3]}}
  %0 = tn.embedding %ids, %t : tensor<?xi32>, tensor<12x8xf32> -> tensor<?x9xf32>
  return
}

// -----

func.func @f(%ids: tensor<?xi64>, %t: tensor<12x8xf32>) {
  // expected-error @+1 {{operand #0 must be ranked tensor of 32-bit signless integer values}}
  %0 = tn.embedding %ids, %t : tensor<?xi64>, tensor<12x8xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %w: tensor<?x8xf32>) {
  // expected-error @+1 {{expected a weight of rank 2 and static shape, got 'tensor<?x8xf32>' [linear-C1]}}
  %0 = tn.linear %x, %w : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x12xf32>
  return
}

// -----

func.func @f(%x: tensor<?x7xf32>, %w: tensor<12x8xf32>) {
  // expected-error @+1 {{expected the last dimension of x to equal dimension 1 of the weight (8), got 'tensor<?x7xf32>' [linear-C2]}}
  %0 = tn.linear %x, %w : tensor<?x7xf32>, tensor<12x8xf32> -> tensor<?x12xf32>
  return
}

// -----

func.func @f(%x: tensor<f32>, %w: tensor<12x8xf32>) {
  // expected-error @+1 {{got 'tensor<f32>' [linear-C2]}}
  %0 = tn.linear %x, %w : tensor<f32>, tensor<12x8xf32> -> tensor<12xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %w: tensor<12x8xbf16>) {
  // expected-error @+1 {{expected x and weight of one element type, or a quantised weight, got 'f32' and 'bf16' [linear-C3]}}
  %0 = tn.linear %x, %w : tensor<?x8xf32>, tensor<12x8xbf16> -> tensor<?x12xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %w: tensor<12x8xf32>) {
  // expected-error @+1 {{expected a result of x's leading dimensions and 12 columns, got 'tensor<?x11xf32>' [linear-C4]}}
  %0 = tn.linear %x, %w : tensor<?x8xf32>, tensor<12x8xf32> -> tensor<?x11xf32>
  return
}

// -----

func.func @f(%x: tensor<8xf32>, %w: tensor<12x8xf32>) {
  // expected-error @+1 {{got 'tensor<f32>' [linear-C4]}}
  %0 = tn.linear %x, %w : tensor<8xf32>, tensor<12x8xf32> -> tensor<f32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %w: tensor<12x8xf32>, %b: tensor<8xf32>) {
  // expected-error @+1 {{expected a bias of 12 elements, got 'tensor<8xf32>' [linear-C5]}}
  %0 = tn.linear %x, %w bias %b : tensor<8xf32> : tensor<?x8xf32>, tensor<12x8xf32> -> tensor<?x12xf32>
  return
}

// -----

func.func @f(%x: tensor<f32>) {
  // expected-error @+1 {{expected a tensor of rank 1 or more [activation-C1]}}
  %0 = tn.activation <silu> %x : tensor<f32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{expected columns [begin, end) with 0 <= begin < end <= 8, got [4, 4] [activation-C2]}}
  %0 = tn.activation <silu> %x columns [4, 4] : tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{expected columns [begin, end) with 0 <= begin < end <= 8, got [-1, 4] [activation-C2]}}
  %0 = tn.activation <silu> %x columns [-1, 4] : tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{expected columns [begin, end) with 0 <= begin < end <= 8, got [0, 9] [activation-C2]}}
  %0 = tn.activation <silu> %x columns [0, 9] : tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{expected columns [begin, end) with 0 <= begin < end <= 8, got [0, 4, 8] [activation-C2]}}
  %0 = tn.activation <silu> %x columns [0, 4, 8] : tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{expected columns [begin, end) with 0 <= begin < end <= 8, got [1] [activation-C2]}}
  %0 = tn.activation <silu> %x columns [1] : tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{expected x of [B, N, H, d], got 'tensor<?x8xf32>' [shifted_exp-C1]}}
  %0 = tn.shifted_exp %x : tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x2x?xf32>) {
  // expected-error @+1 {{expected x of [B, N, H, d], got 'tensor<?x?x2x?xf32>' [shifted_exp-C1]}}
  %0 = tn.shifted_exp %x : tensor<?x?x2x?xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{expected operand and result of one type of rank 1 or more, got 'tensor<?x8xf32>' and 'tensor<?x9xf32>' [norm-C1]}}
  %0 = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x8xf32> -> tensor<?x9xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{expected no weight for kind srms [norm-C2]}}
  %0 = tn.norm <srms> %x weight %w : tensor<8xf32> {epsilon = 1.0e-06 : f32} : tensor<?x8xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{expected a weight for kind rms [norm-C2]}}
  %0 = tn.norm <rms> %x {epsilon = 1.0e-06 : f32} : tensor<?x8xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %b: tensor<8xf32>) {
  // expected-error @+1 {{expected no bias for kind srms [norm-C3]}}
  %0 = tn.norm <srms> %x bias %b : tensor<8xf32> {epsilon = 1.0e-06 : f32} : tensor<?x8xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %w: tensor<8xf32>, %b: tensor<7xf32>) {
  // expected-error @+1 {{expected weight and bias of 8 elements, got 'tensor<7xf32>' [norm-C4]}}
  %0 = tn.norm <layer> %x weight %w : tensor<8xf32> bias %b : tensor<7xf32> {epsilon = 1.0e-06 : f32} : tensor<?x8xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{expected a positive, finite epsilon [norm-C5]}}
  %0 = tn.norm <srms> %x {epsilon = 0.0 : f32} : tensor<?x8xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{expected a positive, finite epsilon [norm-C5]}}
  %0 = tn.norm <srms> %x {epsilon = -1.0e-06 : f32} : tensor<?x8xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{expected a positive, finite epsilon [norm-C5]}}
  %0 = tn.norm <srms> %x {epsilon = 0x7F800000 : f32} : tensor<?x8xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{expected a positive, finite epsilon [norm-C5]}}
  %0 = tn.norm <srms> %x {epsilon = 0x7FC00000 : f32} : tensor<?x8xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<f32>) {
  // expected-error @+1 {{expected a tensor of rank 1 or more [slice-C1]}}
  %0 = tn.slice %x [0, 1] : tensor<f32> -> tensor<1xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{expected columns [begin, end) with 0 <= begin < end <= 8, got [4, 12] [slice-C2]}}
  %0 = tn.slice %x [4, 12] : tensor<?x8xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{expected a result of x's leading dimensions and 4 columns, got 'tensor<?x5xf32>' [slice-C3]}}
  %0 = tn.slice %x [4, 8] : tensor<?x8xf32> -> tensor<?x5xf32>
  return
}

// -----

// The whole of an unknown width would be taken for the slice.
func.func @f(%x: tensor<?x?xf32>) {
  // expected-error @+1 {{got 'tensor<?x?xf32>' [slice-C3]}}
  %0 = tn.slice %x [4, 8] : tensor<?x?xf32> -> tensor<?x?xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{expected [..., H * d] to become [..., H, d], got 'tensor<?x8xf32>' and 'tensor<?x2x3xf32>' [split_heads-C1]}}
  %0 = tn.split_heads %x : tensor<?x8xf32> -> tensor<?x2x3xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?xf32>) {
  // expected-error @+1 {{[split_heads-C1]}}
  %0 = tn.split_heads %x : tensor<?x?xf32> -> tensor<?x?x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x4xf32>) {
  // expected-error @+1 {{expected [..., H, d] to become [..., H * d], got 'tensor<2x4xf32>' and 'tensor<2x4xf32>' [merge_heads-C1]}}
  %0 = tn.merge_heads %x : tensor<2x4xf32> -> tensor<2x4xf32>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{expected 0 <= layer < layers, got layer 3 of 3 [decay_slopes-C1]}}
  %0 = tn.decay_slopes <transnormer, layer = 3 of 3> : tensor<2xf32>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{expected a result of one static dimension of 1 to 65536, got 'tensor<?xf32>' [decay_slopes-C2]}}
  %0 = tn.decay_slopes <transnormer, layer = 0 of 3> : tensor<?xf32>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{expected a result of one static dimension of 1 to 65536, got 'tensor<0xf32>' [decay_slopes-C2]}}
  %0 = tn.decay_slopes <none, layer = 0 of 3> : tensor<0xf32>
  return
}

// -----

func.func @decay_slopes_many() {
  // expected-error @+1 {{expected a result of one static dimension of 1 to 65536, got 'tensor<65537xf32>' [decay_slopes-C2]}}
  %d = tn.decay_slopes <headwise, layer = 0 of 1> : tensor<65537xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x8xf32>, %t: tensor<2x1x4xf32>, %p: tensor<?xi64>) {
  // expected-error @+1 {{expected x of [B, N, H, d], got 'tensor<?x?x8xf32>' [lrpe-C1]}}
  %0 = tn.lrpe %x, %t, %p : tensor<?x?x8xf32>, tensor<2x1x4xf32>, tensor<?xi64> -> tensor<?x?x16xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x2x?xf32>, %t: tensor<2x1x?xf32>, %p: tensor<?xi64>) {
  // expected-error @+1 {{[lrpe-C1]}}
  %0 = tn.lrpe %x, %t, %p : tensor<?x?x2x?xf32>, tensor<2x1x?xf32>, tensor<?xi64> -> tensor<?x?x2x?xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x2x4xf32>, %t: tensor<2x4xf32>, %p: tensor<?xi64>) {
  // expected-error @+1 {{expected theta of [2, 1, 4], got 'tensor<2x4xf32>' [lrpe-C2]}}
  %0 = tn.lrpe %x, %t, %p : tensor<?x?x2x4xf32>, tensor<2x4xf32>, tensor<?xi64> -> tensor<?x?x2x8xf32>
  return
}

// -----

func.func @f(%x: tensor<3x?x2x4xf32>, %t: tensor<2x1x4xf32>, %p: tensor<2xi64>) {
  // expected-error @+1 {{expected one position for each of the batch, got 'tensor<2xi64>' [lrpe-C3]}}
  %0 = tn.lrpe %x, %t, %p : tensor<3x?x2x4xf32>, tensor<2x1x4xf32>, tensor<2xi64> -> tensor<3x?x2x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x2x4xf32>, %t: tensor<2x1x4xf32>, %p: tensor<?xi64>) {
  // expected-error @+1 {{expected a result of twice x's width (8), got 'tensor<?x?x2x4xf32>' [lrpe-C4]}}
  %0 = tn.lrpe %x, %t, %p : tensor<?x?x2x4xf32>, tensor<2x1x4xf32>, tensor<?xi64> -> tensor<?x?x2x4xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x8xf32>, %k: tensor<?x?x8xf32>, %v: tensor<?x?x2x3xf32>, %l: tensor<2xf32>, %s: tensor<?x2x4x3xf32>) {
  // expected-error @+1 {{expected q, k and v of [B, N, H, d], got 'tensor<?x?x8xf32>' and 'tensor<?x?x2x3xf32>' [lightning_attention-C1]}}
  %o, %n = tn.lightning_attention %q, %k, %v, %l, %s : tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x2x3xf32>, tensor<2xf32>, tensor<?x2x4x3xf32> -> tensor<?x?x2x3xf32>, tensor<?x2x4x3xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x2x4xf32>, %k: tensor<?x?x2x5xf32>, %v: tensor<?x?x2x3xf32>, %l: tensor<2xf32>, %s: tensor<?x2x4x3xf32>) {
  // expected-error @+1 {{expected q and k of one type, got 'tensor<?x?x2x4xf32>' and 'tensor<?x?x2x5xf32>' [lightning_attention-C2]}}
  %o, %n = tn.lightning_attention %q, %k, %v, %l, %s : tensor<?x?x2x4xf32>, tensor<?x?x2x5xf32>, tensor<?x?x2x3xf32>, tensor<2xf32>, tensor<?x2x4x3xf32> -> tensor<?x?x2x3xf32>, tensor<?x2x4x3xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x2x4xf32>, %k: tensor<?x?x2x4xf32>, %v: tensor<?x?x3x3xf32>, %l: tensor<2xf32>, %s: tensor<?x2x4x3xf32>) {
  // expected-error @+1 {{expected v and out of one type with q's batch, length and heads, got 'tensor<?x?x3x3xf32>' and 'tensor<?x?x3x3xf32>' [lightning_attention-C3]}}
  %o, %n = tn.lightning_attention %q, %k, %v, %l, %s : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x3x3xf32>, tensor<2xf32>, tensor<?x2x4x3xf32> -> tensor<?x?x3x3xf32>, tensor<?x2x4x3xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x2x4xf32>, %k: tensor<?x?x2x4xf32>, %v: tensor<?x?x2x3xf32>, %l: tensor<2xf32>, %s: tensor<?x2x4x3xf32>) {
  // expected-error @+1 {{got 'tensor<?x?x2x3xf32>' and 'tensor<?x?x2x4xf32>' [lightning_attention-C3]}}
  %o, %n = tn.lightning_attention %q, %k, %v, %l, %s : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<2xf32>, tensor<?x2x4x3xf32> -> tensor<?x?x2x4xf32>, tensor<?x2x4x3xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x2x4xf32>, %k: tensor<?x?x2x4xf32>, %v: tensor<?x?x2x3xf32>, %l: tensor<3xf32>, %s: tensor<?x2x4x3xf32>) {
  // expected-error @+1 {{expected one slope for each of 2 heads, got 'tensor<3xf32>' [lightning_attention-C4]}}
  %o, %n = tn.lightning_attention %q, %k, %v, %l, %s : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<3xf32>, tensor<?x2x4x3xf32> -> tensor<?x?x2x3xf32>, tensor<?x2x4x3xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x2x4xf32>, %k: tensor<?x?x2x4xf32>, %v: tensor<?x?x2x3xf32>, %l: tensor<2xf32>, %s: tensor<?x2x3x4xf32>) {
  // expected-error @+1 {{expected states of [B, H, Dk, Dv] with H 2, Dk 4, Dv 3, got 'tensor<?x2x3x4xf32>' and 'tensor<?x2x3x4xf32>' [lightning_attention-C5]}}
  %o, %n = tn.lightning_attention %q, %k, %v, %l, %s : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<2xf32>, tensor<?x2x3x4xf32> -> tensor<?x?x2x3xf32>, tensor<?x2x3x4xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x2x4xf32>, %k: tensor<?x?x2x4xf32>, %v: tensor<?x?x2x3xf32>, %l: tensor<2xf32>, %s: tensor<?x2x4x3xf32>) {
  // expected-error @+1 {{got 'tensor<?x2x4x3xf32>' and 'tensor<1x2x4x3xf32>' [lightning_attention-C5]}}
  %o, %n = tn.lightning_attention %q, %k, %v, %l, %s : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<2xf32>, tensor<?x2x4x3xf32> -> tensor<?x?x2x3xf32>, tensor<1x2x4x3xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x2x4xf32>, %k: tensor<?x?x2x4xf32>, %v: tensor<?x?x2x3xf32>, %l: tensor<2xf32>, %s: tensor<?x2x4x3xf32>) {
  // expected-error @+1 {{expected to be the only user of the state, which it updates in place [lightning_attention-C6]}}
  %o, %n = tn.lightning_attention %q, %k, %v, %l, %s : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<2xf32>, tensor<?x2x4x3xf32> -> tensor<?x?x2x3xf32>, tensor<?x2x4x3xf32>
  tn.probe "state" %s : tensor<?x2x4x3xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x2x4xf32>, %k: tensor<?x?x2x4xf32>, %v: tensor<?x?x2x3xf32>, %l: tensor<2xf32>, %s: tensor<?x2x4x3xf32>, %at: tensor<?xi64>) {
  // expected-error @+1 {{expected offsets of rank 1 and one position for each row of q, got 'tensor<?xi64>' and 'tensor<?x?x2x4xf32>' [lightning_attention-C7]}}
  %o, %n = tn.lightning_attention %q, %k, %v, %l, %s offsets %at : tensor<?xi64> : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<2xf32>, tensor<?x2x4x3xf32> -> tensor<?x?x2x3xf32>, tensor<?x2x4x3xf32>
  return
}

// -----

func.func @f(%q: tensor<?x1x2x4xf32>, %k: tensor<?x1x2x4xf32>, %v: tensor<?x1x2x3xf32>, %l: tensor<2xf32>, %s: tensor<?x2x4x3xf32>, %at: tensor<?x1xi64>) {
  // expected-error @+1 {{expected offsets of rank 1 and one position for each row of q, got 'tensor<?x1xi64>' and 'tensor<?x1x2x4xf32>' [lightning_attention-C7]}}
  %o, %n = tn.lightning_attention %q, %k, %v, %l, %s offsets %at : tensor<?x1xi64> : tensor<?x1x2x4xf32>, tensor<?x1x2x4xf32>, tensor<?x1x2x3xf32>, tensor<2xf32>, tensor<?x2x4x3xf32> -> tensor<?x1x2x3xf32>, tensor<?x2x4x3xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) {
  // expected-error @+1 {{expected its body to yield 'tensor<?x9xf32>' [fused-C1]}}
  %0 = tn.fused -> tensor<?x9xf32> {
    %1 = tn.add %x, %y : tensor<?x8xf32>
    tn.yield %1 : tensor<?x8xf32>
  }
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) {
  // expected-error @+1 {{expected a root that is a linear map, a norm or element-wise, got 'tn.slice' [fused-C2]}}
  %0 = tn.fused -> tensor<?x4xf32> {
    %1 = tn.slice %x [0, 4] : tensor<?x8xf32> -> tensor<?x4xf32>
    tn.yield %1 : tensor<?x4xf32>
  }
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) {
  // expected-error @+1 {{got 'tn.yield' [fused-C2]}}
  %0 = tn.fused -> tensor<?x8xf32> {
    tn.yield %x : tensor<?x8xf32>
  }
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) {
  %0 = tn.fused -> tensor<?x8xf32> {
    %1 = tn.add %x, %y : tensor<?x8xf32>
    // expected-error @+1 {{expected an element-wise consumer of the operation before it and of no other inside [fused-C3]}}
    %2 = tn.mul %x, %y : tensor<?x8xf32>
    tn.yield %2 : tensor<?x8xf32>
  }
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) {
  %0 = tn.fused -> tensor<?x8xf32> {
    %1 = tn.add %x, %y : tensor<?x8xf32>
    %2 = tn.mul %1, %y : tensor<?x8xf32>
    // expected-error @+1 {{expected an element-wise consumer of the operation before it and of no other inside [fused-C3]}}
    %3 = tn.mul %2, %1 : tensor<?x8xf32>
    tn.yield %3 : tensor<?x8xf32>
  }
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{expected groups that divide the last dimension, got 3 of 'tensor<?x8xf32>' [round_groups-C1]}}
  %0 = tn.round_groups %x group 3 : tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{expected groups that divide the last dimension, got 0 of 'tensor<?x8xf32>' [round_groups-C1]}}
  %0 = tn.round_groups %x group 0 : tensor<?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<8x?xf32>) {
  // expected-error @+1 {{expected groups that divide the last dimension, got 8 of 'tensor<8x?xf32>' [round_groups-C1]}}
  %0 = tn.round_groups %x group 8 : tensor<8x?xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  %0 = tn.fused -> tensor<?x8xf32> {
    %1 = tn.add %x, %x : tensor<?x8xf32>
    %2 = tn.round_groups %1 group 4 : tensor<?x8xf32>
    // expected-error @+1 {{expected nothing after 'tn.round_groups', which takes effect where the tile is stored [fused-C5]}}
    %3 = tn.add %2, %x : tensor<?x8xf32>
    tn.yield %3 : tensor<?x8xf32>
  }
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) {
  %0 = tn.fused -> tensor<?x8xf32> {
    %1 = tn.add %x, %y : tensor<?x8xf32>
    %2 = tn.cast %1 : tensor<?x8xf32> -> tensor<?x8xbf16>
    // expected-error @+1 {{expected nothing after 'tn.cast', which takes effect where the tile is stored [fused-C5]}}
    %3 = tn.cast %2 : tensor<?x8xbf16> -> tensor<?x8xf32>
    tn.yield %3 : tensor<?x8xf32>
  }
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) {
  // expected-error @+1 {{expected to yield the last operation's result [fused-C4]}}
  %0 = tn.fused -> tensor<?x8xf32> {
    %1 = tn.add %x, %y : tensor<?x8xf32>
    %2 = tn.mul %1, %y : tensor<?x8xf32>
    tn.yield %1 : tensor<?x8xf32>
  }
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{expected a tn.param named 'w' [row_scales-C1]}}
  %0 = tn.row_scales @w : tensor<12xf32>
  return
}

// -----

// expected-note @+1 {{declared here}}
tn.param @w : tensor<12x8xf32> init <normal, 2.0e-02 : f64>
func.func @f() {
  // expected-error @+1 {{expected one scale for each row of a quantised matrix, or each 128 columns of an i4 one, got 'tensor<12xf32>' for 'tensor<12x8xf32>' [row_scales-C2]}}
  %0 = tn.row_scales @w : tensor<12xf32>
  return
}

// -----

// expected-note @+1 {{declared here}}
tn.param @w : tensor<12x8xi8> init <normal, 2.0e-02 : f64>
func.func @f() {
  // expected-error @+1 {{got 'tensor<8xf32>' for 'tensor<12x8xi8>' [row_scales-C2]}}
  %0 = tn.row_scales @w : tensor<8xf32>
  return
}

// -----

// expected-note @+1 {{declared here}}
tn.param @w : tensor<12x256xi4> init <normal, 2.0e-02 : f64>
func.func @f() {
  // expected-error @+1 {{got 'tensor<12xf32>' for 'tensor<12x256xi4>' [row_scales-C2]}}
  %0 = tn.row_scales @w : tensor<12xf32>
  return
}

// -----

func.func @f(%x: tensor<?x256xbf16>, %w: tensor<12x256xi4>, %s: tensor<12x4xf32>) {
  // expected-error @+1 {{expected the scales of 12 rows with a quantised weight and none with another [linear-C6]}}
  %0 = tn.linear %x, %w scales %s : tensor<12x4xf32> : tensor<?x256xbf16>, tensor<12x256xi4> -> tensor<?x12xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %w: tensor<12x8xi8>) {
  // expected-error @+1 {{expected the scales of 12 rows with a quantised weight and none with another [linear-C6]}}
  %0 = tn.linear %x, %w : tensor<?x8xf32>, tensor<12x8xi8> -> tensor<?x12xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %w: tensor<12x8xi8>, %s: tensor<8xf32>) {
  // expected-error @+1 {{expected the scales of 12 rows with a quantised weight and none with another [linear-C6]}}
  %0 = tn.linear %x, %w scales %s : tensor<8xf32> : tensor<?x8xf32>, tensor<12x8xi8> -> tensor<?x12xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %w: tensor<12x8xf32>, %s: tensor<12xf32>) {
  // expected-error @+1 {{expected the scales of 12 rows with a quantised weight and none with another [linear-C6]}}
  %0 = tn.linear %x, %w scales %s : tensor<12xf32> : tensor<?x8xf32>, tensor<12x8xf32> -> tensor<?x12xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?xf32>, %s: tensor<?x5xf32>) {
  // expected-error @+1 {{expected logits of [R, V] with a static V of 1 to 2^24, got 'tensor<?x?xf32>' [sample-C1]}}
  %0 = tn.sample %x, %s : tensor<?x?xf32>, tensor<?x5xf32> -> tensor<?xi32>
  return
}

// -----

func.func @f(%x: tensor<?x16777217xf32>, %s: tensor<?x5xf32>) {
  // expected-error @+1 {{expected logits of [R, V] with a static V of 1 to 2^24, got 'tensor<?x16777217xf32>' [sample-C1]}}
  %0 = tn.sample %x, %s : tensor<?x16777217xf32>, tensor<?x5xf32> -> tensor<?xi32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>, %s: tensor<?x4xf32>) {
  // expected-error @+1 {{expected 5 settings for each row of logits, got 'tensor<?x4xf32>' [sample-C2]}}
  %0 = tn.sample %x, %s : tensor<?x8xf32>, tensor<?x4xf32> -> tensor<?xi32>
  return
}

// -----

func.func @f(%x: tensor<2x8xf32>, %s: tensor<2x5xf32>) {
  // expected-error @+1 {{expected a token for each row of logits, got 'tensor<3xi32>' [sample-C3]}}
  %0 = tn.sample %x, %s : tensor<2x8xf32>, tensor<2x5xf32> -> tensor<3xi32>
  return
}
