// Operations of tnk for tensor cores: roles of warps, tiles in shared memory, rings,
// copies of tensors, products of tiles. Constraints are numbered in docs/Spec.md.
#ifndef TNK_TILE_OPS_TD
#define TNK_TILE_OPS_TD

include "TNK/TNKDialect.td"
include "TNK/TNKTypes.td"
include "mlir/IR/BuiltinTypes.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class TNK_TileOp<string mnemonic, list<Trait> traits = []>
    : Op<TNK_Dialect, mnemonic, traits>;

// A tile of one warpgroup in registers: vector<64xNxT>.
def TNK_RegisterTile : VectorOfRankAndType<[2], [F32, BF16, I32, I1]>;

//===----------------------------------------------------------------------===//
// Roles
//===----------------------------------------------------------------------===//

def TNK_RolesOp : TNK_TileOp<"roles", [
    HasParent<"KernelOp">, NoRegionArguments, NoTerminator, SingleBlock]> {
  let summary = "divides the threads of a block among roles";
  let description = [{
    Each `tnk.role` inside takes the next warpgroups of the block, in order; together
    they are its threads. Registers move between them: the sum over all threads is at
    most 65536.

    ```mlir
    tnk.roles {
      tnk.role "load" warps(1) registers(24) { ... }
      tnk.role "multiply" groups(2) registers(240) { ... }
    }
    ```
  }];
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$body attr-dict";
  let hasRegionVerifier = 1;
}

def TNK_RoleOp : TNK_TileOp<"role", [
    HasParent<"RolesOp">, NoRegionArguments, NoTerminator, SingleBlock]> {
  let summary = "what some of the warps do";
  let description = [{
    `groups` warpgroups of 128 threads run the body, each on tiles of its own;
    `tnk.group` tells them apart. With `warps(1)` only the first warp of one warpgroup
    runs it: enough to start copies, which one thread does. `registers` is what each
    thread may use, a multiple of 8 from 24 to 240.
  }];
  let arguments = (ins StrAttr:$name, DefaultValuedAttr<I64Attr, "1">:$groups,
                       DefaultValuedAttr<I64Attr, "4">:$warps, I64Attr:$registers);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $name (`groups` `(` $groups^ `)`)? (`warps` `(` $warps^ `)`)?
    `registers` `(` $registers `)` $body attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    static constexpr int64_t kGroupThreads = 128;
    int64_t getThreads() { return getGroups() * kGroupThreads; }
  }];
}

def TNK_GroupOp : TNK_TileOp<"group", [Pure]> {
  let summary = "the number of this warpgroup in its role";
  let results = (outs Index:$group);
  let assemblyFormat = "attr-dict";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Tiles in shared memory
//===----------------------------------------------------------------------===//

def TNK_ScratchOp : TNK_TileOp<"scratch", [HasParent<"KernelOp">]> {
  let summary = "a tile of the block";
  let description = [{
    ```mlir
    %stage = tnk.scratch : !tnk.tile<64x64xbf16>
    ```
  }];
  let results = (outs Res<TNK_TileType, "", [MemAlloc]>:$tile);
  let assemblyFormat = "attr-dict `:` qualified(type($tile))";
}

def TNK_PartOp : TNK_TileOp<"part", [Pure]> {
  let summary = "some columns or some rows of a tile, as a tile";
  let description = [{
    Part `index` of the tile, cut in parts of the result's shape: of its columns if the
    rows are equal, of its rows if both have 64 columns.

    ```mlir
    %half = tnk.part %v[%group] : !tnk.tile<64x128xbf16> -> !tnk.tile<64x64xbf16>
    ```
  }];
  let arguments = (ins TNK_TileType:$tile, Index:$index);
  let results = (outs TNK_TileType:$part);
  let assemblyFormat = [{
    $tile `[` $index `]` attr-dict `:` qualified(type($tile)) `->` qualified(type($part))
  }];
  let hasVerifier = 1;
}

def TNK_ReadOp : TNK_TileOp<"read"> {
  let summary = "a tile from shared memory to the registers of a warpgroup";
  let description = [{
    The result has 64 rows. With `transpose` the tile's columns are its rows.

    ```mlir
    %vt = tnk.read transpose %v : !tnk.tile<128x64xbf16> -> vector<64x128xbf16>
    ```
  }];
  let arguments = (ins Arg<TNK_TileType, "", [MemRead]>:$tile, UnitAttr:$transpose);
  let results = (outs VectorOfRankAndType<[2], [BF16]>:$result);
  let assemblyFormat = [{
    (`transpose` $transpose^)? $tile attr-dict `:` qualified(type($tile)) `->` type($result)
  }];
  let hasVerifier = 1;
}

def TNK_WriteOp : TNK_TileOp<"write"> {
  let summary = "registers of a warpgroup to a tile in shared memory";
  let description = [{
    The inverse of `tnk.read`. Others see it after `tnk.ring_commit` or
    `tnk.store_async`.

    ```mlir
    tnk.write transpose %out to %stage : vector<64x128xbf16> -> !tnk.tile<128x64xbf16>
    ```
  }];
  let arguments = (ins VectorOfRankAndType<[2], [BF16]>:$value,
                       Arg<TNK_TileType, "", [MemWrite]>:$tile, UnitAttr:$transpose);
  let assemblyFormat = [{
    (`transpose` $transpose^)? $value `to` $tile attr-dict `:` type($value) `->` qualified(type($tile))
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Rings
//===----------------------------------------------------------------------===//

def TNK_FillCopies : I32EnumAttrCase<"Copies", 0, "copies">;
def TNK_FillThreads : I32EnumAttrCase<"Threads", 1, "threads">;
def TNK_RingFill : I32EnumAttr<"RingFill", "who fills a ring",
                               [TNK_FillCopies, TNK_FillThreads]> {
  let cppNamespace = "::tnllm::tnk";
}

def TNK_RingOp : TNK_TileOp<"ring", [HasParent<"KernelOp">]> {
  let summary = "stages of tiles, filled and read in turn";
  let description = [{
    Iteration i uses stage i modulo the number of stages. One role fills: it acquires an
    iteration, which waits until everybody has released what was in the stage, and fills
    it. The others wait for the iteration, read, and release it. Every iteration is
    acquired, waited for and released once by each, in order.

    `filled_by copies`: the filling role has one warp and starts a `tnk.load_async` to
    every byte of the stage; the stage is full when all have arrived. `filled_by threads`:
    one warpgroup writes with `tnk.write` and says so with `tnk.ring_commit`.
    `read_by` is how many warpgroups release each iteration.

    ```mlir
    %ring = tnk.ring filled_by copies read_by(2) : !tnk.ring<3, <64x128xbf16>, <64x64xbf16>>
    ```
  }];
  let arguments = (ins TNK_RingFill:$fill, I64Attr:$readers);
  let results = (outs Res<TNK_RingType, "", [MemAlloc]>:$ring);
  let assemblyFormat = [{
    `filled_by` $fill `read_by` `(` $readers `)` attr-dict `:` qualified(type($ring))
  }];
  let hasVerifier = 1;
}

class TNK_RingStepOp<string mnemonic> : TNK_TileOp<mnemonic> {
  let arguments = (ins TNK_RingType:$ring, Index:$iteration);
  let assemblyFormat = "$ring `[` $iteration `]` attr-dict `:` qualified(type($ring))";
}

def TNK_RingAcquireOp : TNK_RingStepOp<"ring_acquire"> {
  let summary = "waits until the stage of an iteration may be filled";
  let hasVerifier = 1;
}

def TNK_RingCommitOp : TNK_RingStepOp<"ring_commit"> {
  let summary = "says that this warpgroup has filled the stage of an iteration";
  let hasVerifier = 1;
}

def TNK_RingWaitOp : TNK_RingStepOp<"ring_wait"> {
  let summary = "waits until the stage of an iteration is full";
  let hasVerifier = 1;
}

def TNK_RingReleaseOp : TNK_RingStepOp<"ring_release"> {
  let summary = "says that this warpgroup has read the stage of an iteration";
  let hasVerifier = 1;
}

def TNK_RingTileOp : TNK_TileOp<"ring_tile", [Pure]> {
  let summary = "a tile of the stage of an iteration";
  let description = [{
    ```mlir
    %k = tnk.ring_tile %ring[%i], 1 : !tnk.ring<3, <64x128xbf16>, <64x64xbf16>> -> !tnk.tile<64x64xbf16>
    ```
  }];
  let arguments = (ins TNK_RingType:$ring, Index:$iteration, I64Attr:$index);
  let results = (outs TNK_TileType:$tile);
  let assemblyFormat = [{
    $ring `[` $iteration `]` `,` $index attr-dict `:` qualified(type($ring)) `->` qualified(type($tile))
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Copies between tensors and tiles
//===----------------------------------------------------------------------===//

def TNK_LoadAsyncOp : TNK_TileOp<"load_async"> {
  let summary = "starts a copy from a tensor to a tile of a ring's iteration";
  let description = [{
    The tile's rows are positions from `coordinates[1]`, its columns those from
    `coordinates[3]`, of one batch and head. Outside the tensor there are zeros. The tile
    is full when `tnk.ring_wait` of the iteration returns.

    ```mlir
    tnk.load_async %q[%batch, %position, %head, %c0] to %tile on %ring[%i]
        : !tnk.map<64x64xbf16>, !tnk.tile<64x128xbf16>, !tnk.ring<3, <64x128xbf16>>
    ```
  }];
  let arguments = (ins Arg<TNK_MapType, "", [MemRead]>:$map,
                       Variadic<Index>:$coordinates,
                       Arg<TNK_TileType, "", [MemWrite]>:$tile, TNK_RingType:$ring,
                       Index:$iteration);
  let assemblyFormat = [{
    $map `[` $coordinates `]` `to` $tile `on` $ring `[` $iteration `]` attr-dict
    `:` qualified(type($map)) `,` qualified(type($tile)) `,` qualified(type($ring))
  }];
  let hasVerifier = 1;
}

def TNK_StoreAsyncOp : TNK_TileOp<"store_async"> {
  let summary = "starts a copy of a warpgroup's tile to a tensor";
  let description = [{
    What the warpgroup has written to the tile before goes to the tensor at
    `coordinates`, as in `tnk.load_async`; nothing is written outside the tensor. The
    tile may be written again after `tnk.store_wait`.

    ```mlir
    tnk.store_async %stage to %out[%batch, %position, %head, %c0]
        : !tnk.tile<64x64xbf16>, !tnk.map<64x64xbf16>
    ```
  }];
  let arguments = (ins Arg<TNK_TileType, "", [MemRead]>:$tile,
                       Arg<TNK_MapType, "", [MemWrite]>:$map,
                       Variadic<Index>:$coordinates);
  let assemblyFormat = [{
    $tile `to` $map `[` $coordinates `]` attr-dict `:` qualified(type($tile)) `,` qualified(type($map))
  }];
  let hasVerifier = 1;
}

def TNK_StoreWaitOp : TNK_TileOp<"store_wait"> {
  let summary = "waits until the stores of this warpgroup have read their tiles";
  let assemblyFormat = "attr-dict";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Products of tiles
//===----------------------------------------------------------------------===//

def TNK_MmaOp : TNK_TileOp<"mma", [AllTypesMatch<["acc", "result"]>]> {
  let summary = "starts a product of tiles on the tensor cores";
  let description = [{
    `result = acc + A B`, A of 64 rows and K columns, B of K rows and N columns, in
    bf16 with sums in f32. A is in registers or a tile; with `transpose_a` the tile
    holds it as K x 64. B is a tile of K x N, with `transpose_b` of N x K.

    The product is asynchronous: its result may be accumulated further by another
    `tnk.mma`, and is a value for everybody else after `tnk.mma_wait`. The tiles must
    stay as they are until then.

    ```mlir
    %s = tnk.mma %q, transpose_b %k, %zero
       : !tnk.tile<64x128xbf16>, !tnk.tile<64x128xbf16>, vector<64x64xf32>
    %scores = tnk.mma_wait %s : vector<64x64xf32>
    ```
  }];
  let arguments = (ins AnyTypeOf<[TNK_TileType, VectorOfRankAndType<[2], [BF16]>]>:$a,
                       TNK_TileType:$b, VectorOfRankAndType<[2], [F32]>:$acc,
                       UnitAttr:$transpose_a, UnitAttr:$transpose_b);
  let results = (outs VectorOfRankAndType<[2], [F32]>:$result);
  let assemblyFormat = [{
    (`transpose_a` $transpose_a^)? $a `,` (`transpose_b` $transpose_b^)? $b `,` $acc
    attr-dict `:` type($a) `,` qualified(type($b)) `,` type($acc)
  }];
  let hasVerifier = 1;
}

def TNK_MmaWaitOp : TNK_TileOp<"mma_wait", [
    RangedTypesMatchWith<"results have the types of the sums", "sums", "results",
                         "llvm::make_range($_self.begin(), $_self.end())">]> {
  let summary = "waits for products of this warpgroup";
  let description = [{
    Waits until at most `pending` of the `tnk.mma` started before are unfinished; the
    values pass through, so that nothing that uses them can come before.
  }];
  let arguments = (ins Variadic<VectorOfRankAndType<[2], [F32]>>:$sums,
                       DefaultValuedAttr<I64Attr, "0">:$pending);
  let results = (outs Variadic<VectorOfRankAndType<[2], [F32]>>:$results);
  let assemblyFormat = [{
    (`pending` `(` $pending^ `)`)? $sums attr-dict `:` type($sums)
  }];
  let hasVerifier = 1;
}

def TNK_IndexOp : TNK_TileOp<"index", [Pure]> {
  let summary = "the row (0) or column (1) of each element of a tile";
  let description = [{
    ```mlir
    %row = tnk.index 0 : vector<64x64xi32>
    ```
  }];
  let arguments = (ins I64Attr:$dimension);
  let results = (outs VectorOfRankAndType<[2], [I32]>:$result);
  let assemblyFormat = "$dimension attr-dict `:` type($result)";
  let hasVerifier = 1;
}

#endif // TNK_TILE_OPS_TD
