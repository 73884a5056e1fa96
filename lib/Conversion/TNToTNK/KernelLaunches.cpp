// Which kernel an operation becomes, and its launch.
#include "FunctionConverter.h"

#include "TN/TNDialect.h"
#include "TNK/TNKDialect.h"
#include "TNRT/TNRTDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// Makes the kernel unless one with the same key and argument types exists, and
// launches it.
void FunctionConverter::launch(StringRef name, ArrayRef<Value> arguments,
                               Value tasks, StringRef key, Body body) {
  SmallVector<Type> types(
      llvm::map_range(arguments, [](Value v) { return v.getType(); }));
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << key;
  for (Type type : types)
    stream << ';' << type;
  tnk::KernelOp &kernel = state.kernels[text];
  if (!kernel) {
    KernelBuilder builder(state.module, name, b.getLoc(), types, state.sizes);
    body(builder);
    kernel = builder.getKernel();
    state.symbols.insert(kernel);
    ++state.numKernels;
  }
  ++state.numLaunches;
  tnrt::LaunchOp::create(b, context,
                         FlatSymbolRefAttr::get(kernel.getSymNameAttr()), tasks,
                         arguments);
}

LogicalResult FunctionConverter::convertFused(tn::FusedOp op) {
  SmallVector<Operation *> operations;
  for (Operation &inner : op.getBody().front().without_terminator())
    operations.push_back(&inner);
  return convertRoot(operations.front(), ArrayRef(operations).drop_front(),
                     op.getResult());
}

// What decides a kernel's body besides its argument types: names, attributes,
// which operand is the value before, and the columns. Batch and length do not.
static std::string describe(Operation *root, ArrayRef<Operation *> tail,
                            const llvm::DenseMap<Value, unsigned> &arguments) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  auto add = [&](Operation *op) {
    stream << op->getName() << op->getAttrDictionary() << '(';
    for (Value operand : op->getOperands()) {
      auto it = arguments.find(operand);
      stream << (it == arguments.end() ? -1 : static_cast<int>(it->second))
             << ' ';
    }
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    stream << ')' << type.getShape().back() << type.getElementType();
  };
  add(root);
  for (Operation *op : tail)
    add(op);
  return text;
}

// A short name that tells what the kernel does.
static std::string nameOf(Operation *root, ArrayRef<Operation *> tail) {
  std::string name = root->getName().stripDialect().str();
  if (auto linear = dyn_cast<tn::LinearOp>(root)) {
    RankedTensorType weight = linear.getWeight().getType();
    name += "_k" + std::to_string(weight.getDimSize(1)) + "_n" +
            std::to_string(weight.getDimSize(0));
  }
  for (Operation *op : tail)
    name += "_" + op->getName().stripDialect().str();
  return name;
}

LogicalResult FunctionConverter::convertRoot(Operation *root,
                                             ArrayRef<Operation *> tail,
                                             Value result) {
  // Arguments: every tensor read from outside the group, the output, the rows.
  SmallVector<Value> arguments;
  llvm::DenseMap<Value, unsigned> argumentOf;
  llvm::SmallPtrSet<Operation *, 4> inside(tail.begin(), tail.end());
  inside.insert(root);
  SmallVector<Operation *> operations = {root};
  operations.append(tail.begin(), tail.end());
  for (Operation *op : operations)
    for (Value operand : op->getOperands()) {
      if (operand.getDefiningOp() && inside.contains(operand.getDefiningOp()))
        continue;
      if (argumentOf.try_emplace(operand, arguments.size()).second)
        arguments.push_back(bufferOf(operand));
    }
  unsigned outputIndex = arguments.size();
  arguments.push_back(outputFor(result));
  arguments.push_back(rows);

  auto linear = dyn_cast<tn::LinearOp>(root);
  Value tasks =
      linear ? index(cast<MemRefType>(bufferOf(linear.getWeight()).getType())
                         .getDimSize(0))
             : tasksOf(rows, state.sizes.rowBlock);
  launch(
      nameOf(root, tail), arguments, tasks, describe(root, tail, argumentOf),
      [&](KernelBuilder &k) {
        llvm::DenseMap<Value, Value> operands;
        for (auto [tensor, position] : argumentOf)
          operands[tensor] = k.argument(position);
        auto argument = [&](Value tensor) { return operands.lookup(tensor); };
        Value output = k.argument(outputIndex),
              count = k.argument(outputIndex + 1);
        // An element-wise root is itself the first operation of the tail.
        bool rootInTail = tn::isElementwise(root);
        Value start = rootInTail ? root->getOperand(0) : root->getResult(0);
        Epilogue epilogue(rootInTail ? ArrayRef(operations) : tail, start,
                          operands, output);
        if (linear)
          buildLinear(k,
                      {argument(linear.getX()), argument(linear.getWeight()),
                       argument(linear.getScales()), argument(linear.getBias()),
                       count, linear.getResult().getType().getShape().back()},
                      epilogue);
        else if (auto norm = dyn_cast<tn::NormOp>(root))
          buildNorm(k, norm, argument(norm.getX()), argument(norm.getWeight()),
                    argument(norm.getBias()), count, epilogue);
        else
          buildElementwise(k, argument(root->getOperand(0)), count, epilogue);
      });
  return success();
}

// The attributes as text, with every digit of a number.
static std::string attributesOf(Operation *op) {
  std::string text;
  llvm::raw_string_ostream(text) << op->getName() << op->getAttrDictionary();
  return text;
}

LogicalResult FunctionConverter::convertEmbedding(tn::EmbeddingOp op) {
  double scale = op.getScale().convertToFloat();
  Value arguments[] = {bufferOf(op.getIds()), bufferOf(op.getTable()),
                       outputFor(op.getResult()), rows};
  launch("embedding", arguments, tasksOf(rows, state.sizes.rowBlock),
         attributesOf(op), [&](KernelBuilder &k) {
           buildEmbedding(k, k.argument(0), k.argument(1), k.argument(2),
                          k.argument(3), scale);
         });
  return success();
}

LogicalResult FunctionConverter::convertShiftedExp(tn::ShiftedExpOp op) {
  ArrayRef<int64_t> shape = op.getX().getType().getShape();
  Value arguments[] = {bufferOf(op.getX()), outputFor(op.getResult()), rows};
  launch("shifted_exp", arguments, tasksOf(rows, state.sizes.rowBlock),
         "shifted_exp" + std::to_string(shape[2]), [&](KernelBuilder &k) {
           buildShiftedExp(k, k.argument(0), k.argument(1), k.argument(2),
                           shape[2], shape[3]);
         });
  return success();
}

LogicalResult FunctionConverter::convertLRPE(tn::LRPEOp op) {
  ArrayRef<int64_t> shape = op.getX().getType().getShape();
  int64_t heads = shape[2], width = shape[3];
  Value arguments[] = {bufferOf(op.getX()),
                       bufferOf(op.getTheta()),
                       bufferOf(op.getPositions()),
                       outputFor(op.getResult()),
                       rows,
                       length};
  launch("lrpe", arguments, tasksOf(rows, state.sizes.rowBlock),
         "lrpe" + std::to_string(heads), [&](KernelBuilder &k) {
           buildLRPE(k, k.argument(0), k.argument(1), k.argument(2),
                     k.argument(3), k.argument(4), k.argument(5), heads, width);
         });
  return success();
}

LogicalResult FunctionConverter::convertAttention(tn::LightningAttentionOp op) {
  RankedTensorType q = op.getQ().getType(), v = op.getV().getType();
  int64_t heads = q.getDimSize(2);
  bool recurrent = q.getDimSize(1) == 1;
  double scale = op.getScale().convertToFloat();
  buffers[op.getNewState()] = bufferOf(op.getState());
  Value arguments[] = {bufferOf(op.getQ()),
                       bufferOf(op.getK()),
                       bufferOf(op.getV()),
                       bufferOf(op.getSlopes()),
                       bufferOf(op.getState()),
                       outputFor(op.getOut()),
                       length};
  Value tasks = arith::MulIOp::create(b, batch, index(heads));
  StringRef name = recurrent ? "attention_recurrent" : "attention_chunked";
  std::string key = (name + std::to_string(heads) + attributesOf(op)).str();
  launch(name, arguments, tasks, key, [&](KernelBuilder &k) {
    AttentionBuffers in{k.argument(0),   k.argument(1), k.argument(2),
                        k.argument(3),   k.argument(4), k.argument(5),
                        k.argument(6),   heads,         q.getDimSize(3),
                        v.getDimSize(3), scale};
    if (recurrent)
      buildRecurrentAttention(k, in);
    else
      buildChunkedAttention(k, in);
  });
  return success();
}
