// Which kernels the operations of training become, and their launches.
// Gradients of activations are buffers like any activation; those of parameters
// are accumulators, which the kernels add onto.
#include "FunctionConverter.h"
#include "GradKernels.h"

#include "TN/TNDialect.h"
#include "TNRT/TNRTDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

bool kernels::isGradientOp(Operation *op) {
  return isParameterSum(op) ||
         isa<tn::CrossEntropyOp, tn::CrossEntropyGradOp, tn::LinearInputGradOp,
             tn::LinearWeightGradOp, tn::SumRowsOp, tn::EmbeddingGradOp,
             tn::ActivationGradOp, tn::NormGradOp, tn::NormWeightGradOp,
             tn::UnsliceOp, tn::ZerosOp, tn::CopyOp, tn::LRPEGradOp,
             tn::LightningAttentionGradOp>(op);
}

// The operation's name and attributes, with every digit of a number.
static std::string keyOf(Operation *op) {
  std::string text;
  llvm::raw_string_ostream(text) << op->getName() << op->getAttrDictionary();
  return text;
}

static int64_t widthOf(Value tensor) {
  return cast<RankedTensorType>(tensor.getType()).getShape().back();
}

static bool isStateOf(OpOperand &use) {
  if (auto attention = dyn_cast<tn::SoftmaxAttentionOp>(use.getOwner()))
    return use.get() == attention.getCache();
  auto attention = dyn_cast<tn::LightningAttentionOp>(use.getOwner());
  return attention && &use == &attention.getStateMutable();
}

LogicalResult FunctionConverter::convertGradient(Operation &op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case<tn::AddOp>([&](auto o) { return addGradients(o), success(); })
      .Case<tn::CrossEntropyOp>(
          [&](auto o) { return convertCrossEntropy(o), success(); })
      .Case<tn::CrossEntropyGradOp>(
          [&](auto o) { return convertCrossEntropyGrad(o), success(); })
      .Case<tn::LinearInputGradOp, tn::LinearWeightGradOp>(
          [&](auto o) { return convertLinearGrad(o), success(); })
      .Case<tn::SumRowsOp, tn::EmbeddingGradOp, tn::NormWeightGradOp>(
          [&](auto o) { return convertColumnGrad(o), success(); })
      .Case<tn::ActivationGradOp, tn::NormGradOp, tn::UnsliceOp>(
          [&](auto o) { return convertRowGrad(o), success(); })
      .Case<tn::ZerosOp>([&](auto o) { return convertZeros(o), success(); })
      .Case<tn::CopyOp>([&](auto o) { return convertCopy(o), success(); })
      .Case<tn::LRPEGradOp>(
          [&](auto o) { return convertLRPEGrad(o), success(); })
      .Case<tn::LightningAttentionGradOp>([&](auto o) -> LogicalResult {
        if (isForGPU())
          return attendForGradients(o);
        return launchAttentionGrad(o), success();
      })
      .Default([](Operation *o) {
        return o->emitError("expected an operation of training");
      });
}

TileSizes FunctionConverter::columnSizes() const {
  TileSizes sizes = state.target.sizes;
  if (isForGPU())
    sizes.threads = sizes.panelWidth = kGPUColumns;
  return sizes;
}

//===----------------------------------------------------------------------===//
// Gradients of parameters
//===----------------------------------------------------------------------===//

// The sum that a gradient joins and that nothing else reads.
static Value wholeSumOf(Value gradient) {
  while (gradient.hasOneUse() && isParameterSum(*gradient.user_begin()))
    gradient = (*gradient.user_begin())->getResult(0);
  return gradient;
}

Value FunctionConverter::accumulatorFor(Value tensor) {
  Value sum = wholeSumOf(tensor);
  Value buffer = bufferOf(sum);
  auto given = outputs.find(sum);
  if (!buffer && given != outputs.end())
    buffer = given->second;
  if (!buffer) {
    auto type = cast<RankedTensorType>(sum.getType());
    buffer = tnrt::AllocOp::create(
        b, parameterBufferType(
               type, plainLayout(b.getContext(), tnrt::LayoutKind::Rows)));
    accumulate(/*x=*/{}, buffer);
  }
  buffers[sum] = buffer;
  return buffers[tensor] = buffer;
}

// buffer += x, or zeros where there is no x.
void FunctionConverter::accumulate(Value x, Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  TileSizes sizes = state.target.rowSizes(type.getShape().back());
  int64_t tasks = type.getRank() == 1
                      ? 1
                      : llvm::divideCeil(type.getDimSize(0), sizes.rowBlock);
  SmallVector<Value> arguments = {buffer};
  if (x)
    arguments.push_back(x);
  StringRef name = x ? "add_gradient" : "zero_gradient";
  launch(name, arguments, index(tasks), sizes, name, [&](KernelBuilder &k) {
    buildAccumulate(k, x ? k.argument(1) : Value(), k.argument(0));
  });
}

// Operands that were accumulated where the sum is are there already.
void FunctionConverter::addGradients(tn::AddOp op) {
  Value sum = accumulatorFor(op.getResult());
  for (Value operand : op.getOperands())
    if (bufferOf(operand) != sum)
      accumulate(bufferOf(operand), sum);
}

void FunctionConverter::convertColumnGrad(Operation *op) {
  Value result = accumulatorFor(op->getResult(0));
  TileSizes sizes = columnSizes();
  Value tasks = index(columnTasks(widthOf(op->getResult(0)), sizes));
  if (auto sum = dyn_cast<tn::SumRowsOp>(op)) {
    Value arguments[] = {bufferOf(sum.getX()), result, rows};
    auto build = [](KernelBuilder &k) {
      buildSumRows(k, k.argument(0), k.argument(1), k.argument(2));
    };
    if (isForGPU()) { // in blocks of rows first, as in convertNormWeightGrad
      arguments[1] = tnrt::AllocOp::create(
          b, MemRefType::get({thetaBlocks(capacity), widthOf(sum.getX())},
                             b.getF32Type()));
      Value blocks = thetaBlocks(b, rows);
      launch("sum_rows_partials", arguments,
             arith::MulIOp::create(b, tasks, blocks), sizes,
             keyOf(op) + "of blocks", build);
      arguments[0] = arguments[1];
      arguments[1] = result;
      arguments[2] = blocks;
    }
    launch("sum_rows", arguments, tasks, sizes, keyOf(op), build);
  } else if (auto embedding = dyn_cast<tn::EmbeddingGradOp>(op)) {
    launchEmbeddingGrad(embedding, result);
  } else {
    convertNormWeightGrad(cast<tn::NormWeightGradOp>(op), result, tasks);
  }
}

void FunctionConverter::launchEmbeddingGrad(tn::EmbeddingGradOp op,
                                            Value result) {
  Value arguments[] = {bufferOf(op.getIds()), bufferOf(op.getDy()), result,
                       rows};
  TileSizes sizes = columnSizes();
  Value tasks = index(columnTasks(widthOf(op.getResult()), sizes));
  if (isForGPU()) {
    sizes = state.target.rowSizes(widthOf(op.getResult())); // a row at once
    tasks = index(op.getResult().getType().getDimSize(0));
  }
  launch("embedding_grad", arguments, tasks, sizes, keyOf(op),
         [&](KernelBuilder &k) {
           auto build =
               isForGPU() ? buildEmbeddingGradOfWord : buildEmbeddingGrad;
           build(k, k.argument(0), k.argument(1), k.argument(2), k.argument(3),
                 op.getScale().convertToFloat(), op.getPadding().value_or(-1));
         });
}

// The statistics of all rows first: tasks of the sum own columns.
void FunctionConverter::convertNormWeightGrad(tn::NormWeightGradOp op,
                                              Value result, Value tasks) {
  NormRule norm{op.getKind(), op.getEpsilon().convertToFloat()};
  Value x = bufferOf(op.getX()), dy = bufferOf(op.getDy());
  Value statistics =
      tnrt::AllocOp::create(b, MemRefType::get({capacity, 2}, b.getF32Type()));
  TileSizes sizes = state.target.rowSizes(widthOf(op.getX()));
  Value ofRows[] = {x, statistics, rows};
  launch("norm_statistics", ofRows, rowTasks(sizes), sizes,
         "statistics" + keyOf(op), [&](KernelBuilder &k) {
           buildNormStatistics(k, norm, k.argument(0), k.argument(1),
                               k.argument(2));
         });
  auto sum = [&](StringRef name, Value to, Value all) {
    Value ofColumns[] = {x, dy, statistics, to, rows};
    launch(name, ofColumns, all, columnSizes(), name.str() + keyOf(op),
           [&](KernelBuilder &k) {
             buildNormWeightGrad(k, norm.kind, k.argument(0), k.argument(1),
                                 k.argument(2), k.argument(3), k.argument(4));
           });
  };
  if (!isForGPU())
    return sum("norm_weight_grad", result, tasks);
  // Columns alone are a few warps: each sums a block of rows, then the blocks.
  Value partials = tnrt::AllocOp::create(
      b, MemRefType::get({thetaBlocks(capacity), widthOf(op.getX())},
                         b.getF32Type()));
  Value blocks = thetaBlocks(b, rows);
  sum("norm_weight_partials", partials,
      arith::MulIOp::create(b, tasks, blocks));
  Value arguments[] = {partials, result, blocks};
  launch("sum_rows", arguments, tasks, columnSizes(), "sum_rows of norms",
         [](KernelBuilder &k) {
           buildSumRows(k, k.argument(0), k.argument(1), k.argument(2));
         });
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

void FunctionConverter::convertRowGrad(Operation *op) {
  TileSizes sizes = state.target.rowSizes(widthOf(op->getResult(0)));
  SmallVector<Value> arguments;
  for (Value operand : op->getOperands())
    arguments.push_back(bufferOf(operand));
  size_t output = arguments.size();
  arguments.push_back(outputFor(op->getResult(0)));
  arguments.push_back(rows);
  StringRef name = op->getName().stripDialect();
  launch(name, arguments, rowTasks(sizes), sizes, keyOf(op),
         [&](KernelBuilder &k) {
           Value result = k.argument(output), count = k.argument(output + 1);
           if (auto activation = dyn_cast<tn::ActivationGradOp>(op)) {
             int64_t all[] = {0, columnsOf(result)};
             ArrayRef<int64_t> columns = activation.getColumns().value_or(all);
             buildActivationGrad(k, activation.getKind(), columns[0],
                                 columns[1],
                                 {k.argument(0), k.argument(1), result, count});
           } else if (auto norm = dyn_cast<tn::NormGradOp>(op)) {
             buildNormGrad(
                 k, {norm.getKind(), norm.getEpsilon().convertToFloat()},
                 {k.argument(0), k.argument(1),
                  norm.getWeight() ? k.argument(2) : Value(), result, count});
           } else {
             auto unslice = cast<tn::UnsliceOp>(op);
             SmallVector<Value> pieces;
             for (size_t i = 0; i < output; ++i)
               pieces.push_back(k.argument(i));
             buildUnslice(k, pieces, unslice.getBegins(), result, count);
           }
         });
}

// A state that attention begins with is made where attention wants it.
void FunctionConverter::convertZeros(tn::ZerosOp op) {
  if (llvm::all_of(op.getResult().getUses(), isStateOf))
    return;
  TileSizes sizes = state.target.rowSizes(widthOf(op.getResult()));
  Value arguments[] = {outputFor(op.getResult()), rows};
  launch(
      "zeros", arguments, rowTasks(sizes), sizes, "zeros",
      [&](KernelBuilder &k) { buildZeros(k, k.argument(0), k.argument(1)); });
}

void FunctionConverter::convertCopy(tn::CopyOp op) {
  Value from = bufferOf(op.getX());
  auto type = cast<MemRefType>(from.getType());
  if (type.getRank() == 4) {
    Value to = tnrt::AllocOp::create(b, type);
    buffers[op.getResult()] = to;
    return copyStates(from, to);
  }
  TileSizes sizes = state.target.rowSizes(type.getDimSize(1));
  Value arguments[] = {from, outputFor(op.getResult()), rows};
  launch("copy", arguments, rowTasks(sizes), sizes, "copy",
         [&](KernelBuilder &k) {
           llvm::DenseMap<Value, Value> none;
           buildElementwise(k, k.argument(0), /*bias=*/{}, k.argument(2),
                            Epilogue({}, {}, none, k.argument(1)));
         });
}

// The states of this call's sequences; zeros where there are none to copy.
void FunctionConverter::copyStates(Value from, Value to) {
  auto type = cast<MemRefType>(to.getType());
  TileSizes sizes = state.target.rowSizes(type.getDimSize(3));
  Value heads = index(type.getDimSize(1));
  Value tasks = arith::MulIOp::create(b, batch, heads);
  SmallVector<Value> arguments = {to};
  if (from)
    arguments.push_back(from);
  StringRef name = from ? "copy_states" : "zero_states";
  launch(name, arguments, tasks, sizes, name, [&](KernelBuilder &k) {
    buildCopyStates(k, from ? k.argument(1) : Value(), k.argument(0));
  });
}

Value FunctionConverter::zeroStates(RankedTensorType type) {
  Value states = tnrt::AllocOp::create(b, stateBufferType(type, sequences));
  copyStates(/*from=*/{}, states);
  return states;
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

Value FunctionConverter::productTasks(Value m, int64_t columns) {
  const TileSizes &sizes = state.target.sizes;
  Value blocks = arith::CeilDivUIOp::create(b, m, index(productRows(sizes)));
  return arith::MulIOp::create(b, blocks,
                               index(productColumnBlocks(columns, sizes)));
}

static Value makeTrue(KernelBuilder &k) {
  return arith::ConstantOp::create(k.b, k.b.getBoolAttr(true));
}

// A kernel's name with the sizes of its product.
static std::string productName(StringRef name, int64_t depth, int64_t columns) {
  return (name + "_k" + Twine(depth) + "_n" + Twine(columns)).str();
}

void FunctionConverter::convertLinearGrad(Operation *op) {
  bool isInput = isa<tn::LinearInputGradOp>(op);
  if (isForGPU())
    return matmul(contiguous(op->getOperand(0)), contiguous(op->getOperand(1)),
                  isInput ? outputFor(op->getResult(0))
                          : accumulatorFor(op->getResult(0)),
                  isInput ? tnrt::MatmulForm::InputGrad
                          : tnrt::MatmulForm::WeightGrad,
                  /*accumulate=*/!isInput);
  const TileSizes &sizes = state.target.sizes;
  Value dy = bufferOf(op->getOperand(0)), other = bufferOf(op->getOperand(1));
  int64_t n = widthOf(op->getOperand(0)), columns = widthOf(op->getResult(0));
  Value result =
      isInput ? outputFor(op->getResult(0)) : accumulatorFor(op->getResult(0));
  Value arguments[] = {dy, other, result, rows};
  launch(productName(op->getName().stripDialect(), n, columns), arguments,
         productTasks(isInput ? rows : index(n), columns), sizes, keyOf(op),
         [&](KernelBuilder &k) {
           ProductBuffers in{k.argument(0), k.argument(1), k.argument(2)};
           in.transposeA = !isInput;
           in.m = isInput ? k.argument(3) : k.index(n);
           in.depth = isInput ? k.index(n) : k.argument(3);
           if (!isInput)
             in.accumulate = makeTrue(k);
           buildProduct(k, in);
         });
}

//===----------------------------------------------------------------------===//
// Cross entropy
//===----------------------------------------------------------------------===//

// Calls `body` with the first word of each piece and its words, in order: in a
// loop or, for products of a library, one after the other.
void FunctionConverter::forPieces(
    int64_t vocabulary,
    llvm::function_ref<void(Value first, Value logits)> body) {
  int64_t piece =
      vocabularyPiece(vocabulary, capacity, state.target.sizes, isForGPU());
  int64_t whole = vocabulary / piece * piece;
  auto logitsOf = [&](int64_t words) {
    return tnrt::AllocOp::create(
        b, MemRefType::get({capacity, words}, b.getF32Type()));
  };
  Value logits = logitsOf(piece);
  if (isForGPU()) {
    for (int64_t first = 0; first < whole; first += piece)
      body(index(first), logits);
  } else {
    auto loop = scf::ForOp::create(b, index(0), index(whole), index(piece));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    body(loop.getInductionVar(), logits);
  }
  if (whole < vocabulary)
    body(index(whole), logitsOf(vocabulary - whole));
}

Value FunctionConverter::rowsOf(Value matrix, Value first, int64_t count) {
  auto type = cast<MemRefType>(matrix.getType());
  SmallVector<int64_t> offsets = {*getConstantIntValue(first), 0};
  SmallVector<int64_t> sizes = {count, type.getDimSize(1)}, strides = {1, 1};
  auto view = cast<MemRefType>(
      memref::SubViewOp::inferResultType(type, offsets, sizes, strides));
  return memref::SubViewOp::create(b, view, matrix, offsets, sizes, strides);
}

void FunctionConverter::launchLogits(Value x, Value weight, Value logits,
                                     Value first) {
  int64_t words = columnsOf(logits), depth = columnsOf(x);
  if (isForGPU())
    return matmul(x, rowsOf(weight, first, words), logits);
  Value arguments[] = {x, weight, logits, rows, first};
  launch(productName("logits", depth, words), arguments,
         productTasks(rows, words), state.target.sizes, "logits",
         [&](KernelBuilder &k) {
           ProductBuffers in{k.argument(0), k.argument(1), k.argument(2)};
           in.transposeB = true;
           in.m = k.argument(3);
           in.depth = k.index(depth);
           in.bRow = k.argument(4);
           buildProduct(k, in);
         });
}

void FunctionConverter::convertCrossEntropy(tn::CrossEntropyOp op) {
  if (tn::CrossEntropyGradOp gradient = gradientOfLoss(op))
    return convertHead(op, gradient);
  Value x = isForGPU() ? contiguous(op.getX()) : bufferOf(op.getX());
  Value weight = bufferOf(op.getWeight()), labels = bufferOf(op.getLabels());
  Value statistics =
      tnrt::AllocOp::create(b, MemRefType::get({capacity, 3}, b.getF32Type()));
  forPieces(op.getWeight().getType().getDimSize(0), [&](Value first,
                                                        Value logits) {
    launchLogits(x, weight, logits, first);
    TileSizes sizes = state.target.rowSizes(columnsOf(logits));
    Value arguments[] = {logits, labels, statistics, first, rows};
    launch("logit_statistics", arguments, rowTasks(sizes), sizes,
           "logit_statistics", [&](KernelBuilder &k) {
             buildLogitStatistics(k, k.argument(0), k.argument(1),
                                  k.argument(2), k.argument(3), k.argument(4));
           });
  });
  TileSizes sizes = state.target.rowSizes(1);
  Value ofRows[] = {statistics, labels, outputFor(op.getLogSumExp()), rows};
  launch("row_losses", ofRows, rowTasks(sizes), sizes, "row_losses",
         [&](KernelBuilder &k) {
           buildRowLosses(k, k.argument(0), k.argument(1), k.argument(2),
                          k.argument(3));
         });
  Value ofAll[] = {statistics, labels, outputFor(op.getLoss()), rows};
  launch("mean_loss", ofAll, index(1), sizes, "mean_loss",
         [&](KernelBuilder &k) {
           buildMeanLoss(k, k.argument(0), k.argument(1), k.argument(2),
                         k.argument(3));
         });
}

struct FunctionConverter::LogitGradients {
  Value x, weight, labels, logSumExp, scale, dx, dweight;
};

// One kernel makes the logits again and their gradients, two multiply those.
void FunctionConverter::launchLogitGradients(const LogitGradients &in, Value dz,
                                             Value first) {
  const TileSizes &sizes = state.target.sizes;
  int64_t words = columnsOf(dz), depth = columnsOf(in.x);
  Value ofLogits[] = {in.x,         in.weight, dz,   in.labels,
                      in.logSumExp, in.scale,  rows, first};
  launch(productName("logit_grad", depth, words), ofLogits,
         productTasks(rows, words), sizes, "logit_grad",
         [&](KernelBuilder &k) { buildLogitGradient(k, depth); });
  Value ofInput[] = {dz, in.weight, in.dx, rows, first};
  launch(productName("cross_entropy_input_grad", words, depth), ofInput,
         productTasks(rows, depth), sizes, "cross_entropy_input_grad",
         [&](KernelBuilder &k) {
           ProductBuffers in{k.argument(0), k.argument(1), k.argument(2)};
           in.m = k.argument(3);
           in.depth = k.index(words);
           in.bRow = k.argument(4);
           in.accumulate =
               k.compare(arith::CmpIPredicate::ne, k.argument(4), k.index(0));
           buildProduct(k, in);
         });
  Value ofWeight[] = {dz, in.x, in.dweight, rows, first};
  launch(productName("cross_entropy_weight_grad", words, depth), ofWeight,
         productTasks(index(words), depth), sizes, "cross_entropy_weight_grad",
         [&](KernelBuilder &k) {
           ProductBuffers in{k.argument(0), k.argument(1), k.argument(2)};
           in.transposeA = true;
           in.m = k.index(words);
           in.depth = k.argument(3);
           in.cRow = k.argument(4);
           in.accumulate = makeTrue(k);
           buildProduct(k, in);
         });
}

// The same by the library's products.
void FunctionConverter::matmulLogitGradients(const LogitGradients &in, Value dz,
                                             Value first) {
  int64_t words = columnsOf(dz), firstWord = *getConstantIntValue(first);
  Value weight = rowsOf(in.weight, first, words);
  matmul(in.x, weight, dz);
  TileSizes sizes = state.target.rowSizes(words);
  Value logits = dz;
  Type element = getElementTypeOrSelf(in.weight.getType());
  if (!element.isF32())
    dz = tnrt::AllocOp::create(b, MemRefType::get({capacity, words}, element));
  Value arguments[] = {logits, in.labels, in.logSumExp, in.scale, first, dz};
  launch("logit_grad", arguments, rowTasks(sizes), sizes, "logit_grad",
         [&](KernelBuilder &k) { buildLogitGradientRows(k); });
  matmul(dz, weight, in.dx, tnrt::MatmulForm::InputGrad,
         /*accumulate=*/firstWord != 0);
  matmul(dz, in.x, rowsOf(in.dweight, first, words),
         tnrt::MatmulForm::WeightGrad, /*accumulate=*/true);
}

void FunctionConverter::convertCrossEntropyGrad(tn::CrossEntropyGradOp op) {
  LogitGradients in;
  in.x = isForGPU() ? contiguous(op.getX()) : bufferOf(op.getX());
  in.weight = bufferOf(op.getWeight());
  in.labels = bufferOf(op.getLabels());
  in.logSumExp = bufferOf(op.getLogSumExp());
  in.dx = outputFor(op.getDx());
  in.dweight = accumulatorFor(op.getDweight());
  in.scale = tnrt::AllocOp::create(b, MemRefType::get({1}, b.getF32Type()));
  TileSizes sizes = state.target.rowSizes(1);
  Value ofScale[] = {in.labels, bufferOf(op.getGradient()), in.scale, rows};
  launch("loss_scale", ofScale, index(1), sizes, "loss_scale",
         [&](KernelBuilder &k) {
           buildLossScale(k, k.argument(0), k.argument(1), k.argument(2),
                          k.argument(3));
         });
  forPieces(op.getWeight().getType().getDimSize(0), [&](Value first, Value dz) {
    isForGPU() ? matmulLogitGradients(in, dz, first)
               : launchLogitGradients(in, dz, first);
  });
}

//===----------------------------------------------------------------------===//
// LRPE and attention
//===----------------------------------------------------------------------===//

void FunctionConverter::convertLRPEGrad(tn::LRPEGradOp op) {
  ArrayRef<int64_t> shape = op.getX().getType().getShape();
  int64_t heads = shape[2], width = shape[3];
  auto run = [&](StringRef name, Value output, Value tasks,
                 const TileSizes &sizes,
                 void (*build)(KernelBuilder &, const LRPEGradBuffers &)) {
    Value arguments[] = {bufferOf(op.getX()),
                         bufferOf(op.getTheta()),
                         bufferOf(op.getPositions()),
                         bufferOf(op.getDy()),
                         output,
                         rows,
                         length};
    launch(name, arguments, tasks, sizes, (name + Twine(heads)).str(),
           [&](KernelBuilder &k) {
             build(k,
                   {k.argument(0), k.argument(1), k.argument(2), k.argument(3),
                    k.argument(4), k.argument(5), k.argument(6), heads, width});
           });
  };
  TileSizes sizes = state.target.rowSizes(width);
  run("lrpe_input_grad", outputFor(op.getDx()), headTasks(sizes, heads), sizes,
      buildLRPEInputGrad);
  TileSizes ofColumns = columnSizes();
  Value tasks = index(heads * thetaTasksPerHead(width, ofColumns));
  Value dtheta = accumulatorFor(op.getDtheta());
  if (!isForGPU())
    return run("lrpe_theta_grad", dtheta, tasks, ofColumns, buildThetaGrad);
  Value partials = tnrt::AllocOp::create(
      b,
      MemRefType::get({thetaBlocks(capacity), heads * width}, b.getF32Type()));
  Value blocks = thetaBlocks(b, rows);
  run("lrpe_theta_partials", partials, arith::MulIOp::create(b, tasks, blocks),
      ofColumns, buildThetaPartials);
  Value arguments[] = {partials, dtheta, blocks};
  launch("sum_rows", arguments, index(columnTasks(heads * width, ofColumns)),
         ofColumns, "sum_rows of theta", [&](KernelBuilder &k) {
           buildSumRows(k, k.argument(0), k.argument(1), k.argument(2));
         });
}

// One kernel of the CPU.
void FunctionConverter::launchAttentionGrad(tn::LightningAttentionGradOp op) {
  using Buffers = AttentionGradBuffers;
  RankedTensorType q = op.getQ().getType(), v = op.getV().getType();
  int64_t heads = q.getDimSize(2);
  int64_t keyWidth = q.getDimSize(3), valueWidth = v.getDimSize(3);
  // The arguments, and what the body knows them as.
  SmallVector<Value> arguments;
  SmallVector<Value Buffers::*> names;
  auto add = [&](Value Buffers::*name, Value buffer) {
    names.push_back(name);
    arguments.push_back(buffer);
  };
  add(&Buffers::q, bufferOf(op.getQ()));
  add(&Buffers::k, bufferOf(op.getK()));
  add(&Buffers::v, bufferOf(op.getV()));
  add(&Buffers::slopes, bufferOf(op.getSlopes()));
  add(&Buffers::dout, bufferOf(op.getDout()));
  if (op.getState())
    add(&Buffers::state, bufferOf(op.getState()));
  if (op.getDNewState())
    add(&Buffers::dNewState, bufferOf(op.getDNewState()));
  add(&Buffers::dq, outputFor(op.getDq()));
  add(&Buffers::dk, outputFor(op.getDk()));
  add(&Buffers::dv, outputFor(op.getDv()));
  bool isLarge = !fitsOnStack(keyWidth, valueWidth);
  if (isLarge || !op.getDState().use_empty())
    add(&Buffers::dState, outputFor(op.getDState()));
  if (isLarge) {
    auto type = MemRefType::get({sequences, heads, valueWidth, keyWidth},
                                b.getF32Type());
    add(&Buffers::transposed, tnrt::AllocOp::create(b, type));
  }
  add(&Buffers::length, length);
  Value tasks = arith::MulIOp::create(b, batch, index(heads));
  // operandSegmentSizes, an attribute, tells which operands there are.
  std::string key = keyOf(op) + std::to_string(heads) +
                    (op.getDState().use_empty() ? "" : "with dState");
  launch("attention_grad", arguments, tasks, state.target.sizes, key,
         [&](KernelBuilder &k) {
           Buffers in{};
           for (auto [number, name] : llvm::enumerate(names))
             in.*name = k.argument(number);
           in.heads = heads;
           in.keyWidth = keyWidth;
           in.valueWidth = valueWidth;
           in.scale = op.getScale().convertToFloat();
           buildAttentionGrad(k, in);
         });
}
