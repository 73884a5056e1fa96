// convert-tnk-to-gpu: kernels with threads to gpu.func kernels, whose shared
// buffers are laid out in one dynamic buffer.
#include "TNK/TNKDialect.h"
#include "TNK/TNKVectors.h"
#include "tnllm/Conversion/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/Support/MathExtras.h"

namespace tnllm {
#define GEN_PASS_DEF_CONVERTTNKTOGPU
#include "tnllm/Conversion/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

// The largest that tnk.shared may ask for.
static constexpr int64_t kMaxAlignment = 1024;

// Every buffer that a kernel receives begins at a multiple of 16 bytes, as
// tnk-distribute-rows takes for granted.
static constexpr int64_t kArgumentAlignment = 16;
static constexpr llvm::StringLiteral kAlignAttrName = "llvm.align";

// The gpu.module that holds all kernels; made at the first.
static gpu::GPUModuleOp moduleOfKernels(ModuleOp module) {
  if (auto existing =
          module.lookupSymbol<gpu::GPUModuleOp>(tnk::kGPUModuleName))
    return existing;
  OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
  return gpu::GPUModuleOp::create(b, module.getLoc(), tnk::kGPUModuleName);
}

static int64_t sizeInBytes(MemRefType type) {
  return llvm::divideCeil(type.getNumElements() * type.getElementTypeBitWidth(),
                          8);
}

// Gives every tnk.shared of the function its place in the dynamic buffer, in
// the order of the operations, largest alignment first. Returns the bytes of
// all. The dynamic buffer itself begins at a multiple of 1024, the largest
// alignment there is.
static int64_t layOutShared(gpu::GPUFuncOp function) {
  SmallVector<tnk::SharedOp> buffers;
  function.walk([&](tnk::SharedOp op) { buffers.push_back(op); });
  if (buffers.empty())
    return 0;
  // The larger an alignment, the earlier: then little is lost between buffers.
  SmallVector<tnk::SharedOp> inOrder;
  for (int64_t alignment = kMaxAlignment; alignment > 0; alignment /= 2)
    llvm::copy_if(buffers, std::back_inserter(inOrder), [&](tnk::SharedOp op) {
      return op.getAlignment() == static_cast<uint64_t>(alignment);
    });
  ImplicitLocOpBuilder b(function.getLoc(), function.getContext());
  b.setInsertionPointToStart(&function.getBody().front());
  auto space =
      cast<MemRefType>(buffers.front().getMemory().getType()).getMemorySpace();
  auto bytesType = MemRefType::get({ShapedType::kDynamic}, b.getI8Type(),
                                   MemRefLayoutAttrInterface(), space);
  Value base = gpu::DynamicSharedMemoryOp::create(b, bytesType);
  int64_t offset = 0;
  for (tnk::SharedOp op : inOrder) {
    auto type = cast<MemRefType>(op.getMemory().getType());
    offset = llvm::alignTo(offset, op.getAlignment());
    Value start = arith::ConstantIndexOp::create(b, offset);
    op.replaceAllUsesWith(
        memref::ViewOp::create(b, type, base, start, ValueRange()).getResult());
    op.erase();
    offset += sizeInBytes(type);
  }
  return offset;
}

// What passes have said of the kernel goes with it.
static DictionaryAttr joinAttrs(Builder &b, DictionaryAttr first,
                                DictionaryAttr second) {
  NamedAttrList all(first);
  for (NamedAttribute attr : second)
    all.set(attr.getName(), attr.getValue());
  return all.getDictionary(b.getContext());
}

static gpu::GPUFuncOp convertKernel(tnk::KernelOp kernel,
                                    gpu::GPUModuleOp module) {
  ImplicitLocOpBuilder b(kernel.getLoc(), kernel.getContext());
  b.setInsertionPointToEnd(module.getBody());
  // A tensor map is passed by value and used by its address.
  SmallVector<Type> inputs;
  SmallVector<int64_t> maps;
  for (Type input : kernel.getArgumentTypes().drop_back()) {
    if (isa<tnk::MapType>(input)) {
      maps.push_back(inputs.size());
      input = LLVM::LLVMPointerType::get(b.getContext());
    }
    inputs.push_back(input);
  }
  auto function = gpu::GPUFuncOp::create(b, kernel.getSymName(),
                                         b.getFunctionType(inputs, {}));
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), b.getUnitAttr());
  if (ArrayAttr attributes = kernel.getArgAttrsAttr())
    function.setArgAttrsAttr(b.getArrayAttr(attributes.getValue().drop_back()));
  for (auto [i, input] : llvm::enumerate(inputs))
    if (isa<MemRefType>(input))
      function.setArgAttr(i, kAlignAttrName,
                          b.getI64IntegerAttr(kArgumentAlignment));
  function->setDiscardableAttrs(
      joinAttrs(b, function->getDiscardableAttrDictionary(),
                kernel->getDiscardableAttrDictionary()));
  if (!maps.empty())
    function->setAttr(tnk::kMapsAttrName, b.getDenseI64ArrayAttr(maps));
  int64_t threads = *kernel.getThreads();
  function.setKnownBlockSizeAttr(
      b.getDenseI32ArrayAttr({static_cast<int32_t>(threads), 1, 1}));

  function.getBody().takeBody(kernel.getBody());
  Block &entry = function.getBody().front();
  b.setInsertionPointToStart(&entry);
  BlockArgument task = entry.getArguments().back();
  task.replaceAllUsesWith(gpu::BlockIdOp::create(b, gpu::Dimension::x));
  entry.eraseArgument(task.getArgNumber());
  for (int64_t map : maps) {
    BlockArgument argument = entry.getArgument(map);
    auto pointer =
        UnrealizedConversionCastOp::create(b, argument.getType(), argument);
    argument.replaceAllUsesExcept(pointer.getResult(0), pointer);
    argument.setType(inputs[map]);
  }
  // Without overlapping launches there is nothing to wait for.
  function.walk([](tnk::WaitInputsOp op) { op.erase(); });
  function.walk([](tnk::ReturnOp op) {
    OpBuilder builder(op);
    gpu::ReturnOp::create(builder, op.getLoc());
    op.erase();
  });
  int64_t bytes = layOutShared(function);
  function->setAttr(tnk::kSharedBytesAttrName, b.getI64IntegerAttr(bytes));
  return function;
}

namespace {

struct ConvertTNKToGPUPass
    : public tnllm::impl::ConvertTNKToGPUBase<ConvertTNKToGPUPass> {
  using ConvertTNKToGPUBase::ConvertTNKToGPUBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (failed(tnk::checkVectors(module)))
      return signalPassFailure();
    // The new places of the kernels, for the launches.
    llvm::DenseMap<StringAttr, SymbolRefAttr> references;
    SmallVector<tnk::KernelOp> kernels;
    for (auto kernel : module.getOps<tnk::KernelOp>())
      if (kernel.isForGPU())
        kernels.push_back(kernel);
    for (tnk::KernelOp kernel : kernels) {
      gpu::GPUModuleOp target = moduleOfKernels(module);
      gpu::GPUFuncOp function = convertKernel(kernel, target);
      references[kernel.getSymNameAttr()] = SymbolRefAttr::get(
          target.getNameAttr(), FlatSymbolRefAttr::get(function.getNameAttr()));
      kernel.erase();
    }
    if (!references.empty())
      redirectUses(module, references);
  }

  // @k becomes @kernels::@k wherever an operation names it.
  void redirectUses(ModuleOp module,
                    const llvm::DenseMap<StringAttr, SymbolRefAttr> &places) {
    AttrTypeReplacer replacer;
    replacer.addReplacement(
        [&](SymbolRefAttr name) -> std::pair<Attribute, WalkResult> {
          auto it = places.find(name.getRootReference());
          bool isKernel = it != places.end() && isa<FlatSymbolRefAttr>(name);
          return {isKernel ? it->second : name, WalkResult::skip()};
        });
    module.walk([&](Operation *op) {
      if (!isa<gpu::GPUModuleOp>(op) &&
          !op->getParentOfType<gpu::GPUModuleOp>())
        replacer.replaceElementsIn(op);
    });
  }
};

} // namespace
