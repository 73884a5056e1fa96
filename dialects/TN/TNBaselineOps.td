// Operations of the tn dialect that ablations and baselines need beside the model
// itself: positions as numbers, rotary position encoding, softmax attention and its
// adjoint. Included at the end of TNOps.td. Constraints are numbered in docs/Spec.md.
#ifndef TN_BASELINE_OPS_TD
#define TN_BASELINE_OPS_TD

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

def TN_PositionIdsOp : TN_Op<"position_ids", [Pure]> {
  let summary = "the position of each token";
  let description = [{
    `result[b, n] = positions[b] + n`, with the batch and length of `like`. Rows of a
    learned table are then a `tn.embedding` like any other.

    ```mlir
    %ids = tn.position_ids %positions like %tokens
         : tensor<?xi64>, tensor<?x?xi32> -> tensor<?x?xi32>
    ```
  }];
  let arguments = (ins RankedTensorOf<[I64]>:$positions, AnyRankedTensor:$like);
  let results = (outs RankedTensorOf<[I32]>:$result);
  let assemblyFormat = [{
    $positions `like` $like attr-dict `:` type($positions) `,` type($like) `->`
    type($result)
  }];
  let hasVerifier = 1;
}

def TN_RoPEOp : TN_Op<"rope", [
    Pure, TN_Differentiable, AllTypesMatch<["x", "result"]>]> {
  let summary = "rotary position encoding";
  let description = [{
    Rotates the pairs (x[i], x[i + d/2]) of each head by the angle
    `a = (positions[b] + n) * theta[i]`, rounded to f32 before cos and sin, or by -a where
    it is `inverse`:

        result[i]       = x[i] cos a - x[i + d/2] sin a
        result[i + d/2] = x[i + d/2] cos a + x[i] sin a

    The product of a rotated query and key depends on the distance of their positions
    (arXiv 2104.09864). The adjoint is the inverse rotation; theta is a constant to it.

    ```mlir
    %q1 = tn.rope %q, %theta, %positions : tensor<?x?x4x16xf32>, tensor<8xf32>, tensor<?xi64>
    ```
  }];
  let arguments = (ins TN_F32Tensor:$x, TN_F32Tensor:$theta,
                       RankedTensorOf<[I64]>:$positions, UnitAttr:$inverse);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = [{
    (`inverse` $inverse^)? $x `,` $theta `,` $positions attr-dict `:` type($x) `,`
    type($theta) `,` type($positions)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Softmax attention
//===----------------------------------------------------------------------===//

def TN_SoftmaxAttentionOp : TN_Op<"softmax_attention", [
    Pure, TN_Differentiable, AttrSizedOperandSegments]> {
  let summary = "causal softmax attention, whole or in blocks, with or without a cache";
  let description = [{
    Per sequence and head, over the positions s <= t, or with `block` those of them in t's
    block of as many positions (arXiv 2210.10340, DiagAttention):

        z_ts = scale q_t . k_s        logSumExp_t = log sum_s exp(z_ts)
        out_t = sum_s exp(z_ts - logSumExp_t) v_s

    q and k are [B, N, H, Dk], v and out [B, N, H, Dv]. Without a cache a sequence begins
    in this call: t = n. With one, t = positions[b] + n, and the cache [B, H, R, Dk + Dv]
    holds in row s mod R the key and the value of each position s before the call that may
    be asked for; `newCache` holds those of the call too. R is `block`, or the largest
    number of positions of a sequence: t >= R is then undefined behaviour, and whoever
    feeds tokens checks it. The cache is updated in place, so it has one user.

    ```mlir
    %o, %lse = tn.softmax_attention %q, %k, %v block 64
        : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>
       -> tensor<?x?x4x16xf32>, tensor<?x?x4xf32>
    %p, %lsf, %c1 = tn.softmax_attention %q, %k, %v cache %c0 : tensor<?x4x512x32xf32>
        at %positions : tensor<?xi64> {scale = 0.25 : f32}
        : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>
       -> tensor<?x?x4x16xf32>, tensor<?x?x4xf32>, tensor<?x4x512x32xf32>
    ```
  }];
  let arguments = (ins TN_F32Tensor:$q, TN_F32Tensor:$k, TN_F32Tensor:$v,
                       Optional<TN_F32Tensor>:$cache,
                       Optional<RankedTensorOf<[I64]>>:$positions,
                       OptionalAttr<I64Attr>:$block,
                       DefaultValuedAttr<F32Attr, "1.0">:$scale);
  let results = (outs TN_F32Tensor:$out, TN_F32Tensor:$logSumExp,
                      Optional<TN_F32Tensor>:$newCache);
  let assemblyFormat = [{
    $q `,` $k `,` $v (`cache` $cache^ `:` type($cache))?
    (`at` $positions^ `:` type($positions))? (`block` $block^)? attr-dict `:` type($q) `,`
    type($k) `,` type($v) `->` type($out) `,` type($logSumExp) (`,` type($newCache)^)?
  }];
  let hasVerifier = 1;
}

def TN_SoftmaxAttentionGradOp : TN_Op<"softmax_attention_grad", [Pure]> {
  let summary = "the adjoint of tn.softmax_attention without a cache";
  let description = [{
    With p_ts = exp(z_ts - logSumExp_t) as in the forward, 0 for pairs that it leaves out,
    and c_t = dout_t . out_t:

        dz_ts = p_ts (dout_t . v_s - c_t)      dv_s = sum_t p_ts dout_t
        dq_t = scale sum_s dz_ts k_s           dk_s = scale sum_t dz_ts q_t

    The log-sum-exps are all that is kept of the forward's n^2 products.

    ```mlir
    %dq, %dk, %dv = tn.softmax_attention_grad %q, %k, %v, %o, %lse, %do block 64
        : tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>,
          tensor<?x?x4x16xf32>, tensor<?x?x4xf32>, tensor<?x?x4x16xf32>
       -> tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>, tensor<?x?x4x16xf32>
    ```
  }];
  let arguments = (ins TN_F32Tensor:$q, TN_F32Tensor:$k, TN_F32Tensor:$v,
                       TN_F32Tensor:$out, TN_F32Tensor:$logSumExp, TN_F32Tensor:$dout,
                       OptionalAttr<I64Attr>:$block,
                       DefaultValuedAttr<F32Attr, "1.0">:$scale);
  let results = (outs TN_F32Tensor:$dq, TN_F32Tensor:$dk, TN_F32Tensor:$dv);
  let assemblyFormat = [{
    $q `,` $k `,` $v `,` $out `,` $logSumExp `,` $dout (`block` $block^)? attr-dict `:`
    type($q) `,` type($k) `,` type($v) `,` type($out) `,` type($logSumExp) `,` type($dout)
    `->` type($dq) `,` type($dk) `,` type($dv)
  }];
  let hasVerifier = 1;
}

#endif // TN_BASELINE_OPS_TD
