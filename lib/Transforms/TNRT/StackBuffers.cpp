// tnrt-stack-buffers: what layers keep for later, one buffer each, to rows of
// one buffer.
#include "TNRT/TNRTDialect.h"
#include "tnllm/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace tnllm {
#define GEN_PASS_DEF_TNRTSTACKBUFFERS
#include "tnllm/Transforms/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

// As in tnrt-roll-layers, for whose loops the rows are.
static constexpr size_t kShortestRun = 3;

using Calls = SmallVector<func::CallOp>;

// Sequences of calls with nothing between them that acts.
static SmallVector<Calls> collectCalls(Block &block) {
  SmallVector<Calls> sequences(1);
  for (Operation &op : block) {
    if (isa<tnrt::AllocOp, tnrt::ProbeOp>(op) || isPure(&op))
      continue;
    auto call = dyn_cast<func::CallOp>(op);
    if (call && call.getNumResults() == 0)
      sequences.back().push_back(call);
    else if (!sequences.back().empty())
      sequences.emplace_back();
  }
  return sequences;
}

// The longest beginnings of `calls`, one after the other, that call one
// function each.
static SmallVector<ArrayRef<func::CallOp>>
splitRuns(ArrayRef<func::CallOp> calls) {
  SmallVector<ArrayRef<func::CallOp>> runs;
  while (!calls.empty()) {
    func::CallOp first = calls.front();
    auto *end = llvm::find_if(calls, [&](func::CallOp call) {
      return call.getCallee() != first.getCallee();
    });
    runs.push_back(calls.take_front(end - calls.begin()));
    calls = calls.drop_front(runs.back().size());
  }
  return runs;
}

static bool isBuffer(Value value) {
  return static_cast<bool>(value.getDefiningOp<tnrt::AllocOp>());
}

// The position of `value` among the operands of `call`.
static std::optional<unsigned> operandOf(func::CallOp call, Value value) {
  for (auto [index, operand] : llvm::enumerate(call.getOperands()))
    if (operand == value)
      return index;
  return std::nullopt;
}

// True where something beside these calls uses `value`.
static bool isKept(Value value, ArrayRef<func::CallOp> calls) {
  return llvm::any_of(value.getUsers(), [&](Operation *user) {
    return !llvm::is_contained(calls, dyn_cast<func::CallOp>(user));
  });
}

// Buffers that can be rows of one: of one type, each once.
static bool canStack(ArrayRef<Value> buffers) {
  llvm::SmallPtrSet<Value, 32> seen;
  return llvm::all_of(buffers, [&](Value buffer) {
    return isBuffer(buffer) && buffer.getType() == buffers[0].getType() &&
           seen.insert(buffer).second;
  });
}

// The one buffer of `before` that `call` takes too, or null.
static Value carriedBuffer(func::CallOp before, func::CallOp call) {
  Value found;
  for (Value operand : call.getOperands()) {
    if (!isBuffer(operand) || !operandOf(before, operand))
      continue;
    if (found && found != operand)
      return {};
    found = operand;
  }
  return found;
}

// What `call` has where `like`, a call of the same function, has `value`; null
// where they call two functions.
static Value counterpart(func::CallOp call, func::CallOp like, Value value) {
  if (call.getCallee() != like.getCallee())
    return {};
  return call.getOperand(*operandOf(like, value));
}

// The buffers between calls, where all of them are kept: what each takes from
// the one before, and beside these the input of the first and the output of the
// last.
static SmallVector<Value> collectChain(ArrayRef<func::CallOp> calls) {
  SmallVector<Value> carried;
  for (size_t k = 1; k < calls.size(); ++k) {
    Value buffer = carriedBuffer(calls[k - 1], calls[k]);
    if (!buffer || !isKept(buffer, {calls[k - 1], calls[k]}))
      return {};
    carried.push_back(buffer);
  }
  if (!canStack(carried))
    return {};
  size_t last = calls.size() - 1;
  SmallVector<Value> chain = carried;
  // The second call takes its input where the first does, and the last writes
  // its output where the one before does.
  if (Value first = counterpart(calls[0], calls[1], carried.front())) {
    chain.insert(chain.begin(), first);
    if (!canStack(chain))
      chain.erase(chain.begin());
  }
  if (Value output =
          counterpart(calls[last], calls[last - 1], carried.back())) {
    chain.push_back(output);
    if (!canStack(chain))
      chain.pop_back();
  }
  return chain;
}

// What each call of a run writes or reads at one place, where only later or
// earlier code does the other; empty where it is something else.
static SmallVector<Value> collectKept(ArrayRef<func::CallOp> run,
                                      unsigned index) {
  SmallVector<Value> buffers;
  for (func::CallOp call : run) {
    Value buffer = call.getOperand(index);
    bool isOwn = llvm::none_of(run, [&](func::CallOp other) {
      return other != call && operandOf(other, buffer);
    });
    if (!isBuffer(buffer) || !isOwn || !isKept(buffer, call))
      return {};
    buffers.push_back(buffer);
  }
  return canStack(buffers) ? buffers : SmallVector<Value>();
}

// Replaces the buffers by rows, in this order, of a new one.
static void stack(ArrayRef<Value> buffers) {
  Operation *first = buffers[0].getDefiningOp();
  for (Value buffer : buffers)
    if (buffer.getDefiningOp()->isBeforeInBlock(first))
      first = buffer.getDefiningOp();
  ImplicitLocOpBuilder b(first->getLoc(), first);
  auto type = cast<MemRefType>(buffers[0].getType());
  SmallVector<int64_t> shape = {int64_t(buffers.size())};
  llvm::append_range(shape, type.getShape());
  Value table =
      tnrt::AllocOp::create(b, MemRefType::get(shape, type.getElementType()));
  for (auto [number, buffer] : llvm::enumerate(buffers)) {
    b.setLoc(buffer.getLoc());
    Value index = arith::ConstantIndexOp::create(b, number);
    Value row = tnrt::RowOp::create(b, type, table, index);
    Value(buffer).replaceAllUsesWith(row);
  }
  for (Value buffer : buffers)
    buffer.getDefiningOp()->erase();
}

namespace {

struct StackBuffersPass
    : public tnllm::impl::TNRTStackBuffersBase<StackBuffersPass> {
  using TNRTStackBuffersBase::TNRTStackBuffersBase;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isDeclaration())
      return;
    for (const Calls &calls : collectCalls(function.getBody().front()))
      stackSequence(calls);
  }

  void stackSequence(ArrayRef<func::CallOp> calls) {
    SmallVector<ArrayRef<func::CallOp>> runs = splitRuns(calls);
    llvm::erase_if(runs, [](ArrayRef<func::CallOp> run) {
      return run.size() < kShortestRun;
    });
    if (runs.empty())
      return;
    stackAll(collectChain(calls));
    for (ArrayRef<func::CallOp> run : runs) {
      func::CallOp first = run.front();
      for (unsigned index = 0; index < first.getNumOperands(); ++index)
        stackAll(collectKept(run, index));
    }
  }

  void stackAll(ArrayRef<Value> buffers) {
    if (buffers.size() < kShortestRun)
      return;
    stack(buffers);
    ++numStacks;
    numBuffers += buffers.size();
  }
};

} // namespace
