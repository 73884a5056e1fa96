// The kernel of a linear map of few rows on a GPU: the weight passes through
// once for all of them.
//
// A task is one warp and kGemvColumns rows of the weight, which are columns of
// the result. Its threads go along the depth together, 16 bytes of each weight
// row at a time, and keep a partial sum for each element of the result; one
// reduction each at the end. No warp waits for another, so that the memory
// always has loads to serve. An element's sum does not depend on how many rows
// there are.
#include "KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// Columns of a task: weight rows whose loads are in flight together, and users
// of one load of x.
static constexpr int64_t kGemvColumns = 4;
static constexpr int64_t kWarp = 32;
// Depths that a step takes: 8 for each thread, 16 bytes of bf16.
static constexpr int64_t kStep = 8 * kWarp;

int64_t kernels::gemvTasks(int64_t columns) {
  return (columns + kGemvColumns - 1) / kGemvColumns;
}

TileSizes kernels::gemvSizes(TileSizes sizes) {
  sizes.threads = kWarp;
  sizes.panelWidth = kGemvColumns;
  return sizes;
}

namespace {

// The body for at most `tileRows` rows.
class GemvTile {
public:
  GemvTile(KernelBuilder &k, const LinearBuffers &in, const Epilogue &epilogue,
           int64_t tileRows)
      : k(k), b(k.b), in(in), epilogue(epilogue), tileRows(tileRows),
        sumType(VectorType::get({kWarp}, k.b.getF32Type())) {
    depth = cast<MemRefType>(in.x.getType()).getDimSize(1);
    inBounds = in.columns % kGemvColumns == 0;
    firstColumn = k.mul(k.task(), k.index(kGemvColumns));
    for (int64_t m = 0; m < tileRows; ++m)
      rows.push_back(clamped(k.index(m), in.rows, m == 0));
    for (int64_t j = 0; j < kGemvColumns; ++j)
      columns.push_back(clamped(k.add(firstColumn, k.index(j)),
                                k.index(in.columns), inBounds || j == 0));
  }

  void build() {
    // Few rows leave registers for more loads in flight.
    int64_t unroll = tileRows <= 2 ? 4 : 2;
    SmallVector<Value> sums(tileRows * kGemvColumns, k.constant(sumType, 0.0));
    int64_t block = unroll * kStep, full = depth / block * block;
    if (full > 0)
      sums = loop(std::move(sums), full, block);
    for (int64_t start = full; start < depth; start += kStep)
      sums = step(std::move(sums), k.index(start),
                  {std::min(kStep, depth - start)});
    for (int64_t m = 0; m < tileRows; ++m)
      finishRow(m, ArrayRef(sums).slice(m * kGemvColumns, kGemvColumns));
  }

private:
  // Threads of rows or columns that do not exist compute the last one again.
  Value clamped(Value i, Value count, bool exists) {
    return exists ? i : k.min(i, k.sub(count, k.index(1)));
  }

  SmallVector<Value> loop(SmallVector<Value> sums, int64_t end, int64_t block) {
    auto loop =
        scf::ForOp::create(b, k.index(0), k.index(end), k.index(block), sums);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    SmallVector<int64_t> sizes(block / kStep, kStep);
    SmallVector<Value> next =
        step(llvm::to_vector_of<Value>(loop.getRegionIterArgs()),
             loop.getInductionVar(), sizes);
    scf::YieldOp::create(b, next);
    return llvm::to_vector_of<Value>(loop.getResults());
  }

  // Adds the products of the depths from `start`: all loads of the weight
  // first.
  SmallVector<Value> step(SmallVector<Value> sums, Value start,
                          ArrayRef<int64_t> sizes) {
    SmallVector<Value> starts, weights;
    int64_t offset = 0;
    for (int64_t size : sizes) {
      starts.push_back(k.add(start, k.index(offset)));
      for (Value column : columns)
        weights.push_back(k.loadRow(in.weight, column, starts.back(), size));
      offset += size;
    }
    for (auto [u, size] : llvm::enumerate(sizes))
      for (auto [m, row] : llvm::enumerate(rows)) {
        Value x = k.loadRow(in.x, row, starts[u], size);
        for (int64_t j = 0; j < kGemvColumns; ++j) {
          Value &sum = sums[m * kGemvColumns + j];
          sum = tnk::PartialDotOp::create(b, sumType, x,
                                          weights[u * kGemvColumns + j], sum);
        }
      }
    return sums;
  }

  void finishRow(int64_t m, ArrayRef<Value> sums) {
    SmallVector<Value> elements;
    for (Value sum : sums)
      elements.push_back(
          vector::ReductionOp::create(b, vector::CombiningKind::ADD, sum));
    Value tile = vector::FromElementsOp::create(b, k.tileType(1, kGemvColumns),
                                                elements);
    auto store = [&] {
      if (in.bias)
        tile = arith::AddFOp::create(
            b, tile,
            k.broadcastRow(
                k.loadRow(in.bias, {}, firstColumn, kGemvColumns, inBounds),
                1));
      epilogue.apply(k, tile,
                     {k.index(m), firstColumn, 1, kGemvColumns, inBounds});
    };
    if (m <= tileRows / 2)
      return store(); // a tile is chosen for more than half its rows
    Value exists = arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                         k.index(m), in.rows);
    auto branch = scf::IfOp::create(b, exists, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    store();
  }

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  const LinearBuffers &in;
  const Epilogue &epilogue;
  int64_t tileRows, depth;
  bool inBounds;
  VectorType sumType;
  Value firstColumn;
  SmallVector<Value> rows, columns; // that the loads take
};

} // namespace

// The smallest tile that holds the rows, from `tileRows` on.
static void chooseTile(KernelBuilder &k, const LinearBuffers &in,
                       const Epilogue &epilogue, int64_t tileRows) {
  if (tileRows == kGemvRows)
    return GemvTile(k, in, epilogue, tileRows).build();
  ImplicitLocOpBuilder &b = k.b;
  Value fits = arith::CmpIOp::create(b, arith::CmpIPredicate::ule, in.rows,
                                     k.index(tileRows));
  auto branch = scf::IfOp::create(b, fits, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  GemvTile(k, in, epilogue, tileRows).build();
  b.setInsertionPointToStart(branch.elseBlock());
  chooseTile(k, in, epilogue, 2 * tileRows);
}

void kernels::buildGemv(KernelBuilder &k, const LinearBuffers &in,
                        const Epilogue &epilogue) {
  chooseTile(k, in, epilogue, 1);
  k.finish();
}
