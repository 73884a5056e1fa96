// Operations of the tn dialect that training needs: the loss, and adjoints that are
// things to compute of their own. Included at the end of TNOps.td. Constraints are
// numbered in docs/Spec.md.
#ifndef TN_GRAD_OPS_TD
#define TN_GRAD_OPS_TD

//===----------------------------------------------------------------------===//
// Loss
//===----------------------------------------------------------------------===//

def TN_CrossEntropyOp : TN_Op<"cross_entropy", [
    Pure, TN_Differentiable]> {
  let summary = "mean cross entropy of next tokens, the head included";
  let description = [{
    With z = x[b, n, :] weight^T and y = labels[b, n],

        logSumExp[b, n] = log sum_v exp(z[v])
        loss            = mean over (b, n) with y >= 0 of logSumExp[b, n] - z[y]

    A negative label marks a position that does not count; the loss is 0 where none
    counts. A label past the vocabulary is undefined behaviour. The logits are no value
    of the program: a lowering makes them piece by piece.

    ```mlir
    %loss, %lse = tn.cross_entropy %x, %w, %labels
        : tensor<?x?x64xf32>, tensor<256x64xf32>, tensor<?x?xi32>
       -> tensor<1xf32>, tensor<?x?xf32>
    ```
  }];
  let arguments = (ins TN_Tensor:$x, TN_Tensor:$weight, RankedTensorOf<[I32]>:$labels);
  let results = (outs TN_F32Tensor:$loss, TN_F32Tensor:$logSumExp);
  let assemblyFormat = [{
    $x `,` $weight `,` $labels attr-dict `:` type($x) `,` type($weight) `,` type($labels)
    `->` type($loss) `,` type($logSumExp)
  }];
  let hasVerifier = 1;
}

def TN_CrossEntropyGradOp : TN_Op<"cross_entropy_grad", [Pure]> {
  let summary = "the adjoint of tn.cross_entropy";
  let description = [{
    With p[v] = exp(z[v] - logSumExp) and c the number of labels that count,
    dz[b, n, v] = gradient / c * (p[v] - [v = y]) where y >= 0, else 0;

        dx = dz weight        dweight = dz^T x

    ```mlir
    %dx, %dw = tn.cross_entropy_grad %x, %w, %labels, %lse, %d
        : tensor<?x?x64xf32>, tensor<256x64xf32>, tensor<?x?xi32>, tensor<?x?xf32>, tensor<1xf32>
       -> tensor<?x?x64xf32>, tensor<256x64xf32>
    ```
  }];
  let arguments = (ins TN_Tensor:$x, TN_Tensor:$weight, RankedTensorOf<[I32]>:$labels,
                       TN_F32Tensor:$logSumExp, TN_F32Tensor:$gradient);
  let results = (outs TN_F32Tensor:$dx, TN_F32Tensor:$dweight);
  let assemblyFormat = [{
    $x `,` $weight `,` $labels `,` $logSumExp `,` $gradient attr-dict `:` type($x) `,`
    type($weight) `,` type($labels) `,` type($logSumExp) `,` type($gradient) `->`
    type($dx) `,` type($dweight)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Adjoints of linear maps and tables
//===----------------------------------------------------------------------===//

def TN_LinearInputGradOp : TN_Op<"linear_input_grad", [Pure]> {
  let summary = "dy W";
  let description = [{
    `result[..., k] = sum_n dy[..., n] * weight[n, k]`, in f32.

    ```mlir
    %dx = tn.linear_input_grad %dy, %w
        : tensor<?x?x192xf32>, tensor<192x64xf32> -> tensor<?x?x64xf32>
    ```
  }];
  let arguments = (ins TN_Tensor:$dy, TN_Tensor:$weight);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = [{
    $dy `,` $weight attr-dict `:` type($dy) `,` type($weight) `->` type($result)
  }];
  let hasVerifier = 1;
}

def TN_LinearWeightGradOp : TN_Op<"linear_weight_grad", [Pure]> {
  let summary = "dy^T x over all leading dimensions";
  let description = [{
    `result[n, k] = sum_... dy[..., n] * x[..., k]`, in f32.

    ```mlir
    %dw = tn.linear_weight_grad %dy, %x
        : tensor<?x?x192xf32>, tensor<?x?x64xf32> -> tensor<192x64xf32>
    ```
  }];
  let arguments = (ins TN_Tensor:$dy, TN_Tensor:$x);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = [{
    $dy `,` $x attr-dict `:` type($dy) `,` type($x) `->` type($result)
  }];
  let hasVerifier = 1;
}

def TN_SumRowsOp : TN_Op<"sum_rows", [Pure]> {
  let summary = "sums over all dimensions but the last";
  let description = [{
    The gradient of a bias.

    ```mlir
    %db = tn.sum_rows %dy : tensor<?x?x192xf32> -> tensor<192xf32>
    ```
  }];
  let arguments = (ins TN_F32Tensor:$x);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

def TN_EmbeddingGradOp : TN_Op<"embedding_grad", [Pure]> {
  let summary = "the gradient of an embedding's table";
  let description = [{
    `result[v, :] = scale * sum over ids[b, n] = v of dy[b, n, :]`, and zeros in the row
    `padding`.

    ```mlir
    %dt = tn.embedding_grad %ids, %dy {scale = 8.0 : f32}
        : tensor<?x?xi32>, tensor<?x?x64xf32> -> tensor<256x64xf32>
    ```
  }];
  let arguments = (ins RankedTensorOf<[I32]>:$ids, TN_F32Tensor:$dy,
                       DefaultValuedAttr<F32Attr, "1.0">:$scale,
                       OptionalAttr<I64Attr>:$padding);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = [{
    $ids `,` $dy attr-dict `:` type($ids) `,` type($dy) `->` type($result)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Adjoints of element-wise operations, norms and views
//===----------------------------------------------------------------------===//

def TN_ActivationGradOp : TN_Op<"activation_grad", [
    Pure, AllTypesMatch<["x", "dy", "result"]>]> {
  let summary = "dy * f'(x), on all or some of the columns";
  let description = [{
    On the columns `[begin, end)` of the last dimension, and dy on the others; without
    `columns`, on all. Where f has a kink, the derivative is the one from below.

    ```mlir
    %dx = tn.activation_grad <silu> %x, %dy columns [0, 128] : tensor<?x?x256xf32>
    ```
  }];
  let arguments = (ins TN_ActivationAttr:$kind, TN_F32Tensor:$x, TN_F32Tensor:$dy,
                       OptionalAttr<DenseI64ArrayAttr>:$columns);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = [{
    $kind $x `,` $dy (`columns` $columns^)? attr-dict `:` type($x)
  }];
  let hasVerifier = 1;
}

def TN_NormGradOp : TN_Op<"norm_grad", [
    Pure, AllTypesMatch<["x", "dy", "dx"]>]> {
  let summary = "the adjoint of tn.norm in its input";
  let description = [{
    With r = rsqrt(mean((x - c)^2) + epsilon), c the mean for `layer` and 0 else,
    y = r (x - c) and g = dy * weight (dy where there is no weight), over D elements:

        dx = r (g - y mean(g y) - [layer] mean(g))

    ```mlir
    %dx = tn.norm_grad <srms> %x, %dy {epsilon = 1.0e-06 : f32} : tensor<?x?x64xf32>
    ```
  }];
  let arguments = (ins TN_NormAttr:$kind, TN_F32Tensor:$x, TN_F32Tensor:$dy,
                       Optional<TN_F32Tensor>:$weight, F32Attr:$epsilon);
  let results = (outs TN_F32Tensor:$dx);
  let assemblyFormat = [{
    $kind $x `,` $dy (`weight` $weight^ `:` type($weight))? attr-dict `:` type($x)
  }];
  let hasVerifier = 1;
}

def TN_NormWeightGradOp : TN_Op<"norm_weight_grad", [
    Pure, AllTypesMatch<["x", "dy"]>]> {
  let summary = "the adjoint of tn.norm in its weight";
  let description = [{
    `result = sum over rows of dy * y`, with y the normalised row before the weight (see
    `tn.norm_grad`).

    ```mlir
    %dw = tn.norm_weight_grad <rms> %x, %dy {epsilon = 1.0e-06 : f32}
        : tensor<?x?x64xf32> -> tensor<64xf32>
    ```
  }];
  let arguments = (ins TN_NormAttr:$kind, TN_F32Tensor:$x, TN_F32Tensor:$dy,
                       F32Attr:$epsilon);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = [{
    $kind $x `,` $dy attr-dict `:` type($x) `->` type($result)
  }];
  let hasVerifier = 1;
}

def TN_UnsliceOp : TN_Op<"unslice", [Pure]> {
  let summary = "columns of several tensors side by side, zero elsewhere";
  let description = [{
    The adjoint of slices: piece i fills the columns `[begins[i], begins[i] + its width)`
    of the result; columns that no piece fills are zero. Sums of unslices of disjoint
    columns canonicalise to one.

    ```mlir
    %dx = tn.unslice %dq, %dk at [0, 64] : tensor<?x?x64xf32>, tensor<?x?x64xf32>
       -> tensor<?x?x256xf32>
    ```
  }];
  let arguments = (ins Variadic<TN_F32Tensor>:$pieces, DenseI64ArrayAttr:$begins);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = [{
    $pieces `at` $begins attr-dict `:` type($pieces) `->` type($result)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def TN_ZerosOp : TN_Op<"zeros", [Pure]> {
  let summary = "zeros, as many as another tensor's leading dimensions say";
  let description = [{
    A dynamic dimension i has the size of dimension i of `like`.

    ```mlir
    %s = tn.zeros like %ids : tensor<?x?xi32> -> tensor<?x4x32x16xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$like);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = "`like` $like attr-dict `:` type($like) `->` type($result)";
  let hasVerifier = 1;
}

def TN_CopyOp : TN_Op<"copy", [Pure, TN_Differentiable, SameOperandsAndResultType]> {
  let summary = "the same value in memory of its own";
  let description = [{
    For a state that is updated in place while its old value is still wanted.

    ```mlir
    %s1 = tn.copy %s0 : tensor<?x4x32x16xf32>
    ```
  }];
  let arguments = (ins TN_F32Tensor:$x);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x)";
}

//===----------------------------------------------------------------------===//
// Adjoints of the attention
//===----------------------------------------------------------------------===//

def TN_LRPEGradOp : TN_Op<"lrpe_grad", [Pure]> {
  let summary = "the adjoint of tn.lrpe";
  let description = [{
    With dy = concat(dy1, dy2), t = positions[b] + n and the angle a = t theta as in
    `tn.lrpe`:

        dx     = dy1 cos(a) + dy2 sin(a)
        dtheta = sum over b, n of t x (dy2 cos(a) - dy1 sin(a))

    ```mlir
    %dx, %dtheta = tn.lrpe_grad %x, %theta, %positions, %dy
        : tensor<?x?x4x16xf32>, tensor<4x1x16xf32>, tensor<?xi64>, tensor<?x?x4x32xf32>
    ```
  }];
  let arguments = (ins TN_F32Tensor:$x, TN_F32Tensor:$theta,
                       RankedTensorOf<[I64]>:$positions, TN_F32Tensor:$dy);
  let results = (outs TN_F32Tensor:$dx, TN_F32Tensor:$dtheta);
  let assemblyFormat = [{
    $x `,` $theta `,` $positions `,` $dy attr-dict `:` type($x) `,` type($theta) `,`
    type($positions) `,` type($dy) `->` type($dx) `,` type($dtheta)
  }];
  let hasVerifier = 1;
}

def TN_LightningAttentionGradOp : TN_Op<"lightning_attention_grad", [
    Pure, AttrSizedOperandSegments]> {
  let summary = "the adjoint of tn.lightning_attention";
  let description = [{
    Per sequence and head, with S_t the states of the forward and R = dL/dS walked
    backwards from R_N = `dNewState` (zeros where there is none):

        R_t  = R_{t+1}' + scale q_t dout_t^T      R_t' = lambda R_t
        dq_t = scale S_t dout_t    dk_t = R_t v_t    dv_t = R_t^T k_t
        dState = R_0'

    Without `state`, the forward began with zeros. In chunks (i, j positions in one, M and
    L as in the forward, R what comes from behind), up to `scale`:

        dQ = [(dO V^T) . M] K + L dO S^T
        dK = [(dO V^T) . M]^T Q + diag(lambda^(C-1-j)) V R^T
        dV = [(Q K^T) . M]^T dO + diag(lambda^(C-1-j)) K R
        R' = lambda^C R + (L Q)^T dO

    ```mlir
    %dq, %dk, %dv, %ds = tn.lightning_attention_grad %q, %k, %v, %slopes, %dout
        : tensor<?x?x4x32xf32>, tensor<?x?x4x16xf32>, tensor<4xf32> -> tensor<?x4x32x16xf32>
    ```
  }];
  let arguments = (ins TN_F32Tensor:$q, TN_F32Tensor:$k, TN_F32Tensor:$v,
                       TN_F32Tensor:$slopes, TN_F32Tensor:$dout,
                       Optional<TN_F32Tensor>:$state, Optional<TN_F32Tensor>:$dNewState,
                       DefaultValuedAttr<F32Attr, "1.0">:$scale);
  let results = (outs TN_F32Tensor:$dq, TN_F32Tensor:$dk, TN_F32Tensor:$dv,
                      TN_F32Tensor:$dState);
  let assemblyFormat = [{
    $q `,` $k `,` $v `,` $slopes `,` $dout (`state` $state^ `:` type($state))?
    (`behind` $dNewState^ `:` type($dNewState))? attr-dict `:` type($q) `,` type($k) `,`
    type($v) `,` type($slopes) `,` type($dout) `->` type($dq) `,` type($dk) `,`
    type($dv) `,` type($dState)
  }];
  let hasVerifier = 1;
}

#endif // TN_GRAD_OPS_TD
