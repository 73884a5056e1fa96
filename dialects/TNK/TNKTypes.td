// Types of the tnk dialect: operand tiles, rings of them, tensor maps.
#ifndef TNK_TYPES_TD
#define TNK_TYPES_TD

include "TNK/TNKDialect.td"
include "mlir/IR/AttrTypeBase.td"

class TNK_Type<string name, string typeMnemonic> : TypeDef<TNK_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def TNK_TileType : TNK_Type<"Tile", "tile"> {
  let summary = "an operand tile in shared memory";
  let description = [{
    A matrix in the layout that tensor cores and tensor copies read: blocks of 64
    columns (128 bytes) one after the other, each block row by row, and in a row of a
    block the 16-byte pieces exchanged by the row's number modulo 8 (128-byte swizzle).
    Opaque: it is read and written by the operations of tnk alone, so that nobody
    indexes it by hand.

    ```mlir
    !tnk.tile<64x128xbf16>
    ```
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns, "::mlir::Type":$elementType);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    // Columns of a block: 128 bytes.
    static constexpr int64_t kBlockColumns = 64;
    int64_t getBlocks() const { return getColumns() / kBlockColumns; }
    // Bytes of one block, and of the tile.
    int64_t getBlockBytes() const { return getRows() * 128; }
    int64_t getBytes() const { return getBlocks() * getBlockBytes(); }
  }];
}

def TNK_RingType : TNK_Type<"Ring", "ring"> {
  let summary = "stages of tiles between those who fill and those who read";
  let description = [{
    ```mlir
    !tnk.ring<3, <64x128xbf16>, <64x128xbf16>>   // three stages of two tiles
    ```
  }];
  let parameters = (ins "int64_t":$stages, ArrayRefParameter<"TileType">:$tiles);
  let assemblyFormat = "`<` $stages `,` $tiles `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    // Bytes of one stage, and where a tile begins in it.
    int64_t getStageBytes() const;
    int64_t getTileOffset(int64_t tile) const;
  }];
}

def TNK_MapType : TNK_Type<"Map", "map"> {
  let summary = "a tensor map: a tensor in device memory that boxes are copied from";
  let description = [{
    An argument of a kernel, made on the host by `tnrt.tensor_map`. The tensor has four
    dimensions, [batch, position, head, column], whatever its size is this time; a box
    is [1, rows, 1, columns]. What a box covers outside the tensor is read as zero and
    not written. A matrix is a tensor with one batch and one head.

    ```mlir
    !tnk.map<64x64xbf16>   // boxes of 64 positions and 64 columns
    ```
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns, "::mlir::Type":$elementType);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

#endif // TNK_TYPES_TD
