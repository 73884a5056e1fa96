// The kernels that a GPU runs. Products of matrices come from the runtime's
// library; what follows them is a kernel over rows, as norms are.
#include "FunctionConverter.h"
#include "KernelChoice.h"
#include "RowProducts.h"
#include "TiledKernels.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// Elements of a row that one thread takes at a time: 16 bytes of bf16.
static constexpr int64_t kThreadElements = 8;
static constexpr int64_t kWarpThreads = 32;

// True where the value must be f32: it goes into a sum (the residual stream),
// or somebody outside of the function reads it. What comes back through a
// linear map is a term of few, all of which come through products of bf16.
static bool needsF32(Value tensor) {
  bool isTerm = tensor.getDefiningOp<tn::LinearInputGradOp>() != nullptr;
  return llvm::any_of(tensor.getUsers(), [&](Operation *user) {
    if (isa<tn::SliceOp, tn::SplitHeadsOp, tn::MergeHeadsOp>(user))
      return needsF32(user->getResult(0)); // the same buffer
    return (isa<tn::AddOp>(user) && !isTerm) ||
           isa<tn::ProbeOp, func::CallOp, func::ReturnOp>(user);
  });
}

// Rows of a call whose linear maps may be one tile high.
static constexpr int64_t kNarrowRows = 64;

// Keys that the tiled attention keeps in registers and shared memory.
static constexpr int64_t kMaxTiledKeyWidth = 256;

// True for matrices whose rows the copy engine can read: bf16 at multiples of
// 16 bytes.
static bool canCopyTiles(MemRefType type) {
  auto [strides, offset] = type.getStridesAndOffset();
  return type.getElementType().isBF16() && strides[0] % 8 == 0 &&
         offset % 8 == 0;
}

static void buildAttentionInTiles(KernelBuilder &k,
                                  const AttentionBuffers &in) {
  TiledAttentionBuffers out{in.q,        in.k,          in.v,      in.slopes,
                            in.state,    in.out,        in.length, in.heads,
                            in.keyWidth, in.valueWidth, in.scale};
  out.offsets = in.offsets;
  out.outRows = in.outRows;
  out.reversed = in.reversed;
  buildTiledAttention(k, out);
}

// Each piece of the vocabulary has launches of its own in a loss: this many
// words are 16384 pieces at most.
static constexpr int64_t kMostWords = 1 << 22;

// The vocabulary of a loss or of its gradient; 0 for other operations.
static int64_t wordsOf(Operation *op) {
  if (auto entropy = dyn_cast<tn::CrossEntropyOp>(op))
    return entropy.getWeight().getType().getDimSize(0);
  if (auto gradient = dyn_cast<tn::CrossEntropyGradOp>(op))
    return gradient.getWeight().getType().getDimSize(0);
  return 0;
}

namespace {

class GPUKernels final : public KernelChoice {
public:
  GPUKernels(const TileSizes &sizes, const GPUOptions &options)
      : KernelChoice(sizes), options(options),
        plan({options.rowProducts, options.foldNorms, options.joinGates}) {}

  LogicalResult check(Operation *op) const override {
    if (isa<tn::RoundGroupsOp>(op))
      return op->emitOpError("expected inputs that are not rounded to 8 bits "
                             "on a GPU");
    auto softmax = dyn_cast<tn::SoftmaxAttentionOp>(op);
    if (softmax && softmax.getCache())
      return op->emitOpError("expected a program for a CPU: a GPU has no kernel "
                             "for it with a cache yet");
    if (int64_t words = wordsOf(op); words > kMostWords)
      return op->emitOpError("expected a vocabulary of at most ")
             << kMostWords << " words on a GPU, got " << words;
    auto linear = dyn_cast<tn::LinearOp>(op);
    if (!linear || !linear.getScales() ||
        getElementTypeOrSelf(linear.getX().getType()).isBF16())
      return success();
    return op->emitOpError("expected inputs of bf16 with a quantised weight on "
                           "a GPU, got ")
           << linear.getX().getType();
  }

  Layout weightLayout(tn::LinearOp op) const override {
    return plainLayout(op.getContext(), tnrt::LayoutKind::Rows);
  }

  Type storageOf(Value tensor) const override {
    Type element = getElementTypeOrSelf(tensor.getType());
    // What a call writes has the type that the callee says.
    // Logarithms of sums, and what is added up piece by piece, stay f32.
    if (options.bf16Storage && element.isF32() &&
        !isa_and_nonnull<func::CallOp, tn::CrossEntropyOp,
                         tn::CrossEntropyGradOp, tn::SoftmaxAttentionOp>(
            tensor.getDefiningOp()) &&
        !needsF32(tensor))
      return BFloat16Type::get(tensor.getContext());
    return element;
  }

  // As many whole warps as a row has work for.
  TileSizes rowSizes(int64_t columns) const override {
    TileSizes chosen = sizes;
    int64_t threads =
        llvm::alignTo(llvm::divideCeil(columns, kThreadElements), kWarpThreads);
    chosen.threads = std::min(threads, options.maxThreads);
    chosen.panelWidth = chosen.threads * kThreadElements;
    chosen.rowBlock = 1;
    return chosen;
  }

  AttentionKernel
  attentionKernel(tn::LightningAttentionOp op,
                  ArrayRef<MemRefType> matrices) const override {
    int64_t keyWidth = op.getQ().getType().getDimSize(3);
    int64_t valueWidth = op.getV().getType().getDimSize(3);
    if (op.getQ().getType().getDimSize(1) == 1 && !op.getOffsets())
      return onePositionKernel(keyWidth, valueWidth);
    return longAttentionKernel(keyWidth, valueWidth, matrices);
  }

  AttentionKernel
  longAttentionKernel(int64_t keyWidth, int64_t valueWidth,
                      ArrayRef<MemRefType> matrices) const override {
    bool inTiles = options.tensorCores && keyWidth <= kMaxTiledKeyWidth &&
                   keyWidth % 8 == 0 && valueWidth % 8 == 0 &&
                   llvm::all_of(matrices, canCopyTiles);
    if (!inTiles)
      return {"attention_sequential", recurrentSizes(sizes),
              buildSequentialAttention, recurrentTasksPerHead(valueWidth)};
    TiledAttentionPlan plan = planTiledAttention(keyWidth, valueWidth);
    TileSizes tiled = sizes;
    tiled.threads = plan.threads;
    return {"attention_tiled",     tiled,
            buildAttentionInTiles, plan.valueSlices,
            /*usesMaps=*/true,     options.attentionBlocks,
            /*mayLackState=*/true};
  }

  bool isComputedByUsers(Value value) const override {
    return plan.isComputedByUsers(value);
  }

  void launchLinear(FunctionConverter &converter,
                    const Group &group) const override {
    auto linear = cast<tn::LinearOp>(group.root);
    Value x = converter.contiguous(linear.getX());
    Value output = converter.outputFor(group.result);
    // Where activations are f32, so is a product that only its tail rounds.
    Value sums = output;
    if (!options.bf16Storage && !group.tail.empty() &&
        getElementTypeOrSelf(output.getType()).isBF16())
      sums = converter.allocateRows(
          linear.getResult().getType().getShape().back());
    // The library adds a residual where it stores, and reads a quantised weight
    // as bf16.
    Value residual = residualOf(converter, linear, group, output);
    bool isQuantised = static_cast<bool>(linear.getScales());
    Value weight = isQuantised ? converter.allocateWidened(linear)
                               : converter.bufferOf(linear.getWeight());
    auto library = [&] {
      if (isQuantised)
        converter.widen(linear, weight);
      converter.matmul(x, weight, sums, tnrt::MatmulForm::Linear,
                       /*accumulate=*/false, residual);
      if (!residual && (linear.getBias() || !isStored(group.tail, sums)))
        launchTail(converter, linear, group, sums);
    };
    std::optional<RowProduct> product = plan.match(linear);
    if (tn::LinearOp user = plan.userOfFactor(linear))
      return converter.forFewRows(
          isNarrowInTiles(user) ? kNarrowRows : kProductRows, [] {}, library);
    auto many = [&] {
      if (!isNarrowInTiles(linear))
        return library();
      converter.forFewRows(
          kNarrowRows,
          [&] { launchNarrow(converter, linear, x, product->factor, group); },
          library);
    };
    if (!product && isQuantised)
      return library();
    if (!product)
      return converter.forFewRows(
          kGemvRows, [&] { launchGemv(converter, linear, group); }, many);
    RowProduct unfolded = *product;
    unfolded.norm.reset();
    converter.forFewRows(
        kFoldedRows,
        [&] { launchRowProduct(converter, *product, group, kFoldedRows); },
        [&] {
          converter.forFewRows(
              kProductRows,
              [&] {
                launchRowProduct(converter, unfolded, group, kProductRows);
              },
              many);
        });
  }

private:
  // True for a tail that is nothing, or a cast to what the product stored.
  static bool isStored(ArrayRef<Operation *> tail, Value sums) {
    return llvm::all_of(tail, [&](Operation *op) {
      return isa<tn::CastOp>(op) &&
             getElementTypeOrSelf(op->getResult(0).getType()) ==
                 getElementTypeOrSelf(sums.getType());
    });
  }

  // What the map is added to, if that is all that follows it.
  static Value residualOf(FunctionConverter &converter, tn::LinearOp linear,
                          const Group &group, Value output) {
    if (linear.getBias() || group.tail.size() != 1)
      return {};
    auto add = dyn_cast<tn::AddOp>(group.tail.front());
    if (!add || add.getLhs() == add.getRhs())
      return {};
    Value other = converter.bufferOf(
        add.getLhs() == linear.getResult() ? add.getRhs() : add.getLhs());
    auto type = cast<MemRefType>(output.getType());
    return other.getType() == type && type.getElementType().isF32() ? other
                                                                    : Value();
  }

  // Few sequences want many tasks, many want long runs of memory.
  AttentionKernel onePositionKernel(int64_t keyWidth,
                                    int64_t valueWidth) const {
    constexpr int64_t kFewSequences = 16;
    TileSizes few =
        onePositionSizes(sizes, keyWidth, valueWidth, /*isWide=*/false);
    TileSizes many =
        onePositionSizes(sizes, keyWidth, valueWidth, /*isWide=*/true);
    AttentionKernel kernel{"attention_recurrent", few,
                           buildOnePositionAttention,
                           valueWidth / few.panelWidth};
    if (many.panelWidth != few.panelWidth) {
      kernel.fewRows = kFewSequences;
      kernel.manySizes = many;
      kernel.manyTasksPerHead = valueWidth / many.panelWidth;
    }
    return kernel;
  }

  // Whether calls of up to kNarrowRows rows multiply in tiles: where a kernel
  // of the tail would follow the library's product. (docs/Kernels-GPU.md has
  // what was measured.)
  bool isNarrowInTiles(tn::LinearOp linear) const {
    RankedTensorType weight = linear.getWeight().getType();
    constexpr int64_t kMinColumns = 2048, kMaxColumns = 8192;
    bool hasTail = isa<tn::FusedOp>(linear->getParentOp()) &&
                   !isa<tn::AddOp, tn::YieldOp>(linear->getNextNode());
    if (!hasTail)
      return false;
    // An activation of some columns begins and ends with a tile.
    int64_t width =
        planNarrowLinear(weight.getDimSize(0), /*hasFactor=*/false).columns;
    auto activation = dyn_cast<tn::ActivationOp>(linear->getNextNode());
    if (activation && activation.getColumns() &&
        llvm::any_of(*activation.getColumns(),
                     [&](int64_t column) { return column % width != 0; }))
      return false;
    return options.tiledLinears && options.tensorCores && plan.match(linear) &&
           options.bf16Storage && !linear.getScales() &&
           getElementTypeOrSelf(linear.getX().getType()).isBF16() &&
           weight.getDimSize(0) >= kMinColumns &&
           weight.getDimSize(0) <= kMaxColumns;
  }

  void launchNarrow(FunctionConverter &converter, tn::LinearOp linear, Value x,
                    tn::LinearOp factor, const Group &group) const {
    ArrayRef<int64_t> weight = linear.getWeight().getType().getShape();
    TiledLinearPlan tiles = planNarrowLinear(weight[0], factor != nullptr);
    TileSizes chosen = sizes;
    chosen.threads = tiles.threads;
    chosen.panelWidth = tiles.columns;
    llvm::DenseMap<Value, Value> maps;
    maps[linear.getX()] =
        converter.matrixMap(x, converter.numRows(), tiles.rows);
    SmallVector<Operation *> more;
    SmallVector<Value> made;
    for (tn::LinearOp each : {linear, factor})
      if (each)
        maps[each.getWeight()] =
            converter.matrixMap(converter.bufferOf(each.getWeight()),
                                converter.index(weight[0]), tiles.columns);
    if (factor) {
      more.push_back(factor);
      made.push_back(factor.getResult());
    }
    converter.launchGroup(
        group, more, made, chosen,
        converter.index(llvm::divideCeil(weight[0], tiles.columns)), maps,
        [&](KernelBuilder &k, const KernelArguments &in) {
          Epilogue epilogue(group.tail, linear.getResult(), in.buffers,
                            in.output);
          TiledLinearBuffers buffers{in.of(linear.getX()),
                                     in.of(linear.getWeight()),
                                     /*bias=*/{},
                                     in.rows,
                                     weight[1],
                                     weight[0],
                                     tiles};
          if (factor) {
            buffers.factor = in.of(factor.getWeight());
            buffers.factorResult = factor.getResult();
          }
          buildTiledLinear(k, buffers, epilogue);
        });
  }

  // Few rows: one kernel that reads the weight once, with its tail.
  void launchGemv(FunctionConverter &converter, tn::LinearOp linear,
                  const Group &group) const {
    int64_t columns = linear.getResult().getType().getShape().back();
    converter.launchGroup(
        group, gemvSizes(sizes), converter.index(gemvTasks(columns)),
        [&](KernelBuilder &k, const KernelArguments &in) {
          buildGemv(
              k,
              {in.of(linear.getX()), in.of(linear.getWeight()),
               /*scales=*/{}, in.of(linear.getBias()), in.rows, columns,
               linear.getWeight().getType().getDimSize(1)},
              Epilogue(group.tail, linear.getResult(), in.buffers, in.output));
        });
  }

  // The same on tensor cores, with what comes before it.
  void launchRowProduct(FunctionConverter &converter, const RowProduct &product,
                        const Group &group, int64_t rows) const {
    TileSizes chosen = rowProductSizes(sizes, product, rows);
    auto linear = cast<tn::LinearOp>(group.root);
    int64_t columns = linear.getResult().getType().getShape().back();
    converter.launchGroup(group, product.operations(), product.results(),
                          chosen, converter.index(columns / chosen.panelWidth),
                          [&](KernelBuilder &k, const KernelArguments &in) {
                            buildRowProduct(k, product, group.tail, in.buffers,
                                            in.output, in.rows);
                          });
  }

  // What follows the product, whose buffer is mostly the output's own.
  void launchTail(FunctionConverter &converter, tn::LinearOp linear,
                  const Group &group, Value sums) const {
    int64_t columns = linear.getResult().getType().getShape().back();
    TileSizes chosen = rowSizes(columns);
    chosen.overlaps = false; // it follows the library's product
    converter.launchTail(
        group, linear.getBias(), sums, chosen,
        [&](KernelBuilder &k, const KernelArguments &in) {
          buildElementwise(
              k, in.product, in.of(linear.getBias()), in.rows,
              Epilogue(group.tail, linear.getResult(), in.buffers, in.output));
        });
  }

  const GPUOptions options;
  const RowProductPlan plan;
};

} // namespace

std::unique_ptr<KernelChoice> kernels::chooseForGPU(const TileSizes &sizes,
                                                    const GPUOptions &options) {
  return std::make_unique<GPUKernels>(sizes, options);
}
