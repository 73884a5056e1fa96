// Each constraint on the operations of ablations and baselines, violated.
// RUN: tnllm-opt %s --verify-diagnostics --split-input-file

func.func @f(%p: tensor<?x1xi64>, %x: tensor<?x?x8xf32>) {
  // expected-error @+1 {{expected one position for each of the batch of [B, N, ...], got 'tensor<?x1xi64>' and 'tensor<?x?x8xf32>' [position_ids-C1]}}
  %0 = tn.position_ids %p like %x : tensor<?x1xi64>, tensor<?x?x8xf32> -> tensor<?x?xi32>
  return
}

// -----

func.func @f(%p: tensor<3xi64>, %x: tensor<2x?x8xf32>) {
  // expected-error @+1 {{got 'tensor<3xi64>' and 'tensor<2x?x8xf32>' [position_ids-C1]}}
  %0 = tn.position_ids %p like %x : tensor<3xi64>, tensor<2x?x8xf32> -> tensor<2x?xi32>
  return
}

// -----

func.func @f(%p: tensor<?xi64>, %x: tensor<?xi32>) {
  // expected-error @+1 {{got 'tensor<?xi64>' and 'tensor<?xi32>' [position_ids-C1]}}
  %0 = tn.position_ids %p like %x : tensor<?xi64>, tensor<?xi32> -> tensor<?xi32>
  return
}

// -----

func.func @f(%p: tensor<?xi64>, %x: tensor<?x1xi32>) {
  // expected-error @+1 {{expected a result of the batch and length of 'tensor<?x1xi32>', got 'tensor<?x2xi32>' [position_ids-C2]}}
  %0 = tn.position_ids %p like %x : tensor<?xi64>, tensor<?x1xi32> -> tensor<?x2xi32>
  return
}

// -----

func.func @f(%p: tensor<?xi64>, %x: tensor<?x?xi32>) {
  // expected-error @+1 {{got 'tensor<?x?x1xi32>' [position_ids-C2]}}
  %0 = tn.position_ids %p like %x : tensor<?xi64>, tensor<?x?xi32> -> tensor<?x?x1xi32>
  return
}

// -----

func.func @f(%x: tensor<?x?x4x15xf32>, %t: tensor<7xf32>, %p: tensor<?xi64>) {
  // expected-error @+1 {{expected x of [B, N, H, d] with an even d, got 'tensor<?x?x4x15xf32>' [rope-C1]}}
  %0 = tn.rope %x, %t, %p : tensor<?x?x4x15xf32>, tensor<7xf32>, tensor<?xi64>
  return
}

// -----

func.func @f(%x: tensor<?x?x16xf32>, %t: tensor<8xf32>, %p: tensor<?xi64>) {
  // expected-error @+1 {{got 'tensor<?x?x16xf32>' [rope-C1]}}
  %0 = tn.rope %x, %t, %p : tensor<?x?x16xf32>, tensor<8xf32>, tensor<?xi64>
  return
}

// -----

func.func @f(%x: tensor<?x?x4x16xf32>, %t: tensor<16xf32>, %p: tensor<?xi64>) {
  // expected-error @+1 {{expected theta of [8], got 'tensor<16xf32>' [rope-C2]}}
  %0 = tn.rope %x, %t, %p : tensor<?x?x4x16xf32>, tensor<16xf32>, tensor<?xi64>
  return
}

// -----

func.func @f(%x: tensor<?x?x4x16xf32>, %t: tensor<8xf32>, %p: tensor<?x?xi64>) {
  // expected-error @+1 {{expected one position for each of the batch, got 'tensor<?x?xi64>' [rope-C3]}}
  %0 = tn.rope %x, %t, %p : tensor<?x?x4x16xf32>, tensor<8xf32>, tensor<?x?xi64>
  return
}

// -----

func.func @f(%q: tensor<?x?x4x16xf32>, %k: tensor<?x?x4x8xf32>) {
  // expected-error @+1 {{expected q and k of one type [B, N, H, Dk], v and out of one type [B, N, H, Dv], got 'tensor<?x?x4x16xf32>', 'tensor<?x?x4x8xf32>', 'tensor<?x?x4x16xf32>' and 'tensor<?x?x4x16xf32>' [softmax_attention-C1]}}
  %o, %l = tn.softmax_attention %q, %k, %q : tensor<?x?x4x16xf32>, tensor<?x?x4x8xf32>, tensor<?x?x4x16xf32> -> tensor<?x?x4x16xf32>, tensor<?x?x4xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x4x16xf32>, %v: tensor<?x?x2x16xf32>) {
  // expected-error @+1 {{got 'tensor<?x?x4x16xf32>', 'tensor<?x?x4x16xf32>', 'tensor<?x?x2x16xf32>' and 'tensor<?x?x2x16xf32>' [softmax_attention-C1]}}
  %o, %l = tn.softmax_attention %q, %q, %v : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x2x16xf32> -> tensor<?x?x2x16xf32>, tensor<?x?x4xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x4x16xf32>) {
  // expected-error @+1 {{and 'tensor<?x?x4x8xf32>' [softmax_attention-C1]}}
  %o, %l = tn.softmax_attention %q, %q, %q : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32> -> tensor<?x?x4x8xf32>, tensor<?x?x4xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x4x16xf32>) {
  // expected-error @+1 {{expected log-sum-exps of [B, N, H], got 'tensor<?x?x3xf32>' [softmax_attention-C2]}}
  %o, %l = tn.softmax_attention %q, %q, %q : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32> -> tensor<?x?x4x16xf32>, tensor<?x?x3xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x4x16xf32>) {
  // expected-error @+1 {{expected a block of at least 1 position, got 0 [softmax_attention-C3]}}
  %o, %l = tn.softmax_attention %q, %q, %q block 0 : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32> -> tensor<?x?x4x16xf32>, tensor<?x?x4xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x4x16xf32>, %p: tensor<?xi64>) {
  // expected-error @+1 {{expected a cache, positions and a new cache together, or none of them [softmax_attention-C4]}}
  %o, %l = tn.softmax_attention %q, %q, %q at %p : tensor<?xi64> : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32> -> tensor<?x?x4x16xf32>, tensor<?x?x4xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x4x16xf32>, %c: tensor<?x4x64x32xf32>, %p: tensor<?xi64>) {
  // expected-error @+1 {{or none of them [softmax_attention-C4]}}
  %o, %l = tn.softmax_attention %q, %q, %q cache %c : tensor<?x4x64x32xf32> at %p : tensor<?xi64> : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32> -> tensor<?x?x4x16xf32>, tensor<?x?x4xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x4x16xf32>, %c: tensor<?x4x64x32xf32>, %p: tensor<?x1xi64>) {
  // expected-error @+1 {{expected one position for each of the batch, got 'tensor<?x1xi64>' [softmax_attention-C5]}}
  %o, %l, %n = tn.softmax_attention %q, %q, %q cache %c : tensor<?x4x64x32xf32> at %p : tensor<?x1xi64> : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32> -> tensor<?x?x4x16xf32>, tensor<?x?x4xf32>, tensor<?x4x64x32xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x4x16xf32>, %c: tensor<?x4x64x16xf32>, %p: tensor<?xi64>) {
  // expected-error @+1 {{expected caches of [B, H, R, Dk + Dv] with H 4 and Dk + Dv 32, got 'tensor<?x4x64x16xf32>' and 'tensor<?x4x64x16xf32>' [softmax_attention-C6]}}
  %o, %l, %n = tn.softmax_attention %q, %q, %q cache %c : tensor<?x4x64x16xf32> at %p : tensor<?xi64> : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32> -> tensor<?x?x4x16xf32>, tensor<?x?x4xf32>, tensor<?x4x64x16xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x4x16xf32>, %c: tensor<?x4x64x32xf32>, %p: tensor<?xi64>) {
  // expected-error @+1 {{with H 4 and Dk + Dv 32, R the block 32, got 'tensor<?x4x64x32xf32>' and 'tensor<?x4x64x32xf32>' [softmax_attention-C6]}}
  %o, %l, %n = tn.softmax_attention %q, %q, %q cache %c : tensor<?x4x64x32xf32> at %p : tensor<?xi64> block 32 : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32> -> tensor<?x?x4x16xf32>, tensor<?x?x4xf32>, tensor<?x4x64x32xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x4x16xf32>, %c: tensor<?x4x64x32xf32>, %p: tensor<?xi64>) {
  // expected-error @+1 {{got 'tensor<?x4x64x32xf32>' and 'tensor<?x4x63x32xf32>' [softmax_attention-C6]}}
  %o, %l, %n = tn.softmax_attention %q, %q, %q cache %c : tensor<?x4x64x32xf32> at %p : tensor<?xi64> : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32> -> tensor<?x?x4x16xf32>, tensor<?x?x4xf32>, tensor<?x4x63x32xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x4x16xf32>, %c: tensor<?x4x64x32xf32>, %p: tensor<?xi64>) {
  // expected-error @+1 {{expected to be the only user of the cache, which it updates in place [softmax_attention-C7]}}
  %o, %l, %n = tn.softmax_attention %q, %q, %q cache %c : tensor<?x4x64x32xf32> at %p : tensor<?xi64> : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32> -> tensor<?x?x4x16xf32>, tensor<?x?x4xf32>, tensor<?x4x64x32xf32>
  tn.probe "c" %c : tensor<?x4x64x32xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x4x16xf32>, %v: tensor<?x?x4x16xf32>, %o: tensor<?x?x4x8xf32>, %l: tensor<?x?x4xf32>, %d: tensor<?x?x4x16xf32>) {
  // expected-error @+1 {{expected q and k of one type [B, N, H, Dk], v and out of one type [B, N, H, Dv], got 'tensor<?x?x4x16xf32>', 'tensor<?x?x4x16xf32>', 'tensor<?x?x4x16xf32>' and 'tensor<?x?x4x8xf32>' [softmax_attention_grad-C1]}}
  %dq, %dk, %dv = tn.softmax_attention_grad %q, %q, %v, %o, %l, %d : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x8xf32>, tensor<?x?x4xf32>, tensor<?x?x4x16xf32> -> tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x4x16xf32>, %v: tensor<?x?x4x16xf32>, %o: tensor<?x?x4x16xf32>, %l: tensor<?x?xf32>, %d: tensor<?x?x4x16xf32>) {
  // expected-error @+1 {{expected log-sum-exps of [B, N, H], got 'tensor<?x?xf32>' [softmax_attention_grad-C2]}}
  %dq, %dk, %dv = tn.softmax_attention_grad %q, %q, %v, %o, %l, %d : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?xf32>, tensor<?x?x4x16xf32> -> tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x4x16xf32>, %v: tensor<?x?x4x16xf32>, %o: tensor<?x?x4x16xf32>, %l: tensor<?x?x4xf32>, %d: tensor<?x?x4x16xf32>) {
  // expected-error @+1 {{expected a block of at least 1 position, got -3 [softmax_attention_grad-C3]}}
  %dq, %dk, %dv = tn.softmax_attention_grad %q, %q, %v, %o, %l, %d block -3 : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4xf32>, tensor<?x?x4x16xf32> -> tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x4x16xf32>, %v: tensor<?x?x4x16xf32>, %o: tensor<?x?x4x16xf32>, %l: tensor<?x?x4xf32>, %d: tensor<?x?x4x8xf32>) {
  // expected-error @+1 {{expected dout and gradients of the types of out, q, k and v, got 'tensor<?x?x4x8xf32>', 'tensor<?x?x4x16xf32>', 'tensor<?x?x4x16xf32>' and 'tensor<?x?x4x16xf32>' [softmax_attention_grad-C4]}}
  %dq, %dk, %dv = tn.softmax_attention_grad %q, %q, %v, %o, %l, %d : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4xf32>, tensor<?x?x4x8xf32> -> tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>
  return
}

// -----

func.func @f(%q: tensor<?x?x4x16xf32>, %v: tensor<?x?x4x16xf32>, %o: tensor<?x?x4x16xf32>, %l: tensor<?x?x4xf32>, %d: tensor<?x?x4x16xf32>) {
  // expected-error @+1 {{expected dout and gradients of the types of out, q, k and v, got}}
  %dq, %dk, %dv = tn.softmax_attention_grad %q, %q, %v, %o, %l, %d : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4xf32>, tensor<?x?x4x16xf32> -> tensor<?x?x4x16xf32>, tensor<?x?x4x8xf32>, tensor<?x?x4x16xf32>
  return
}
