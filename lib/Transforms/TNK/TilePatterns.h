// How a tile in registers, vector<64xNxT>, lies in the threads of a warpgroup,
// and the patterns of tnk-distribute-tiles by kind.
//
// The layout is that of wgmma's sums (PTX ISA, "Register fragments and shared
// memory matrix layouts"): thread t holds of each 8 columns c, c+1 of the rows
// r and r+8, where r = 16 (t / 32) + (t % 32) / 4 and c = 2 (t % 4), in the
// order (r, c), (r, c+1), (r+8, c), (r+8, c+1). The same order, two columns to
// a register, is that of an operand A in registers and of ldmatrix and stmatrix
// of four matrices.
#ifndef TNLLM_LIB_TRANSFORMS_TNK_TILEPATTERNS_H
#define TNLLM_LIB_TRANSFORMS_TNK_TILEPATTERNS_H

#include "Threads.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/DialectConversion.h"

namespace tnllm::tiles {

constexpr int64_t kRows = 64;
constexpr int64_t kThreads = threads::kWarpgroup;

// Whether `type` is distributed over the threads of a warpgroup.
inline bool isRegisterTile(mlir::Type type) {
  auto vector = mlir::dyn_cast<mlir::VectorType>(type);
  return vector && !vector.isScalable() && vector.getRank() == 2 &&
         vector.getDimSize(0) == kRows && vector.getDimSize(1) % 8 == 0;
}

// What one thread holds of it.
inline mlir::VectorType threadType(mlir::VectorType tile) {
  return mlir::VectorType::get({tile.getNumElements() / kThreads},
                               tile.getElementType());
}

// Row of element `i` of a thread, relative to its first: 0 or 8.
inline int64_t rowOffset(int64_t i) { return i % 4 / 2 * 8; }
// Column of element `i`, relative to its first.
inline int64_t columnOffset(int64_t i) { return i / 4 * 8 + i % 2; }

// Row and column of a thread's first element, i32.
mlir::Value firstRow(mlir::ImplicitLocOpBuilder &b);
mlir::Value firstColumn(mlir::ImplicitLocOpBuilder &b);

// Pointer to a tile in shared memory.
inline mlir::Value tilePointer(mlir::ImplicitLocOpBuilder &b,
                               mlir::Value tile) {
  return threads::cast(b, threads::sharedPointer(b.getContext()), tile);
}

// Element-wise operations, constants, broadcasts, column slices, tnk.index.
void populateValuePatterns(const mlir::TypeConverter &types,
                           mlir::RewritePatternSet &patterns);
// vector.transfer_read, vector.transfer_write, tnk.read, tnk.write.
void populateMemoryPatterns(const mlir::TypeConverter &types,
                            mlir::RewritePatternSet &patterns);
// tnk.mma, tnk.mma_wait.
void populateMmaPatterns(const mlir::TypeConverter &types,
                         mlir::RewritePatternSet &patterns);

} // namespace tnllm::tiles

#endif // TNLLM_LIB_TRANSFORMS_TNK_TILEPATTERNS_H
