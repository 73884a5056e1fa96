// tnrt-pool-constants: constants of the schedule to one block of bytes that the
// runtime copies to the GPU.
#include "TNRT/TNRTDialect.h"
#include "tnllm/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"

namespace tnllm {
#define GEN_PASS_DEF_TNRTPOOLCONSTANTS
#include "tnllm/Transforms/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

// As for the buffers of the memory plan.
static constexpr int64_t kAlignment = 64;

// The content of a constant, null where the global has none that is known here.
static DenseElementsAttr contentOf(memref::GlobalOp global) {
  if (!global || !global.getConstant() || !global.getInitialValue())
    return {};
  auto content = dyn_cast<DenseElementsAttr>(*global.getInitialValue());
  if (!content || content.getElementType().getIntOrFloatBitWidth() % 8 != 0)
    return {};
  return content;
}

namespace {

struct PoolConstantsPass
    : public tnllm::impl::TNRTPoolConstantsBase<PoolConstantsPass> {
  using TNRTPoolConstantsBase::TNRTPoolConstantsBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    // A pass manager may run again, on another module.
    pool.clear();
    offsets.clear();
    bases.clear();
    SymbolTable symbols(module);
    SmallVector<memref::GetGlobalOp> uses;
    for (auto function : module.getOps<func::FuncOp>())
      if (!function.isDeclaration() && failed(collect(function, uses)))
        return signalPassFailure();
    if (uses.empty())
      return;
    for (memref::GetGlobalOp use : uses)
      if (failed(place(symbols.lookup<memref::GlobalOp>(use.getName()), use)))
        return signalPassFailure();
    auto poolType =
        MemRefType::get({int64_t(pool.size())},
                        IntegerType::get(&getContext(), 8));
    for (memref::GetGlobalOp use : uses)
      replace(use, poolType);
    for (auto &[global, offset] : offsets)
      symbols.erase(global);
    makeGlobal(module, symbols, poolType);
    constantBytes += pool.size();
  }

  LogicalResult collect(func::FuncOp function,
                        SmallVector<memref::GetGlobalOp> &uses) {
    size_t before = uses.size();
    function.walk([&](memref::GetGlobalOp use) { uses.push_back(use); });
    bool hasContext = function.getNumArguments() > 0 &&
                      isa<tnrt::ContextType>(function.getArgument(0).getType());
    if (uses.size() > before && !hasContext)
      return function.emitError("expected !tnrt.context as the first argument "
                                "of a function that reads constants");
    return success();
  }

  // Appends the constant's bytes, once.
  LogicalResult place(memref::GlobalOp global, memref::GetGlobalOp use) {
    if (offsets.contains(global))
      return success();
    DenseElementsAttr content = contentOf(global);
    if (!content)
      return use.emitError("expected '")
             << use.getName() << "' to be a constant whose value is known";
    pool.resize(llvm::alignTo(pool.size(), kAlignment));
    offsets[global] = pool.size();
    int64_t copies = content.isSplat() ? content.getNumElements() : 1;
    for (int64_t copy = 0; copy < copies; ++copy)
      llvm::append_range(pool, content.getRawData());
    return success();
  }

  void replace(memref::GetGlobalOp use, MemRefType poolType) {
    auto function = use->getParentOfType<func::FuncOp>();
    Value &constants = bases[function];
    if (!constants) {
      OpBuilder b = OpBuilder::atBlockBegin(&function.getBody().front());
      constants = tnrt::ConstantsOp::create(b, function.getLoc(), poolType,
                                            function.getArgument(0));
    }
    OpBuilder b(use);
    auto global = SymbolTable::lookupNearestSymbolFrom<memref::GlobalOp>(
        use, use.getNameAttr());
    Value offset =
        arith::ConstantIndexOp::create(b, use.getLoc(), offsets[global]);
    Value view = memref::ViewOp::create(b, use.getLoc(), use.getType(),
                                        constants, offset, ValueRange());
    use.replaceAllUsesWith(view);
    use.erase();
  }

  void makeGlobal(ModuleOp module, SymbolTable &symbols, MemRefType type) {
    OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
    auto tensor = RankedTensorType::get(type.getShape(), type.getElementType());
    auto bytes = DenseElementsAttr::getFromRawBuffer(tensor, pool);
    auto global = memref::GlobalOp::create(
        b, module.getLoc(), tnrt::kConstantsName, b.getStringAttr("private"),
        type, bytes, /*constant=*/true, b.getI64IntegerAttr(kAlignment));
    symbols.insert(global);
  }

  SmallVector<char> pool;
  llvm::MapVector<memref::GlobalOp, int64_t> offsets;
  llvm::DenseMap<func::FuncOp, Value> bases;
};

} // namespace
