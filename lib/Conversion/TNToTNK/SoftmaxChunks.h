// What the kernels of softmax attention share: pieces of a sequence, chunks of
// its queries and keys, and which of their products count. Private to this
// folder.
//
// Products of a chunk stand as [keys, queries]: a query is a lane, so that its
// largest product and its sum are element-wise, keys and values are read as
// they lie, and only the queries are transposed, once for all their keys.
#ifndef TNLLM_LIB_CONVERSION_TNTOTNK_SOFTMAXCHUNKS_H
#define TNLLM_LIB_CONVERSION_TNTOTNK_SOFTMAXCHUNKS_H

#include "KernelBuilder.h"

namespace tnllm::kernels {

// One head's columns of a matrix of rows.
struct HeadColumns {
  mlir::Value matrix, column;
  int64_t width;
};

// Positions [start, start + count) of a call, which attend to the rows [0,
// before + count) of their keys: the keys of the call's row `start` are row
// `before`.
struct SoftmaxPiece {
  mlir::Value start, count, before;
};

// Queries [query, query + queries) of a piece and the rows [key, key + keys) of
// its keys.
struct SoftmaxChunk {
  mlir::Value query, queries, key, keys;
};

class SoftmaxChunks {
public:
  // Chunks for heads of this width, queries in vectors of `panelWidth`.
  SoftmaxChunks(KernelBuilder &k, int64_t widest);

  int64_t size() const { return chunk; }

  // The pieces of `length` positions from the position `first` on, cut at
  // multiples of `block`.
  void forPieces(mlir::Value first, mlir::Value length, mlir::Value block,
                 llvm::function_ref<void(const SoftmaxPiece &)> body);
  // Chunks of the piece's queries.
  void forQueries(const SoftmaxPiece &piece,
                  llvm::function_ref<void(const SoftmaxChunk &)> body);
  // Chunks of the keys that the queries of `chunk` see.
  void forKeys(const SoftmaxPiece &piece, const SoftmaxChunk &chunk,
               llvm::function_ref<void(const SoftmaxChunk &)> body);

  // Tiles of `rows` rows by `columns` columns, exactly.
  void forTilesOf(mlir::Value rows, int64_t columns,
                  llvm::function_ref<void(TilePlace)> body);
  // Tiles [keys, queries] of a chunk's products, all lanes.
  void forProducts(const SoftmaxChunk &chunk,
                   llvm::function_ref<void(TilePlace)> body);
  // True where the tile's query is not before its key.
  mlir::Value countsIn(const SoftmaxPiece &piece, const SoftmaxChunk &chunk,
                       const TilePlace &place);

  // All lanes of row `row` of a matrix of numbers of queries.
  mlir::Value loadLanes(mlir::Value numbers, int64_t row);
  void storeLanes(mlir::Value lanes, mlir::Value numbers, int64_t row);
  // The tile's rows times the numbers of their queries, in row `row`.
  mlir::Value scaleRows(mlir::Value tile, mlir::Value numbers, int64_t row,
                        mlir::Value firstQuery);

private:
  KernelBuilder &k;
  mlir::ImplicitLocOpBuilder &b;
  int64_t chunk, width;
};

} // namespace tnllm::kernels

#endif // TNLLM_LIB_CONVERSION_TNTOTNK_SOFTMAXCHUNKS_H
