// Operations of the tnk dialect. Constraints are numbered in docs/Spec.md.
#ifndef TNK_OPS_TD
#define TNK_OPS_TD

include "TNK/TNKDialect.td"
include "TNK/TNKTileOps.td"
include "mlir/IR/BuiltinTypes.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class TNK_Op<string mnemonic, list<Trait> traits = []>
    : Op<TNK_Dialect, mnemonic, traits>;

def TNK_KernelOp : TNK_Op<"kernel", [
    AutomaticAllocationScope, FunctionOpInterface, IsolatedFromAbove,
    OpAsmOpInterface]> {
  let summary = "a kernel: what one task of a launch does";
  let description = [{
    Arguments are buffers of static shape and sizes of type index; the last is the
    task's number. Tasks of one launch run in any order and at the same time, so no
    two write the same element.

    With `threads`, a task is a block of that many GPU threads; the values of the body
    are values of the whole block, which passes distribute to its threads. Without, the
    kernel is for a CPU and a task is one thread.

    ```mlir
    tnk.kernel @double(%x: memref<8x64xf32>, %y: memref<8x64xf32>, %row: index) {
      %c0 = arith.constant 0 : index
      %v = vector.load %x[%row, %c0] : memref<8x64xf32>, vector<64xf32>
      %w = arith.addf %v, %v : vector<64xf32>
      vector.store %w, %y[%row, %c0] : memref<8x64xf32>, vector<64xf32>
      tnk.return
    }
    tnk.kernel @double_gpu(%x: memref<8x64xf32>, %y: memref<8x64xf32>, %row: index)
        threads(64) {
      ...
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name,
                       TypeAttrOf<FunctionType>:$function_type,
                       OptionalAttr<I64Attr>:$threads,
                       OptionalAttr<DictArrayAttr>:$arg_attrs,
                       OptionalAttr<DictArrayAttr>:$res_attrs);
  let regions = (region AnyRegion:$body);
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name,
                                 "::mlir::FunctionType":$type,
                                 CArg<"int64_t", "0">:$threads)>];
  let skipDefaultBuilders = 1;
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Region *getCallableRegion() { return &getBody(); }
    ::llvm::ArrayRef<::mlir::Type> getArgumentTypes() {
      return getFunctionType().getInputs();
    }
    ::llvm::ArrayRef<::mlir::Type> getResultTypes() {
      return getFunctionType().getResults();
    }
    // The number of the task that runs.
    ::mlir::BlockArgument getTask() { return getBody().front().getArguments().back(); }
    // Whether a task is a block of GPU threads.
    bool isForGPU() { return getThreads().has_value(); }
  }];
}

def TNK_ReturnOp : TNK_Op<"return", [Pure, Terminator, HasParent<"KernelOp">]> {
  let summary = "ends a kernel";
  let assemblyFormat = "attr-dict";
}

def TNK_SharedOp : TNK_Op<"shared", [
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let summary = "a buffer in the memory that the threads of a block share";
  let description = [{
    Lives as long as the task; two operations are two buffers. Its bytes begin at a
    multiple of `align`. The sum over a kernel may exceed 48 KiB: `convert-tnk-to-gpu`
    lays all of them out in one buffer whose size is given at launch.

    ```mlir
    %tile = tnk.shared align(1024) : memref<64x64xbf16, #gpu.address_space<workgroup>>
    ```
  }];
  let arguments = (ins DefaultValuedAttr<I64Attr, "16">:$alignment);
  let results = (outs Res<AnyStaticShapeMemRef, "", [MemAlloc<AutomaticAllocationScopeResource>]>:$memory);
  let assemblyFormat = "(`align` `(` $alignment^ `)`)? attr-dict `:` type($memory)";
  let hasVerifier = 1;
}

def TNK_ContractOp : TNK_Op<"contract", [
    AttrSizedOperandSegments, AllTypesMatch<["acc", "result"]>]> {
  let summary = "accumulates a register tile over a depth";
  let description = [{
    `result[i, j] = acc[i, j] + sum_{k < depth} A[m + i, p + k] * B[p' + k, n + j]`,
    the sum in the order of k, each step one fused multiply-add, so that an element
    does not depend on the tile it was computed in.

    - `A` is a matrix at `[m, p]`; with `transpose_a`, it is read as `A[p + k, m + i]`
      from the indices `[p, m]`.
    - `B` is a matrix at `[p', n]`, of A's type or of i8. With `pairs`, of bf16, depths 2k and 2k + 1 of a
      column stand beside each other, as the dot product of AVX-512 reads them: from
      the indices `[p', n]`, `B[p' + k / 2, n + 2 j + k % 2]`. `depth` is even then.
    - `prefetch d` asks for the row of `B` that is `d` rows ahead of the one at hand to
      be brought to the first cache. It may lie behind the end of `B`.

    ```mlir
    %r = tnk.contract %a[%m, %c0], %b[%c0, %c0], %acc depth %k
       : memref<256x64xf32>, memref<64x64xf32>, vector<6x64xf32>
    ```
  }];
  let arguments = (ins Arg<MemRefOf<[F32, BF16]>, "", [MemRead]>:$a,
                       Variadic<Index>:$aIndices,
                       Arg<MemRefOf<[F32, BF16, I8]>, "", [MemRead]>:$b,
                       Variadic<Index>:$bIndices,
                       VectorOfRankAndType<[2], [F32]>:$acc, Index:$depth,
                       UnitAttr:$transpose_a, UnitAttr:$pairs,
                       OptionalAttr<I64Attr>:$prefetch);
  let results = (outs VectorOfRankAndType<[2], [F32]>:$result);
  
  let assemblyFormat = [{
    (`transpose_a` $transpose_a^)? (`pairs` $pairs^)? $a `[` $aIndices `]` `,` $b `[` $bIndices `]` `,`
    $acc `depth` $depth (`prefetch` $prefetch^)? attr-dict `:` type($a) `,` type($b) `,` type($acc)
  }];
  let hasVerifier = 1;
}

def TNK_ContractGroupsOp : TNK_Op<"contract_groups", [AllTypesMatch<["acc", "result"]>]> {
  let summary = "accumulates a register tile over groups of a depth, in integers";
  let description = [{
    A matrix of integers with a scale for each `group` columns of a row against one of i8:

        result[i, j] = acc[i, j]
            + sum_{g < depth / group} scales[m + i, p / group + g]
              * sum_{k < group} A[m + i, p + g group + k] * W[p + g group + k, n + j]

    The inner sum is exact, the outer one in the order of g, each step one fused
    multiply-add, so that an element does not depend on the tile it was computed in.

    - `A` is at `[m, p]`; `p` and `depth` are multiples of `group`, which is one of 4.
    - `B` has W in fours, as a product of bytes reads it: from the indices `[p', n]`,
      `W[p + k, n + j]` is `B[p' + k / 4, n + 4 j + k % 4]`.
    - `starts` is `-128 sum_k A` of each group. The product of bytes takes one side without
      a sign: it multiplies W + 128, and begins at what that is too much.
    - `prefetch` is that of `tnk.contract`.

    ```mlir
    %r = tnk.contract_groups %a[%m, %c0] scales %s starts %t, %b[%c0, %c0], %acc depth %k
       group 64 : memref<256x128xi8>, memref<256x2xf32>, memref<256x2xi32>,
       memref<32x256xi8>, vector<6x64xf32>
    ```
  }];
  let arguments = (ins Arg<MemRefRankOf<[I8], [2]>, "", [MemRead]>:$a,
                       Index:$row, Index:$column,
                       Arg<MemRefRankOf<[F32], [2]>, "", [MemRead]>:$scales,
                       Arg<MemRefRankOf<[I32], [2]>, "", [MemRead]>:$starts,
                       Arg<MemRefRankOf<[I8], [2]>, "", [MemRead]>:$b,
                       Index:$bRow, Index:$bColumn,
                       VectorOfRankAndType<[2], [F32]>:$acc, Index:$depth,
                       I64Attr:$group, OptionalAttr<I64Attr>:$prefetch);
  let results = (outs VectorOfRankAndType<[2], [F32]>:$result);
  let assemblyFormat = [{
    $a `[` $row `,` $column `]` `scales` $scales `starts` $starts `,`
    $b `[` $bRow `,` $bColumn `]` `,` $acc `depth` $depth `group` $group
    (`prefetch` $prefetch^)? attr-dict `:` type($a) `,` type($scales) `,` type($starts) `,`
    type($b) `,` type($acc)
  }];
  let hasVerifier = 1;
}

def TNK_PartialDotOp : TNK_Op<"partial_dot", [
    Pure, AllTypesMatch<["x", "y"]>, AllTypesMatch<["acc", "result"]>]> {
  let summary = "adds a product of vectors to partial sums";
  let description = [{
    The sum over `result` is that over `acc` plus the dot product of `x` and `y`. Which
    products join which partial sum is the distribution's choice, always the same for
    one length: a thread keeps to the elements it holds, one fused multiply-add each, in
    the order of their places. One reduction of the partial sums at the end of a long
    row then serves all of it.

    ```mlir
    %next = tnk.partial_dot %x, %w, %acc : vector<256xf32>, vector<32xf32>
    ```
  }];
  let arguments = (ins VectorOfRankAndType<[1], [F32]>:$x,
                       VectorOfRankAndType<[1], [F32]>:$y,
                       VectorOfRankAndType<[1], [F32]>:$acc);
  let results = (outs VectorOfRankAndType<[1], [F32]>:$result);
  let assemblyFormat = "$x `,` $y `,` $acc attr-dict `:` type($x) `,` type($acc)";
  let hasVerifier = 1;
}

def TNK_MultiplyRowsOp : TNK_Op<"multiply_rows", [AttrSizedOperandSegments]> {
  let summary = "multiplies few rows with rows of weights, on tensor cores";
  let description = [{
    For each weight W and its sums of R x C, over the whole depth K,

        sums[r, c] = scales[column + c] * sum_k bf16(x[r, k] * times[r, k]) * W[column + c, k]

    in f32, without the factor where there are no scales, and `squares[r, c] = sum_k x[r, k]^2` for every c. Rows from `rows` on are
    those of the last row that there is. The block divides the depth among its warps;
    which products are added in which order follows from the depth and the threads alone,
    so that a row's sums do not depend on the other rows. The block's threads see the
    results after the operation.

    Weights of bytes hold numbers of the type after `as`: i8, f8E4M3FN, or i4 of which a
    byte holds two (docs/Manifest.md says where). They become bf16, which holds each of
    them, between memory and the product. Each such weight has scales: one for each row
    or, of i4, [N, K / 128], with which the sum of a group of 128 columns is multiplied
    before it is added.

    The weights are not written by any kernel: they are asked for before the kernels
    before this one have finished (`tnk.wait_inputs`), x after.

    ```mlir
    tnk.multiply_rows %x times %u, weights(%w) [%column] rows(%rows) to(%sums) squares(%s)
        : memref<64x512xf32> times memref<64x512xbf16>, memref<1024x512xbf16>
        to memref<8x16xf32, #gpu.address_space<workgroup>>
        squares memref<8x16xf32, #gpu.address_space<workgroup>>
    tnk.multiply_rows %x, weights(%q) as i4 scales(%t) [%column] rows(%rows) to(%sums)
        : memref<64x512xf32>, memref<1024x256xi8> scales memref<1024x4xf32>
        to memref<8x16xf32, #gpu.address_space<workgroup>>
    ```
  }];
  let arguments = (ins Arg<MemRefRankOf<[F32, BF16], [2]>, "", [MemRead]>:$x,
                       Arg<Optional<MemRefRankOf<[F32, BF16], [2]>>, "", [MemRead]>:$times,
                       Arg<Variadic<MemRefRankOf<[BF16, I8], [2]>>, "", [MemRead]>:$weights,
                       OptionalAttr<TypeAttr>:$weight_type,
                       Arg<Variadic<MemRefRankOf<[F32], [1, 2]>>, "", [MemRead]>:$scales,
                       Index:$column, Index:$rows,
                       Arg<Variadic<MemRefRankOf<[F32], [2]>>, "", [MemWrite]>:$sums,
                       Arg<Optional<MemRefRankOf<[F32], [2]>>, "", [MemWrite]>:$squares);
  let assemblyFormat = [{
    $x (`times` $times^)? `,` `weights` `(` $weights `)` (`as` $weight_type^)?
    (`scales` `(` $scales^ `)`)? `[` $column `]` `rows` `(` $rows `)` `to` `(` $sums `)` (`squares` `(` $squares^ `)`)? attr-dict `:`
    type($x) (`times` type($times)^)? `,` type($weights) (`scales` type($scales)^)?
    `to` type($sums)
    (`squares` type($squares)^)?
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    // A thread takes 16 bytes of a weight's row at once, four threads a row: a warp
    // multiplies so many depths at a time.
    // Columns with one scale in a weight of i4.
    static constexpr int64_t kGroup = 128;
    // Depths that 16 bytes of a weight hold.
    static int64_t getPieceDepth(::mlir::Type element) {
      return 128 / element.getIntOrFloatBitWidth();
    }
    static int64_t getStepDepth(::mlir::Type element) {
      return 4 * getPieceDepth(element);
    }
    // What the weights' numbers are.
    ::mlir::Type getWeightElement() {
      if (auto type = getWeightType())
        return *type;
      return ::mlir::BFloat16Type::get(getContext());
    }
    int64_t getDepth() {
      return ::llvm::cast<::mlir::MemRefType>(getX().getType()).getDimSize(1);
    }
    // R x C.
    ::mlir::MemRefType getSumsType() {
      return ::llvm::cast<::mlir::MemRefType>(getSums().front().getType());
    }
  }];
}

def TNK_WidenRowOp : TNK_Op<"widen_row"> {
  let summary = "a row of a quantised weight in bf16";
  let description = [{
    `out[row, k] = bf16(scale * W[row, k])` for every k, by all threads of the block. The
    numbers and scales are those of `tnk.multiply_rows`.

    ```mlir
    tnk.widen_row %w as i8 scales(%s) [%row] to %out
        : memref<1024x512xi8> scales memref<1024xf32> to memref<1024x512xbf16>
    ```
  }];
  let arguments = (ins Arg<MemRefRankOf<[I8], [2]>, "", [MemRead]>:$weight,
                       TypeAttr:$weight_type,
                       Arg<MemRefRankOf<[F32], [1, 2]>, "", [MemRead]>:$scales,
                       Index:$row,
                       Arg<MemRefRankOf<[BF16], [2]>, "", [MemWrite]>:$out);
  let assemblyFormat = [{
    $weight `as` $weight_type `scales` `(` $scales `)` `[` $row `]` `to` $out attr-dict
    `:` type($weight) `scales` type($scales) `to` type($out)
  }];
  let hasVerifier = 1;
}

def TNK_WaitInputsOp : TNK_Op<"wait_inputs"> {
  let summary = "waits until the kernels launched before have finished";
  let description = [{
    Where a kernel may start while the one before it still runs
    (`tnk-overlap-launches`), what other kernels write may be read from here on, and what
    they read be written. Before it, only what no kernel of the step before this one
    writes: parameters, and the states that this kernel alone touches. A step begins after
    the one before has ended. Without that
    pass a kernel starts after the one before, and the operation does nothing.

    ```mlir
    tnk.wait_inputs
    ```
  }];
  let assemblyFormat = "attr-dict";
  let hasVerifier = 1;
}

#endif // TNK_OPS_TD
