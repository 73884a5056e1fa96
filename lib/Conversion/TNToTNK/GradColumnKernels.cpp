// Kernels of training that sum over rows: gradients of biases, of the weights
// of norms, of theta and of the embedding. A task owns columns and passes over
// all rows, so that sums have one order whatever the number of threads.
#include "GradKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// Rows whose sum is made before it joins the others: the rounding of a long sum
// grows with the number of its terms.
static constexpr int64_t kRowsOfPartialSum = 128;

int64_t kernels::columnTasks(int64_t columns, const TileSizes &sizes) {
  return llvm::divideCeil(columns, sizes.panelWidth);
}

// for i in [begin, end) step `step`: sum += term(i), from zero.
static Value sumOver(KernelBuilder &k, Value begin, Value end, int64_t step,
                     VectorType type, llvm::function_ref<Value(Value)> term) {
  auto loop = scf::ForOp::create(k.b, begin, end, k.index(step),
                                 ValueRange{k.constant(type, 0.0)});
  OpBuilder::InsertionGuard guard(k.b);
  k.b.setInsertionPointToStart(loop.getBody());
  Value next = arith::AddFOp::create(k.b, loop.getRegionIterArg(0),
                                     term(loop.getInductionVar()));
  scf::YieldOp::create(k.b, next);
  return loop.getResult(0);
}

// Sum over all rows of `term(row)`, in the order of the rows by blocks.
static Value sumOverRows(KernelBuilder &k, Value rows, VectorType type,
                         llvm::function_ref<Value(Value row)> term) {
  return sumOver(k, k.index(0), rows, kRowsOfPartialSum, type, [&](Value from) {
    Value end = k.min(k.add(from, k.index(kRowsOfPartialSum)), rows);
    return sumOver(k, from, end, 1, type, term);
  });
}

// Calls `body` for the columns of task `number`: a full vector, or what is left
// of the last one.
static void forColumnsOfTask(KernelBuilder &k, int64_t columns, Value number,
                             KernelBuilder::TileBody body) {
  int64_t width = std::min(k.sizes.panelWidth, columns);
  int64_t full = columns / width, rest = columns % width;
  Value column = k.mul(number, k.index(width));
  if (rest == 0)
    return body(column, width);
  Value isFull = k.compare(arith::CmpIPredicate::ult, number, k.index(full));
  scf::IfOp::create(
      k.b, isFull,
      [&](OpBuilder &, Location) {
        body(column, width);
        scf::YieldOp::create(k.b);
      },
      [&](OpBuilder &, Location) {
        body(k.index(columns - rest), rest);
        scf::YieldOp::create(k.b);
      });
}

// result[column..] += sum, of a vector.
static void addTo(KernelBuilder &k, Value result, Value column, Value sum) {
  int64_t width = cast<VectorType>(sum.getType()).getDimSize(0);
  Value before = k.loadRow(result, {}, column, width);
  vector::TransferWriteOp::create(k.b, arith::AddFOp::create(k.b, before, sum),
                                  result, ValueRange{column},
                                  ArrayRef<bool>{true});
}

// Adds the sum over rows of `term` to a result [C], or stores that of each
// block of rows in a row of a result [blocks, C].
using ColumnTerm =
    llvm::function_ref<Value(Value row, Value column, int64_t width)>;
static void sumColumns(KernelBuilder &k, int64_t columns, Value result,
                       Value rows, ColumnTerm term) {
  bool isOfBlock = cast<MemRefType>(result.getType()).getRank() == 2;
  Value perBlock = k.index(columnTasks(columns, k.sizes));
  Value number = isOfBlock ? k.rem(k.task(), perBlock) : k.task();
  forColumnsOfTask(k, columns, number, [&](Value column, int64_t width) {
    auto type = VectorType::get({width}, k.b.getF32Type());
    auto termOf = [&](Value row) { return term(row, column, width); };
    if (!isOfBlock)
      return addTo(k, result, column, sumOverRows(k, rows, type, termOf));
    Value block = k.div(k.task(), perBlock);
    Value from = k.mul(block, k.index(kRowsOfPartialSum));
    Value end = k.min(k.add(from, k.index(kRowsOfPartialSum)), rows);
    k.storeRow(sumOver(k, from, end, 1, type, termOf), result, block, column);
  });
  k.finish();
}

void kernels::buildSumRows(KernelBuilder &k, Value x, Value result,
                           Value rows) {
  sumColumns(k, columnsOf(x), result, rows,
             [&](Value row, Value column, int64_t width) {
               return k.loadRow(x, row, column, width);
             });
}

void kernels::buildNormWeightGrad(KernelBuilder &k, tn::NormKind kind, Value x,
                                  Value dy, Value statistics, Value result,
                                  Value rows) {
  auto term = [&](Value row, Value column, int64_t width) -> Value {
    RowStatistics values;
    if (kind == tn::NormKind::Layer)
      values.mean = k.loadScalar(statistics, {row, k.index(0)});
    values.inverse = k.loadScalar(statistics, {row, k.index(1)});
    return arith::MulFOp::create(
        k.b, k.loadRow(dy, row, column, width),
        normalise(k, values, k.loadRow(x, row, column, width)));
  };
  sumColumns(k, columnsOf(x), result, rows, term);
}

void kernels::buildEmbeddingGrad(KernelBuilder &k, Value ids, Value dy,
                                 Value table, Value rows, double scale,
                                 int64_t padding) {
  ImplicitLocOpBuilder &b = k.b;
  auto body = [&](Value column, int64_t width) {
    auto type = VectorType::get({width}, b.getF32Type());
    auto addRow = [&](Value row, Value id) {
      Value gradient = arith::MulFOp::create(
          b, k.loadRow(dy, row, column, width), k.constant(type, scale));
      Value sum = arith::AddFOp::create(b, k.loadRow(table, id, column, width),
                                        gradient);
      k.storeRow(sum, table, id, column);
    };
    k.forLoop(k.index(0), rows, 1, [&](Value row) {
      Value id = arith::IndexCastOp::create(b, b.getIndexType(),
                                            k.loadScalar(ids, row));
      if (padding < 0)
        return addRow(row, id);
      Value counts = k.compare(arith::CmpIPredicate::ne, id, k.index(padding));
      scf::IfOp::create(b, counts, [&](OpBuilder &, Location) {
        addRow(row, id);
        scf::YieldOp::create(b);
      });
    });
  };
  forColumnsOfTask(k, columnsOf(dy), k.task(), body);
  k.finish();
}

namespace {

// The rows of one word's gradient, summed in their order in registers. The
// block looks at as many ids at once as it has columns; of those that are the
// word's it finds one after the other, and has the row of one on its way while
// it looks for the next.
class EmbeddingGradOfWord {
public:
  EmbeddingGradOfWord(KernelBuilder &k, Value ids, Value dy, Value rows)
      : k(k), b(k.b), ids(ids), dy(dy), rows(rows),
        word(arith::IndexCastOp::create(b, b.getI32Type(), k.task())),
        width(k.sizes.panelWidth) {}

  // The sum for some columns, and how many rows it has, in f32.
  std::pair<Value, Value> sum(Value column, int64_t columns) {
    type = VectorType::get({columns}, b.getF32Type());
    Value full = k.mul(k.div(rows, k.index(width)), k.index(width));
    Value none = k.constant(b.getF32Type(), 0.0);
    auto whole = scf::ForOp::create(b, k.index(0), full, k.index(width),
                                    ValueRange{k.constant(type, 0.0), none});
    inside(whole, [&](Value from, ValueRange sums) {
      return sumOfMany(from, column, sums);
    });
    auto rest =
        scf::ForOp::create(b, full, rows, k.index(1), whole.getResults());
    inside(rest, [&](Value row, ValueRange sums) {
      return sumOfOne(row, column, sums);
    });
    return {rest.getResult(0), rest.getResult(1)};
  }

private:
  void inside(scf::ForOp loop,
              llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(
        b, body(loop.getInductionVar(), loop.getRegionIterArgs()));
  }
  Value load(Value row, Value column) {
    return k.loadRow(dy, row, column, type.getDimSize(0));
  }
  Value reduce(vector::CombiningKind kind, Value vector) {
    return vector::ReductionOp::create(b, kind, vector);
  }

  SmallVector<Value> sumOfOne(Value row, Value column, ValueRange sums) {
    Value isOwn =
        k.compare(arith::CmpIPredicate::eq, k.loadScalar(ids, row), word);
    auto branch = scf::IfOp::create(b, sums.getTypes(), isOwn,
                                    /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.elseBlock());
    scf::YieldOp::create(b, sums);
    b.setInsertionPointToStart(branch.thenBlock());
    Value one = k.constant(b.getF32Type(), 1.0);
    Value sum = arith::AddFOp::create(b, sums[0], load(row, column));
    Value count = arith::AddFOp::create(b, sums[1], one);
    scf::YieldOp::create(b, ValueRange{sum, count});
    return SmallVector<Value>(branch.getResults());
  }

  // Of `width` ids.
  SmallVector<Value> sumOfMany(Value from, Value column, ValueRange sums) {
    auto places = VectorType::get({width}, b.getF32Type());
    auto some = VectorType::get({width}, b.getI32Type());
    Value these = vector::TransferReadOp::create(
        b, some, ids, ValueRange{from},
        arith::ConstantOp::create(b, b.getI32IntegerAttr(0)),
        ArrayRef<bool>{true});
    Value isOwn = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, these,
                                        k.broadcast(word, some));
    Value found =
        reduce(vector::CombiningKind::ADD,
               arith::SelectOp::create(b, isOwn, k.constant(places, 1.0),
                                       k.constant(places, 0.0)));
    Value isAny = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, found,
                                        k.constant(b.getF32Type(), 0.0));
    auto branch = scf::IfOp::create(b, sums.getTypes(), isAny,
                                    /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.elseBlock());
    scf::YieldOp::create(b, sums);
    b.setInsertionPointToStart(branch.thenBlock());
    Value sum = sumOfFound(from, column, isOwn, found, sums[0]);
    Value count = arith::AddFOp::create(b, sums[1], found);
    scf::YieldOp::create(b, ValueRange{sum, count});
    return SmallVector<Value>(branch.getResults());
  }

  Value sumOfFound(Value from, Value column, Value isOwn, Value found,
                   Value sum) {
    Type f32 = b.getF32Type();
    auto places = VectorType::get({width}, f32);
    auto indices = VectorType::get({width}, b.getIndexType());
    auto integers = VectorType::get({width}, b.getI32Type());
    Value place = arith::SIToFPOp::create(
        b, places,
        arith::IndexCastOp::create(b, integers,
                                   vector::StepOp::create(b, indices)));
    Value none = k.constant(places, 1e9);
    Value count = arith::IndexCastOp::create(
        b, b.getIndexType(), arith::FPToSIOp::create(b, b.getI32Type(), found));
    // The sum, what is on its way to it, and the place last found.
    auto loop = scf::ForOp::create(
        b, k.index(0), count, k.index(1),
        ValueRange{sum, k.constant(type, 0.0), k.constant(f32, -1.0)});
    inside(loop, [&](Value, ValueRange before) -> SmallVector<Value> {
      Value isLater = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, place,
                                            k.broadcast(before[2], places));
      Value candidates = arith::SelectOp::create(
          b, arith::AndIOp::create(b, isOwn, isLater), place, none);
      Value next = reduce(vector::CombiningKind::MINIMUMF, candidates);
      Value row = arith::IndexCastOp::create(
          b, b.getIndexType(),
          arith::FPToSIOp::create(b, b.getI32Type(), next));
      Value coming = load(k.add(from, row), column);
      return {arith::AddFOp::create(b, before[0], before[1]), coming, next};
    });
    return arith::AddFOp::create(b, loop.getResult(0), loop.getResult(1));
  }

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  Value ids, dy, rows, word;
  int64_t width;
  VectorType type;
};

} // namespace

// A task is a word.
void kernels::buildEmbeddingGradOfWord(KernelBuilder &k, Value ids, Value dy,
                                       Value table, Value rows, double scale,
                                       int64_t padding) {
  ImplicitLocOpBuilder &b = k.b;
  EmbeddingGradOfWord rowsOfWord(k, ids, dy, rows);
  auto addAll = [&] {
    k.forColumns(
        columnsOf(dy), k.sizes.panelWidth, [&](Value column, int64_t columns) {
          auto [sum, count] = rowsOfWord.sum(column, columns);
          Value isAny =
              arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, count,
                                    k.constant(b.getF32Type(), 0.0));
          auto branch = scf::IfOp::create(b, isAny, /*withElseRegion=*/false);
          OpBuilder::InsertionGuard guard(b);
          b.setInsertionPointToStart(branch.thenBlock());
          Value before = k.loadRow(table, k.task(), column, columns);
          Value scaled =
              arith::MulFOp::create(b, sum, k.constant(sum.getType(), scale));
          k.storeRow(arith::AddFOp::create(b, before, scaled), table, k.task(),
                     column);
        });
  };
  if (padding < 0) {
    addAll();
    return k.finish();
  }
  auto branch = scf::IfOp::create(
      b, k.compare(arith::CmpIPredicate::ne, k.task(), k.index(padding)),
      /*withElseRegion=*/false);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    addAll();
  }
  k.finish();
}

//===----------------------------------------------------------------------===//
// LRPE
//===----------------------------------------------------------------------===//

// Few columns a task: heads are few, and sines are dear.
static int64_t thetaColumns(int64_t width, const TileSizes &sizes) {
  return std::min({int64_t(16), width, sizes.panelWidth});
}

int64_t kernels::thetaTasksPerHead(int64_t width, const TileSizes &sizes) {
  return llvm::divideCeil(width, thetaColumns(width, sizes));
}

int64_t kernels::thetaBlocks(int64_t rows) {
  return llvm::divideCeil(rows, kRowsOfPartialSum);
}

Value kernels::thetaBlocks(ImplicitLocOpBuilder &b, Value rows) {
  Value block = arith::ConstantIndexOp::create(b, kRowsOfPartialSum);
  return arith::CeilDivUIOp::create(b, rows, block);
}

// Calls `body` for the columns of task `number`: their place in theta, and the
// terms whose sum over rows is theta's gradient, t x (dy2 cos(a) - dy1 sin(a)).
using ThetaTerm = llvm::function_ref<Value(Value row)>;
static void forThetaColumns(
    KernelBuilder &k, const LRPEGradBuffers &in, Value number,
    llvm::function_ref<void(Value place, VectorType type, ThetaTerm term)>
        body) {
  ImplicitLocOpBuilder &b = k.b;
  int64_t columns = thetaColumns(in.width, k.sizes);
  Value perHead = k.index(thetaTasksPerHead(in.width, k.sizes));
  Value head = k.div(number, perHead);
  Value from = k.mul(head, k.index(in.width));
  Value twice = k.mul(head, k.index(2 * in.width));
  auto ofColumns = [&](Value column, int64_t width) {
    auto type = VectorType::get({width}, b.getF32Type());
    Value source = k.add(from, column), first = k.add(twice, column);
    Value second = k.add(first, k.index(in.width));
    Value theta = k.loadRow(in.theta, {}, source, width);
    body(source, type, [&](Value row) -> Value {
      Value position =
          k.broadcast(positionOfRow(k, in.positions, in.length, row), type);
      Value angle = arith::MulFOp::create(b, theta, position);
      Value cosine =
          arith::MulFOp::create(b, k.loadRow(in.dy, row, second, width),
                                math::CosOp::create(b, angle));
      Value sine = arith::MulFOp::create(b, k.loadRow(in.dy, row, first, width),
                                         math::SinOp::create(b, angle));
      Value x = arith::MulFOp::create(b, k.loadRow(in.x, row, source, width),
                                      position);
      return arith::MulFOp::create(b, x,
                                   arith::SubFOp::create(b, cosine, sine));
    });
  };
  Value column = k.mul(k.rem(number, perHead), k.index(columns));
  int64_t rest = in.width % columns;
  if (rest == 0)
    return ofColumns(column, columns);
  Value isFull =
      k.compare(arith::CmpIPredicate::ult, column, k.index(in.width - rest));
  scf::IfOp::create(
      b, isFull,
      [&](OpBuilder &, Location) {
        ofColumns(column, columns);
        scf::YieldOp::create(b);
      },
      [&](OpBuilder &, Location) {
        ofColumns(k.index(in.width - rest), rest);
        scf::YieldOp::create(b);
      });
}

void kernels::buildThetaGrad(KernelBuilder &k, const LRPEGradBuffers &in) {
  forThetaColumns(
      k, in, k.task(), [&](Value place, VectorType type, ThetaTerm term) {
        addTo(k, in.output, place, sumOverRows(k, in.rows, type, term));
      });
  k.finish();
}

void kernels::buildThetaPartials(KernelBuilder &k, const LRPEGradBuffers &in) {
  Value ofBlock = k.index(in.heads * thetaTasksPerHead(in.width, k.sizes));
  Value block = k.div(k.task(), ofBlock), size = k.index(kRowsOfPartialSum);
  Value from = k.mul(block, size), end = k.min(k.add(from, size), in.rows);
  forThetaColumns(k, in, k.rem(k.task(), ofBlock),
                  [&](Value place, VectorType type, ThetaTerm term) {
                    k.storeRow(sumOver(k, from, end, 1, type, term), in.output,
                               block, place);
                  });
  k.finish();
}
