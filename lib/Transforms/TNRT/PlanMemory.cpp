// tnrt-plan-memory: offsets in one arena for every buffer.
#include "TNK/TNKDialect.h"
#include "TNRT/TNRTDialect.h"
#include "tnllm/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"

namespace tnllm {
#define GEN_PASS_DEF_TNRTPLANMEMORY
#include "tnllm/Transforms/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

namespace {

// One buffer: its bytes and the operations, by their number in the block,
// between which it is live.
struct Buffer {
  tnrt::AllocOp op;
  int64_t bytes = 0;
  int64_t first = 0, last = 0;
  int64_t offset = 0;
  bool livesInCalls = false; // while another function runs

  bool livesWith(const Buffer &other) const {
    return first <= other.last && other.first <= last;
  }
};

// What one function needs: its buffers and the bytes they span.
struct Frame {
  SmallVector<Buffer> buffers;
  int64_t bytes = 0;
  int64_t base = 0; // where the frame begins in the arena

  // Where the buffers end that live while the block's operation `number` runs.
  int64_t endWhile(int64_t number, int64_t alignment) const {
    int64_t end = base;
    for (const Buffer &buffer : buffers)
      if (buffer.first <= number && number <= buffer.last)
        end = std::max<int64_t>(
            end, llvm::alignTo(base + buffer.offset + buffer.bytes, alignment));
    return end;
  }
};

} // namespace

// So that offsets and sums of many buffers stay far from overflow.
constexpr int64_t maxBufferBytes = int64_t(1) << 40;

// Nothing when the buffer is larger than any machine would have it.
static std::optional<int64_t> bytesOf(MemRefType type) {
  int64_t bytes = llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  for (int64_t extent : type.getShape())
    if (llvm::MulOverflow(bytes, extent, bytes) || bytes > maxBufferBytes)
      return std::nullopt;
  return bytes;
}

// The values that may be the buffer that `user` takes: views and tensor maps of
// it, results of a loop that carries it, of the operation around a yield.
static SmallVector<Value> aliasesBy(Operation *user) {
  Operation *holder = user->hasTrait<OpTrait::IsTerminator>() &&
                              !isa<FunctionOpInterface>(user->getParentOp())
                          ? user->getParentOp()
                          : user;
  SmallVector<Value> aliases;
  for (Value result : holder->getResults())
    if (isa<MemRefType, tnk::MapType>(result.getType()))
      aliases.push_back(result);
  return aliases;
}

// Widens [first, last] over the uses of `value` and of what may be the same
// buffer. A use inside a region counts as one of the operation of the block
// that holds the region, which covers the arguments of loops.
static void addUses(Value value, Block &block,
                    const llvm::DenseMap<Operation *, int64_t> &numbers,
                    Buffer &buffer) {
  for (Operation *user : value.getUsers()) {
    int64_t number = numbers.lookup(block.findAncestorOpInBlock(*user));
    buffer.first = std::min(buffer.first, number);
    buffer.last = std::max(buffer.last, number);
    for (Value alias : aliasesBy(user))
      addUses(alias, block, numbers, buffer);
  }
}

static llvm::DenseMap<Operation *, int64_t> numberOperations(Block &block) {
  llvm::DenseMap<Operation *, int64_t> numbers;
  for (Operation &op : block)
    numbers.try_emplace(&op, numbers.size());
  return numbers;
}

static SmallVector<Buffer> collectBuffers(Block &block) {
  llvm::DenseMap<Operation *, int64_t> numbers = numberOperations(block);
  SmallVector<Buffer> buffers;
  for (auto alloc : block.getOps<tnrt::AllocOp>()) {
    Buffer buffer{alloc,
                  *bytesOf(cast<MemRefType>(alloc.getResult().getType()))};
    buffer.first = std::numeric_limits<int64_t>::max();
    addUses(alloc.getResult(), block, numbers, buffer);
    buffers.push_back(buffer);
  }
  block.walk([&](func::CallOp call) {
    int64_t number = numbers.lookup(block.findAncestorOpInBlock(*call));
    for (Buffer &buffer : buffers)
      buffer.livesInCalls |= buffer.first <= number && number <= buffer.last;
  });
  return buffers;
}

// Largest first, each at the lowest offset where it meets no buffer placed
// before that lives at the same time. What lives while other functions run
// comes before the rest, above which their frames would else begin.
static int64_t placeBuffers(MutableArrayRef<Buffer> buffers,
                            int64_t alignment) {
  SmallVector<Buffer *> order;
  for (Buffer &buffer : buffers)
    order.push_back(&buffer);
  llvm::sort(order, [](Buffer *a, Buffer *b) {
    return std::make_tuple(!a->livesInCalls, -a->bytes, a->first) <
           std::make_tuple(!b->livesInCalls, -b->bytes, b->first);
  });
  int64_t end = 0;
  SmallVector<Buffer *> placed; // by offset
  for (Buffer *buffer : order) {
    int64_t offset = 0;
    for (Buffer *other : placed) {
      if (!buffer->livesWith(*other))
        continue;
      if (offset + buffer->bytes <= other->offset)
        break;
      offset = std::max<int64_t>(
          offset, llvm::alignTo(other->offset + other->bytes, alignment));
    }
    buffer->offset = offset;
    end = std::max<int64_t>(end,
                            llvm::alignTo(offset + buffer->bytes, alignment));
    placed.insert(llvm::upper_bound(placed, buffer,
                                    [](Buffer *a, Buffer *b) {
                                      return a->offset < b->offset;
                                    }),
                  buffer);
  }
  return end;
}

namespace {

struct PlanMemoryPass : public tnllm::impl::TNRTPlanMemoryBase<PlanMemoryPass> {
  using TNRTPlanMemoryBase::TNRTPlanMemoryBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (alignment < 1 || !llvm::isPowerOf2_64(alignment)) {
      module.emitError("expected an alignment that is a power of two, got ")
          << alignment.getValue();
      return signalPassFailure();
    }
    // A pass may run on one module after another.
    frames.clear();
    callStack.clear();
    order.clear();
    SymbolTable symbols(module);
    for (auto function : module.getOps<func::FuncOp>())
      if (failed(planFrame(function)))
        return signalPassFailure();
    for (auto function : module.getOps<func::FuncOp>())
      if (function.isPublic() && failed(visit(symbols, function)))
        return signalPassFailure();
    raiseBases(symbols);
    int64_t total = 0;
    for (auto &[function, frame] : frames)
      total = std::max(total, frame.base + frame.bytes);
    for (auto &[function, frame] : frames)
      rewrite(function, frame, total);
    module->setAttr(
        tnrt::kArenaBytesAttrName,
        IntegerAttr::get(IntegerType::get(&getContext(), 64), total));
    arenaBytes += total;
  }

  LogicalResult planFrame(func::FuncOp function) {
    Frame &frame = frames[function];
    if (function.isDeclaration())
      return success();
    WalkResult nested = function.walk([&](tnrt::AllocOp alloc) {
      auto type = cast<MemRefType>(alloc.getResult().getType());
      if (!type.getElementType().isIntOrFloat() || !bytesOf(type)) {
        alloc.emitError(
            "expected a buffer of integers or floats, of at most 2^40 bytes");
        return WalkResult::interrupt();
      }
      if (alloc->getBlock() == &function.getBody().front())
        return WalkResult::advance();
      alloc.emitError(
          "expected buffers to be allocated in the function's entry block");
      return WalkResult::interrupt();
    });
    if (nested.wasInterrupted())
      return failure();
    frame.buffers = collectBuffers(function.getBody().front());
    bool hasContext = function.getNumArguments() > 0 &&
                      isa<tnrt::ContextType>(function.getArgument(0).getType());
    if (!frame.buffers.empty() && !hasContext)
      return function.emitError(
          "expected !tnrt.context as the first argument of a "
          "function that allocates buffers");
    frame.bytes = placeBuffers(frame.buffers, alignment);
    for (Buffer &buffer : frame.buffers)
      bufferBytes += buffer.bytes;
    return success();
  }

  // Puts what `function` calls into `order`, callees first.
  LogicalResult visit(SymbolTable &symbols, func::FuncOp function) {
    if (llvm::is_contained(callStack, function.getOperation()))
      return function.emitError(
          "expected no recursive calls in a host schedule");
    if (order.contains(function))
      return success();
    callStack.push_back(function);
    WalkResult walk = function.walk([&](func::CallOp call) {
      auto callee = symbols.lookup<func::FuncOp>(call.getCallee());
      return WalkResult(callee ? visit(symbols, callee) : failure());
    });
    callStack.pop_back();
    order.insert(function);
    return failure(walk.wasInterrupted());
  }

  // A frame begins above the buffers of all callers that live during the call.
  void raiseBases(SymbolTable &symbols) {
    for (func::FuncOp function : llvm::reverse(order)) {
      if (function.isDeclaration())
        continue;
      Block &block = function.getBody().front();
      llvm::DenseMap<Operation *, int64_t> numbers = numberOperations(block);
      function.walk([&](func::CallOp call) {
        int64_t number = numbers.lookup(block.findAncestorOpInBlock(*call));
        Frame &callee = frames[symbols.lookup<func::FuncOp>(call.getCallee())];
        callee.base =
            std::max(callee.base, frames[function].endWhile(number, alignment));
      });
    }
  }

  void rewrite(func::FuncOp function, Frame &frame, int64_t total) {
    if (frame.buffers.empty())
      return;
    OpBuilder b(&function.getBody().front(),
                function.getBody().front().begin());
    auto arenaType = MemRefType::get({total}, b.getI8Type());
    Value arena = tnrt::ArenaOp::create(b, function.getLoc(), arenaType,
                                        function.getArgument(0));
    for (Buffer &buffer : frame.buffers) {
      b.setInsertionPoint(buffer.op);
      Location loc = buffer.op.getLoc();
      Value offset =
          arith::ConstantIndexOp::create(b, loc, frame.base + buffer.offset);
      Value view = memref::ViewOp::create(
          b, loc, buffer.op.getResult().getType(), arena, offset, ValueRange());
      buffer.op.replaceAllUsesWith(view);
      buffer.op.erase();
    }
  }

  llvm::MapVector<func::FuncOp, Frame> frames;
  SmallVector<Operation *> callStack;
  llvm::SetVector<func::FuncOp> order;
};

} // namespace
