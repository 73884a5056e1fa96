// Each constraint on the operations of training, violated.
// RUN: tnllm-opt %s --verify-diagnostics --split-input-file

func.func @f(%x: tensor<?x?x8xf32>, %w: tensor<12x6xf32>, %y: tensor<?x?xi32>) {
  // expected-error @+1 {{expected x [..., D] and a static weight [V, D] of one element type, got 'tensor<?x?x8xf32>' and 'tensor<12x6xf32>' [cross_entropy-C1]}}
  %l, %s = tn.cross_entropy %x, %w, %y : tensor<?x?x8xf32>, tensor<12x6xf32>, tensor<?x?xi32> -> tensor<1xf32>, tensor<?x?xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x8xf32>, %w: tensor<12x8xf32>, %y: tensor<?xi32>) {
  // expected-error @+1 {{expected labels and log-sum-exps of x's leading dimensions, got 'tensor<?xi32>' and 'tensor<?xf32>' [cross_entropy-C2]}}
  %l, %s = tn.cross_entropy %x, %w, %y : tensor<?x?x8xf32>, tensor<12x8xf32>, tensor<?xi32> -> tensor<1xf32>, tensor<?xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x8xf32>, %w: tensor<12x8xf32>, %y: tensor<?x?xi32>) {
  // expected-error @+1 {{expected a loss of one element, got 'tensor<2xf32>' [cross_entropy-C3]}}
  %l, %s = tn.cross_entropy %x, %w, %y : tensor<?x?x8xf32>, tensor<12x8xf32>, tensor<?x?xi32> -> tensor<2xf32>, tensor<?x?xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x8xf32>, %w: tensor<12x8xbf16>, %y: tensor<?x?xi32>, %s: tensor<?x?xf32>, %d: tensor<1xf32>) {
  // expected-error @+1 {{expected x [..., D] and a static weight [V, D] of one element type, got 'tensor<?x?x8xf32>' and 'tensor<12x8xbf16>' [cross_entropy_grad-C1]}}
  %0, %1 = tn.cross_entropy_grad %x, %w, %y, %s, %d : tensor<?x?x8xf32>, tensor<12x8xbf16>, tensor<?x?xi32>, tensor<?x?xf32>, tensor<1xf32> -> tensor<?x?x8xf32>, tensor<12x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x8xf32>, %w: tensor<12x8xf32>, %y: tensor<?x?xi32>, %s: tensor<?xf32>, %d: tensor<1xf32>) {
  // expected-error @+1 {{expected labels and log-sum-exps of x's leading dimensions, got 'tensor<?x?xi32>' and 'tensor<?xf32>' [cross_entropy_grad-C2]}}
  %0, %1 = tn.cross_entropy_grad %x, %w, %y, %s, %d : tensor<?x?x8xf32>, tensor<12x8xf32>, tensor<?x?xi32>, tensor<?xf32>, tensor<1xf32> -> tensor<?x?x8xf32>, tensor<12x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x8xf32>, %w: tensor<12x8xf32>, %y: tensor<?x?xi32>, %s: tensor<?x?xf32>, %d: tensor<?xf32>) {
  // expected-error @+1 {{expected a gradient of one element, got 'tensor<?xf32>' [cross_entropy_grad-C3]}}
  %0, %1 = tn.cross_entropy_grad %x, %w, %y, %s, %d : tensor<?x?x8xf32>, tensor<12x8xf32>, tensor<?x?xi32>, tensor<?x?xf32>, tensor<?xf32> -> tensor<?x?x8xf32>, tensor<12x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x8xf32>, %w: tensor<12x8xf32>, %y: tensor<?x?xi32>, %s: tensor<?x?xf32>, %d: tensor<1xf32>) {
  // expected-error @+1 {{expected gradients of the shapes of x and weight, got 'tensor<?x?x8xf32>' and 'tensor<12x9xf32>' [cross_entropy_grad-C4]}}
  %0, %1 = tn.cross_entropy_grad %x, %w, %y, %s, %d : tensor<?x?x8xf32>, tensor<12x8xf32>, tensor<?x?xi32>, tensor<?x?xf32>, tensor<1xf32> -> tensor<?x?x8xf32>, tensor<12x9xf32>
  return
}

// -----

func.func @f(%dy: tensor<?x?x8xf32>, %w: tensor<12x8xf32>) {
  // expected-error @+1 {{expected dy [..., N] and a static weight [N, K] of one element type, got 'tensor<?x?x8xf32>' and 'tensor<12x8xf32>' [linear_input_grad-C1]}}
  %0 = tn.linear_input_grad %dy, %w : tensor<?x?x8xf32>, tensor<12x8xf32> -> tensor<?x?x8xf32>
  return
}

// -----

func.func @f(%dy: tensor<?x?x8xf32>, %w: tensor<8x12xf32>) {
  // expected-error @+1 {{expected a result of dy's leading dimensions and 12 columns, got 'tensor<?x?x8xf32>' [linear_input_grad-C2]}}
  %0 = tn.linear_input_grad %dy, %w : tensor<?x?x8xf32>, tensor<8x12xf32> -> tensor<?x?x8xf32>
  return
}

// -----

func.func @f(%dy: tensor<?x?x8xf32>, %x: tensor<?x8xf32>) {
  // expected-error @+1 {{expected dy and x of equal leading dimensions and one element type, got 'tensor<?x?x8xf32>' and 'tensor<?x8xf32>' [linear_weight_grad-C1]}}
  %0 = tn.linear_weight_grad %dy, %x : tensor<?x?x8xf32>, tensor<?x8xf32> -> tensor<8x8xf32>
  return
}

// -----

func.func @f(%dy: tensor<?x?x8xf32>, %x: tensor<?x?x6xf32>) {
  // expected-error @+1 {{expected a static result [N, K] for dy [..., N] and x [..., K], got 'tensor<6x8xf32>' [linear_weight_grad-C2]}}
  %0 = tn.linear_weight_grad %dy, %x : tensor<?x?x8xf32>, tensor<?x?x6xf32> -> tensor<6x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x8xf32>) {
  // expected-error @+1 {{expected [..., N] to become a static [N], got 'tensor<?x?x8xf32>' and 'tensor<9xf32>' [sum_rows-C1]}}
  %0 = tn.sum_rows %x : tensor<?x?x8xf32> -> tensor<9xf32>
  return
}

// -----

func.func @f(%ids: tensor<?xi32>, %dy: tensor<?x?x8xf32>) {
  // expected-error @+1 {{expected dy of ids' dimensions and the features, got 'tensor<?xi32>' and 'tensor<?x?x8xf32>' [embedding_grad-C1]}}
  %0 = tn.embedding_grad %ids, %dy : tensor<?xi32>, tensor<?x?x8xf32> -> tensor<5x8xf32>
  return
}

// -----

func.func @f(%ids: tensor<?x?xi32>, %dy: tensor<?x?x8xf32>) {
  // expected-error @+1 {{expected a static table of dy's width 8, got 'tensor<5x9xf32>' [embedding_grad-C2]}}
  %0 = tn.embedding_grad %ids, %dy : tensor<?x?xi32>, tensor<?x?x8xf32> -> tensor<5x9xf32>
  return
}

// -----

func.func @f(%x: tensor<f32>) {
  // expected-error @+1 {{expected a tensor of rank 1 or more [activation_grad-C1]}}
  %0 = tn.activation_grad <silu> %x, %x : tensor<f32>
  return
}

// -----

func.func @f(%x: tensor<?x?x8xf32>) {
  // expected-error @+1 {{expected columns [begin, end) with 0 <= begin < end <= 8, got [4, 9] [activation_grad-C2]}}
  %0 = tn.activation_grad <silu> %x, %x columns [4, 9] : tensor<?x?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<f32>) {
  // expected-error @+1 {{expected a tensor of rank 1 or more [norm_grad-C1]}}
  %0 = tn.norm_grad <srms> %x, %x {epsilon = 1.0e-6 : f32} : tensor<f32>
  return
}

// -----

func.func @f(%x: tensor<?x?x8xf32>) {
  // expected-error @+1 {{expected a weight for kind layer [norm_grad-C2]}}
  %0 = tn.norm_grad <layer> %x, %x {epsilon = 1.0e-6 : f32} : tensor<?x?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x8xf32>, %w: tensor<9xf32>) {
  // expected-error @+1 {{expected a weight of 8 elements, got 'tensor<9xf32>' [norm_grad-C3]}}
  %0 = tn.norm_grad <rms> %x, %x weight %w : tensor<9xf32> {epsilon = 1.0e-6 : f32} : tensor<?x?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x8xf32>) {
  // expected-error @+1 {{expected a positive, finite epsilon [norm_grad-C4]}}
  %0 = tn.norm_grad <srms> %x, %x {epsilon = 0.0 : f32} : tensor<?x?x8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x8xf32>) {
  // expected-error @+1 {{expected a kind that has a weight, got srms [norm_weight_grad-C1]}}
  %0 = tn.norm_weight_grad <srms> %x, %x {epsilon = 1.0e-6 : f32} : tensor<?x?x8xf32> -> tensor<8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x8xf32>) {
  // expected-error @+1 {{expected [..., D] to become a static [D], got 'tensor<?x?x8xf32>' and 'tensor<?xf32>' [norm_weight_grad-C2]}}
  %0 = tn.norm_weight_grad <rms> %x, %x {epsilon = 1.0e-6 : f32} : tensor<?x?x8xf32> -> tensor<?xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x8xf32>) {
  // expected-error @+1 {{expected a positive, finite epsilon [norm_weight_grad-C3]}}
  %0 = tn.norm_weight_grad <rms> %x, %x {epsilon = -1.0 : f32} : tensor<?x?x8xf32> -> tensor<8xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x8xf32>) {
  // expected-error @+1 {{expected a first column for each of 1 pieces, one or more, got 2 [unslice-C1]}}
  %0 = tn.unslice %x at [0, 8] : tensor<?x?x8xf32> -> tensor<?x?x20xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x?xf32>) {
  // expected-error @+1 {{expected pieces of the result's leading dimensions and static width, got 'tensor<?x?x?xf32>' for 'tensor<?x?x20xf32>' [unslice-C2]}}
  %0 = tn.unslice %x at [0] : tensor<?x?x?xf32> -> tensor<?x?x20xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x8xf32>) {
  // expected-error @+1 {{expected columns in order, disjoint and within 20, got [0, 7] [unslice-C3]}}
  %0 = tn.unslice %x, %x at [0, 7] : tensor<?x?x8xf32>, tensor<?x?x8xf32> -> tensor<?x?x20xf32>
  return
}

// -----

// A first column so far out that its sum with a width would overflow.
func.func @unslice_far(%x: tensor<?x?x8xf32>) {
  // expected-error @+1 {{expected columns in order, disjoint and within 20, got [9223372036854775807] [unslice-C3]}}
  %0 = tn.unslice %x at [9223372036854775807] : tensor<?x?x8xf32> -> tensor<?x?x20xf32>
  return
}

// -----

func.func @f(%x: tensor<?xf32>) {
  // expected-error @+1 {{expected dimension 1 of the result to be static or a dimension of 'tensor<?xf32>' too [zeros-C1]}}
  %0 = tn.zeros like %x : tensor<?xf32> -> tensor<?x?xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x2x4xf32>, %t: tensor<2x1x5xf32>, %p: tensor<?xi64>, %d: tensor<?x?x2x8xf32>) {
  // expected-error @+1 {{expected x [B, N, H, d] and theta [H, 1, d], got 'tensor<?x?x2x4xf32>' and 'tensor<2x1x5xf32>' [lrpe_grad-C1]}}
  %0, %1 = tn.lrpe_grad %x, %t, %p, %d : tensor<?x?x2x4xf32>, tensor<2x1x5xf32>, tensor<?xi64>, tensor<?x?x2x8xf32> -> tensor<?x?x2x4xf32>, tensor<2x1x5xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x2x4xf32>, %t: tensor<2x1x4xf32>, %p: tensor<?x1xi64>, %d: tensor<?x?x2x8xf32>) {
  // expected-error @+1 {{expected one position for each of the batch, got 'tensor<?x1xi64>' [lrpe_grad-C2]}}
  %0, %1 = tn.lrpe_grad %x, %t, %p, %d : tensor<?x?x2x4xf32>, tensor<2x1x4xf32>, tensor<?x1xi64>, tensor<?x?x2x8xf32> -> tensor<?x?x2x4xf32>, tensor<2x1x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x2x4xf32>, %t: tensor<2x1x4xf32>, %p: tensor<?xi64>, %d: tensor<?x?x2x4xf32>) {
  // expected-error @+1 {{expected dy of twice x's width (8), got 'tensor<?x?x2x4xf32>' [lrpe_grad-C3]}}
  %0, %1 = tn.lrpe_grad %x, %t, %p, %d : tensor<?x?x2x4xf32>, tensor<2x1x4xf32>, tensor<?xi64>, tensor<?x?x2x4xf32> -> tensor<?x?x2x4xf32>, tensor<2x1x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x2x4xf32>, %t: tensor<2x1x4xf32>, %p: tensor<?xi64>, %d: tensor<?x?x2x8xf32>) {
  // expected-error @+1 {{expected gradients of the types of x and theta, got 'tensor<?x?x2x4xf32>' and 'tensor<2x4xf32>' [lrpe_grad-C4]}}
  %0, %1 = tn.lrpe_grad %x, %t, %p, %d : tensor<?x?x2x4xf32>, tensor<2x1x4xf32>, tensor<?xi64>, tensor<?x?x2x8xf32> -> tensor<?x?x2x4xf32>, tensor<2x4xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x2x4xf32>, %k: tensor<?x?x2x5xf32>, %v: tensor<?x?x2x3xf32>, %s: tensor<2xf32>) {
  // expected-error @+1 {{expected q and k of one type [B, N, H, Dk], v and dout of one type [B, N, H, Dv], got 'tensor<?x?x2x4xf32>', 'tensor<?x?x2x5xf32>', 'tensor<?x?x2x3xf32>' and 'tensor<?x?x2x3xf32>' [lightning_attention_grad-C1]}}
  %0:4 = tn.lightning_attention_grad %q, %k, %v, %s, %v : tensor<?x?x2x4xf32>, tensor<?x?x2x5xf32>, tensor<?x?x2x3xf32>, tensor<2xf32>, tensor<?x?x2x3xf32> -> tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<?x2x4x3xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x2x4xf32>, %k: tensor<?x?x2x4xf32>, %v: tensor<?x?x2x3xf32>, %s: tensor<3xf32>) {
  // expected-error @+1 {{expected one slope for each of 2 heads, got 'tensor<3xf32>' [lightning_attention_grad-C2]}}
  %0:4 = tn.lightning_attention_grad %q, %k, %v, %s, %v : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<3xf32>, tensor<?x?x2x3xf32> -> tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<?x2x4x3xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x2x4xf32>, %k: tensor<?x?x2x4xf32>, %v: tensor<?x?x2x3xf32>, %s: tensor<2xf32>) {
  // expected-error @+1 {{expected gradients of the types of q, k and v, got 'tensor<?x?x2x5xf32>', 'tensor<?x?x2x4xf32>' and 'tensor<?x?x2x3xf32>' [lightning_attention_grad-C3]}}
  %0:4 = tn.lightning_attention_grad %q, %k, %v, %s, %v : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<2xf32>, tensor<?x?x2x3xf32> -> tensor<?x?x2x5xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<?x2x4x3xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x2x4xf32>, %k: tensor<?x?x2x4xf32>, %v: tensor<?x?x2x3xf32>, %s: tensor<2xf32>) {
  // expected-error @+1 {{expected states of [B, H, Dk, Dv], 'tensor<?x2x4x3xf32>', got 'tensor<?x2x3x4xf32>' [lightning_attention_grad-C4]}}
  %0:4 = tn.lightning_attention_grad %q, %k, %v, %s, %v : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<2xf32>, tensor<?x?x2x3xf32> -> tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<?x2x3x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{requires the same type for all operands and results}}
  %0 = "tn.copy"(%x) : (tensor<?x8xf32>) -> tensor<?x9xf32>
  return
}
