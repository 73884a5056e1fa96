// Which linear maps of few rows are products on tensor cores, and their kernel.
#include "RowProducts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

static constexpr int64_t kWarp = 32;
static constexpr int64_t kMaxWarps = 8; // that divide the depth
// Tasks below which multiprocessors would be left without one.
static constexpr int64_t kFewTasks = 128;
static constexpr int64_t kManyColumns = 8192;
// Divides the columns of any task.
static constexpr int64_t kLeastColumns = 8;

//===----------------------------------------------------------------------===//
// What becomes one kernel
//===----------------------------------------------------------------------===//

SmallVector<Operation *> RowProduct::operations() const {
  SmallVector<Operation *> all;
  if (norm)
    all.append(norm->operations.begin(), norm->operations.end());
  if (factor)
    all.push_back(factor);
  return all;
}

SmallVector<Value> RowProduct::results() const {
  SmallVector<Value> all;
  if (norm)
    all.push_back(norm->result);
  if (factor)
    all.push_back(tn::LinearOp(factor).getResult());
  return all;
}

// The operations of a value: those of its group, or the one that makes it.
static SmallVector<Operation *> operationsOf(Value value) {
  Operation *op = value.getDefiningOp();
  auto fused = dyn_cast_or_null<tn::FusedOp>(op);
  if (!fused)
    return op ? SmallVector<Operation *>{op} : SmallVector<Operation *>();
  SmallVector<Operation *> all;
  for (Operation &inner : fused.getBody().front().without_terminator())
    all.push_back(&inner);
  return all;
}

// The operations after a linear map in its group.
static SmallVector<Operation *> tailOf(tn::LinearOp linear) {
  SmallVector<Operation *> tail;
  if (isa<tn::FusedOp>(linear->getParentOp()))
    for (Operation *op = linear->getNextNode(); !isa<tn::YieldOp>(op);
         op = op->getNextNode())
      tail.push_back(op);
  return tail;
}

// Columns of a task. Many rows want many, since each task reads all of x.
// Narrow weights want many too, as far as all multiprocessors have several: x
// is then read and rounded for more of them.
static int64_t columnsOfTask(tn::LinearOp linear, int64_t rows, bool isJoined) {
  RankedTensorType weight = linear.getWeight().getType();
  int64_t columns = weight.getDimSize(0);
  auto divides = [&](int64_t width) { return columns % width == 0; };
  auto fills = [&](int64_t width) {
    return divides(width) && columns / width >= kFewTasks;
  };
  // Two weights of 16 columns each are many registers: worth it for so many
  // tasks that more of them are not needed to keep every multiprocessor busy.
  if (rows <= kFoldedRows && tn::isQuantised(weight.getElementType()) &&
      !isJoined && divides(32) && columns / 32 >= 4 * kFewTasks)
    return 32;
  if (rows <= kFoldedRows)
    return fills(16) && (!isJoined || columns >= kManyColumns) ? 16 : 8;
  if (fills(32) && !isJoined)
    return 32;
  return divides(16) ? 16 : 8;
}

// A warp takes 32 depths of bf16 at a time, of narrower weights more; a task
// has whole columns of the map, and an activation of some columns begins and
// ends with a task.
bool RowProductPlan::isCandidate(tn::LinearOp linear) const {
  RankedTensorType weight = linear.getWeight().getType();
  Type element = weight.getElementType();
  int64_t columns = weight.getDimSize(0), depth = weight.getDimSize(1);
  if (!options.enabled || linear.getBias() ||
      (!element.isBF16() && !tn::isQuantised(element)) ||
      depth % tnk::MultiplyRowsOp::getStepDepth(element) != 0 ||
      columns % kLeastColumns != 0)
    return false;
  int64_t width = std::max(columnsOfTask(linear, kFoldedRows, false),
                           columnsOfTask(linear, kProductRows, false));
  return llvm::all_of(tailOf(linear), [&](Operation *op) {
    auto activation = dyn_cast<tn::ActivationOp>(op);
    return !activation || !activation.getColumns() ||
           llvm::all_of(*activation.getColumns(),
                        [&](int64_t column) { return column % width == 0; });
  });
}

// True for rows that begin at multiples of 16 bytes, where those of whole
// buffers of as many columns do.
static bool hasAlignedRows(Value value) {
  constexpr int64_t kElements = 8; // 16 bytes of bf16
  while (isa_and_nonnull<tn::SplitHeadsOp, tn::MergeHeadsOp>(
      value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  auto slice = value.getDefiningOp<tn::SliceOp>();
  if (!slice)
    return true;
  return slice.getColumns()[0] % kElements == 0 &&
         slice.getX().getType().getShape().back() % kElements == 0 &&
         hasAlignedRows(slice.getX());
}

std::optional<FoldedNorm> RowProductPlan::matchNorm(Value value) const {
  FoldedNorm folded;
  folded.result = value;
  folded.operations = operationsOf(value);
  ArrayRef<Operation *> rest = folded.operations;
  if (rest.empty())
    return std::nullopt;
  if (auto cast = dyn_cast<tn::CastOp>(rest.front())) {
    folded.source = cast.getX();
    if (rest.size() > 1 || !hasAlignedRows(folded.source))
      return std::nullopt;
    return folded;
  }
  folded.norm = dyn_cast<tn::NormOp>(rest.front());
  if (!folded.norm || folded.norm.getKind() == tn::NormKind::Layer ||
      folded.norm.getWeight() || folded.norm.getBias())
    return std::nullopt;
  folded.source = folded.norm.getX();
  rest = rest.drop_front();
  if (!rest.empty())
    if (auto gate = dyn_cast<tn::MulOp>(rest.front())) {
      Value norm = folded.norm.getResult();
      folded.gate = gate.getLhs() == norm ? gate.getRhs() : gate.getLhs();
      if (folded.gate == norm)
        return std::nullopt;
      rest = rest.drop_front();
    }
  if (!rest.empty() && isa<tn::CastOp>(rest.front()))
    rest = rest.drop_front();
  if (!rest.empty() || !hasAlignedRows(folded.source) ||
      (folded.gate && !hasAlignedRows(folded.gate)))
    return std::nullopt;
  return folded;
}

// The map whose tail multiplies with the result of `factor` and nobody else
// reads it, or null.
tn::LinearOp RowProductPlan::userOfFactor(tn::LinearOp factor) const {
  if (!options.joinGates || !factor.getResult().hasOneUse() ||
      isa<tn::FusedOp>(factor->getParentOp()) || !isCandidate(factor))
    return {};
  Operation *user = *factor->getUsers().begin();
  if (!isa<tn::MulOp>(user) || !isa<tn::FusedOp>(user->getParentOp()))
    return {};
  auto linear = dyn_cast<tn::LinearOp>(user->getBlock()->front());
  if (!linear || linear.getX() != factor.getX() ||
      linear.getWeight().getType() != factor.getWeight().getType() ||
      !isCandidate(linear))
    return {};
  return linear;
}

tn::LinearOp RowProductPlan::factorOf(tn::LinearOp linear) const {
  for (Operation *op : tailOf(linear))
    for (Value operand : op->getOperands())
      if (auto factor = operand.getDefiningOp<tn::LinearOp>())
        if (factor != linear && userOfFactor(factor) == linear)
          return factor;
  return {};
}

bool RowProductPlan::isComputedByUsers(Value value) const {
  if (auto factor = value.getDefiningOp<tn::LinearOp>())
    return userOfFactor(factor) != nullptr;
  if (!options.foldNorms || value.use_empty() || !matchNorm(value))
    return false;
  return llvm::all_of(value.getUses(), [&](OpOperand &use) {
    auto linear = dyn_cast<tn::LinearOp>(use.getOwner());
    return linear && &use == &linear.getXMutable() && isCandidate(linear);
  });
}

std::optional<RowProduct> RowProductPlan::match(tn::LinearOp linear) const {
  if (!isCandidate(linear))
    return std::nullopt;
  RowProduct product;
  product.linear = linear;
  product.factor = factorOf(linear);
  if (isComputedByUsers(linear.getX()))
    product.norm = matchNorm(linear.getX());
  return product;
}

//===----------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------===//

TileSizes kernels::rowProductSizes(TileSizes sizes, const RowProduct &product,
                                   int64_t rows) {
  constexpr int64_t kMaxElements = 8; // of a tile, for each thread
  RankedTensorType weight = tn::LinearOp(product.linear).getWeight().getType();
  int64_t steps = weight.getDimSize(1) /
                  tnk::MultiplyRowsOp::getStepDepth(weight.getElementType());
  sizes.tileRows = rows;
  sizes.panelWidth =
      columnsOfTask(product.linear, rows, product.factor != nullptr);
  sizes.threads = std::max(kWarp * std::min(kMaxWarps, steps),
                           rows * sizes.panelWidth / kMaxElements);
  return sizes;
}

namespace {

class RowProductKernel {
public:
  RowProductKernel(KernelBuilder &k, const RowProduct &product,
                   const llvm::DenseMap<Value, Value> &in, Value rows)
      : k(k), b(k.b), product(product), in(in), rows(rows),
        tileRows(k.sizes.tileRows), width(k.sizes.panelWidth) {}

  // The tiles of the factor, if any, and of the map.
  SmallVector<Value> multiply();
  TilePlace place() {
    Value column = k.mul(k.task(), k.index(width));
    return {k.index(0), column, tileRows, width, /*columnsInBounds=*/true,
            rows};
  }

private:
  Value shared() {
    auto space = gpu::AddressSpaceAttr::get(b.getContext(),
                                            gpu::AddressSpace::Workgroup);
    return tnk::SharedOp::create(
        b, MemRefType::get({tileRows, width}, b.getF32Type(),
                           MemRefLayoutAttrInterface(), space));
  }
  Value tile(Value buffer) {
    return k.loadTile(buffer, {k.index(0), k.index(0), tileRows, width, true});
  }
  Value inverseDeviation(Value squares);

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  const RowProduct &product;
  const llvm::DenseMap<Value, Value> &in;
  Value rows;
  int64_t tileRows, width;
};

} // namespace

// 1 / sqrt(mean + epsilon), of the rows' sums of squares.
Value RowProductKernel::inverseDeviation(Value squares) {
  tn::NormOp norm = product.norm->norm;
  Type type = squares.getType();
  double count = norm.getX().getType().getShape().back();
  Value mean = arith::DivFOp::create(b, squares, k.constant(type, count));
  Value epsilon = k.constant(type, norm.getEpsilon().convertToFloat());
  Value deviation =
      math::SqrtOp::create(b, arith::AddFOp::create(b, mean, epsilon));
  return arith::DivFOp::create(b, k.constant(type, 1.0), deviation);
}

SmallVector<Value> RowProductKernel::multiply() {
  tn::LinearOp linear = product.linear, factor = product.factor;
  SmallVector<Value> weights, scales, sums;
  for (tn::LinearOp each : {factor, linear}) {
    if (!each)
      continue;
    weights.push_back(in.lookup(each.getWeight()));
    if (each.getScales())
      scales.push_back(in.lookup(each.getScales()));
  }
  TypeAttr weightType;
  if (linear.getScales())
    weightType = TypeAttr::get(linear.getWeight().getType().getElementType());
  for (size_t i = 0; i < weights.size(); ++i)
    sums.push_back(shared());
  Value x = in.lookup(linear.getX()), gate, squares;
  if (product.norm) {
    x = in.lookup(product.norm->source);
    gate = in.lookup(product.norm->gate);
    if (product.norm->norm)
      squares = shared();
  }
  tnk::MultiplyRowsOp::create(b, x, gate, weights, weightType, scales,
                              place().column, rows, sums, squares);
  SmallVector<Value> tiles =
      llvm::map_to_vector(sums, [&](Value buffer) { return tile(buffer); });
  if (squares) {
    Value scale = inverseDeviation(tile(squares));
    for (Value &each : tiles)
      each = arith::MulFOp::create(b, each, scale);
  }
  return tiles;
}

void kernels::buildRowProduct(KernelBuilder &k, const RowProduct &product,
                              ArrayRef<Operation *> tail,
                              const llvm::DenseMap<Value, Value> &in,
                              Value output, Value rows) {
  tn::LinearOp linear = product.linear, factor = product.factor;
  RowProductKernel kernel(k, product, in, rows);
  SmallVector<Value> tiles = kernel.multiply();
  llvm::DenseMap<Value, Value> made;
  if (factor)
    made[factor.getResult()] = tiles.front();
  Epilogue epilogue(tail, linear.getResult(), in, output);
  epilogue.setTiles(made);
  epilogue.apply(k, tiles.back(), kernel.place());
  k.finish();
}
