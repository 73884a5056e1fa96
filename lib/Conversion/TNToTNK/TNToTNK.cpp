// convert-tn-to-tnk: functions of tensors to host functions of buffers that launch
// kernels. The kernels' bodies are written in the files beside this one.
#include "KernelBuilder.h"

#include "TN/TNDialect.h"
#include "TNK/TNKDialect.h"
#include "TNRT/TNRTDialect.h"
#include "tnllm/Conversion/Passes.h"
#include "tnllm/Conversion/TNToTNK.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/TypeSwitch.h"

namespace tnllm {
#define GEN_PASS_DEF_CONVERTTNTOTNK
#include "tnllm/Conversion/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

//===----------------------------------------------------------------------===//
// Layouts and buffer types
//===----------------------------------------------------------------------===//

namespace {

using Layout = tnrt::LayoutKind;

// State shared by the whole module's conversion.
struct ModuleState {
  ModuleState(ModuleOp module, const TileSizes &sizes)
      : module(module), symbols(module), sizes(sizes) {}

  ModuleOp module;
  SymbolTable symbols;
  TileSizes sizes;
  // Kernels made, by the text that determines them.
  llvm::StringMap<tnk::KernelOp> kernels;
  // Index of each (parameter, layout) in `tnrt.parameters`.
  llvm::MapVector<std::pair<StringAttr, int>, int64_t> parameters;
  SmallVector<Attribute> parameterEntries;
  SmallVector<Attribute> probes;
  llvm::DenseMap<Attribute, memref::GlobalOp> constants;
  int64_t numKernels = 0, numLaunches = 0;
};

} // namespace

// Activations have a leading dimension of unknown size, parameters have none.
static bool isActivation(RankedTensorType type) {
  return llvm::is_contained(type.getShape(), ShapedType::kDynamic);
}

// Dimensions before the features: 2 in functions of ids [B, N] or of activations
// [B, N, ...], 1 in functions of rows [R, C].
static int64_t leadingRankOf(func::FuncOp function) {
  auto first = cast<RankedTensorType>(function.getArgument(0).getType());
  return first.getRank() > 2 || first.getElementType().isInteger() ? 2 : 1;
}

static bool isState(func::FuncOp function, unsigned argument) {
  return static_cast<bool>(function.getArgAttr(argument, tn::kStateAttrName));
}

// The layout that the uses of a parameter's value ask for, following calls.
static FailureOr<Layout> layoutOf(Value value) {
  std::optional<Layout> layout;
  for (OpOperand &use : value.getUses()) {
    Layout wanted = Layout::Rows;
    if (auto linear = dyn_cast<tn::LinearOp>(use.getOwner())) {
      if (use.get() == linear.getWeight() && &use != &linear.getXMutable())
        wanted = Layout::Panels;
    } else if (auto call = dyn_cast<func::CallOp>(use.getOwner())) {
      auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
          call, call.getCalleeAttr());
      FailureOr<Layout> inner =
          layoutOf(callee.getArgument(use.getOperandNumber()));
      if (failed(inner))
        return failure();
      wanted = *inner;
    }
    if (layout && *layout != wanted)
      return emitError(value.getLoc(),
                       "a parameter is used both as the weight of a linear map and "
                       "row by row within one function; use it through two "
                       "tn.get_param in two functions");
    layout = wanted;
  }
  return layout.value_or(Layout::Rows);
}

// True for weights that are packed in pairs, which needs an even depth.
static bool usesPairs(RankedTensorType type, const TileSizes &sizes) {
  return sizes.bf16Pairs && type.getElementType().isBF16() &&
         type.getDimSize(1) % 2 == 0;
}

// [ceil(N/W), K, W], or [ceil(N/W), K/2, 2 W] for bf16 in pairs.
static MemRefType panelType(RankedTensorType type, const TileSizes &sizes) {
  int64_t n = type.getDimSize(0), k = type.getDimSize(1);
  int64_t panels = llvm::divideCeilSigned(n, sizes.panelWidth);
  SmallVector<int64_t> shape = {panels, k, sizes.panelWidth};
  if (usesPairs(type, sizes)) {
    shape[1] = k / 2;
    shape[2] *= 2;
  }
  return MemRefType::get(shape, type.getElementType());
}

static MemRefType parameterBufferType(RankedTensorType type, Layout layout,
                                      const TileSizes &sizes) {
  if (layout == Layout::Panels)
    return panelType(type, sizes);
  // Vectors and theta [H, 1, d] are read as one row.
  if (type.getRank() != 2)
    return MemRefType::get({type.getNumElements()}, type.getElementType());
  return MemRefType::get(type.getShape(), type.getElementType());
}

// Activations are matrices of `rows` rows; ids and positions vectors; states keep
// their shape, with room for `rows` sequences.
static MemRefType activationBufferType(RankedTensorType type, int64_t rows,
                                       int64_t leadingRank) {
  SmallVector<int64_t> shape = {rows};
  ArrayRef<int64_t> features =
      type.getShape().drop_front(std::min(leadingRank, type.getRank()));
  if (!features.empty())
    shape.push_back(llvm::product_of(features));
  return MemRefType::get(shape, type.getElementType());
}

static MemRefType stateBufferType(RankedTensorType type, int64_t rows) {
  SmallVector<int64_t> shape(type.getShape());
  shape[0] = rows;
  return MemRefType::get(shape, type.getElementType());
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

namespace {

class FunctionConverter {
public:
  FunctionConverter(ModuleState &state, func::FuncOp source)
      : state(state), source(source), b(source.getLoc(), source.getContext()) {}

  // Declares the host function. Bodies come after every declaration.
  LogicalResult declare();
  LogicalResult convertBody();

private:
  LogicalResult convertOp(Operation &op);
  LogicalResult convertFused(tn::FusedOp op);
  LogicalResult convertRoot(Operation *root, ArrayRef<Operation *> tail, Value result);
  LogicalResult convertEmbedding(tn::EmbeddingOp op);
  LogicalResult convertShiftedExp(tn::ShiftedExpOp op);
  LogicalResult convertLRPE(tn::LRPEOp op);
  LogicalResult convertAttention(tn::LightningAttentionOp op);
  LogicalResult convertCall(func::CallOp op);
  LogicalResult convertReturn(func::ReturnOp op);
  LogicalResult refuseResult(size_t index);
  LogicalResult convertConstant(Operation &op, Value result, DenseElementsAttr value);
  void convertParam(Value result, Operation *op, FlatSymbolRefAttr symbol,
                    Layout layout);
  void convertSlice(tn::SliceOp op);
  void convertProbe(tn::ProbeOp op);

  using Body = llvm::function_ref<void(KernelBuilder &)>;
  void launch(StringRef name, ArrayRef<Value> arguments, Value tasks, StringRef key,
              Body body);

  // The buffer of a tensor, made before its first use.
  Value bufferOf(Value tensor) { return buffers.lookup(tensor); }
  Value outputFor(Value tensor);
  Value index(int64_t value) { return arith::ConstantIndexOp::create(b, value); }
  Value tasksOf(Value count, int64_t block);

  ModuleState &state;
  func::FuncOp source, host;
  ImplicitLocOpBuilder b;
  int64_t capacity = 0;    // rows that one call takes
  int64_t leadingRank = 2; // see leadingRankOf
  // Values of the host function.
  Value context, batch, length, rows;
  llvm::DenseMap<Value, Value> buffers;
  // Where results that the function returns go.
  llvm::DenseMap<Value, Value> outputs;
};

} // namespace

// The argument that result `index` updates in place, if the result is a state.
static std::optional<unsigned> tiedArgument(func::FuncOp function, unsigned index) {
  auto returnOp = cast<func::ReturnOp>(function.getBody().front().getTerminator());
  Value value = returnOp.getOperand(index);
  while (Operation *op = value.getDefiningOp()) {
    if (auto attention = dyn_cast<tn::LightningAttentionOp>(op)) {
      if (value != attention.getNewState())
        return std::nullopt;
      value = attention.getState();
    } else if (auto call = dyn_cast<func::CallOp>(op)) {
      auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
          call, call.getCalleeAttr());
      std::optional<unsigned> tied =
          tiedArgument(callee, cast<OpResult>(value).getResultNumber());
      if (!tied)
        return std::nullopt;
      value = call.getOperand(*tied);
    } else {
      return std::nullopt;
    }
  }
  auto argument = cast<BlockArgument>(value);
  if (!isState(function, argument.getArgNumber()))
    return std::nullopt;
  return argument.getArgNumber();
}

// Host signature: context, batch (or rows), length where there are two leading
// dimensions, then the arguments that are not states of an entry point, then a
// buffer for each result that is not a state.
LogicalResult FunctionConverter::declare() {
  auto rowsAttr = source->getAttrOfType<IntegerAttr>(tn::kRowsAttrName);
  if (!rowsAttr)
    return source.emitError("expected the attribute '")
           << tn::kRowsAttrName << "', the rows that one call takes";
  capacity = rowsAttr.getInt();
  bool isEntry = source.isPublic();
  auto contextType = tnrt::ContextType::get(b.getContext());
  SmallVector<Type> inputs = {contextType, b.getIndexType()};
  auto first = dyn_cast<RankedTensorType>(source.getArgument(0).getType());
  if (!first || !isActivation(first))
    return source.emitError("expected a first argument with a leading dimension of "
                            "unknown size");
  leadingRank = leadingRankOf(source);
  if (leadingRank == 2)
    inputs.push_back(b.getIndexType());
  for (BlockArgument argument : source.getArguments()) {
    auto type = cast<RankedTensorType>(argument.getType());
    bool stateArgument = isState(source, argument.getArgNumber());
    if (stateArgument && isEntry)
      continue;
    if (isActivation(type)) {
      inputs.push_back(stateArgument
                           ? stateBufferType(type, capacity)
                           : activationBufferType(type, capacity, leadingRank));
      continue;
    }
    FailureOr<Layout> layout = layoutOf(argument);
    if (failed(layout))
      return failure();
    inputs.push_back(parameterBufferType(type, *layout, state.sizes));
  }
  for (auto [index, type] : llvm::enumerate(source.getResultTypes()))
    if (!tiedArgument(source, index))
      inputs.push_back(activationBufferType(cast<RankedTensorType>(type), capacity,
                                            leadingRank));
  b.setInsertionPoint(source);
  host = func::FuncOp::create(b, (source.getName() + ".host").str(),
                              b.getFunctionType(inputs, {}));
  host.setVisibility(source.getVisibility());
  if (isEntry)
    host->setAttr(tnrt::kEntryAttrName, b.getUnitAttr());
  return success();
}

LogicalResult FunctionConverter::convertBody() {
  Block *entry = host.addEntryBlock();
  b.setInsertionPointToStart(entry);
  auto argument = entry->args_begin();
  context = *argument++;
  batch = *argument++;
  bool hasLength = leadingRank == 2;
  length = hasLength ? Value(*argument++) : index(1);
  rows = hasLength ? arith::MulIOp::create(b, batch, length).getResult() : batch;
  for (BlockArgument old : source.getArguments()) {
    IntegerAttr layer = source.getArgAttrOfType<IntegerAttr>(old.getArgNumber(),
                                                             tn::kStateAttrName);
    if (layer && source.isPublic())
      buffers[old] = tnrt::StateOp::create(
          b, stateBufferType(cast<RankedTensorType>(old.getType()), capacity), context,
          layer.getInt());
    else
      buffers[old] = *argument++;
  }
  auto returnOp = cast<func::ReturnOp>(source.getBody().front().getTerminator());
  for (auto [index, value] : llvm::enumerate(returnOp.getOperands()))
    if (!tiedArgument(source, index))
      if (!outputs.try_emplace(value, *argument++).second)
        return refuseResult(index);
  for (Operation &op : source.getBody().front()) {
    b.setLoc(op.getLoc());
    if (failed(convertOp(op)))
      return failure();
  }
  return success();
}

// True for operations to which the last dimension means columns, not one head's.
static bool readsColumns(Operation *op) {
  auto activation = dyn_cast<tn::ActivationOp>(op);
  return isa<tn::LinearOp, tn::NormOp, tn::SliceOp>(op) ||
         (activation && activation.getColumns());
}

// The operand that must be packed data of the model, if the operation has one.
static Value packedOperand(Operation *op) {
  if (auto linear = dyn_cast<tn::LinearOp>(op))
    return linear.getWeight();
  if (auto embedding = dyn_cast<tn::EmbeddingOp>(op))
    return embedding.getTable();
  return {};
}

// What the verifiers of tn allow and this lowering does not.
static LogicalResult checkOperation(Operation *op, int64_t leadingRank) {
  if (!isa<tn::TNDialect>(op->getDialect()) || op->getNumOperands() == 0 ||
      isa<tn::FusedOp, tn::YieldOp>(op))
    return success();
  auto type = cast<RankedTensorType>(op->getOperand(0).getType());
  bool allActivations = isActivation(type);
  if (isa<tn::AddOp, tn::MulOp>(op))
    allActivations &= isActivation(cast<RankedTensorType>(op->getOperand(1).getType()));
  for (Type result : op->getResultTypes())
    allActivations &= isActivation(cast<RankedTensorType>(result));
  if (!allActivations)
    return op->emitOpError("expected activations of unknown batch here, got ") << type;
  // Buffers of split heads are the matrices of merged ones, so what reads columns must
  // see them merged.
  if (readsColumns(op) && type.getRank() != leadingRank + 1)
    return op->emitOpError("expected an operand of rank ")
           << leadingRank + 1 << " here, got " << type << "; merge heads first";
  Value packed = packedOperand(op);
  if (packed && packed.getDefiningOp() && !packed.getDefiningOp<tn::GetParamOp>())
    return op->emitOpError("expected a parameter as the weight or table");
  if (packed && isActivation(cast<RankedTensorType>(packed.getType())))
    return op->emitOpError("expected a weight or table of static shape");
  return success();
}

LogicalResult FunctionConverter::convertOp(Operation &op) {
  WalkResult checked = op.walk(
      [&](Operation *inner) { return WalkResult(checkOperation(inner, leadingRank)); });
  if (checked.wasInterrupted())
    return failure();
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case<tn::FusedOp>([&](auto o) { return convertFused(o); })
      .Case<tn::LinearOp, tn::NormOp, tn::AddOp, tn::MulOp, tn::ActivationOp, tn::CastOp>(
          [&](auto o) { return convertRoot(o, {}, o->getResult(0)); })
      .Case<tn::EmbeddingOp>([&](auto o) { return convertEmbedding(o); })
      .Case<tn::ShiftedExpOp>([&](auto o) { return convertShiftedExp(o); })
      .Case<tn::LRPEOp>([&](auto o) { return convertLRPE(o); })
      .Case<tn::LightningAttentionOp>([&](auto o) { return convertAttention(o); })
      .Case<tn::SliceOp>([&](auto o) { return convertSlice(o), success(); })
      .Case<tn::SplitHeadsOp, tn::MergeHeadsOp>([&](auto o) {
        buffers[o.getResult()] = bufferOf(o.getX()); // the same matrix
        return success();
      })
      .Case<tn::ProbeOp>([&](auto o) { return convertProbe(o), success(); })
      .Case<tn::GetParamOp>([&](tn::GetParamOp o) -> LogicalResult {
        FailureOr<Layout> layout = layoutOf(o.getResult());
        if (failed(layout))
          return failure();
        convertParam(o.getResult(), o, o.getParamAttr(), *layout);
        return success();
      })
      .Case<tn::RowScalesOp>([&](tn::RowScalesOp o) {
        convertParam(o.getResult(), o, o.getParamAttr(), Layout::RowScales);
        return success();
      })
      .Case<tn::DecaySlopesOp>([&](tn::DecaySlopesOp o) {
        auto value = cast<DenseElementsAttr>(tn::getDecaySlopes(o));
        return convertConstant(*o, o.getResult(), value);
      })
      .Case<arith::ConstantOp>([&](arith::ConstantOp o) -> LogicalResult {
        auto value = dyn_cast<DenseElementsAttr>(o.getValue());
        if (!value)
          return o.emitError("expected a tensor constant");
        return convertConstant(*o, o.getResult(), value);
      })
      .Case<func::CallOp>([&](auto o) { return convertCall(o); })
      .Case<func::ReturnOp>([&](auto o) { return convertReturn(o); })
      .Default([](Operation *o) {
        return o->emitError("expected operations of tn, func.call or constants");
      });
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Value FunctionConverter::outputFor(Value tensor) {
  Value &buffer = buffers[tensor];
  auto given = outputs.find(tensor);
  if (given != outputs.end())
    buffer = given->second;
  else
    buffer = tnrt::AllocOp::create(
        b, activationBufferType(cast<RankedTensorType>(tensor.getType()), capacity,
                                leadingRank));
  return buffer;
}

Value FunctionConverter::tasksOf(Value count, int64_t block) {
  if (block == 1)
    return count;
  return arith::CeilDivUIOp::create(b, count, index(block));
}

// The entry of the module's table, made once for each tensor and layout, and the
// buffer it gives. `result` has the type of the data, or of the scales.
void FunctionConverter::convertParam(Value result, Operation *op,
                                     FlatSymbolRefAttr symbol, Layout layout) {
  auto param = SymbolTable::lookupNearestSymbolFrom<tn::ParamOp>(op, symbol);
  RankedTensorType type = param.getTensorType();
  auto [it, inserted] =
      state.parameters.try_emplace({param.getTensorName(), static_cast<int>(layout)},
                                   state.parameterEntries.size());
  if (inserted) {
    Builder builder(b.getContext());
    bool panels = layout == Layout::Panels;
    auto layoutAttr = tnrt::LayoutAttr::get(
        b.getContext(), layout, panels ? state.sizes.panelWidth : 0,
        panels ? (usesPairs(type, state.sizes) ? 2 : 1) : 0);
    if (layout == Layout::RowScales)
      type = type.clone(builder.getF32Type());
    state.parameterEntries.push_back(builder.getDictionaryAttr({
        {parameter_keys::kTensor, param.getTensorName()},
        {parameter_keys::kType, TypeAttr::get(type)},
        {parameter_keys::kInit, param.getInit()},
        {parameter_keys::kLayout, layoutAttr},
    }));
  }
  MemRefType buffer = parameterBufferType(cast<RankedTensorType>(result.getType()),
                                          layout, state.sizes);
  buffers[result] = tnrt::ParamOp::create(b, buffer, context, it->second);
}

LogicalResult FunctionConverter::convertConstant(Operation &op, Value result,
                                                 DenseElementsAttr value) {
  auto tensor = cast<RankedTensorType>(result.getType());
  auto type = MemRefType::get({tensor.getNumElements()}, tensor.getElementType());
  memref::GlobalOp &global = state.constants[value];
  if (!global) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(state.module.getBody());
    auto flat = value.reshape(RankedTensorType::get({tensor.getNumElements()},
                                                    tensor.getElementType()));
    global = memref::GlobalOp::create(b, "constant", b.getStringAttr("private"), type,
                                      flat, /*constant=*/true, b.getI64IntegerAttr(64));
    state.symbols.insert(global);
  }
  buffers[result] = memref::GetGlobalOp::create(b, type, global.getSymName());
  return success();
}

void FunctionConverter::convertSlice(tn::SliceOp op) {
  Value x = bufferOf(op.getX());
  auto type = cast<MemRefType>(x.getType());
  int64_t begin = op.getColumns()[0], width = op.getColumns()[1] - begin;
  SmallVector<int64_t> offsets = {0, begin}, strides = {1, 1};
  SmallVector<int64_t> sizes = {type.getDimSize(0), width};
  auto view = cast<MemRefType>(
      memref::SubViewOp::inferResultType(type, offsets, sizes, strides));
  buffers[op.getResult()] =
      memref::SubViewOp::create(b, view, x, offsets, sizes, strides);
}

void FunctionConverter::convertProbe(tn::ProbeOp op) {
  // @prefill and @decode show the same values under the same names.
  auto *known = llvm::find(state.probes, op.getNameAttr());
  int64_t probe = std::distance(state.probes.begin(), known);
  if (known == state.probes.end())
    state.probes.push_back(op.getNameAttr());
  tnrt::ProbeOp::create(b, context, probe, bufferOf(op.getX()), rows);
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

// Makes the kernel unless one with the same key and argument types exists, and
// launches it.
void FunctionConverter::launch(StringRef name, ArrayRef<Value> arguments, Value tasks,
                               StringRef key, Body body) {
  SmallVector<Type> types(llvm::map_range(arguments, [](Value v) { return v.getType(); }));
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
  tnrt::LaunchOp::create(b, context, FlatSymbolRefAttr::get(kernel.getSymNameAttr()),
                         tasks, arguments);
}

LogicalResult FunctionConverter::convertFused(tn::FusedOp op) {
  SmallVector<Operation *> operations;
  for (Operation &inner : op.getBody().front().without_terminator())
    operations.push_back(&inner);
  return convertRoot(operations.front(), ArrayRef(operations).drop_front(),
                     op.getResult());
}

// What decides a kernel's body besides its argument types: names, attributes, which
// operand is the value before, and the columns. Batch and length do not.
static std::string describe(Operation *root, ArrayRef<Operation *> tail,
                            const llvm::DenseMap<Value, unsigned> &arguments) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  auto add = [&](Operation *op) {
    stream << op->getName() << op->getAttrDictionary() << '(';
    for (Value operand : op->getOperands()) {
      auto it = arguments.find(operand);
      stream << (it == arguments.end() ? -1 : static_cast<int>(it->second)) << ' ';
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
                                             ArrayRef<Operation *> tail, Value result) {
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
  Value tasks = linear ? index(cast<MemRefType>(bufferOf(linear.getWeight()).getType())
                                   .getDimSize(0))
                       : tasksOf(rows, state.sizes.rowBlock);
  launch(nameOf(root, tail), arguments, tasks, describe(root, tail, argumentOf),
         [&](KernelBuilder &k) {
           llvm::DenseMap<Value, Value> operands;
           for (auto [tensor, position] : argumentOf)
             operands[tensor] = k.argument(position);
           auto argument = [&](Value tensor) { return operands.lookup(tensor); };
           Value output = k.argument(outputIndex), count = k.argument(outputIndex + 1);
           // An element-wise root is itself the first operation of the tail.
           bool rootInTail = tn::isElementwise(root);
           Value start = rootInTail ? root->getOperand(0) : root->getResult(0);
           Epilogue epilogue(rootInTail ? ArrayRef(operations) : tail, start, operands,
                             output);
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
           buildShiftedExp(k, k.argument(0), k.argument(1), k.argument(2), shape[2],
                           shape[3]);
         });
  return success();
}

LogicalResult FunctionConverter::convertLRPE(tn::LRPEOp op) {
  ArrayRef<int64_t> shape = op.getX().getType().getShape();
  int64_t heads = shape[2], width = shape[3];
  Value arguments[] = {bufferOf(op.getX()),         bufferOf(op.getTheta()),
                       bufferOf(op.getPositions()), outputFor(op.getResult()),
                       rows,                        length};
  launch("lrpe", arguments, tasksOf(rows, state.sizes.rowBlock),
         "lrpe" + std::to_string(heads), [&](KernelBuilder &k) {
           buildLRPE(k, k.argument(0), k.argument(1), k.argument(2), k.argument(3),
                     k.argument(4), k.argument(5), heads, width);
         });
  return success();
}

LogicalResult FunctionConverter::convertAttention(tn::LightningAttentionOp op) {
  RankedTensorType q = op.getQ().getType(), v = op.getV().getType();
  int64_t heads = q.getDimSize(2);
  bool recurrent = q.getDimSize(1) == 1;
  double scale = op.getScale().convertToFloat();
  buffers[op.getNewState()] = bufferOf(op.getState());
  Value arguments[] = {bufferOf(op.getQ()),      bufferOf(op.getK()),
                       bufferOf(op.getV()),      bufferOf(op.getSlopes()),
                       bufferOf(op.getState()),  outputFor(op.getOut()),
                       length};
  Value tasks = arith::MulIOp::create(b, batch, index(heads));
  StringRef name = recurrent ? "attention_recurrent" : "attention_chunked";
  std::string key = (name + std::to_string(heads) + attributesOf(op)).str();
  launch(name, arguments, tasks, key, [&](KernelBuilder &k) {
    AttentionBuffers in{k.argument(0), k.argument(1), k.argument(2), k.argument(3),
                        k.argument(4), k.argument(5), k.argument(6), heads,
                        q.getDimSize(3), v.getDimSize(3), scale};
    if (recurrent)
      buildRecurrentAttention(k, in);
    else
      buildChunkedAttention(k, in);
  });
  return success();
}

//===----------------------------------------------------------------------===//
// Calls and returns
//===----------------------------------------------------------------------===//

LogicalResult FunctionConverter::convertCall(func::CallOp op) {
  auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, op.getCalleeAttr());
  SmallVector<Value> arguments = {context, batch};
  if (leadingRankOf(callee) == 2)
    arguments.push_back(length);
  for (Value operand : op.getOperands())
    arguments.push_back(bufferOf(operand));
  for (OpResult result : op.getResults()) {
    if (std::optional<unsigned> tied = tiedArgument(callee, result.getResultNumber()))
      buffers[result] = bufferOf(op.getOperand(*tied));
    else
      arguments.push_back(outputFor(result));
  }
  func::CallOp::create(b, (callee.getName() + ".host").str(), TypeRange(), arguments);
  return success();
}

LogicalResult FunctionConverter::convertReturn(func::ReturnOp op) {
  for (auto [index, value] : llvm::enumerate(op.getOperands())) {
    if (tiedArgument(source, index))
      continue;
    if (bufferOf(value) != outputs.lookup(value))
      return refuseResult(index);
  }
  func::ReturnOp::create(b);
  return success();
}

LogicalResult FunctionConverter::refuseResult(size_t index) {
  return source.emitError("result ")
         << index << " is an argument, a view or a value returned twice: expected "
         << "the result of an operation that computes it";
}

//===----------------------------------------------------------------------===//
// Pass
//===----------------------------------------------------------------------===//

namespace {

struct ConvertTNToTNKPass
    : public tnllm::impl::ConvertTNToTNKBase<ConvertTNToTNKPass> {
  using ConvertTNToTNKBase::ConvertTNToTNKBase;

  LogicalResult checkOptions() {
    for (int64_t value : {tileRows.getValue(), panelWidth.getValue(), chunk.getValue(),
                          rowBlock.getValue()})
      if (value < 1 || value > 4096)
        return emitError(UnknownLoc::get(&getContext()),
                         "expected tile sizes from 1 to 4096, got ")
               << value;
    if (chunk % panelWidth != 0 && panelWidth % chunk != 0)
      return emitError(UnknownLoc::get(&getContext()),
                       "expected the chunk to be a multiple of the panel width or the "
                       "reverse, got ")
             << chunk.getValue() << " and " << panelWidth.getValue();
    return success();
  }

  // State shapes, one for each layer, off the entry points.
  ArrayAttr stateTypes(ModuleOp module) {
    SmallVector<Attribute> types;
    for (auto function : module.getOps<func::FuncOp>()) {
      if (!function.isPublic() || !types.empty())
        continue;
      for (BlockArgument argument : function.getArguments())
        if (isState(function, argument.getArgNumber()))
          types.push_back(TypeAttr::get(argument.getType()));
    }
    return ArrayAttr::get(&getContext(), types);
  }

  // Functions of tensors with a body, whose calls end.
  LogicalResult checkFunction(func::FuncOp function, SymbolTable &symbols) {
    if (function.isDeclaration() || !function.getBody().hasOneBlock() ||
        function.getNumArguments() == 0)
      return function.emitError(
          "expected a function with arguments and a body of one block");
    for (Type type : llvm::concat<const Type>(function.getArgumentTypes(),
                                              function.getResultTypes()))
      if (!isa<RankedTensorType>(type))
        return function.emitError("expected arguments and results to be ranked tensors, "
                                  "got ")
               << type;
    callStack.push_back(function);
    WalkResult walk = function.walk([&](func::CallOp call) {
      auto callee = symbols.lookup<func::FuncOp>(call.getCallee());
      if (llvm::is_contained(callStack, callee)) {
        call.emitError("expected no recursive calls");
        return WalkResult::interrupt();
      }
      return WalkResult(checkFunction(callee, symbols));
    });
    callStack.pop_back();
    return failure(walk.wasInterrupted());
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (failed(checkOptions()))
      return signalPassFailure();
    {
      SymbolTable symbols(module);
      for (auto function : module.getOps<func::FuncOp>())
        if (failed(checkFunction(function, symbols)))
          return signalPassFailure();
    }
    TileSizes sizes{tileRows, panelWidth, bf16Pairs, blockBytes, chunk, rowBlock};
    ModuleState state(module, sizes);
    ArrayAttr states = stateTypes(module);

    SmallVector<func::FuncOp> functions(module.getOps<func::FuncOp>());
    SmallVector<FunctionConverter> converters;
    for (func::FuncOp function : functions)
      converters.emplace_back(state, function);
    SmallVector<NamedAttribute> capacity;
    for (auto [function, converter] : llvm::zip(functions, converters)) {
      if (failed(converter.declare()))
        return signalPassFailure();
      if (function.isPublic())
        capacity.emplace_back(function.getSymNameAttr(),
                              function->getAttr(tn::kRowsAttrName));
    }
    for (FunctionConverter &converter : converters)
      if (failed(converter.convertBody()))
        return signalPassFailure();
    finish(module, state, functions, capacity, states);
  }

  // Drops what was converted, gives the host functions their names and records what
  // the manifest needs.
  void finish(ModuleOp module, ModuleState &state, ArrayRef<func::FuncOp> functions,
              ArrayRef<NamedAttribute> capacity, ArrayAttr states) {
    for (func::FuncOp function : functions)
      function.erase();
    for (auto param : llvm::make_early_inc_range(module.getOps<tn::ParamOp>()))
      param.erase();
    constexpr StringLiteral suffix = ".host";
    auto plain = [&](StringRef name) {
      return StringAttr::get(&getContext(), name.drop_back(suffix.size()));
    };
    module.walk([&](Operation *op) {
      if (auto function = dyn_cast<func::FuncOp>(op))
        function.setSymNameAttr(plain(function.getName()));
      else if (auto call = dyn_cast<func::CallOp>(op))
        call.setCalleeAttr(FlatSymbolRefAttr::get(plain(call.getCallee())));
    });
    Builder builder(&getContext());
    module->setAttr(tnrt::kParametersAttrName,
                    builder.getArrayAttr(state.parameterEntries));
    module->setAttr(tnrt::kProbesAttrName, builder.getArrayAttr(state.probes));
    module->setAttr(tnrt::kStatesAttrName, states);
    module->setAttr(tnrt::kCapacityAttrName, builder.getDictionaryAttr(capacity));
    numKernels += state.numKernels;
    numLaunches += state.numLaunches;
  }

  SmallVector<func::FuncOp> callStack; // of checkFunction
};

} // namespace
