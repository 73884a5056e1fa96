// Operations of the tnrt dialect. Constraints are numbered in docs/Spec.md.
#ifndef TNRT_OPS_TD
#define TNRT_OPS_TD

include "TNK/TNKTypes.td"
include "TNRT/TNRTDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinTypes.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class TNRT_Op<string mnemonic, list<Trait> traits = []>
    : Op<TNRT_Dialect, mnemonic, traits>;

def TNRT_Context : TypeDef<TNRT_Dialect, "Context"> {
  let mnemonic = "context";
  let summary = "opaque handle of the running model";
}

def TNRT_LayoutKind : I32EnumAttr<"LayoutKind", "how a parameter lies in memory", [
  I32EnumAttrCase<"Rows", 0, "rows">,
  I32EnumAttrCase<"Panels", 1, "panels">,
  I32EnumAttrCase<"RowScales", 2, "row_scales">,
  I32EnumAttrCase<"RowScalesF8", 3, "row_scales_f8">,
  I32EnumAttrCase<"GroupScales", 4, "group_scales">]> {
  let cppNamespace = "::tnllm::tnrt";
  let genSpecializedAttr = 0;
}

def TNRT_LayoutAttr : AttrDef<TNRT_Dialect, "Layout"> {
  let mnemonic = "layout";
  let summary = "how the runtime lays out a parameter";
  let description = [{
    `rows`: as in the checkpoint. `panels`: panels of `width` rows; `step` columns of one
    row stand together. `row_scales`: the scales of an i8 parameter instead of its data,
    `row_scales_f8` of an f8E4M3FN one, `group_scales` of an i4 one, for groups of `width`
    columns. docs/Manifest.md gives the formulas. `width` and `step` are 0 for others.
  }];
  let parameters = (ins EnumParameter<TNRT_LayoutKind>:$kind, "int64_t":$width,
                        "int64_t":$step);
  let assemblyFormat = "`<` $kind `,` $width `,` $step `>`";
}

def TNRT_AllocOp : TNRT_Op<"alloc"> {
  let summary = "a buffer that the memory plan places";
  let description = [{
    ```mlir
    %y = tnrt.alloc : memref<256x4096xf32>
    ```
    Live from its first to its last use in its block. `tnrt-plan-memory` replaces it.
  }];
  let results = (outs Res<AnyStaticShapeMemRef, "", [MemAlloc]>:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def TNRT_ArenaOp : TNRT_Op<"arena", [Pure]> {
  let summary = "the memory that the plan divides";
  let description = [{
    ```mlir
    %arena = tnrt.arena %context : memref<1048576xi8>
    ```
  }];
  let arguments = (ins TNRT_Context:$handle);
  let results = (outs MemRefRankOf<[I8], [1]>:$result);
  let assemblyFormat = "$handle attr-dict `:` type($result)";
}

def TNRT_ParamOp : TNRT_Op<"param", [Pure]> {
  let summary = "data of a parameter";
  let description = [{
    `index`, plus `offset` where there is one, counts the entries of the module's
    `tnrt.parameters`.

    ```mlir
    %w = tnrt.param %context[3] : memref<4x64x64xf32>
    %v = tnrt.param %context[3 + %i] : memref<4x64x64xf32>
    ```
  }];
  let arguments = (ins TNRT_Context:$handle, I64Attr:$index, Optional<Index>:$offset);
  let results = (outs AnyStaticShapeMemRef:$result);
  let assemblyFormat = [{
    $handle `[` $index (`+` $offset^)? `]` attr-dict `:` type($result)
  }];
}

def TNRT_StateOp : TNRT_Op<"state", [Pure]> {
  let summary = "the states of a layer, for the sequences of this step";
  let description = [{
    The layer is `index`, plus `offset` where there is one.

    ```mlir
    %s = tnrt.state %context[0] : memref<64x4x32x16xf32>
    %t = tnrt.state %context[1 + %i] : memref<64x4x32x16xf32>
    ```
  }];
  let arguments = (ins TNRT_Context:$handle, I64Attr:$index, Optional<Index>:$offset);
  let results = (outs AnyStaticShapeMemRef:$result);
  let assemblyFormat = [{
    $handle `[` $index (`+` $offset^)? `]` attr-dict `:` type($result)
  }];
}

def TNRT_GradientOp : TNRT_Op<"gradient", [Pure]> {
  let summary = "where the gradient of a parameter is summed";
  let description = [{
    f32, in the parameter's shape, row by row. `index`, plus `offset` where there is one,
    counts the entries of the module's `tnrt.parameters`. What a step computes is added to
    what is there.

    ```mlir
    %dw = tnrt.gradient %context[3] : memref<192x64xf32>
    %dv = tnrt.gradient %context[3 + %i] : memref<192x64xf32>
    ```
  }];
  let arguments = (ins TNRT_Context:$handle, I64Attr:$index, Optional<Index>:$offset);
  let results = (outs AnyStaticShapeMemRef:$result);
  let assemblyFormat = [{
    $handle `[` $index (`+` $offset^)? `]` attr-dict `:` type($result)
  }];
}

def TNRT_RowOp : TNRT_Op<"row", [Pure]> {
  let summary = "one row of a table, as a buffer of its own";
  let description = [{
    ```mlir
    %slopes = tnrt.row %table[%i] : memref<24x8xf32> -> memref<8xf32>
    ```
    The row begins where the result begins: its type has no offset, and it can be passed
    where one buffer is expected.
  }];
  let arguments = (ins AnyStaticShapeMemRef:$table, Index:$index);
  let results = (outs AnyStaticShapeMemRef:$result);
  let assemblyFormat = [{
    $table `[` $index `]` attr-dict `:` type($table) `->` type($result)
  }];
  let hasVerifier = 1;
}

def TNRT_LaunchOp : TNRT_Op<"launch", [
    DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "runs a kernel once per task";
  let description = [{
    Returns when all tasks of a CPU kernel are done. A kernel with `threads` is queued on
    the GPU, behind what was queued before; `convert-tnk-to-gpu` moves it into a
    `gpu.module`, where a nested symbol names it.

    ```mlir
    tnrt.launch %context @linear tasks(%n) (%x, %w, %y, %rows)
        : memref<256x64xf32>, memref<1x64x64xf32>, memref<256x64xf32>, index
    tnrt.launch %context @kernels::@norm tasks(%rows) (%x, %y, %rows)
        : memref<256x64xf32>, memref<256x64xf32>, index
    ```
  }];
  let arguments = (ins TNRT_Context:$handle, SymbolRefAttr:$kernel, Index:$tasks,
                       Variadic<AnyTypeOf<[AnyMemRef, Index, TNK_MapType]>>:$args);
  let assemblyFormat = [{
    $handle $kernel `tasks` `(` $tasks `)` `(` $args `)` attr-dict (`:` type($args)^)?
  }];
}

def TNRT_MatmulForm : I32EnumAttr<"MatmulForm", "which product of a linear map", [
  I32EnumAttrCase<"Linear", 0, "linear">,
  I32EnumAttrCase<"InputGrad", 1, "input_grad">,
  I32EnumAttrCase<"WeightGrad", 2, "weight_grad">]> {
  let cppNamespace = "::tnllm::tnrt";
}

def TNRT_MatmulOp : TNRT_Op<"matmul", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "a matrix product by the runtime's library, on a GPU";
  let description = [{
    y[i, n] = sum over k of x[i, k] * w[n, k], for the first `rows` rows, with sums in
    f32. Queued behind what was queued before. The other forms are a linear map's
    adjoints:

    - `input_grad`: y[i, k] = sum over n of x[i, n] * w[n, k];
    - `weight_grad`: y[n, k] = sum over the first `rows` rows i of x[i, n] * w[i, k].

    With `accumulate`, the product is added to y; with `plus`, y is the product and that
    matrix.

    ```mlir
    tnrt.matmul %context %x, %w, %y, %rows
        : memref<4096x64xbf16>, memref<192x64xbf16>, memref<4096x192xf32>
    tnrt.matmul %context %x, %w, %y, %rows plus %residual : memref<4096x192xf32>
        : memref<4096x64xbf16>, memref<192x64xbf16>, memref<4096x192xf32>
    tnrt.matmul form(weight_grad) accumulate %context %dy, %x, %dw, %rows
        : memref<4096x192xf32>, memref<4096x64xf32>, memref<192x64xf32>
    ```
  }];
  let arguments = (ins TNRT_Context:$handle, MemRefRankOf<[F32, BF16], [2]>:$x,
                       MemRefRankOf<[F32, BF16], [2]>:$w,
                       MemRefRankOf<[F32, BF16], [2]>:$y, Index:$rows,
                       Optional<MemRefRankOf<[F32], [2]>>:$addend,
                       DefaultValuedAttr<TNRT_MatmulForm, "MatmulForm::Linear">:$form,
                       UnitAttr:$accumulate);
  let assemblyFormat = [{
    (`form` `(` $form^ `)`)? (`accumulate` $accumulate^)?
    $handle $x `,` $w `,` $y `,` $rows (`plus` $addend^ `:` type($addend))? attr-dict
    `:` type($x) `,` type($w) `,` type($y)
  }];
  let builders = [OpBuilder<
      (ins "::mlir::Value":$handle, "::mlir::Value":$x, "::mlir::Value":$w,
           "::mlir::Value":$y, "::mlir::Value":$rows,
           CArg<"MatmulForm", "MatmulForm::Linear">:$form,
           CArg<"bool", "false">:$accumulate), [{
    build($_builder, $_state, handle, x, w, y, rows, ::mlir::Value(), form, accumulate);
  }]>];
  let hasVerifier = 1;
}

def TNRT_TensorMapOp : TNRT_Op<"tensor_map", [Pure]> {
  let summary = "a matrix in the GPU's memory, as its copy engine sees it";
  let description = [{
    The matrix has `batch` times `length` rows in use, and its columns are those of
    `heads` heads: a tensor [batch, length, heads, columns / heads]. The map's boxes
    end where the tensor ends, so that a copy reads zeros and writes nothing beyond.

    ```mlir
    %m = tnrt.tensor_map %context %q batch(%b) length(%n) heads(8)
        : memref<4096x1024xbf16, strided<[4096, 1]>> -> !tnk.map<64x64xbf16>
    ```
  }];
  let arguments = (ins TNRT_Context:$handle, MemRefRankOf<[F32, BF16], [2]>:$buffer,
                       Index:$batch, Index:$length, I64Attr:$heads);
  let results = (outs TNK_MapType:$map);
  let assemblyFormat = [{
    $handle $buffer `batch` `(` $batch `)` `length` `(` $length `)` `heads` `(` $heads `)`
    attr-dict `:` type($buffer) `->` type($map)
  }];
  let hasVerifier = 1;
}

def TNRT_ConstantsOp : TNRT_Op<"constants", [Pure]> {
  let summary = "the module's constants in the memory of the GPU";
  let description = [{
    The bytes of the global `device_constants`, which the runtime copied there when it
    loaded the module; see `tnrt-pool-constants`.

    ```mlir
    %bytes = tnrt.constants %context : memref<1024xi8>
    ```
  }];
  let arguments = (ins TNRT_Context:$handle);
  let results = (outs MemRefRankOf<[I8], [1]>:$result);
  let assemblyFormat = "$handle attr-dict `:` type($result)";
}

def TNRT_ProbeOp : TNRT_Op<"probe", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "shows a buffer to whoever observes the run";
  let description = [{
    ```mlir
    tnrt.probe %context[0] %x, %rows : memref<256x64xf32>
    tnrt.probe %context[1 + %i] %y, %rows : memref<256x64xf32>
    ```
    `index`, plus `offset` where there is one, counts the entries of the module's
    `tnrt.probes`.
  }];
  let arguments = (ins TNRT_Context:$handle, I64Attr:$index, Optional<Index>:$offset,
                       MemRefRankOf<[F32], [2]>:$buffer, Index:$rows);
  let assemblyFormat = [{
    $handle `[` $index (`+` $offset^)? `]` $buffer `,` $rows attr-dict `:` type($buffer)
  }];
}

def TNRT_Arguments : TypeDef<TNRT_Dialect, "Arguments"> {
  let mnemonic = "arguments";
  let summary = "the argument array of a launch, as the kernel sees it";
}

def TNRT_KernelArgOp : TNRT_Op<"kernel_arg", [Pure]> {
  let summary = "an argument of the running kernel";
  let description = [{
    ```mlir
    %x = tnrt.kernel_arg %args[0] : memref<256x64xf32>
    ```
  }];
  let arguments = (ins TNRT_Arguments:$args, I64Attr:$index);
  let results = (outs AnyTypeOf<[AnyStaticShapeMemRef, Index]>:$result);
  let assemblyFormat = "$args `[` $index `]` attr-dict `:` type($result)";
}

#endif // TNRT_OPS_TD
