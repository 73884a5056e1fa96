// convert-tnrt-to-llvm: the host schedule to calls of the runtime's C ABI.
#include "DTypeNumber.h"

#include "TNK/TNKDialect.h"
#include "TNRT/TNRTDialect.h"
#include "tnllm/Conversion/Passes.h"

#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/Pattern.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Transforms/DialectConversion.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

namespace tnllm {
#define GEN_PASS_DEF_CONVERTTNRTTOLLVM
#include "tnllm/Conversion/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

//===----------------------------------------------------------------------===//
// The ABI table
//===----------------------------------------------------------------------===//

namespace {

// The LLVM types of one row of ABI.def.
struct ABIFunction {
  Type result;
  SmallVector<Type> parameters;
};

// Stand-ins that let the table's parameter lists be expanded to types.
struct tnrt_i64 {};
struct tnrt_i32 {};
struct tnrt_ptr {};
struct tnrt_void {};

template <typename T> Type llvmType(MLIRContext *context);
template <> Type llvmType<tnrt_i64>(MLIRContext *context) {
  return IntegerType::get(context, 64);
}
template <> Type llvmType<tnrt_ptr>(MLIRContext *context) {
  return LLVM::LLVMPointerType::get(context);
}
template <> Type llvmType<tnrt_void>(MLIRContext *context) {
  return LLVM::LLVMVoidType::get(context);
}

template <typename Result, typename... Parameters>
ABIFunction describe(MLIRContext *context, Result (*)(Parameters...)) {
  return {llvmType<Result>(context), {llvmType<Parameters>(context)...}};
}

} // namespace

// Declares the ABI's functions in `module`.
static void declareABI(ModuleOp module) {
  MLIRContext *context = module.getContext();
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  auto declare = [&](StringRef name, const ABIFunction &function) {
    auto type =
        LLVM::LLVMFunctionType::get(function.result, function.parameters);
    LLVM::LLVMFuncOp::create(b, module.getLoc(), name, type);
  };
#define TNRT_ABI(name, result, parameters)                                     \
  declare(#name, describe(context, static_cast<result(*) parameters>(nullptr)));
#include "tnrt/ABI.def"
}

//===----------------------------------------------------------------------===//
// Patterns
//===----------------------------------------------------------------------===//

static Value constantI64(OpBuilder &b, Location loc, int64_t value) {
  return LLVM::ConstantOp::create(b, loc, b.getI64Type(),
                                  b.getI64IntegerAttr(value));
}

static Value callABI(OpBuilder &b, Location loc, StringRef name, Type result,
                     ValueRange arguments) {
  auto call = LLVM::CallOp::create(
      b, loc, result ? TypeRange(result) : TypeRange(), name, arguments);
  return result ? call.getResult() : Value();
}

// The descriptor of a buffer of static shape at `pointer`.
static Value describeBuffer(ConversionPatternRewriter &rewriter, Location loc,
                            const LLVMTypeConverter &converter, Type type,
                            Value pointer) {
  return MemRefDescriptor::fromStaticShape(rewriter, loc, converter,
                                           cast<MemRefType>(type), pointer);
}

// index + offset of an operation that has both.
template <typename OpTy>
static Value entryIndex(OpTy op, typename OpTy::Adaptor adaptor, OpBuilder &b) {
  Value index = constantI64(b, op.getLoc(), op.getIndex());
  if (!adaptor.getOffset())
    return index;
  return LLVM::AddOp::create(b, op.getLoc(), index, adaptor.getOffset());
}

// `count` elements in the frame of the function around `op`: in its entry block,
// so that loops do not grow the stack.
static Value allocateOnStack(Operation *op, Type element, int64_t count,
                             unsigned alignment, OpBuilder &b) {
  OpBuilder::InsertionGuard guard(b);
  Block *entry = op->getBlock();
  if (auto function = op->getParentOfType<FunctionOpInterface>())
    entry = &function.getFunctionBody().front();
  b.setInsertionPointToStart(entry);
  Value size = constantI64(b, op->getLoc(), count);
  return LLVM::AllocaOp::create(b, op->getLoc(),
                                LLVM::LLVMPointerType::get(op->getContext()),
                                element, size, alignment);
}

namespace {

// An operation whose result is the buffer that an ABI function returns for the
// handle and, where the operation has one, an index.
template <typename OpTy>
struct LowerToPointerCall : public ConvertOpToLLVMPattern<OpTy> {
  LowerToPointerCall(const LLVMTypeConverter &converter, StringRef function)
      : ConvertOpToLLVMPattern<OpTy>(converter), function(function) {}

  LogicalResult
  matchAndRewrite(OpTy op, typename OpTy::Adaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    SmallVector<Value> arguments = {adaptor.getHandle()};
    if constexpr (!std::is_same_v<OpTy, tnrt::ArenaOp> &&
                  !std::is_same_v<OpTy, tnrt::ConstantsOp>)
      arguments.push_back(entryIndex(op, adaptor, rewriter));
    Value pointer =
        callABI(rewriter, loc, function,
                LLVM::LLVMPointerType::get(op.getContext()), arguments);
    rewriter.replaceOp(op,
                       describeBuffer(rewriter, loc, *this->getTypeConverter(),
                                      op.getType(), pointer));
    return success();
  }

  StringRef function;
};

struct LowerRow : public ConvertOpToLLVMPattern<tnrt::RowOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;

  LogicalResult
  matchAndRewrite(tnrt::RowOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<MemRefType>(op.getType());
    Value size = constantI64(rewriter, loc, type.getNumElements());
    Value first = LLVM::MulOp::create(rewriter, loc, adaptor.getIndex(), size);
    Value table =
        MemRefDescriptor(adaptor.getTable()).alignedPtr(rewriter, loc);
    Value row = LLVM::GEPOp::create(
        rewriter, loc, table.getType(),
        getTypeConverter()->convertType(type.getElementType()), table,
        ArrayRef<LLVM::GEPArg>{first});
    rewriter.replaceOp(
        op, describeBuffer(rewriter, loc, *getTypeConverter(), type, row));
    return success();
  }
};

struct LowerKernelArg : public ConvertOpToLLVMPattern<tnrt::KernelArgOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;

  LogicalResult
  matchAndRewrite(tnrt::KernelArgOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto pointer = LLVM::LLVMPointerType::get(op.getContext());
    Value slot =
        LLVM::GEPOp::create(rewriter, loc, pointer, pointer, adaptor.getArgs(),
                            ArrayRef<LLVM::GEPArg>{int32_t(op.getIndex())});
    if (op.getType().isIndex()) {
      rewriter.replaceOpWithNewOp<LLVM::LoadOp>(op, rewriter.getI64Type(),
                                                slot);
      return success();
    }
    Value base = LLVM::LoadOp::create(rewriter, loc, pointer, slot);
    rewriter.replaceOp(op, describeBuffer(rewriter, loc, *getTypeConverter(),
                                          op.getType(), base));
    return success();
  }
};

// The kernels of a gpu.module that are launched, and their numbers in the table
// that tnrt_launch_device indexes.
using DeviceKernels = llvm::MapVector<Attribute, int64_t>;

struct LowerLaunch : public ConvertOpToLLVMPattern<tnrt::LaunchOp> {
  LowerLaunch(const LLVMTypeConverter &converter, const DeviceKernels &kernels)
      : ConvertOpToLLVMPattern(converter), kernels(kernels) {}

  LogicalResult
  matchAndRewrite(tnrt::LaunchOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value array = storeArguments(op, adaptor, rewriter);
    auto onDevice = kernels.find(op.getKernel());
    if (onDevice != kernels.end()) {
      Value number = constantI64(rewriter, loc, onDevice->second);
      callABI(rewriter, loc, "tnrt_launch_device", {},
              {adaptor.getHandle(), number, adaptor.getTasks(), array});
    } else {
      Value kernel = LLVM::AddressOfOp::create(
          rewriter, loc, LLVM::LLVMPointerType::get(op.getContext()),
          op.getKernel().getRootReference());
      callABI(rewriter, loc, "tnrt_launch", {},
              {adaptor.getHandle(), kernel, adaptor.getTasks(), array});
    }
    rewriter.eraseOp(op);
    return success();
  }

  // The array of 8-byte slots that a kernel's arguments travel in.
  static Value storeArguments(tnrt::LaunchOp op, OpAdaptor adaptor,
                              ConversionPatternRewriter &rewriter) {
    Location loc = op.getLoc();
    auto pointer = LLVM::LLVMPointerType::get(op.getContext());
    Value array =
        allocateOnStack(op, pointer, op.getArgs().size(), 8, rewriter);
    for (auto [index, argument] : llvm::enumerate(adaptor.getArgs())) {
      Value word = argument;
      if (isa<MemRefType>(op.getArgs()[index].getType()))
        word = MemRefDescriptor(argument).alignedPtr(rewriter, loc);
      Value slot = LLVM::GEPOp::create(rewriter, loc, pointer, pointer, array,
                                       ArrayRef<LLVM::GEPArg>{int32_t(index)});
      LLVM::StoreOp::create(rewriter, loc, word, slot);
    }
    return array;
  }

  const DeviceKernels &kernels;
};

struct LowerMatmul : public ConvertOpToLLVMPattern<tnrt::MatmulOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;

  LogicalResult
  matchAndRewrite(tnrt::MatmulOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    MemRefType x = op.getX().getType(), y = op.getY().getType();
    auto number = [&](int64_t value) {
      return constantI64(rewriter, loc, value);
    };
    auto address = [&](TypedValue<MemRefType> buffer, Value lowered) {
      return getStridedElementPtr(rewriter, loc, buffer.getType(), lowered,
                                  {number(0), number(0)});
    };
    // Of the library's product: rows and columns of y, and the depth.
    Value rows = adaptor.getRows(), columns = number(y.getDimSize(1));
    Value depth = number(x.getDimSize(1));
    if (op.getForm() == tnrt::MatmulForm::WeightGrad)
      std::swap(rows, depth);
    Value added;
    if (op.getAddend())
      added = address(op.getAddend(), adaptor.getAddend());
    else
      added = LLVM::ZeroOp::create(rewriter, loc, getPtrType());
    callABI(
        rewriter, loc, "tnrt_matmul", {},
        {adaptor.getHandle(), rows, columns, depth, number(getMatmulForm(op)),
         number(getDTypeNumber(x.getElementType())),
         number(getDTypeNumber(y.getElementType())),
         address(op.getX(), adaptor.getX()), address(op.getW(), adaptor.getW()),
         address(op.getY(), adaptor.getY()), added});
    rewriter.eraseOp(op);
    return success();
  }
};

struct LowerTensorMap : public ConvertOpToLLVMPattern<tnrt::TensorMapOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;

  LogicalResult
  matchAndRewrite(tnrt::TensorMapOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Value map = allocateOnStack(op, rewriter.getI8Type(), tnk::kMapBytes,
                                tnk::kMapAlignment, rewriter);
    SmallVector<Value> geometry = geometryOf(op, adaptor, rewriter);
    Value array = allocateOnStack(op, rewriter.getI64Type(), geometry.size(), 8,
                                  rewriter);
    for (auto [i, word] : llvm::enumerate(geometry)) {
      Value slot = LLVM::GEPOp::create(
          rewriter, loc, array.getType(), rewriter.getI64Type(), array,
          ArrayRef<LLVM::GEPArg>{int32_t(i)});
      LLVM::StoreOp::create(rewriter, loc, word, slot);
    }
    callABI(rewriter, loc, "tnrt_tensor_map", {},
            {adaptor.getHandle(), map, dataOf(op, adaptor, rewriter),
             constantI64(
                 rewriter, loc,
                 getDTypeNumber(op.getBuffer().getType().getElementType())),
             constantI64(rewriter, loc, kRank), array});
    rewriter.replaceOp(op, map);
    return success();
  }

  static constexpr int64_t kRank = 4;

  // [column, head, position, batch]: sizes, strides in bytes but for the first,
  // boxes.
  static SmallVector<Value> geometryOf(tnrt::TensorMapOp op, OpAdaptor adaptor,
                                       OpBuilder &b) {
    MemRefType type = op.getBuffer().getType();
    auto number = [&](int64_t value) {
      return constantI64(b, op.getLoc(), value);
    };
    int64_t bytes = type.getElementTypeBitWidth() / 8;
    int64_t heads = op.getHeads(), width = type.getDimSize(1) / heads;
    int64_t rowBytes = type.getStridesAndOffset().first[0] * bytes;
    Value batchBytes = LLVM::MulOp::create(b, op.getLoc(), adaptor.getLength(),
                                           number(rowBytes));
    tnk::MapType map = op.getMap().getType();
    return {number(width),           number(heads),
            adaptor.getLength(),     adaptor.getBatch(),
            number(width * bytes),   number(rowBytes),
            batchBytes,              number(map.getColumns()),
            number(1),               number(map.getRows()),
            number(1)};
  }

  // The first element of the matrix.
  Value dataOf(tnrt::TensorMapOp op, OpAdaptor adaptor,
               ConversionPatternRewriter &rewriter) const {
    MemRefType type = op.getBuffer().getType();
    return getStridedElementPtr(rewriter, op.getLoc(), type,
                                adaptor.getBuffer(),
                                {constantI64(rewriter, op.getLoc(), 0),
                                 constantI64(rewriter, op.getLoc(), 0)});
  }
};

struct LowerProbe : public ConvertOpToLLVMPattern<tnrt::ProbeOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;

  LogicalResult
  matchAndRewrite(tnrt::ProbeOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<MemRefType>(op.getBuffer().getType());
    callABI(rewriter, loc, "tnrt_probe", {},
            {adaptor.getHandle(), entryIndex(op, adaptor, rewriter),
             MemRefDescriptor(adaptor.getBuffer()).alignedPtr(rewriter, loc),
             adaptor.getRows(),
             constantI64(rewriter, loc, type.getDimSize(1))});
    rewriter.eraseOp(op);
    return success();
  }
};

} // namespace

//===----------------------------------------------------------------------===//
// Pass
//===----------------------------------------------------------------------===//

// Entry points are what the runtime's table points to; the rest is internal,
// which lets LLVM inline and drop it.
static void setLinkage(ModuleOp module, const llvm::StringSet<> &entries) {
  for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
    if (function.isExternal())
      continue;
    bool isEntry = entries.contains(function.getSymName());
    function.setVisibility(SymbolTable::Visibility::Public);
    function.setLinkage(isEntry ? LLVM::Linkage::External
                                : LLVM::Linkage::Internal);
    function->removeAttr(tnrt::kEntryAttrName);
  }
}

static DeviceKernels numberDeviceKernels(ModuleOp module) {
  DeviceKernels kernels;
  module.walk([&](tnrt::LaunchOp launch) {
    SymbolRefAttr kernel = launch.getKernel();
    if (!kernel.getNestedReferences().empty())
      kernels.try_emplace(kernel, kernels.size());
  });
  // What nothing here launches, the runtime finds by its name and launches.
  module.walk([&](FunctionOpInterface function) {
    Operation *parent = function->getParentOp();
    if (parent == module || !function->hasAttr(tnrt::kEntryAttrName))
      return;
    auto kernel = SymbolRefAttr::get(
        cast<SymbolOpInterface>(parent).getNameAttr(),
        {FlatSymbolRefAttr::get(function.getNameAttr())});
    kernels.try_emplace(kernel, kernels.size());
  });
  return kernels;
}

// The table's entries, for who writes it.
static void recordDeviceKernels(ModuleOp module, const DeviceKernels &kernels) {
  if (kernels.empty())
    return;
  SmallVector<Attribute> names;
  for (const auto &entry : kernels)
    names.push_back(entry.first);
  module->setAttr(tnrt::kDeviceKernelsAttrName,
                  ArrayAttr::get(module.getContext(), names));
}

namespace {

struct ConvertTNRTToLLVMPass
    : public tnllm::impl::ConvertTNRTToLLVMBase<ConvertTNRTToLLVMPass> {
  using ConvertTNRTToLLVMBase::ConvertTNRTToLLVMBase;

  void populate(LLVMTypeConverter &converter, const DeviceKernels &kernels,
                RewritePatternSet &patterns) {
    patterns.add<LowerToPointerCall<tnrt::ArenaOp>>(converter, "tnrt_arena");
    patterns.add<LowerToPointerCall<tnrt::ConstantsOp>>(converter,
                                                        "tnrt_constants");
    patterns.add<LowerToPointerCall<tnrt::ParamOp>>(converter, "tnrt_param");
    patterns.add<LowerToPointerCall<tnrt::StateOp>>(converter, "tnrt_state");
    patterns.add<LowerToPointerCall<tnrt::GradientOp>>(converter,
                                                       "tnrt_gradient");
    patterns.add<LowerKernelArg, LowerMatmul, LowerProbe, LowerRow,
                 LowerTensorMap>(converter);
    patterns.add<LowerLaunch>(converter, kernels);
    populateFuncToLLVMConversionPatterns(converter, patterns);
    // The conversion of functions changes the types of all their blocks'
    // arguments, so branches that pass buffers change with it.
    cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    MLIRContext *context = &getContext();
    llvm::StringSet<> entries;
    for (auto function : module.getOps<func::FuncOp>())
      if (function->hasAttr(tnrt::kEntryAttrName))
        entries.insert(function.getSymName());
    declareABI(module);
    DeviceKernels kernels = numberDeviceKernels(module);
    recordDeviceKernels(module, kernels);

    LowerToLLVMOptions options(context);
    options.useBarePtrCallConv = true;
    LLVMTypeConverter converter(context, options);
    auto pointer = LLVM::LLVMPointerType::get(context);
    converter.addConversion([=](tnrt::ContextType) { return pointer; });
    converter.addConversion([=](tnrt::ArgumentsType) { return pointer; });
    converter.addConversion([=](tnk::MapType) { return pointer; });
    RewritePatternSet patterns(context);
    populate(converter, kernels, patterns);
    LLVMConversionTarget target(*context);
    target.addLegalOp<ModuleOp>();
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    target.addIllegalDialect<tnrt::TNRTDialect, func::FuncDialect,
                             cf::ControlFlowDialect>();
    if (failed(applyPartialConversion(module, target, std::move(patterns))))
      return signalPassFailure();
    setLinkage(module, entries);
  }
};

} // namespace
