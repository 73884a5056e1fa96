// Which kernel an operation becomes, and its launch.
#include "FunctionConverter.h"

#include "TN/TNDialect.h"
#include "TNK/TNKDialect.h"
#include "TNRT/TNRTDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// Makes the kernel unless one with the same key and argument types exists, and
// launches it.
void FunctionConverter::launch(StringRef name, ArrayRef<Value> arguments,
                               Value tasks, const TileSizes &sizes,
                               StringRef key, const Work &work, Body body) {
  SmallVector<Type> types(
      llvm::map_range(arguments, [](Value v) { return v.getType(); }));
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << key << ';' << sizes.threads << ';' << sizes.tileRows << ';'
         << sizes.panelWidth;
  for (Type type : types)
    stream << ';' << type;
  tnk::KernelOp &kernel = state.kernels[text];
  if (!kernel) {
    KernelBuilder builder(state.module, name, b.getLoc(), types, sizes);
    body(builder);
    kernel = builder.getKernel();
    if (sizes.threads != 0)
      setCost(kernel, arguments, work);
    state.symbols.insert(kernel);
    ++state.numKernels;
  }
  ++state.numLaunches;
  tnrt::LaunchOp::create(b, context,
                         FlatSymbolRefAttr::get(kernel.getSymNameAttr()), tasks,
                         arguments);
}

SmallVector<Operation *> Group::operations() const {
  SmallVector<Operation *> all = {root};
  all.append(tail.begin(), tail.end());
  return all;
}

LogicalResult KernelChoice::check(Operation *) const { return success(); }

void FunctionConverter::convertFused(tn::FusedOp op) {
  SmallVector<Operation *> operations;
  for (Operation &inner : op.getBody().front().without_terminator())
    operations.push_back(&inner);
  convertGroup(
      {operations.front(), ArrayRef(operations).drop_front(), op.getResult()});
}

// What decides a kernel's body besides its argument types: names, attributes,
// which operand is the value before, and the columns. Batch and length do not.
static std::string describe(ArrayRef<Operation *> operations,
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
    // Bytes do not tell what they hold.
    auto linear = dyn_cast<tn::LinearOp>(op);
    if (linear && linear.getScales())
      stream << linear.getWeight().getType().getElementType();
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    stream << ')' << type.getShape().back() << type.getElementType();
  };
  for (Operation *op : operations)
    add(op);
  return text;
}

// What the operations after the root do, for a kernel's name.
static std::string tailName(ArrayRef<Operation *> tail) {
  std::string name;
  for (Operation *op : tail)
    name += "_" + op->getName().stripDialect().str();
  return name;
}

// A short name that tells what the kernel does.
static std::string nameOf(const Group &group) {
  std::string name = group.root->getName().stripDialect().str();
  if (auto linear = dyn_cast<tn::LinearOp>(group.root)) {
    RankedTensorType weight = linear.getWeight().getType();
    name += "_k" + std::to_string(weight.getDimSize(1)) + "_n" +
            std::to_string(weight.getDimSize(0));
  }
  return name + tailName(group.tail);
}

// Arguments: `bias`, every tensor that the operations read from outside and
// that is not `made` inside, the `product` unless it is the output, the output,
// the rows.
void FunctionConverter::launchOperations(
    StringRef name, ArrayRef<Operation *> operations, ArrayRef<Value> made,
    Value bias, Value output, const TileSizes &sizes, Value tasks,
    Value product, const llvm::DenseMap<Value, Value> &maps, GroupBody body) {
  SmallVector<Value> arguments;
  llvm::DenseMap<Value, unsigned> argumentOf;
  auto addArgument = [&](Value tensor) {
    if (!argumentOf.try_emplace(tensor, arguments.size()).second)
      return;
    Value map = maps.lookup(tensor);
    arguments.push_back(map ? map : bufferOf(tensor));
  };
  if (bias)
    addArgument(bias);
  // The root's result, which its tail reads, is no argument either.
  llvm::SmallPtrSet<Operation *, 4> inside(operations.begin(),
                                           operations.end());
  for (Operation *op : operations)
    for (Value operand : op->getOperands())
      if (bufferOf(operand) && !inside.contains(operand.getDefiningOp()) &&
          !llvm::is_contained(made, operand))
        addArgument(operand);
  bool isInPlace = product == output;
  if (product && !isInPlace)
    arguments.push_back(product);
  unsigned outputIndex = arguments.size();
  arguments.push_back(output);
  arguments.push_back(rows);
  // A kernel's instructions lead back to the operation that they compute. The
  // tail that only adds a bias has none.
  if (!operations.empty())
    b.setLoc(operations.front()->getLoc());
  Work work;
  work.flops = flopsOfRow(operations);
  if (isInPlace)
    work.updated = output;
  if (bias)
    work.flops += cast<MemRefType>(bufferOf(bias).getType()).getNumElements();
  launch(name, arguments, tasks, sizes, describe(operations, argumentOf), work,
         [&](KernelBuilder &k) {
           KernelArguments in;
           for (auto [tensor, position] : argumentOf)
             in.buffers[tensor] = k.argument(position);
           in.output = k.argument(outputIndex);
           in.rows = k.argument(outputIndex + 1);
           if (product)
             in.product = isInPlace ? in.output : k.argument(outputIndex - 1);
           body(k, in);
         });
}

void FunctionConverter::launchGroup(const Group &group, const TileSizes &sizes,
                                    Value tasks, GroupBody body) {
  launchGroup(group, /*more=*/{}, /*made=*/{}, sizes, tasks, body);
}

void FunctionConverter::launchGroup(const Group &group,
                                    ArrayRef<Operation *> more,
                                    ArrayRef<Value> made,
                                    const TileSizes &sizes, Value tasks,
                                    GroupBody body) {
  launchGroup(group, more, made, sizes, tasks, llvm::DenseMap<Value, Value>(),
              body);
}

void FunctionConverter::launchGroup(const Group &group,
                                    ArrayRef<Operation *> more,
                                    ArrayRef<Value> made,
                                    const TileSizes &sizes, Value tasks,
                                    const llvm::DenseMap<Value, Value> &maps,
                                    GroupBody body) {
  SmallVector<Operation *> operations = group.operations();
  operations.append(more.begin(), more.end());
  std::string name = nameOf(group);
  for (Operation *op : llvm::reverse(more))
    if (!isa<tn::CastOp>(op))
      name = op->getName().stripDialect().str() + "_" + name;
  launchOperations(name, operations, made, /*bias=*/{}, outputFor(group.result),
                   sizes, tasks, /*product=*/{}, maps, body);
}

Value FunctionConverter::allocateRows(int64_t columns) {
  return tnrt::AllocOp::create(
      b, MemRefType::get({capacity, columns}, b.getF32Type()));
}

// The first columns, where a tail is an activation of them alone.
static std::optional<int64_t> columnsOfTail(const Group &group, Value bias) {
  if (bias || group.tail.size() != 1)
    return std::nullopt;
  auto activation = dyn_cast<tn::ActivationOp>(group.tail.front());
  if (!activation || !activation.getColumns() ||
      activation.getColumns()->front() != 0)
    return std::nullopt;
  return activation.getColumns()->back();
}

static Value firstColumnsOf(OpBuilder &b, Location loc, Value matrix,
                            int64_t columns) {
  auto type = cast<MemRefType>(matrix.getType());
  SmallVector<int64_t> offsets = {0, 0}, strides = {1, 1};
  SmallVector<int64_t> sizes = {type.getDimSize(0), columns};
  auto view = cast<MemRefType>(
      memref::SubViewOp::inferResultType(type, offsets, sizes, strides));
  return memref::SubViewOp::create(b, loc, view, matrix, offsets, sizes,
                                   strides);
}

void FunctionConverter::launchTail(const Group &group, Value bias,
                                   Value product, const TileSizes &sizes,
                                   GroupBody body) {
  std::string name = bias ? "tail_bias" : "tail";
  Value output = outputFor(group.result);
  TileSizes chosen = sizes;
  // The product's other columns lie where they are wanted.
  if (std::optional<int64_t> columns = columnsOfTail(group, bias);
      columns && product == output) {
    product = output = firstColumnsOf(b, b.getLoc(), output, *columns);
    chosen = state.target.rowSizes(*columns);
    chosen.overlaps = sizes.overlaps;
  }
  launchOperations(name + tailName(group.tail), group.tail, /*made=*/{}, bias,
                   output, chosen, rowTasks(chosen), product,
                   llvm::DenseMap<Value, Value>(), body);
}

void FunctionConverter::matmul(Value x, Value w, Value y, tnrt::MatmulForm form,
                               bool accumulate, Value addend) {
  tnrt::MatmulOp::create(b, context, x, w, y, rows, addend, form, accumulate);
}

void FunctionConverter::forFewRows(int64_t limit,
                                   llvm::function_ref<void()> few,
                                   llvm::function_ref<void()> many) {
  if (capacity <= limit)
    return few();
  Value isFew =
      arith::CmpIOp::create(b, arith::CmpIPredicate::ule, rows, index(limit));
  auto branch = scf::IfOp::create(b, isFew, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  few();
  b.setInsertionPointToStart(branch.elseBlock());
  many();
}

void FunctionConverter::convertGroup(const Group &group) {
  if (isa<tn::LinearOp>(group.root))
    return state.target.launchLinear(*this, group);
  auto type = cast<RankedTensorType>(group.result.getType());
  TileSizes sizes = state.target.rowSizes(llvm::product_of(
      type.getShape().drop_front(std::min(leadingRank, type.getRank()))));
  auto body = [&](KernelBuilder &k, const KernelArguments &in) {
    auto norm = dyn_cast<tn::NormOp>(group.root);
    if (norm)
      return buildNorm(
          k, norm, in.of(norm.getX()), in.of(norm.getWeight()),
          in.of(norm.getBias()), in.rows,
          Epilogue(group.tail, norm.getResult(), in.buffers, in.output));
    // An element-wise root is itself the first operation of the tail.
    Value start = group.root->getOperand(0);
    SmallVector<Operation *> operations = group.operations();
    buildElementwise(k, in.of(start), /*bias=*/{}, in.rows,
                     Epilogue(operations, start, in.buffers, in.output));
  };
  auto compute = [&] { launchGroup(group, sizes, rowTasks(sizes), body); };
  if (!state.target.isComputedByUsers(group.result))
    return compute();
  (void)outputFor(group.result); // outside of the branch
  forFewRows(kGemvRows, [] {}, compute);
}

// Tasks of a kernel that treats the heads of rows: on a GPU each is a task.
Value FunctionConverter::headTasks(const TileSizes &sizes, int64_t heads) {
  Value tasks = rowTasks(sizes);
  if (sizes.threads == 0)
    return tasks;
  return arith::MulIOp::create(b, tasks, index(heads));
}

std::string kernels::attributesOf(Operation *op) {
  std::string text;
  llvm::raw_string_ostream(text) << op->getName() << op->getAttrDictionary();
  return text;
}

LogicalResult FunctionConverter::convertEmbedding(tn::EmbeddingOp op) {
  double scale = op.getScale().convertToFloat();
  Value arguments[] = {bufferOf(op.getIds()), bufferOf(op.getTable()),
                       outputFor(op.getResult()), rows};
  TileSizes sizes =
      state.target.rowSizes(op.getTable().getType().getDimSize(1));
  Work work{flopsOfRow({op}), /*gathered=*/arguments[1]};
  launch("embedding", arguments, rowTasks(sizes), sizes, attributesOf(op), work,
         [&](KernelBuilder &k) {
           buildEmbedding(k, k.argument(0), k.argument(1), k.argument(2),
                          k.argument(3), scale);
         });
  return success();
}

LogicalResult FunctionConverter::convertShiftedExp(tn::ShiftedExpOp op) {
  ArrayRef<int64_t> shape = op.getX().getType().getShape();
  Value arguments[] = {bufferOf(op.getX()), outputFor(op.getResult()), rows};
  TileSizes sizes = state.target.rowSizes(shape[3]);
  sizes.overlaps = false;
  launch("shifted_exp", arguments, headTasks(sizes, shape[2]), sizes,
         "shifted_exp" + std::to_string(shape[2]), {flopsOfRow({op})},
         [&](KernelBuilder &k) {
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
  TileSizes sizes = state.target.rowSizes(width);
  sizes.overlaps = false;
  launch("lrpe", arguments, headTasks(sizes, heads), sizes,
         "lrpe" + std::to_string(heads), {flopsOfRow({op})},
         [&](KernelBuilder &k) {
           buildLRPE(k, k.argument(0), k.argument(1), k.argument(2),
                     k.argument(3), k.argument(4), k.argument(5), heads, width);
         });
  return success();
}

LogicalResult FunctionConverter::convertSample(tn::SampleOp op) {
  int64_t vocabulary = op.getLogits().getType().getDimSize(1);
  Value logits = bufferOf(op.getLogits()),
        settings = bufferOf(op.getSettings());
  Value tokens = outputFor(op.getResult());
  TileSizes sizes = sampleSizes(state.target.rowSizes(vocabulary), vocabulary);
  if (sizes.threads == 0) {
    Value arguments[] = {logits, settings, tokens};
    launch("sample_token", arguments, rows, sizes, "sample", {flopsOfRow({op})},
           [&](KernelBuilder &k) {
             buildSample(
                 k, {k.argument(0), k.argument(1), k.argument(2), vocabulary});
           });
    return success();
  }
  Value list = tnrt::AllocOp::create(
      b, MemRefType::get({capacity, kSampleList}, b.getI64Type()));
  Value notes = tnrt::AllocOp::create(
      b, MemRefType::get({capacity, kSampleNotes}, b.getF32Type()));
  Work work{flopsOfRow({op})};
  work.scarce = list; // a few entries of a row
  Value listing[] = {logits, settings, tokens, list, notes};
  launch("sample_list", listing, rows, sizes, "sample_list", work,
         [&](KernelBuilder &k) {
           buildSample(k,
                       {k.argument(0), k.argument(1), k.argument(2), vocabulary,
                        SamplePart::List, k.argument(3), k.argument(4)});
         });
  work.flops = 0;
  Value choosing[] = {settings, tokens, list, notes};
  launch("sample_token", choosing, rows, sampleChoiceSizes(sizes),
         "sample_token", work, [&](KernelBuilder &k) {
           buildSample(k,
                       {/*logits=*/{}, k.argument(0), k.argument(1), vocabulary,
                        SamplePart::Choose, k.argument(2), k.argument(3)});
         });
  return success();
}
