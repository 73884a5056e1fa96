// Matrix products whose operands lie in rows: a task packs the piece of B that
// it wants, and where that is no row of A either, A's.
// docs/Rationale/Training.md says which product is read in which way.
#include "GradKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

namespace {

// How C is divided. A task is `rows` x `panels` panels of C; of each block of
// the depth it packs B once and takes A `packedRows` rows at a time.
struct ProductBlocks {
  explicit ProductBlocks(const TileSizes &sizes)
      : rows(96 * sizes.tileRows),
        panels(std::max<int64_t>(1, 256 / sizes.panelWidth)),
        packedRows(16 * sizes.tileRows) {}

  int64_t rows, panels, packedRows;
  int64_t depth = 256;
};

// Elements that one step of a transposition takes in each direction.
constexpr int64_t kTransposed = 16;

class ProductKernel {
public:
  ProductKernel(KernelBuilder &k, const ProductBuffers &in, FinishTile finish)
      : k(k), b(k.b), in(in), finish(finish), blocks(k.sizes),
        width(k.sizes.panelWidth), columns(columnsOf(in.c)) {}

  void build();

private:
  // A buffer that the register tiles can read where it is.
  bool needsPackedA() const { return in.transposeA || !isF32(in.a); }
  static bool isF32(Value buffer) {
    return cast<MemRefType>(buffer.getType()).getElementType().isF32();
  }
  int64_t columnBlocks() const { return productColumnBlocks(columns, k.sizes); }

  void packB(Value panel, Value start, Value size);
  void packTransposedB(Value panel, Value start, Value size);
  void packA(Value row, Value start, Value size);
  // Asks for the lines of `count` elements of a row, for the second cache. They
  // may lie behind the end of the matrix.
  void prefetch(Value matrix, Value row, Value column, int64_t count) {
    auto type = cast<MemRefType>(matrix.getType());
    int64_t line = 64 * 8 / type.getElementTypeBitWidth();
    for (int64_t i = 0; i < count; i += line)
      memref::PrefetchOp::create(
          b, matrix, ValueRange{row, k.add(column, k.index(i))},
          /*isWrite=*/false, /*localityHint=*/2, /*isDataCache=*/true);
  }
  void addBlock(Value start, Value size);
  void addTile(Value row, int64_t tileRows, Value panel, Value start,
               Value size, Value packedFrom);
  Value startOf(const TilePlace &inC, const TilePlace &inSums, Value isFirst);
  TilePlace placeInC(Value row, Value column, int64_t rows) {
    return {in.cRow ? k.add(row, in.cRow) : row, column, rows, width,
            columns % width == 0};
  }

  // Where the row `i` of what packA packed begins, transposed.
  SmallVector<Value> placeInPackedA(Value i) {
    Value tileRows = k.index(k.sizes.tileRows);
    return {k.mul(k.div(i, tileRows), k.index(blocks.depth)),
            k.rem(i, tileRows)};
  }

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  const ProductBuffers &in;
  FinishTile finish;
  ProductBlocks blocks;
  int64_t width, columns;
  Value firstRow, rowsEnd;       // of the task, in C
  Value firstColumn, panelsHere; // of the task
  // Scratch: B's panels one behind the other, [panels * depth, width]; rows of
  // A, [packedRows, depth], or transposed the register tiles of them one behind
  // the other, [packedRows / tileRows * depth, tileRows]; sums of a block of C.
  Value packedB, packedA, sums;
};

} // namespace

int64_t kernels::productRows(const TileSizes &sizes) {
  return ProductBlocks(sizes).rows;
}

int64_t kernels::productColumnBlocks(int64_t columns, const TileSizes &sizes) {
  int64_t panels = llvm::divideCeil(columns, sizes.panelWidth);
  return llvm::divideCeil(panels, ProductBlocks(sizes).panels);
}

// A panel of B [depth, N]: `size` depths of its columns side by side.
void ProductKernel::packB(Value panel, Value start, Value size) {
  Value column = k.add(firstColumn, k.mul(panel, k.index(width)));
  Value to = k.mul(panel, k.index(blocks.depth));
  Value from = in.bRow ? k.add(start, in.bRow) : start;
  k.forTiles(size, {4, 1}, [&](Value d, int64_t depths) {
    Value tile = k.loadTile(
        in.b, {k.add(from, d), column, depths, width, columns % width == 0});
    k.storeTile(tile, packedB, {k.add(to, d), k.index(0), depths, width, true});
  });
}

// The same of B [N, depth]. The last depths may reach past the end of a row:
// zeros, which no sum reads.
void ProductKernel::packTransposedB(Value panel, Value start, Value size) {
  Value column = k.mul(panel, k.index(width)); // in the task's columns
  Value to = k.mul(panel, k.index(blocks.depth));
  bool depthsFit = columnsOf(in.b) % kTransposed == 0;
  k.forLoop(k.index(0), size, kTransposed, [&](Value d) {
    k.forColumns(width, kTransposed, [&](Value j, int64_t features) {
      Value feature = k.add(firstColumn, k.add(column, j));
      TilePlace place{in.bRow ? k.add(feature, in.bRow) : feature,
                      k.add(start, d), features, kTransposed, depthsFit};
      if (columns % width != 0) {
        Value left = k.sub(k.index(columns), feature);
        place.rowsLeft = arith::MaxSIOp::create(b, left, k.index(0));
      }
      Value tile = k.loadTile(in.b, place);
      tile = vector::TransposeOp::create(b, tile, ArrayRef<int64_t>{1, 0});
      k.storeTile(tile, packedB,
                  {k.add(to, d), j, kTransposed, features, true});
    });
  });
}

// `packedRows` rows of A from `row` on, those of a register tile together.
// Rows past the end of A are zeros, which no sum that is stored reads.
void ProductKernel::packA(Value row, Value start, Value size) {
  int64_t rows = blocks.packedRows, tileRows = k.sizes.tileRows;
  if (in.transposeA) {
    bool fits = columnsOf(in.a) % rows == 0;
    k.forLoop(k.index(0), size, 1, [&](Value d) {
      for (int64_t i = 0; i < rows; i += tileRows) {
        Value tile = k.loadTile(
            in.a, {k.add(start, d), k.add(row, k.index(i)), 1, tileRows, fits});
        Value to = k.add(d, k.index(i / tileRows * blocks.depth));
        k.storeTile(tile, packedA, {to, k.index(0), 1, tileRows, true});
      }
      // The next rows of A: each depth of them is a page of its own, which no
      // machine foresees.
      prefetch(in.a, k.add(start, d), k.add(row, k.index(rows)), rows);
    });
    return;
  }
  Value here = k.min(k.index(rows), k.sub(rowsEnd, row));
  k.forLoop(k.index(0), here, 1, [&](Value i) {
    k.forTiles(size, {width, 1}, [&](Value d, int64_t depths) {
      Value tile =
          k.loadTile(in.a, {k.add(row, i), k.add(start, d), 1, depths, true});
      k.storeTile(tile, packedA, {i, d, 1, depths, true});
    });
  });
}

// What a tile's sum begins with.
Value ProductKernel::startOf(const TilePlace &inC, const TilePlace &inSums,
                             Value isFirst) {
  VectorType type = k.tileType(inC.rows, width);
  auto yield = [&](Value value) { scf::YieldOp::create(b, value); };
  auto before = [&] { // of the first block of the depth
    if (!in.accumulate)
      return yield(k.constant(type, 0.0));
    auto given = scf::IfOp::create(
        b, in.accumulate,
        [&](OpBuilder &, Location) { yield(k.loadTile(in.c, inC)); },
        [&](OpBuilder &, Location) { yield(k.constant(type, 0.0)); });
    yield(given.getResult(0));
  };
  auto start = scf::IfOp::create(
      b, isFirst, [&](OpBuilder &, Location) { before(); },
      [&](OpBuilder &, Location) {
        yield(sums ? k.loadTile(sums, inSums) : k.loadTile(in.c, inC));
      });
  return start.getResult(0);
}

void ProductKernel::addTile(Value row, int64_t tileRows, Value panel,
                            Value start, Value size, Value packedFrom) {
  Value offset = k.mul(panel, k.index(width));
  TilePlace inC = placeInC(row, k.add(firstColumn, offset), tileRows);
  TilePlace inSums{k.sub(row, firstRow), offset, tileRows, width, true};
  Value isFirst = k.compare(arith::CmpIPredicate::eq, start, k.index(0));
  Value isLast =
      k.compare(arith::CmpIPredicate::eq, k.add(start, size), in.depth);
  Value tile = startOf(inC, inSums, isFirst);
  SmallVector<Value> bPlace = {k.mul(panel, k.index(blocks.depth)), k.index(0)};
  if (!needsPackedA())
    tile = k.contract(in.a, {row, start}, packedB, bPlace, tile, size);
  else if (in.transposeA)
    tile = k.contract(packedA, placeInPackedA(k.sub(row, packedFrom)), packedB,
                      bPlace, tile, size, /*transposeA=*/true);
  else
    tile = k.contract(packedA, {k.sub(row, packedFrom), k.index(0)}, packedB,
                      bPlace, tile, size);
  scf::IfOp::create(
      b, isLast,
      [&](OpBuilder &, Location) {
        finish(tile, inC);
        scf::YieldOp::create(b);
      },
      [&](OpBuilder &, Location) {
        if (sums)
          k.storeTile(tile, sums, inSums);
        else
          k.storeTile(tile, in.c, inC);
        scf::YieldOp::create(b);
      });
}

// `size` depths from `start` on, for all of the task's elements of C.
void ProductKernel::addBlock(Value start, Value size) {
  k.forLoop(k.index(0), panelsHere, 1, [&](Value panel) {
    in.transposeB ? packTransposedB(panel, start, size)
                  : packB(panel, start, size);
  });
  auto forTilesFrom = [&](Value from, Value end) {
    k.forTiles(k.sub(end, from), KernelBuilder::halvingSizes(k.sizes.tileRows),
               [&](Value i, int64_t tileRows) {
                 k.forLoop(k.index(0), panelsHere, 1, [&](Value panel) {
                   addTile(k.add(from, i), tileRows, panel, start, size, from);
                 });
               });
  };
  if (!needsPackedA())
    return forTilesFrom(firstRow, rowsEnd);
  k.forLoop(firstRow, rowsEnd, blocks.packedRows, [&](Value row) {
    packA(row, start, size);
    forTilesFrom(row, k.min(k.add(row, k.index(blocks.packedRows)), rowsEnd));
  });
}

void ProductKernel::build() {
  int64_t panels = llvm::divideCeil(columns, width);
  int64_t most = std::min(blocks.panels, panels);
  packedB = k.scratch(most * blocks.depth, width);
  if (needsPackedA())
    packedA =
        in.transposeA
            ? k.scratch(blocks.packedRows / k.sizes.tileRows * blocks.depth,
                        k.sizes.tileRows)
            : k.scratch(blocks.packedRows, blocks.depth);
  if (!isF32(in.c))
    sums = k.scratch(blocks.rows, most * width);
  Value perRow = k.index(columnBlocks());
  Value columnBlock = k.rem(k.task(), perRow);
  firstRow = k.mul(k.div(k.task(), perRow), k.index(blocks.rows));
  rowsEnd = k.min(k.add(firstRow, k.index(blocks.rows)), in.m);
  Value firstPanel = k.mul(columnBlock, k.index(blocks.panels));
  firstColumn = k.mul(firstPanel, k.index(width));
  panelsHere =
      k.min(k.index(blocks.panels), k.sub(k.index(panels), firstPanel));
  k.forLoop(k.index(0), in.depth, blocks.depth, [&](Value start) {
    addBlock(start, k.min(k.index(blocks.depth), k.sub(in.depth, start)));
  });
}

void kernels::buildProduct(KernelBuilder &k, const ProductBuffers &buffers,
                           FinishTile finish) {
  ProductKernel(k, buffers, finish).build();
  k.finish();
}

void kernels::buildProduct(KernelBuilder &k, const ProductBuffers &buffers) {
  buildProduct(k, buffers, [&](Value tile, const TilePlace &place) {
    k.storeTile(tile, buffers.c, place);
  });
}
