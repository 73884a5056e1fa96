// Signatures, values and calls of host functions.
#include "FunctionConverter.h"

#include "BaselineKernels.h"
#include "GradKernels.h"
#include "RoundedRows.h"
#include "RowClusters.h"

#include "TN/TNDialect.h"
#include "TNK/TNKDialect.h"
#include "TNRT/TNRTDialect.h"
#include "tnllm/Conversion/TNToTNK.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// The parameter whose gradient a result of an entry point is, or null. Such a
// result goes where the runtime sums it.
static FlatSymbolRefAttr gradientOf(func::FuncOp function, unsigned result) {
  if (!function.isPublic())
    return {};
  return dyn_cast_or_null<FlatSymbolRefAttr>(
      function.getResultAttr(result, tn::kGradientOfAttrName));
}

// Host signature: context, batch (or rows), length where there are two leading
// dimensions (sequences where rows are packed), then the arguments that are not
// states of an entry point, then a buffer for each result that is neither a
// state nor summed elsewhere.
LogicalResult FunctionConverter::declare() {
  auto rowsAttr = source->getAttrOfType<IntegerAttr>(tn::kRowsAttrName);
  if (!rowsAttr)
    return source.emitError("expected the attribute '")
           << tn::kRowsAttrName << "', the rows that one call takes";
  capacity = rowsAttr.getInt();
  sequences = capacity;
  if (auto attr = source->getAttrOfType<IntegerAttr>(tn::kSequencesAttrName))
    sequences = std::min(capacity, attr.getInt());
  if (sequences < 1)
    return source.emitError("expected at least one row and one sequence a "
                            "call, got ")
           << capacity << " and " << sequences;
  bool isEntry = source.isPublic();
  auto contextType = tnrt::ContextType::get(b.getContext());
  SmallVector<Type> inputs = {contextType, b.getIndexType()};
  auto first = dyn_cast<RankedTensorType>(source.getArgument(0).getType());
  if (!first || !isActivation(first))
    return source.emitError(
        "expected a first argument with a leading dimension of "
        "unknown size");
  leadingRank = leadingRankOf(source);
  if (leadingRank == 2)
    inputs.push_back(b.getIndexType());
  for (BlockArgument argument : source.getArguments()) {
    auto type = cast<RankedTensorType>(argument.getType());
    bool stateArgument = kernels::isState(source, argument.getArgNumber());
    if (stateArgument && isEntry)
      continue;
    if (kernels::isOffsets(source, argument.getArgNumber())) {
      inputs.push_back(MemRefType::get({sequences + 1}, type.getElementType()));
      continue;
    }
    if (isActivation(type)) {
      inputs.push_back(stateArgument ? stateBufferType(type, sequences)
                                     : bufferTypeOf(argument));
      continue;
    }
    FailureOr<Layout> layout = layoutOf(argument);
    if (failed(layout))
      return failure();
    inputs.push_back(parameterBufferType(type, *layout));
  }
  Operation *terminator = source.getBody().front().getTerminator();
  for (auto [index, value] : llvm::enumerate(terminator->getOperands()))
    if (!tiedArgument(source, index, state.symbols) &&
        !gradientOf(source, index))
      inputs.push_back(bufferTypeOf(value));
  b.setInsertionPoint(source);
  host = func::FuncOp::create(b, (source.getName() + ".host").str(),
                              b.getFunctionType(inputs, {}));
  host.setVisibility(source.getVisibility());
  if (isEntry)
    host->setAttr(tnrt::kEntryAttrName, b.getUnitAttr());
  return success();
}

FailureOr<Layout> FunctionConverter::layoutOf(Value value) {
  return kernels::layoutOf(value, state.symbols, [&](tn::LinearOp op) {
    return state.target.weightLayout(op);
  });
}

LogicalResult FunctionConverter::convertBody() {
  Block *entry = host.addEntryBlock();
  b.setInsertionPointToStart(entry);
  auto argument = entry->args_begin();
  context = *argument++;
  batch = *argument++;
  bool hasLength = leadingRank == 2;
  length = hasLength ? Value(*argument++) : index(1);
  numSequences = batch;
  if (isPacked(source)) {
    numSequences = length;
    length = index(1);
    hasLength = false; // a row is a position
  }
  rows =
      hasLength ? arith::MulIOp::create(b, batch, length).getResult() : batch;
  for (BlockArgument old : source.getArguments()) {
    IntegerAttr layer = source.getArgAttrOfType<IntegerAttr>(
        old.getArgNumber(), tn::kStateAttrName);
    if (layer && source.isPublic())
      buffers[old] = tnrt::StateOp::create(
          b, stateBufferType(cast<RankedTensorType>(old.getType()), sequences),
          context, layer.getInt(), /*offset=*/Value());
    else
      buffers[old] = *argument++;
    if (kernels::isState(source, old.getArgNumber()))
      stateArguments.insert(buffers[old]);
    else if (!isActivation(cast<RankedTensorType>(old.getType())))
      parameterArguments.insert(buffers[old]);
  }
  if (state.training && isForGPU()) {
    narrowRows(source);
    clusters = clusterRows(source, leadingRank);
  }
  auto returnOp =
      cast<func::ReturnOp>(source.getBody().front().getTerminator());
  for (auto [index, value] : llvm::enumerate(returnOp.getOperands())) {
    if (tiedArgument(source, index, state.symbols))
      continue;
    FlatSymbolRefAttr parameter = gradientOf(source, index);
    Value output = parameter ? gradientBuffer(parameter) : *argument++;
    if (!outputs.try_emplace(value, output).second)
      return refuseResult(index);
  }
  if (state.training && isForGPU())
    placePieces();
  for (Operation &op : source.getBody().front()) {
    b.setLoc(op.getLoc());
    if (!converted.contains(&op) && failed(convertOp(op)))
      return failure();
  }
  return success();
}

LogicalResult FunctionConverter::convertOp(Operation &op) {
  WalkResult checked = op.walk([&](Operation *inner) {
    return WalkResult(success(succeeded(checkOperation(inner, leadingRank)) &&
                              succeeded(state.target.check(inner))));
  });
  if (checked.wasInterrupted())
    return failure();
  if (auto cluster = clusters.find(&op); cluster != clusters.end()) {
    converted.insert_range(cluster->second);
    return convertCluster(cluster->second), success();
  }
  if (isGradientOp(&op))
    return convertGradient(op);
  if (isBaselineOp(&op))
    return convertBaseline(op);
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case<tn::FusedOp>([&](auto o) { return convertFused(o), success(); })
      .Case<tn::LinearOp, tn::NormOp, tn::AddOp, tn::MulOp, tn::ActivationOp,
            tn::RoundGroupsOp>([&](auto o) {
        return convertGroup({o, {}, o->getResult(0)}), success();
      })
      .Case<tn::CastOp>([&](auto o) { return convertCast(o); })
      .Case<tn::EmbeddingOp>([&](auto o) { return convertEmbedding(o); })
      .Case<tn::ShiftedExpOp>([&](auto o) { return convertShiftedExp(o); })
      .Case<tn::LRPEOp>([&](auto o) { return convertLRPE(o); })
      .Case<tn::LightningAttentionOp>(
          [&](auto o) { return convertAttention(o); })
      .Case<tn::SampleOp>([&](auto o) { return convertSample(o); })
      .Case<tn::SliceOp>([&](auto o) { return convertSlice(o), success(); })
      .Case<tn::SplitHeadsOp, tn::MergeHeadsOp>([&](auto o) {
        buffers[o.getResult()] = bufferOf(o.getX()); // the same matrix
        return success();
      })
      .Case<tn::ProbeOp>([&](auto o) { return convertProbe(o); })
      .Case<tn::GetParamOp>([&](tn::GetParamOp o) -> LogicalResult {
        FailureOr<Layout> layout = layoutOf(o.getResult());
        if (failed(layout))
          return failure();
        convertParam(o.getResult(), o.getParamAttr(), *layout);
        return success();
      })
      .Case<tn::RowScalesOp>([&](tn::RowScalesOp o) {
        auto param = state.symbols.lookup<tn::ParamOp>(o.getParam());
        convertParam(o.getResult(), o.getParamAttr(),
                     scalesLayout(b.getContext(), param.getTensorType()));
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
        return o->emitError(
            "expected operations of tn, func.call or constants");
      });
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

MemRefType FunctionConverter::bufferTypeOf(Value tensor) const {
  auto type = cast<RankedTensorType>(tensor.getType());
  if (!isActivation(type))
    return parameterBufferType(
        type, plainLayout(b.getContext(), tnrt::LayoutKind::Rows));
  if (isStateValue(tensor, state.symbols))
    return stateBufferType(type, sequences);
  return activationBufferType(type, capacity, leadingRank);
}

Value FunctionConverter::outputFor(Value tensor) {
  Value &buffer = buffers[tensor];
  if (buffer)
    return buffer;
  auto given = outputs.find(tensor);
  if (given != outputs.end())
    return buffer = given->second;
  if (Value narrow = narrowOutput(tensor))
    return buffer = narrow;
  if (std::optional<int64_t> group = roundedGroup(tensor))
    return buffer = tnrt::AllocOp::create(
               b,
               roundedBufferType(
                   b.getContext(), capacity,
                   cast<RankedTensorType>(tensor.getType()).getShape().back(),
                   *group));
  auto type = MemRefType::get(bufferTypeOf(tensor).getShape(),
                              state.target.storageOf(tensor));
  return buffer = tnrt::AllocOp::create(b, type);
}

// What the function returns in bf16, where this cast alone reads the value and
// the target keeps it so.
Value FunctionConverter::narrowOutput(Value tensor) const {
  auto cast = tensor.hasOneUse() ? dyn_cast<tn::CastOp>(*tensor.user_begin())
                                 : tn::CastOp();
  if (!cast || state.target.storageOf(tensor) !=
                   getElementTypeOrSelf(cast.getResult().getType()))
    return {};
  return outputs.lookup(cast.getResult());
}

// True where somebody other than a generated kernel, which widens what it
// loads, reads the value, or a view of it.
static bool needsOwnType(Value tensor) {
  return llvm::any_of(tensor.getUsers(), [](Operation *user) {
    if (isa<tn::SliceOp, tn::SplitHeadsOp, tn::MergeHeadsOp>(user))
      return needsOwnType(user->getResult(0));
    return isa<tn::LinearOp, tn::LinearInputGradOp, tn::LinearWeightGradOp,
               tn::CrossEntropyOp, tn::CrossEntropyGradOp, tn::ProbeOp,
               func::CallOp, func::ReturnOp>(user);
  });
}

// In training, where casts are what says how values are kept, nothing where the
// buffer holds the values already.
LogicalResult FunctionConverter::convertCast(tn::CastOp op) {
  Value result = op.getResult(), x = bufferOf(op.getX());
  auto type = cast<RankedTensorType>(result.getType());
  if (!isActivation(type) && !state.training)
    return op.emitOpError("expected the cast of a parameter in training alone");
  if (!isActivation(type))
    return castParameter(op), success();
  Type stored = getElementTypeOrSelf(x.getType());
  bool isThere = state.training && isForGPU() &&
                 (stored == type.getElementType() ||
                  (stored.isBF16() && type.getElementType().isF32() &&
                   !needsOwnType(result)));
  Value given = outputs.lookup(result);
  if (!isThere || (given && given != x))
    return convertGroup({op, {}, result}), success();
  buffers[result] = x;
  return success();
}

// A parameter in another type: a task is some of its rows.
void FunctionConverter::castParameter(tn::CastOp op) {
  ArrayRef<int64_t> shape = op.getX().getType().getShape();
  TileSizes sizes = state.target.rowSizes(shape.back());
  Value arguments[] = {bufferOf(op.getX()), outputFor(op.getResult())};
  launch("cast_parameter", arguments,
         index(llvm::divideCeil(shape[0], sizes.rowBlock)), sizes,
         "cast_parameter", [&](KernelBuilder &k) {
           forRowsOfTask(k, k.index(shape[0]), [&](Value row) {
             k.forColumns(shape.back(), k.sizes.panelWidth,
                          [&](Value column, int64_t width) {
                            k.storeRow(
                                k.loadRow(k.argument(0), row, column, width),
                                k.argument(1), row, column);
                          });
           });
           k.finish();
         });
}

Value FunctionConverter::allocateWidened(tn::LinearOp linear) {
  ArrayRef<int64_t> shape = linear.getWeight().getType().getShape();
  return tnrt::AllocOp::create(b, MemRefType::get(shape, b.getBF16Type()));
}

// A task is a row of the weight.
void FunctionConverter::widen(tn::LinearOp linear, Value matrix) {
  RankedTensorType weight = linear.getWeight().getType();
  Type element = weight.getElementType();
  TileSizes sizes = state.target.rowSizes(weight.getDimSize(1));
  sizes.overlaps = false; // the library's product follows
  Value arguments[] = {bufferOf(linear.getWeight()),
                       bufferOf(linear.getScales()), matrix};
  std::string key;
  llvm::raw_string_ostream(key) << "widen " << element;
  Work work;
  work.whole = matrix;
  launch("widen_k" + std::to_string(weight.getDimSize(1)) + "_n" +
             std::to_string(weight.getDimSize(0)),
         arguments, index(weight.getDimSize(0)), sizes, key, work,
         [&](KernelBuilder &k) {
           tnk::WidenRowOp::create(k.b, k.argument(0), element, k.argument(1),
                                   k.task(), k.argument(2));
           k.finish();
         });
}

Value FunctionConverter::contiguous(Value tensor) {
  Value buffer = bufferOf(tensor);
  auto type = cast<MemRefType>(buffer.getType());
  if (type.getLayout().isIdentity())
    return buffer;
  Value copy = tnrt::AllocOp::create(
      b, MemRefType::get(type.getShape(), type.getElementType()));
  TileSizes sizes = state.target.rowSizes(type.getDimSize(1));
  launch("copy", {buffer, copy, rows}, rowTasks(sizes), sizes, "copy", {},
         [&](KernelBuilder &k) {
           llvm::DenseMap<Value, Value> none;
           buildElementwise(k, k.argument(0), /*bias=*/{}, k.argument(2),
                            Epilogue({}, {}, none, k.argument(1)));
         });
  return copy;
}

Value FunctionConverter::rowTasks(const TileSizes &sizes) {
  if (sizes.rowBlock == 1)
    return rows;
  return arith::CeilDivUIOp::create(b, rows, index(sizes.rowBlock));
}

// The entry of the module's table, made once for each tensor and layout.
int64_t FunctionConverter::parameterIndex(FlatSymbolRefAttr symbol,
                                          Layout layout) {
  auto param = state.symbols.lookup<tn::ParamOp>(symbol.getValue());
  RankedTensorType type = param.getTensorType();
  auto [it, inserted] = state.parameters.try_emplace(
      {param.getSymNameAttr(), layout}, state.parameterEntries.size());
  if (inserted) {
    Builder builder(b.getContext());
    if (layout.getKind() != tnrt::LayoutKind::Rows &&
        layout.getKind() != tnrt::LayoutKind::Panels)
      type = type.clone(builder.getF32Type()); // scales
    state.parameterEntries.push_back(builder.getDictionaryAttr({
        {parameter_keys::kTensor, param.getTensorName()},
        {parameter_keys::kType, TypeAttr::get(type)},
        {parameter_keys::kInit, param.getInit()},
        {parameter_keys::kLayout, layout},
    }));
  }
  return it->second;
}

// `result` has the type of the data, or of the scales.
void FunctionConverter::convertParam(Value result, FlatSymbolRefAttr symbol,
                                     Layout layout) {
  MemRefType buffer =
      parameterBufferType(cast<RankedTensorType>(result.getType()), layout);
  buffers[result] =
      tnrt::ParamOp::create(b, buffer, context, parameterIndex(symbol, layout),
                            /*offset=*/Value());
}

Value FunctionConverter::gradientBuffer(FlatSymbolRefAttr symbol) {
  auto param = state.symbols.lookup<tn::ParamOp>(symbol.getValue());
  Layout rows = plainLayout(b.getContext(), tnrt::LayoutKind::Rows);
  MemRefType buffer =
      parameterBufferType(param.getTensorType().clone(b.getF32Type()), rows);
  return tnrt::GradientOp::create(b, buffer, context,
                                  parameterIndex(symbol, rows),
                                  /*offset=*/Value());
}

LogicalResult FunctionConverter::convertConstant(Operation &op, Value result,
                                                 DenseElementsAttr value) {
  auto tensor = cast<RankedTensorType>(result.getType());
  auto type =
      MemRefType::get({tensor.getNumElements()}, tensor.getElementType());
  memref::GlobalOp &global = state.constants[value];
  if (!global) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(state.module.getBody());
    auto flat = value.reshape(RankedTensorType::get({tensor.getNumElements()},
                                                    tensor.getElementType()));
    global = memref::GlobalOp::create(b, "constant", b.getStringAttr("private"),
                                      type, flat, /*constant=*/true,
                                      b.getI64IntegerAttr(64));
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

LogicalResult FunctionConverter::convertProbe(tn::ProbeOp op) {
  // @prefill and @decode show the same values under the same names.
  auto *known = llvm::find(state.probes, op.getNameAttr());
  int64_t probe = std::distance(state.probes.begin(), known);
  ArrayRef<int64_t> shape = op.getX().getType().getShape();
  Attribute features = b.getDenseI64ArrayAttr(shape.drop_front(leadingRank));
  if (known == state.probes.end()) {
    state.probes.push_back(op.getNameAttr());
    state.probeShapes.push_back(features);
  } else if (state.probeShapes[probe] != features) {
    return op.emitOpError("expected a tensor like that of the other probe '")
           << op.getName() << "', of features " << state.probeShapes[probe]
           << ", got " << op.getX().getType();
  }
  tnrt::ProbeOp::create(b, context, probe, /*offset=*/Value(),
                        bufferOf(op.getX()), rows);
  return success();
}

//===----------------------------------------------------------------------===//
// Calls and returns
//===----------------------------------------------------------------------===//

LogicalResult FunctionConverter::convertCall(func::CallOp op) {
  auto callee = state.symbols.lookup<func::FuncOp>(op.getCallee());
  SmallVector<Value> arguments = {context, batch};
  if (leadingRankOf(callee) == 2)
    arguments.push_back(isPacked(callee) ? numSequences : length);
  for (Value operand : op.getOperands())
    arguments.push_back(bufferOf(operand));
  for (OpResult result : op.getResults()) {
    if (std::optional<unsigned> tied =
            tiedArgument(callee, result.getResultNumber(), state.symbols))
      buffers[result] = bufferOf(op.getOperand(*tied));
    else if (isActivation(cast<RankedTensorType>(result.getType())))
      arguments.push_back(outputFor(result));
    else
      arguments.push_back(accumulatorFor(result));
  }
  func::CallOp::create(b, (callee.getName() + ".host").str(), TypeRange(),
                       arguments);
  return success();
}

LogicalResult FunctionConverter::convertReturn(func::ReturnOp op) {
  for (auto [index, value] : llvm::enumerate(op.getOperands())) {
    if (tiedArgument(source, index, state.symbols))
      continue;
    // The terms of a parameter's gradient have been added up in its buffer.
    bool isSum = value.getDefiningOp<tn::AddOp>() &&
                 !isActivation(cast<RankedTensorType>(value.getType()));
    if (!isSum && bufferOf(value) != outputs.lookup(value))
      return refuseResult(index);
  }
  func::ReturnOp::create(b);
  return success();
}

LogicalResult FunctionConverter::refuseResult(size_t index) {
  return source.emitError("result ")
         << index
         << " is an argument, a view or a value returned twice: expected "
         << "the result of an operation that computes it";
}
