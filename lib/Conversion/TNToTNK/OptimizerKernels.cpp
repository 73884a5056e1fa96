// The optimizer of a training program on a GPU: the norm of all gradients and a
// step of AdamW (tnrt/abi.h), over flat arrays in which every parameter begins
// with a chunk. A task is a chunk, so that nothing here knows of parameters.
#include "FunctionConverter.h"
#include "RowLoops.h"

#include "TNRT/TNRTDialect.h"
#include "tnllm/Conversion/TNToTNK.h"
#include "tnrt/abi.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

static constexpr int64_t kChunk = TNRT_OPTIMIZER_CHUNK;

// Chunks whose squares one task sums: of a single one the sum across threads
// takes as long as its bytes.
static constexpr int64_t kChunksOfSum = 4;

// The places of TNRT_ADAMW_FACTORS.
enum Factor {
  GradientScale,
  Decay,
  Beta1Rest,
  Beta2,
  Beta2Rest,
  StepSize,
  RootOfBias2,
  Epsilon
};
static_assert(Epsilon + 1 == TNRT_ADAMW_FACTORS, "one place for each factor");

// sums [tasks]: the sum of the squares of each task's chunks.
static void buildSquares(KernelBuilder &k) {
  ImplicitLocOpBuilder &b = k.b;
  Value gradients = k.argument(0), sums = k.argument(1), task = k.task();
  int64_t chunks = cast<MemRefType>(gradients.getType()).getDimSize(0);
  Value begin = k.mul(task, k.index(kChunksOfSum));
  Value end = k.min(k.add(begin, k.index(kChunksOfSum)), k.index(chunks));
  // Partial sums of the full tiles of chunks and of their rests.
  int64_t width = std::min(k.sizes.panelWidth, kChunk);
  int64_t full = kChunk / width * width;
  SmallVector<Value> zeros;
  for (int64_t size : {width, kChunk - full})
    if (size > 0)
      zeros.push_back(k.constant(VectorType::get({size}, b.getF32Type()), 0.0));
  auto loop = scf::ForOp::create(b, begin, end, k.index(1), zeros);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> partial(loop.getRegionIterArgs());
    for (int64_t column = 0; column < kChunk; column += width) {
      Value g = k.loadRow(gradients, loop.getInductionVar(), k.index(column),
                          std::min(width, kChunk - column));
      Value &part = partial[column < full ? 0 : 1];
      part = arith::AddFOp::create(b, part, arith::MulFOp::create(b, g, g));
    }
    scf::YieldOp::create(b, partial);
  }
  Value sum;
  for (Value part : loop.getResults()) {
    Value of = vector::ReductionOp::create(b, vector::CombiningKind::ADD, part);
    sum = sum ? arith::AddFOp::create(b, sum, of).getResult() : of;
  }
  memref::StoreOp::create(b, sum, sums, task);
  k.finish();
}

// norm [1]: the root of the sum of sums [tasks].
static void buildNormOfSums(KernelBuilder &k) {
  Value sums = k.argument(0), norm = k.argument(1);
  Value sum =
      sumOfColumns(k, columnsOf(sums), [&](Value column, int64_t width) {
        return k.loadRow(sums, {}, column, width);
      });
  memref::StoreOp::create(k.b, math::SqrtOp::create(k.b, sum), norm,
                          k.index(0));
  k.finish();
}

namespace {

// The elements of a vector, and the factors of the step.
class AdamW {
public:
  AdamW(KernelBuilder &k, VectorType type, Value factors)
      : k(k), b(k.b), type(type), factors(factors) {}

  Value first(Value m, Value g) {
    return add(m, mul(factor(Beta1Rest), arith::SubFOp::create(b, g, m)));
  }
  Value second(Value v, Value g) {
    return add(mul(factor(Beta2), v), mul(mul(factor(Beta2Rest), g), g));
  }
  Value parameter(Value p, Value decay, Value m, Value v) {
    Value root = div(math::SqrtOp::create(b, v), factor(RootOfBias2));
    Value step = mul(factor(StepSize), div(m, add(root, factor(Epsilon))));
    return arith::SubFOp::create(b, mul(k.broadcast(decay, type), p), step);
  }
  Value scaled(Value g) { return mul(factor(GradientScale), g); }

private:
  Value factor(Factor which) {
    return k.broadcast(k.loadScalar(factors, k.index(which)), type);
  }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, x, y); }

  KernelBuilder &k;
  ImplicitLocOpBuilder &b;
  VectorType type;
  Value factors;
};

} // namespace

// Arguments: factors, decays [chunks], then gradients, parameters, first and
// second moments [chunks, chunk].
static void buildAdamW(KernelBuilder &k) {
  ImplicitLocOpBuilder &b = k.b;
  Value factors = k.argument(0), decays = k.argument(1), chunk = k.task();
  Value gradients = k.argument(2), parameters = k.argument(3);
  Value firsts = k.argument(4), seconds = k.argument(5);
  Value isDecaying = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT,
                                           k.loadScalar(decays, chunk),
                                           k.constant(b.getF32Type(), 0.0));
  Value decay = arith::SelectOp::create(b, isDecaying,
                                        k.loadScalar(factors, k.index(Decay)),
                                        k.constant(b.getF32Type(), 1.0));
  k.forColumns(kChunk, k.sizes.panelWidth, [&](Value column, int64_t width) {
    auto load = [&](Value buffer) {
      return k.loadRow(buffer, chunk, column, width);
    };
    AdamW rule(k, VectorType::get({width}, b.getF32Type()), factors);
    Value g = rule.scaled(load(gradients));
    Value m = rule.first(load(firsts), g);
    Value v = rule.second(load(seconds), g);
    Value p = rule.parameter(load(parameters), decay, m, v);
    k.storeRow(m, firsts, chunk, column);
    k.storeRow(v, seconds, chunk, column);
    k.storeRow(p, parameters, chunk, column);
  });
  k.finish();
}

namespace {

// The host functions, whose arguments are the context, the number of chunks and
// buffers.
class OptimizerBuilder {
public:
  OptimizerBuilder(ModuleState &state, int64_t chunks)
      : state(state), b(state.module.getLoc(), state.module.getContext()),
        chunks(chunks) {}

  void addNorm() {
    int64_t count = llvm::divideCeil(chunks, kChunksOfSum);
    auto [function, buffers] =
        begin("gradient_norm", {arrays(), vectorOf(count), vectorOf(1)});
    launch("gradient_squares", buffers.take_front(2),
           arith::ConstantIndexOp::create(b, count), kChunk, buildSquares);
    launch("norm_of_squares", buffers.drop_front(),
           arith::ConstantIndexOp::create(b, 1), count, buildNormOfSums);
    func::ReturnOp::create(b);
  }

  void addAdamW() {
    auto [function, buffers] =
        begin("adamw", {vectorOf(TNRT_ADAMW_FACTORS), perChunk(), arrays(),
                        arrays(), arrays(), arrays()});
    launch("adamw_step", buffers, numChunks(function), kChunk, buildAdamW);
    func::ReturnOp::create(b);
  }

private:
  MemRefType vectorOf(int64_t size) {
    return MemRefType::get({size}, b.getF32Type());
  }
  MemRefType perChunk() { return vectorOf(chunks); }
  MemRefType arrays() {
    return MemRefType::get({chunks, kChunk}, b.getF32Type());
  }
  static Value numChunks(func::FuncOp function) {
    return function.getArgument(1);
  }

  std::pair<func::FuncOp, ValueRange> begin(StringRef name,
                                            ArrayRef<Type> buffers) {
    SmallVector<Type> inputs = {tnrt::ContextType::get(b.getContext()),
                                b.getIndexType()};
    llvm::append_range(inputs, buffers);
    b.setInsertionPointToEnd(state.module.getBody());
    auto function =
        func::FuncOp::create(b, name, b.getFunctionType(inputs, {}));
    function->setAttr(tnrt::kEntryAttrName, b.getUnitAttr());
    b.setInsertionPointToStart(function.addEntryBlock());
    return {function, ValueRange(function.getArguments()).drop_front(2)};
  }

  void launch(StringRef name, ValueRange arguments, Value tasks,
              int64_t columns, void (*build)(KernelBuilder &)) {
    KernelBuilder builder(state.module, name, b.getLoc(),
                          llvm::to_vector(arguments.getTypes()),
                          state.target.rowSizes(columns));
    build(builder);
    tnk::KernelOp kernel = builder.getKernel();
    state.symbols.insert(kernel);
    ++state.numKernels;
    ++state.numLaunches;
    tnrt::LaunchOp::create(b, contextOf(arguments),
                           FlatSymbolRefAttr::get(kernel.getSymNameAttr()),
                           tasks, arguments);
  }
  // The context of the function whose arguments these are.
  static Value contextOf(ValueRange arguments) {
    return cast<BlockArgument>(arguments.front()).getOwner()->getArgument(0);
  }

  ModuleState &state;
  ImplicitLocOpBuilder b;
  int64_t chunks;
};

} // namespace

void kernels::addOptimizer(ModuleState &state) {
  int64_t chunks = 0;
  for (Attribute entry : state.parameterEntries) {
    auto type =
        cast<DictionaryAttr>(entry).getAs<TypeAttr>(parameter_keys::kType);
    chunks += llvm::divideCeil(
        cast<RankedTensorType>(type.getValue()).getNumElements(), kChunk);
  }
  if (chunks == 0)
    return;
  OptimizerBuilder builder(state, chunks);
  builder.addNorm();
  builder.addAdamW();
}
