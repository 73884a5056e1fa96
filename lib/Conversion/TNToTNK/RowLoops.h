// What kernels that treat rows share: which rows a task does, sums over a row,
// and the statistics of a norm. Private to this folder.
#ifndef TNLLM_LIB_CONVERSION_TNTOTNK_ROWLOOPS_H
#define TNLLM_LIB_CONVERSION_TNTOTNK_ROWLOOPS_H

#include "KernelBuilder.h"

namespace tnllm::kernels {

// Calls `body` for each row of the task's block; on a GPU, where there are as
// many tasks as rows, for the task's row.
void forRowsOfTask(KernelBuilder &k, mlir::Value rows,
                   KernelBuilder::IndexBody body);

// Calls `body` for each head of each row of the task; on a GPU, where there is
// a task for each of them, for that one. `ofRow` computes what the heads of a
// row share.
void forHeadsOfTask(KernelBuilder &k, mlir::Value rows, int64_t heads,
                    llvm::function_ref<mlir::Value(mlir::Value row)> ofRow,
                    llvm::function_ref<void(mlir::Value row, mlir::Value head,
                                            mlir::Value shared)>
                        body);

// Columns of a matrix, elements of a vector.
int64_t columnsOf(mlir::Value buffer);

// Sum over `columns` columns of `term(column, width)`, a vector<width>: a
// vector of partial sums over the full tiles, then the remainder's, in a fixed
// order.
mlir::Value sumOfColumns(
    KernelBuilder &k, int64_t columns,
    llvm::function_ref<mlir::Value(mlir::Value column, int64_t width)> term);

// A row in tiles of the panel's width and one of the rest. On a GPU rows of a
// few tiles are loaded once and stay in registers; others are loaded again for
// each pass over them.
class RowOfTiles {
public:
  RowOfTiles(KernelBuilder &k, mlir::Value x, mlir::Value row);

  // Elements of the row.
  int64_t size() const { return columns; }

  using Term = llvm::function_ref<mlir::Value(mlir::Value tile)>;
  // Sum of `term(tile)`: a vector of partial sums over the full tiles, then the
  // rest's, in a fixed order.
  mlir::Value sum(Term term);

  using TileBody =
      llvm::function_ref<void(mlir::Value column, mlir::Value tile)>;
  // Calls `body` with each tile, as vector<1xW>, and its first column.
  void forTiles(TileBody body);

private:
  mlir::Value reduce(mlir::Value vector);
  mlir::Value sumOfFullTiles(Term term);

  KernelBuilder &k;
  mlir::ImplicitLocOpBuilder &b;
  mlir::Value x, row;
  int64_t columns, width;
  llvm::SmallVector<mlir::Value> kept; // empty where the row is loaded again
};

// A norm's kind and epsilon.
struct NormRule {
  tn::NormKind kind;
  double epsilon;
};

// Mean and 1/deviation of a row; no mean for the RMS norms.
struct RowStatistics {
  mlir::Value mean, inverse;
};
RowStatistics statisticsOfRow(KernelBuilder &k, NormRule norm, RowOfTiles &row);

// (tile - mean) / deviation.
mlir::Value normalise(KernelBuilder &k, const RowStatistics &statistics,
                      mlir::Value tile);

// The position of a row's token, in f32 as the published code counts: exact up
// to 2^24.
mlir::Value positionOfRow(KernelBuilder &k, mlir::Value positions,
                          mlir::Value length, mlir::Value row);

} // namespace tnllm::kernels

#endif // TNLLM_LIB_CONVERSION_TNTOTNK_ROWLOOPS_H
