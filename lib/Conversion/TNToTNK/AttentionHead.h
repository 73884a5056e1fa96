// What every kernel of lightning attention needs of its sequence and head.
// Private to this folder.
#ifndef TNLLM_LIB_CONVERSION_TNTOTNK_ATTENTIONHEAD_H
#define TNLLM_LIB_CONVERSION_TNTOTNK_ATTENTIONHEAD_H

#include "KernelBuilder.h"

namespace tnllm::kernels {

struct HeadPlace {
  mlir::Value sequence, head; // b and h
  mlir::Value key, value; // first column of the head in q and k, in v and out
  mlir::Value state;      // the head's state, [Dk, Dv]; null without states
  mlir::Value slope;      // f32
};

// Where a sequence lies among the rows.
struct SequenceRows {
  mlir::Value first, length;
};
SequenceRows rowsOfSequence(KernelBuilder &k, mlir::Value offsets,
                            mlir::Value length, mlir::Value sequence);

// Of the head number `number`, sequence * heads + head.
HeadPlace placeOfHead(KernelBuilder &k, const AttentionBuffers &in,
                      mlir::Value number);

// The state [Dk, Dv] of a head in `states` [*, H, Dk, Dv].
mlir::Value stateOfHead(KernelBuilder &k, mlir::Value states,
                        mlir::Value sequence, mlir::Value head);

// exp(-slope * exponent), of scalars or of a vector of exponents.
mlir::Value decay(KernelBuilder &k, mlir::Value slope, mlir::Value exponent);

// Positions of a chunk: as asked for, halved while the two key matrices would
// each take more than the block of a panel that stays in the second cache
// (`blockBytes`, a quarter of it), or together more than a megabyte of the
// task's stack; not below 16.
int64_t chunkFor(const TileSizes &sizes, int64_t keyWidth);

// The powers of lambda = exp(-slope) that a chunk needs, in scratch. Nothing is
// ever divided by one: it would overflow.
class DecayPowers {
public:
  DecayPowers(KernelBuilder &k, mlir::Value slope, int64_t chunk);

  // Computes them; once, before the others are used.
  void fill();
  // lambda^exponent for an index exponent in [0, C).
  mlir::Value power(mlir::Value exponent);
  // Row r of the tile times lambda^(exponentOf(r)), exponents as above.
  mlir::Value
  scaleRows(mlir::Value tile,
            llvm::function_ref<mlir::Value(int64_t row)> exponentOf);
  // The tile of scores whose first is of query i and key j: element (r, c)
  // times lambda^(i + r - j - c), 0 where the key comes after the query.
  mlir::Value mask(mlir::Value tile, mlir::Value i, mlir::Value j);

private:
  KernelBuilder &k;
  mlir::Value slope;
  int64_t chunk;
  mlir::Value powers; // [1, 2C]: lambda^(C-1-t) for t < C, then zeros
};

// Zeros in every element of a matrix.
void fillZeros(KernelBuilder &k, mlir::Value matrix);

// target [width, *] = the columns [column, column + width) of `count` rows of a
// matrix from `row` on, transposed.
void transposeRows(KernelBuilder &k, mlir::Value matrix, mlir::Value row,
                   mlir::Value column, mlir::Value count, int64_t width,
                   mlir::Value target);
// target [*, width] = row j of those rows times factorOf(j).
void scaleRowsInto(KernelBuilder &k, mlir::Value matrix, mlir::Value row,
                   mlir::Value column, mlir::Value count, int64_t width,
                   mlir::Value target,
                   llvm::function_ref<mlir::Value(mlir::Value j)> factorOf);

} // namespace tnllm::kernels

#endif // TNLLM_LIB_CONVERSION_TNTOTNK_ATTENTIONHEAD_H
