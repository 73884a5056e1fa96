// Dialects, passes and pipelines for the tools.
#include "tnllm/Pipelines/Pipelines.h"

#include "TN/TNDialect.h"
#include "TNK/TNKDialect.h"
#include "TNRT/TNRTDialect.h"
#include "tnllm/Conversion/Passes.h"
#include "tnllm/Transforms/Passes.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Conversion/VectorToSCF/VectorToSCF.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/LLVMIR/Transforms/Passes.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace tnllm;

void tnllm::registerAllDialects(DialectRegistry &registry) {
  registry.insert<affine::AffineDialect, arith::ArithDialect,
                  cf::ControlFlowDialect, func::FuncDialect, gpu::GPUDialect,
                  LLVM::LLVMDialect, NVVM::NVVMDialect, math::MathDialect,
                  memref::MemRefDialect, scf::SCFDialect, ub::UBDialect,
                  vector::VectorDialect, x86vector::X86VectorDialect>();
  registry.insert<tn::TNDialect, tnk::TNKDialect, tnrt::TNRTDialect>();
  registerBuiltinDialectTranslation(registry);
  registerGPUDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
}

namespace {

struct PipelineOptions : public PassPipelineOptions<PipelineOptions> {
  Option<std::string> march{
      *this, "march",
      llvm::cl::desc("the CPU, as for tnllmc: native, x86-64-v3, x86-64-v4"),
      llvm::cl::init("x86-64-v4")};
  Option<bool> training{*this, "training", llvm::cl::init(false),
                        llvm::cl::desc("of a module that trains, as --train")};
};

using BuildPipeline = void (*)(OpPassManager &, const CompileOptions &);

} // namespace

// PassPipelineRegistration cannot fail, but a name of a CPU can be wrong.
static void registerPipeline(StringRef name, StringRef description,
                             BuildPipeline build) {
  auto parse = [build](OpPassManager &pm, StringRef text,
                       function_ref<LogicalResult(const Twine &)> emitError)
      -> LogicalResult {
    PipelineOptions options;
    if (failed(options.parseFromString(text)))
      return failure();
    FailureOr<CPUTarget> target = getCPUTarget(
        options.march, [&](const Twine &message) { (void)emitError(message); });
    if (failed(target))
      return failure();
    CompileOptions compile;
    compile.target = *target;
    compile.training = options.training;
    build(pm, compile);
    return success();
  };
  registerPassPipeline(
      name, description, parse,
      [](function_ref<void(const mlir::detail::PassOptions &)> handler) {
        handler(PipelineOptions());
      });
}

// The stages that tnllmc runs, with its default options.
static void registerPipelines() {
  registerPipeline("tn-pipeline", "the tn stage: derive decode, simplify, fuse",
                   buildTNPipeline);
  registerPipeline("tnk-pipeline", "the tnk stage: kernels and schedule",
                   buildTNKPipeline);
  registerPipeline("tnrt-pipeline",
                   "the tnrt stage: a loop over layers, the memory plan",
                   buildTNRTPipeline);
  registerPipeline("llvm-pipeline",
                   "the llvm stage: from kernels to the LLVM dialect",
                   buildLLVMPipeline);
}

namespace {
// Of --tnk-to-ptx; see convert-gpu-to-ptx.
struct TNKToPTXOptions : public PassPipelineOptions<TNKToPTXOptions> {
  Option<std::string> chip{*this, "chip", llvm::cl::init("sm_90a"),
                           llvm::cl::desc("the GPU: sm_90a or sm_80")};
  Option<std::string> format{*this, "format", llvm::cl::init("ptx"),
                             llvm::cl::desc("ptx or cubin")};
  Option<std::string> output{*this, "output", llvm::cl::init("-"),
                             llvm::cl::desc("file to write, - for stdout")};
  Option<bool> overlap{
      *this, "overlap", llvm::cl::init(false),
      llvm::cl::desc("kernels start while the one before runs, and wait")};
  Option<bool> report{*this, "report", llvm::cl::init(false),
                      llvm::cl::desc("print ptxas's report on stderr")};
};
} // namespace

static void registerDevicePipelines() {
  PassPipelineRegistration<>(
      "device-pipeline",
      "the device stage: kernels with threads to the NVVM dialect",
      [](OpPassManager &pm) { buildDevicePipeline(pm, CompileOptions()); });
  PassPipelineRegistration<TNKToPTXOptions>(
      "tnk-to-ptx", "kernels with threads to PTX or a cubin in a file",
      [](OpPassManager &pm, const TNKToPTXOptions &options) {
        CompileOptions compile;
        compile.gpu.emplace();
        compile.gpu->overlapsLaunches = options.overlap;
        buildDevicePipeline(pm, compile);
        ConvertGPUToPTXOptions convert;
        convert.chip = options.chip;
        convert.format = options.format;
        convert.output = options.output;
        convert.report = options.report;
        pm.addNestedPass<gpu::GPUModuleOp>(createConvertGPUToPTX(convert));
      });
}

void tnllm::registerAllPasses() {
  registerTNLLMConversionPasses();
  registerTNLLMTransformsPasses();
  registerPipelines();
  registerDevicePipelines();
  // The upstream passes that the pipelines use.
  registerCanonicalizerPass();
  registerCSEPass();
  registerInlinerPass();
  registerSymbolDCEPass();
  arith::registerArithExpandOpsPass();
  memref::registerExpandStridedMetadataPass();
  registerPass([] { return LLVM::createDIScopeForLLVMFuncOpPass(); });
  registerPass([] { return createConvertVectorToSCFPass(); });
  registerPass([] { return createLowerAffinePass(); });
  registerPass([] { return createSCFToControlFlowPass(); });
  registerPass([] { return createConvertVectorToLLVMPass(); });
  registerPass([] { return createConvertMathToLLVMPass(); });
  registerPass([] { return createFinalizeMemRefToLLVMConversionPass(); });
  registerPass([] { return createArithToLLVMConversionPass(); });
  registerPass([] { return createUBToLLVMConversionPass(); });
  registerPass([] { return createReconcileUnrealizedCastsPass(); });
}
