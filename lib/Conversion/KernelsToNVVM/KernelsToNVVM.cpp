// convert-kernels-to-nvvm: a gpu.module to the LLVM and NVVM dialects, without
// libdevice.
#include "TNK/TNKDialect.h"
#include "tnllm/Conversion/Passes.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/GPUToNVVM/GPUToNVVMPass.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Vector/Transforms/LoweringPatterns.h"
#include "mlir/Dialect/Vector/Transforms/VectorRewritePatterns.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace tnllm {
#define GEN_PASS_DEF_CONVERTKERNELSTONVVM
#include "tnllm/Conversion/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

// What tensor cores and TMA ask of a buffer in shared memory with a swizzle of
// 128 bytes, and the largest alignment of tnk.shared.
static constexpr int64_t kDynamicSharedAlignment = 1024;

namespace {

struct ConvertKernelsToNVVMPass
    : public tnllm::impl::ConvertKernelsToNVVMBase<ConvertKernelsToNVVMPass> {
  using ConvertKernelsToNVVMBase::ConvertKernelsToNVVMBase;

  void runOnOperation() override {
    gpu::GPUModuleOp module = getOperation();
    MLIRContext *context = &getContext();
    if (failed(prepareVectors()))
      return signalPassFailure();

    LowerToLLVMOptions options(context);
    options.overrideIndexBitwidth(64);
    options.useBarePtrCallConv = true;
    LLVMTypeConverter converter(context, options);
    configureGpuToNVVMTypeConverter(converter);
    RewritePatternSet patterns(context);
    populate(converter, patterns);
    LLVMConversionTarget target(*context);
    target.addLegalDialect<NVVM::NVVMDialect>();
    target.addLegalOp<gpu::GPUModuleOp, UnrealizedConversionCastOp>();
    target.markUnknownOpDynamicallyLegal([](Operation *) { return false; });
    if (failed(applyPartialConversion(module, target, std::move(patterns))))
      return signalPassFailure();
    declareDynamicShared(module);
    passMapsByValue(module);
  }

  // Upstream's lowering of functions drops byval, and its verifier takes
  // grid_constant only on kernels of the LLVM dialect.
  static void passMapsByValue(gpu::GPUModuleOp module) {
    Builder b(module.getContext());
    Type map = LLVM::LLVMArrayType::get(b.getI8Type(), tnk::kMapBytes);
    for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
      auto maps =
          function->getAttrOfType<DenseI64ArrayAttr>(tnk::kMapsAttrName);
      if (!maps)
        continue;
      for (int64_t i : maps.asArrayRef()) {
        function.setArgAttr(i, LLVM::LLVMDialect::getByValAttrName(),
                            TypeAttr::get(map));
        function.setArgAttr(i, LLVM::LLVMDialect::getAlignAttrName(),
                            b.getI64IntegerAttr(tnk::kMapAlignment));
        function.setArgAttr(i, NVVM::NVVMDialect::getGridConstantAttrName(),
                            b.getUnitAttr());
      }
    }
  }

  // Upstream makes the dynamic buffer an internal array of no elements, which
  // LLVM takes for a static one of no use.
  static void declareDynamicShared(gpu::GPUModuleOp module) {
    for (auto global : module.getOps<LLVM::GlobalOp>()) {
      auto type = dyn_cast<LLVM::LLVMArrayType>(global.getType());
      if (!type || type.getNumElements() != 0)
        continue;
      global.setLinkage(LLVM::Linkage::External);
      global.setDsoLocal(false);
      global.setAlignment(kDynamicSharedAlignment);
    }
  }

  // Vector operations that have no direct lowering become ones that have.
  LogicalResult prepareVectors() {
    RewritePatternSet patterns(&getContext());
    vector::populateVectorBroadcastLoweringPatterns(patterns);
    vector::populateVectorInsertExtractStridedSliceTransforms(patterns);
    vector::populateVectorStepLoweringPatterns(patterns);
    return applyPatternsGreedily(getOperation(), std::move(patterns));
  }

  void populate(LLVMTypeConverter &converter, RewritePatternSet &patterns) {
    populateGpuToNVVMConversionPatterns(converter, patterns);
    arith::populateArithToLLVMConversionPatterns(converter, patterns);
    cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
    populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns);
    populateMathToLLVMConversionPatterns(converter, patterns);
    populateVectorToLLVMConversionPatterns(converter, patterns);
    ub::populateUBToLLVMConversionPatterns(converter, patterns);
  }
};

} // namespace
