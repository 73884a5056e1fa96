// Operations of the tn dialect. Constraints are numbered in docs/Spec.md.
#ifndef TN_OPS_TD
#define TN_OPS_TD

include "TN/TNAttrs.td"
include "TN/TNInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class TN_Op<string mnemonic, list<Trait> traits = []>
    : Op<TN_Dialect, mnemonic, traits>;

// For operations that say their own adjoint (TNAdjoints.cpp).
def TN_Differentiable : DeclareOpInterfaceMethods<TN_AdjointOpInterface>;

// f32 or bf16 data.
def TN_Tensor : RankedTensorOf<[F32, BF16]>;
def TN_F32Tensor : RankedTensorOf<[F32]>;
// Parameters: f32, bf16, or quantised: i8 and f8E4M3FN with a scale for each row,
// i4 with one for each group of columns of a row.
def TN_Weight : RankedTensorOf<[F32, BF16, I8, F8E4M3FN, I<4>]>;

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

def TN_ParamOp : TN_Op<"param", [Symbol]> {
  let summary = "declares a parameter of the model";
  let description = [{
    The symbol is the tensor's name in a checkpoint, unless `tensor` gives another: one
    tensor may be read in two types. The type is what the compiled program reads,
    whatever the file holds; i8, f8E4M3FN and i4 are the tensor divided by its
    `tn.row_scales`, rounded.

    ```mlir
    tn.param @"model.embed_tokens.weight" : tensor<256x64xf32> init <normal, 2.0e-02 : f64>
    tn.param @head tensor "model.embed_tokens.weight" : tensor<256x64xi8> init <normal, 2.0e-02 : f64>
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, OptionalAttr<StrAttr>:$tensor,
                       TypeAttr:$type, TN_InitAttr:$init);
  let assemblyFormat = [{
    $sym_name (`tensor` $tensor^)? `:` $type `init` $init attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::RankedTensorType getTensorType() {
      return ::llvm::cast<::mlir::RankedTensorType>(getType());
    }
    // The tensor's name in a checkpoint.
    ::mlir::StringAttr getTensorName() {
      return getTensorAttr() ? getTensorAttr() : getSymNameAttr();
    }
  }];
}

def TN_GetParamOp : TN_Op<"get_param", [
    Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the value of a parameter";
  let description = [{
    ```mlir
    %w = tn.get_param @"lm_head.weight" : tensor<256x64xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$param);
  let results = (outs TN_Weight:$result);
  let assemblyFormat = "$param `:` type($result) attr-dict";
}

def TN_RowScalesOp : TN_Op<"row_scales", [
    Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the scales of the rows of a quantised parameter";
  let description = [{
    `result[n] = max_k |w[n, k]| / L` of the tensor in the checkpoint, and 1 where the
    row is zero. L is the largest value of the parameter's type: 127 of i8, 448 of
    f8E4M3FN. A parameter of i4, L = 7, has a scale for each group of 128 columns
    instead: `result[n, g]` is of the columns of group g of row n.

    ```mlir
    %s = tn.row_scales @"lm_head.weight" : tensor<256xf32>
    %t = tn.row_scales @"l1.weight" : tensor<256x8xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$param);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = "$param `:` type($result) attr-dict";
}

//===----------------------------------------------------------------------===//
// Embedding and linear maps
//===----------------------------------------------------------------------===//

def TN_EmbeddingOp : TN_Op<"embedding", [Pure, TN_Differentiable]> {
  let summary = "rows of a table, scaled";
  let description = [{
    `result[b, n, :] = scale * table[ids[b, n], :]`, in f32. An id outside the table
    is undefined behaviour: whoever feeds tokens checks them. The row `padding`, where
    there is one, is a constant to the backward.

    ```mlir
    %x = tn.embedding %ids, %table {scale = 8.0 : f32}
       : tensor<?x?xi32>, tensor<256x64xf32> -> tensor<?x?x64xf32>
    ```
  }];
  let arguments = (ins RankedTensorOf<[I32]>:$ids, TN_Tensor:$table,
                       DefaultValuedAttr<F32Attr, "1.0">:$scale,
                       OptionalAttr<I64Attr>:$padding);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = [{
    $ids `,` $table attr-dict `:` type($ids) `,` type($table) `->` type($result)
  }];
  let hasVerifier = 1;
}

def TN_LinearOp : TN_Op<"linear", [Pure, TN_Differentiable, AttrSizedOperandSegments]> {
  let summary = "x W^T + b";
  let description = [{
    `result[..., n] = scales[n] * sum_k x[..., k] * weight[n, k] + bias[n]`. Operands
    are both f32 or both bf16, or the weight is quantised, with scales, and x either;
    products and sums are f32. Scales of groups multiply the sum of each group.

    ```mlir
    %y = tn.linear %x, %w bias %b : tensor<192xf32>
       : tensor<?x?x64xf32>, tensor<192x64xf32> -> tensor<?x?x192xf32>
    ```
  }];
  let arguments = (ins TN_Tensor:$x, TN_Weight:$weight,
                       Optional<TN_F32Tensor>:$scales, Optional<TN_F32Tensor>:$bias);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = [{
    $x `,` $weight (`scales` $scales^ `:` type($scales))?
    (`bias` $bias^ `:` type($bias))? attr-dict `:` type($x) `,` type($weight) `->`
    type($result)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Element-wise operations
//===----------------------------------------------------------------------===//

class TN_BinaryOp<string mnemonic, string formula> : TN_Op<mnemonic, [
    Pure, TN_Differentiable, Commutative, SameOperandsAndResultType]> {
  let description = formula # [{ , element by element, of equal types. }];
  let arguments = (ins TN_F32Tensor:$lhs, TN_F32Tensor:$rhs);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
}

def TN_AddOp : TN_BinaryOp<"add", "`lhs + rhs`"> {
  let summary = "element-wise sum: the residual connection";
}
def TN_MulOp : TN_BinaryOp<"mul", "`lhs * rhs`"> {
  let summary = "element-wise product: the gate and the gated linear unit";
}

def TN_ActivationOp : TN_Op<"activation", [Pure, TN_Differentiable, SameOperandsAndResultType]> {
  let summary = "an activation function, on all or some of the columns";
  let description = [{
    Applies `kind` to the columns `[begin, end)` of the last dimension and copies the
    others; without `columns`, to all. `gelu` is the exact form with erf, `elu` has
    alpha 1, `leaky_relu` has slope 0.01.

    ```mlir
    %y = tn.activation <silu> %x columns [0, 128] : tensor<?x?x256xf32>
    ```
  }];
  let arguments = (ins TN_ActivationAttr:$kind, TN_F32Tensor:$x,
                       OptionalAttr<DenseI64ArrayAttr>:$columns);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = "$kind $x (`columns` $columns^)? attr-dict `:` type($x)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def TN_ShiftedExpOp : TN_Op<"shifted_exp", [Pure, TN_Differentiable, SameOperandsAndResultType]> {
  let summary = "exp(x - max(x)), the maximum over the last dimension";
  let description = [{
    The activation `exp` of the published code, applied head by head; the maximum is a
    constant to the backward.

    ```mlir
    %q1 = tn.shifted_exp %q : tensor<?x?x4x16xf32>
    ```
  }];
  let arguments = (ins TN_F32Tensor:$x);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x)";
  let hasVerifier = 1;
}

def TN_CastOp : TN_Op<"cast", [Pure, TN_Differentiable, SameOperandsAndResultShape]> {
  let summary = "changes the element type, rounding to nearest even";
  let description = [{
    ```mlir
    %y = tn.cast %x : tensor<?x?x64xf32> -> tensor<?x?x64xbf16>
    ```
  }];
  let arguments = (ins TN_Tensor:$x);
  let results = (outs TN_Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasFolder = 1;
}

def TN_RoundGroupsOp : TN_Op<"round_groups", [Pure, SameOperandsAndResultType]> {
  let summary = "rounds each group of columns to 8 bits with a scale of its own";
  let description = [{
    Each `group` neighbouring columns become `s * round(x / s)`, to even between two, where
    `s` is the largest magnitude among them / 127, as in the rows of an i8 parameter. A
    linear map of an i8 weight can then multiply integers.

    ```mlir
    %y = tn.round_groups %x group 64 : tensor<?x?x128xf32>
    ```
  }];
  let arguments = (ins TN_F32Tensor:$x, I64Attr:$group);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = "$x `group` $group attr-dict `:` type($x)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

def TN_NormOp : TN_Op<"norm", [Pure, TN_Differentiable, AttrSizedOperandSegments]> {
  let summary = "normalises the last dimension";
  let description = [{
    - `srms`: `x * rsqrt(mean(x^2) + epsilon)`, no weight (arXiv 2307.14995, 3.1.4).
    - `rms`: the same, times weight, plus bias where there is one.
    - `layer`: `(x - mean(x)) * rsqrt(var(x) + epsilon) * weight + bias`, with the
      biased variance.

    ```mlir
    %y = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x?x64xf32>
    ```
  }];
  let arguments = (ins TN_NormAttr:$kind, TN_F32Tensor:$x,
                       Optional<TN_F32Tensor>:$weight, Optional<TN_F32Tensor>:$bias,
                       F32Attr:$epsilon);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = [{
    $kind $x (`weight` $weight^ `:` type($weight))? (`bias` $bias^ `:` type($bias))?
    attr-dict `:` type($x) `->` type($result)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------===//

def TN_SliceOp : TN_Op<"slice", [Pure, TN_Differentiable]> {
  let summary = "some columns of the last dimension";
  let description = [{
    ```mlir
    %q = tn.slice %qkvu [0, 64] : tensor<?x?x256xf32> -> tensor<?x?x64xf32>
    ```
    takes the columns `[begin, end)`.
  }];
  let arguments = (ins TN_F32Tensor:$x, DenseI64ArrayAttr:$columns);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = "$x $columns attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def TN_SplitHeadsOp : TN_Op<"split_heads", [Pure, TN_Differentiable]> {
  let summary = "[..., H * d] to [..., H, d]";
  let arguments = (ins TN_F32Tensor:$x);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

def TN_MergeHeadsOp : TN_Op<"merge_heads", [Pure, TN_Differentiable]> {
  let summary = "[..., H, d] to [..., H * d]";
  let arguments = (ins TN_F32Tensor:$x);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

def TN_DecaySlopesOp : TN_Op<"decay_slopes", [Pure]> {
  let summary = "the slopes of a layer's heads";
  let description = [{
    Folds to a constant. slope(h) for H a power of two is r^(h+1) with
    r = 2^(-8/H); for another H, with P the largest power of two below H, the slopes
    of P and then elements 0, 2, 4, ... of the slopes of 2P.

    ```mlir
    %s = tn.decay_slopes <transnormer, layer = 0 of 24> : tensor<8xf32>
    ```
  }];
  let arguments = (ins TN_DecayAttr:$rule);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = "$rule `:` type($result) attr-dict";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def TN_LRPEOp : TN_Op<"lrpe", [Pure, TN_Differentiable]> {
  let summary = "linearised relative position encoding (LRPE-d)";
  let description = [{
    `result[b, n, h, :] = concat(x cos(a), x sin(a))` with the angle
    `a[d] = (positions[b] + n) * theta[h, 0, d]`, rounded to f32 before cos and sin, as
    the published code does. The width doubles (arXiv 2307.14995, 3.1.1).

    ```mlir
    %q2 = tn.lrpe %q, %theta, %positions
        : tensor<?x?x4x16xf32>, tensor<4x1x16xf32>, tensor<?xi64> -> tensor<?x?x4x32xf32>
    ```
  }];
  let arguments = (ins TN_F32Tensor:$x, TN_F32Tensor:$theta,
                       RankedTensorOf<[I64]>:$positions);
  let results = (outs TN_F32Tensor:$result);
  let assemblyFormat = [{
    $x `,` $theta `,` $positions attr-dict `:` type($x) `,` type($theta) `,`
    type($positions) `->` type($result)
  }];
  let hasVerifier = 1;
}

def TN_LightningAttentionOp : TN_Op<"lightning_attention", [Pure, TN_Differentiable]> {
  let summary = "causal linear attention with decay, state in and state out";
  let description = [{
    Per batch entry and head, with lambda = exp(-slopes[h]) and S the state,

        S_t = lambda S_{t-1} + k_t v_t^T        out_t = scale * S_t^T q_t

    over positions t, starting from `state`; `newState` is S after the last position
    (arXiv 2401.04658). q and k are [B, N, H, Dk], v and out [B, N, H, Dv], the state
    [B, H, Dk, Dv]. This is the one definition: the chunked form (prefill), the
    recurrent form (one position) and the backward are derived from it. The state is
    updated in place, so it has one user.

    With `offsets`, i64 [S + 1], sequences of different lengths lie one after the other:
    N is 1, row b of the batch is one position, sequence s has the rows from offsets[s] to
    offsets[s + 1] - 1, none if they are equal, and the states are [S, H, Dk, Dv]. Offsets
    begin with 0, never fall and end with B; others are undefined behaviour.

    ```mlir
    %o, %s1 = tn.lightning_attention %q, %k, %v, %slopes, %s0
        : tensor<?x?x4x32xf32>, tensor<?x?x4x32xf32>, tensor<?x?x4x16xf32>,
          tensor<4xf32>, tensor<?x4x32x16xf32>
       -> tensor<?x?x4x16xf32>, tensor<?x4x32x16xf32>
    ```
  }];
  let arguments = (ins TN_F32Tensor:$q, TN_F32Tensor:$k, TN_F32Tensor:$v,
                       TN_F32Tensor:$slopes, TN_F32Tensor:$state,
                       DefaultValuedAttr<F32Attr, "1.0">:$scale,
                       Optional<RankedTensorOf<[I64]>>:$offsets);
  let results = (outs TN_F32Tensor:$out, TN_F32Tensor:$newState);
  let assemblyFormat = [{
    $q `,` $k `,` $v `,` $slopes `,` $state (`offsets` $offsets^ `:` type($offsets))?
    attr-dict `:` type($q) `,` type($k) `,` type($v) `,` type($slopes) `,`
    type($state) `->` type($out) `,` type($newState)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

def TN_FusedOp : TN_Op<"fused", [
    RecursiveMemoryEffects, SingleBlock, NoRegionArguments]> {
  let summary = "operations that become one kernel";
  let description = [{
    Holds one root (a linear map, a norm, an element-wise operation) and the element-wise
    operations that consume its tile while that tile is in registers. A `tn.cast` or a
    `tn.round_groups` can only be the last.

    ```mlir
    %y = tn.fused -> tensor<?x?x64xf32> {
      %0 = tn.linear %x, %w : tensor<?x?x160xf32>, tensor<64x160xf32> -> tensor<?x?x64xf32>
      %1 = tn.add %r, %0 : tensor<?x?x64xf32>
      tn.yield %1 : tensor<?x?x64xf32>
    }
    ```
  }];
  let results = (outs TN_Tensor:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "`->` type($result) attr-dict-with-keyword $body";
  let hasRegionVerifier = 1;
}

def TN_YieldOp : TN_Op<"yield", [Pure, Terminator, ReturnLike, HasParent<"FusedOp">]> {
  let summary = "the value of a tn.fused";
  let arguments = (ins TN_Tensor:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

def TN_ProbeOp : TN_Op<"probe"> {
  let summary = "shows a tensor to whoever observes the run";
  let description = [{
    Costs a test of one pointer at run time when nobody observes.

    ```mlir
    tn.probe "hidden.0" %x : tensor<?x?x64xf32>
    ```
  }];
  let arguments = (ins StrAttr:$name,
                       Arg<TN_F32Tensor, "", [MemRead, MemWrite]>:$x);
  let assemblyFormat = "$name $x attr-dict `:` type($x)";
}

include "TN/TNGradOps.td"
include "TN/TNBaselineOps.td"

//===----------------------------------------------------------------------===//
// Sampling
//===----------------------------------------------------------------------===//

def TN_SampleOp : TN_Op<"sample", [Pure]> {
  let summary = "chooses the next token of each row of logits";
  let description = [{
    The tokens of a row, likelier first and the smaller first among equals, are cut to
    the first k, then to the fewest that hold the share p of what is left, then to those
    of at least minP times the likeliest's probability. One is drawn from the rest at a
    temperature. `settings` holds five numbers for each row:

    | column | setting |
    | --- | --- |
    | 0 | 1 / temperature; 0: the likeliest token |
    | 1 | k; 0: all |
    | 2 | p; 1: all |
    | 3 | log(minP); -infinity: all |
    | 4 | where to draw, in [0, 1) |

    A logit that is not a number counts as -infinity. The token is -1 where no logit is
    larger than -infinity.

    ```mlir
    %tokens = tn.sample %logits, %settings : tensor<?x256xf32>, tensor<?x5xf32> -> tensor<?xi32>
    ```
  }];
  let arguments = (ins TN_F32Tensor:$logits, TN_F32Tensor:$settings);
  let results = (outs RankedTensorOf<[I32]>:$result);
  let assemblyFormat = [{
    $logits `,` $settings attr-dict `:` type($logits) `,` type($settings) `->` type($result)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    // Columns of `settings`.
    static constexpr int64_t kInverseTemperature = 0, kTopK = 1, kTopP = 2,
                             kLogMinP = 3, kUniform = 4, kSettings = 5;
  }];
}

#endif // TN_OPS_TD
