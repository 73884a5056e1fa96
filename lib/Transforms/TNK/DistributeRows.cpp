// tnk-distribute-rows: row vectors of a block to pieces of its threads.
//
// One walk in program order. A vector of the block maps to the vector of a
// thread's elements (RowLayout.h says which); scalars stay, the same in every
// thread. Operations on vectors are made anew on the pieces, the old ones
// erased at the end.
#include "RowDistribution.h"

#include "tnllm/Transforms/Passes.h"

namespace tnllm {
#define GEN_PASS_DEF_TNKDISTRIBUTEROWS
#include "tnllm/Transforms/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

static bool isVector(Value value) { return isa<VectorType>(value.getType()); }

static bool touchesVectors(Operation *op) {
  return llvm::any_of(op->getOperands(), isVector) ||
         llvm::any_of(op->getResults(), isVector);
}

LogicalResult RowDistribution::cannot(Operation *op, const Twine &reason) {
  return op->emitOpError("cannot be distributed to the threads of a kernel: ")
         << reason;
}

//===----------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------===//

FailureOr<RowLayout> RowDistribution::layoutOf(Operation *op, Type type) {
  std::optional<int64_t> length = getRowLength(type);
  if (!length) {
    (void)(cannot(op, "expected vectors of rank 1 or 2"));
    return failure();
  }
  auto unit = maxUnits.find(*length);
  std::optional<RowLayout> layout =
      getRowLayout(*length, threads, unit == maxUnits.end() ? 4 : unit->second);
  if (!layout) {
    (void)cannot(op, Twine(*length) + " elements are more than 8 for each of " +
                         Twine(threads) + " threads");
    return failure();
  }
  return *layout;
}

VectorType RowDistribution::pieceType(const RowLayout &layout, Type element) {
  return VectorType::get({layout.elements}, element);
}

Value RowDistribution::thread() {
  if (!threadId) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&kernel.getBody().front());
    threadId = gpu::ThreadIdOp::create(b, gpu::Dimension::x);
  }
  return threadId;
}

// Whether this thread holds elements.
Value RowDistribution::isActive(const RowLayout &layout) {
  return below(thread(), index(layout.active));
}

// Where in the vector element `i` of this thread is.
Value RowDistribution::elementIndex(const RowLayout &layout, int64_t i) {
  int64_t start = layout.unitStart(i / layout.unit) + i % layout.unit;
  return add(mul(thread(), index(layout.unit)), index(start));
}

// A mask of the elements that a thread has; null where all threads have all.
Value RowDistribution::validElements(const RowLayout &layout) {
  if (!layout.isRagged() && !layout.hasIdleThreads())
    return {};
  VectorType type = pieceType(layout, b.getI1Type());
  if (!layout.isRagged())
    return vector::BroadcastOp::create(b, type, isActive(layout));
  SmallVector<Value> bits;
  for (int64_t i = 0; i < layout.elements; ++i)
    bits.push_back(below(elementIndex(layout, i), index(layout.length)));
  return vector::FromElementsOp::create(b, type, bits);
}

//===----------------------------------------------------------------------===//
// Operations on elements
//===----------------------------------------------------------------------===//

LogicalResult RowDistribution::constant(arith::ConstantOp op) {
  FailureOr<RowLayout> layout = layoutOf(op, op.getType());
  if (failed(layout))
    return failure();
  auto splat = dyn_cast<SplatElementsAttr>(op.getValue());
  if (!splat)
    return cannot(op, "its elements differ");
  auto type = cast<VectorType>(op.getType());
  pieces.map(op.getResult(),
             arith::ConstantOp::create(b, splat.resizeSplat(pieceType(
                                              *layout, type.getElementType())))
                 .getResult());
  return success();
}

LogicalResult RowDistribution::elementwise(Operation *op) {
  Operation *copy = op->clone(pieces);
  for (OpResult result : copy->getResults()) {
    FailureOr<RowLayout> layout = layoutOf(op, result.getType());
    if (failed(layout)) {
      copy->destroy();
      return failure();
    }
    auto type = cast<VectorType>(result.getType());
    result.setType(pieceType(*layout, type.getElementType()));
  }
  b.insert(copy);
  return success();
}

// An operation that changes a vector's shape, or nothing.
LogicalResult RowDistribution::sameElements(Operation *op, Value source) {
  Value result = op->getResult(0);
  std::optional<int64_t> from = getRowLength(source.getType()),
                         to = getRowLength(result.getType());
  if (!from || from != to)
    return cannot(op, "elements would change threads");
  pieces.map(result, piece(source));
  return success();
}

LogicalResult RowDistribution::broadcast(vector::BroadcastOp op) {
  if (isVector(op.getSource()))
    return sameElements(op, op.getSource());
  FailureOr<RowLayout> layout = layoutOf(op, op.getType());
  if (failed(layout))
    return failure();
  auto type = cast<VectorType>(op.getType());
  pieces.map(op.getResult(),
             vector::BroadcastOp::create(
                 b, pieceType(*layout, type.getElementType()), op.getSource())
                 .getResult());
  return success();
}

// Every thread knows all scalars and takes its own.
LogicalResult RowDistribution::fromElements(vector::FromElementsOp op) {
  FailureOr<RowLayout> layout = layoutOf(op, op.getType());
  if (failed(layout))
    return failure();
  auto type = cast<VectorType>(op.getType());
  SmallVector<Value> chosen;
  for (int64_t i = 0; i < layout->elements; ++i) {
    Value at = elementIndex(*layout, i), value = op.getElements().front();
    for (auto [j, element] : llvm::enumerate(op.getElements().drop_front())) {
      Value isIt =
          arith::CmpIOp::create(b, arith::CmpIPredicate::eq, at, index(j + 1));
      value = arith::SelectOp::create(b, isIt, element, value);
    }
    chosen.push_back(value);
  }
  pieces.map(op.getResult(),
             vector::FromElementsOp::create(
                 b, pieceType(*layout, type.getElementType()), chosen)
                 .getResult());
  return success();
}

LogicalResult RowDistribution::step(vector::StepOp op) {
  FailureOr<RowLayout> layout = layoutOf(op, op.getType());
  if (failed(layout))
    return failure();
  SmallVector<Value> indices;
  for (int64_t i = 0; i < layout->elements; ++i)
    indices.push_back(elementIndex(*layout, i));
  pieces.map(op.getResult(),
             vector::FromElementsOp::create(
                 b, pieceType(*layout, b.getIndexType()), indices)
                 .getResult());
  return success();
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

// Maps the vectors among `old` to `made`; scalars are replaced at once.
static void mapResults(ValueRange old, ValueRange made, IRMapping &pieces) {
  for (auto [from, to] : llvm::zip_equal(old, made)) {
    if (isVector(from))
      pieces.map(from, to);
    else
      from.replaceAllUsesWith(to);
  }
}

LogicalResult RowDistribution::loop(scf::ForOp op) {
  if (!touchesVectors(op))
    return distribute(*op.getBody());
  dead.push_back(op); // before its body, whose old operations use its arguments
  SmallVector<Value> inits;
  for (Value init : op.getInitArgs())
    inits.push_back(pieces.lookupOrDefault(init));
  auto made = scf::ForOp::create(b, op.getLowerBound(), op.getUpperBound(),
                                 op.getStep(), inits);
  Block *body = made.getBody();
  body->getOperations().splice(body->end(), op.getBody()->getOperations());
  mapResults(op.getBody()->getArguments(), body->getArguments(), pieces);
  if (failed(distribute(*body)))
    return failure();
  mapResults(op.getResults(), made.getResults(), pieces);
  return success();
}

LogicalResult RowDistribution::branch(scf::IfOp op) {
  if (!touchesVectors(op)) {
    for (Region &region : op->getRegions())
      for (Block &block : region)
        if (failed(distribute(block)))
          return failure();
    return success();
  }
  SmallVector<Type> types;
  for (Value result : op.getResults()) {
    auto type = dyn_cast<VectorType>(result.getType());
    if (!type) {
      types.push_back(result.getType());
      continue;
    }
    FailureOr<RowLayout> layout = layoutOf(op, type);
    if (failed(layout))
      return failure();
    types.push_back(pieceType(*layout, type.getElementType()));
  }
  auto made = scf::IfOp::create(b, types, op.getCondition(),
                                /*addThenBlock=*/false, /*addElseBlock=*/false);
  for (auto [from, to] : llvm::zip(op->getRegions(), made->getRegions())) {
    to.takeBody(from);
    if (failed(distribute(to.front())))
      return failure();
  }
  mapResults(op.getResults(), made.getResults(), pieces);
  dead.push_back(op);
  return success();
}

LogicalResult RowDistribution::yield(scf::YieldOp op) {
  for (OpOperand &operand : op->getOpOperands())
    operand.set(pieces.lookupOrDefault(operand.get()));
  return success();
}

Value RowDistribution::guarded(Value condition, Value otherwise,
                               llvm::function_ref<Value()> body) {
  auto branch = scf::IfOp::create(b, TypeRange{otherwise.getType()}, condition,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(b, body());
  b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(b, otherwise);
  return branch.getResult(0);
}

void RowDistribution::guarded(Value condition,
                              llvm::function_ref<void()> body) {
  auto branch = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  body();
}

// The scalar is the same in all threads: the first stores it.
LogicalResult RowDistribution::scalarStore(memref::StoreOp op) {
  guarded(below(thread(), index(1)), [&] {
    memref::StoreOp::create(b, op.getValue(), op.getMemref(), op.getIndices());
  });
  dead.push_back(op);
  return success();
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

static bool isInBounds(VectorTransferOpInterface op) {
  return op.isDimInBounds(op.getTransferRank() - 1);
}

// A mask of the first rows of several, with all of their columns.
static bool isOfRows(Value mask) {
  auto op = mask.getDefiningOp<vector::CreateMaskOp>();
  return op && op.getType().getRank() == 2 && op.getType().getDimSize(0) != 1 &&
         getConstantIntValue(op.getOperand(1)) == op.getType().getDimSize(1);
}

// True for reads of a tile whose rows or columns are all alike, or run along
// another dimension of the buffer.
static bool repeats(VectorTransferOpInterface op) {
  return isa<vector::TransferReadOp>(op) && op.getTransferRank() == 2 &&
         op.isDimInBounds(1) && !op.getMask();
}

// Transfers that are a plain row or rows: no mask but of rows, no permutation,
// rows in bounds.
static bool isPlain(VectorTransferOpInterface op) {
  for (int64_t i = 0; i + 1 < op.getTransferRank(); ++i)
    if (!op.isDimInBounds(i))
      return false;
  return (!op.getMask() || isOfRows(op.getMask())) &&
         (op.getPermutationMap().isMinorIdentity() || repeats(op));
}

LogicalResult RowDistribution::distribute(Operation *op) {
  b.setInsertionPoint(op);
  b.setLoc(op->getLoc());
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return this->loop(loop);
  if (auto branch = dyn_cast<scf::IfOp>(op))
    return this->branch(branch);
  if (auto yield = dyn_cast<scf::YieldOp>(op))
    return this->yield(yield);
  if (auto store = dyn_cast<memref::StoreOp>(op))
    return scalarStore(store);
  if (isa<memref::AllocaOp>(op))
    return cannot(op, "the stack is a thread's own");
  if (!touchesVectors(op)) {
    if (op->getNumRegions() != 0)
      return cannot(op, "expected scf.for and scf.if alone around operations");
    return success();
  }

  if (auto transfer = dyn_cast<VectorTransferOpInterface>(op))
    if (!isPlain(transfer))
      return cannot(op, "expected a row without mask or permutation");
  // Read by the transfers that it masks.
  if (isa<vector::CreateMaskOp>(op)) {
    dead.push_back(op);
    return success();
  }
  LogicalResult result = [&]() -> LogicalResult {
    if (auto read = dyn_cast<vector::TransferReadOp>(op))
      return this->read(op, read.getBase(), read.getIndices(),
                        read.getPadding(), isInBounds(read));
    if (auto write = dyn_cast<vector::TransferWriteOp>(op))
      return this->write(op, write.getVector(), write.getBase(),
                         write.getIndices(), isInBounds(write));
    if (auto load = dyn_cast<vector::LoadOp>(op))
      return read(op, load.getBase(), load.getIndices(), {}, true);
    if (auto store = dyn_cast<vector::StoreOp>(op))
      return write(op, store.getValueToStore(), store.getBase(),
                   store.getIndices(), true);
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      return this->constant(constant);
    if (auto broadcast = dyn_cast<vector::BroadcastOp>(op))
      return this->broadcast(broadcast);
    if (auto elements = dyn_cast<vector::FromElementsOp>(op))
      return fromElements(elements);
    if (auto step = dyn_cast<vector::StepOp>(op))
      return this->step(step);
    if (auto reduction = dyn_cast<vector::ReductionOp>(op))
      return this->reduction(reduction);
    if (auto store = dyn_cast<vector::CompressStoreOp>(op))
      return compress(store);
    if (auto dot = dyn_cast<tnk::PartialDotOp>(op))
      return partialDot(dot);
    if (auto cast = dyn_cast<vector::ShapeCastOp>(op))
      return sameElements(op, cast.getSource());
    if (auto extract = dyn_cast<vector::ExtractOp>(op))
      return isVector(extract.getResult())
                 ? sameElements(op, extract.getSource())
                 : onlyElement(extract);
    if (auto insert = dyn_cast<vector::InsertOp>(op))
      if (isVector(insert.getValueToStore()))
        return sameElements(op, insert.getValueToStore());
    if (OpTrait::hasElementwiseMappableTraits(op))
      return elementwise(op);
    return cannot(op, "no rule for this operation");
  }();
  if (succeeded(result))
    dead.push_back(op);
  return result;
}

LogicalResult RowDistribution::distribute(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(block))
    if (failed(distribute(&op)))
      return failure();
  return success();
}

LogicalResult RowDistribution::run() {
  collectUnits();
  if (failed(distribute(kernel.getBody().front())))
    return failure();
  for (Operation *op : llvm::reverse(dead))
    op->erase();
  return success();
}

namespace {

struct TNKDistributeRowsPass
    : public tnllm::impl::TNKDistributeRowsBase<TNKDistributeRowsPass> {
  using TNKDistributeRowsBase::TNKDistributeRowsBase;

  void runOnOperation() override {
    tnk::KernelOp kernel = getOperation();
    if (!kernel.isForGPU())
      return;
    // A body that names its threads speaks of each of them already.
    bool isOfThreads = kernel
                           .walk([](Operation *op) {
                             return isa<gpu::ThreadIdOp, gpu::LaneIdOp>(op)
                                        ? WalkResult::interrupt()
                                        : WalkResult::advance();
                           })
                           .wasInterrupted();
    if (!isOfThreads && failed(RowDistribution(kernel).run()))
      signalPassFailure();
  }
};

} // namespace
