// Operations on rows that one kernel computes. Private to this folder.
//
// While a model is trained most of a step's kernels that are no products pass
// over rows: norms, gates, activations, sums of residuals, casts and the
// adjoints of all of them. Each row of their results needs the same row of
// their operands alone, so that several of them can be computed while a row is
// in registers, whatever they are. What each of them would read and write in
// memory by itself is then read and written once.
#ifndef TNLLM_LIB_CONVERSION_TNTOTNK_ROWCLUSTERS_H
#define TNLLM_LIB_CONVERSION_TNTOTNK_ROWCLUSTERS_H

#include "RowLoops.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"

namespace tnllm::kernels {

// Makes narrow what clusters are made of: takes the operations of a tn.fused
// out of it unless its root is a product; computes an activation of some
// columns, of which slices alone are read, and its adjoint slice by slice. The
// function computes what it did; it is not for anybody but this conversion,
// since it is not canonical.
void narrowRows(mlir::func::FuncOp function);

// Gives functions the casts to bf16 that they begin with as arguments, and has
// those return them who compute what is cast.
void carryCasts(mlir::ModuleOp module);

// Two operations or more, in an order in which they can be computed.
using RowCluster = llvm::SmallVector<mlir::Operation *>;

// Moves the operations of the function so that those of a cluster stand
// together, each behind what it needs. Clusters by their first operation.
llvm::DenseMap<mlir::Operation *, RowCluster>
clusterRows(mlir::func::FuncOp function, int64_t leadingRank);

// True where a sum over the row is among the operations.
bool sumsColumns(llvm::ArrayRef<mlir::Operation *> cluster);

// Sizes of the kernel of a cluster whose rows have so many columns: the row in
// as few tiles as are of one width, where that is possible, so that no thread
// is idle; else those given.
TileSizes clusterSizes(TileSizes sizes, int64_t columns);

// A row of each operand and result, and what is stored of them. One task is a
// row.
struct RowClusterBuffers {
  llvm::DenseMap<mlir::Value, mlir::Value> inputs; // by the tensor
  llvm::MapVector<mlir::Value, mlir::Value> outputs;
  int64_t columns;
};
void buildRowCluster(KernelBuilder &k,
                     llvm::ArrayRef<mlir::Operation *> cluster,
                     const RowClusterBuffers &buffers);

} // namespace tnllm::kernels

#endif // TNLLM_LIB_CONVERSION_TNTOTNK_ROWCLUSTERS_H
