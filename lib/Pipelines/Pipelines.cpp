// The stages from tn to LLVM; docs/Architecture.md draws them.
#include "tnllm/Pipelines/Pipelines.h"

#include "TNK/TNKDialect.h"
#include "tnllm/Conversion/Passes.h"
#include "tnllm/Conversion/SpecToTN.h"
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
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace tnllm;

OwningOpRef<ModuleOp> tnllm::buildTNModule(MLIRContext &context,
                                           const ModelSpec &spec,
                                           const CompileOptions &options) {
  DialectRegistry registry;
  registerAllDialects(registry);
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
  SpecToTNOptions build;
  build.weights = options.dtype;
  // A tile of the matrix kernels then holds whole groups.
  if (options.target.hasByteDot && !options.gpu)
    build.inputGroup = options.target.panelWidth;
  // Where quantised weights become bf16 on their way to the product.
  build.bf16Inputs = options.gpu.has_value();
  build.bf16Embedding = options.bf16Embedding && options.dtype != DType::F32;
  build.prefillRows = options.prefillRows;
  build.headRows = options.headRows;
  build.sampling = options.sampling;
  build.training = options.training;
  build.trainTokens = options.trainTokens;
  build.trainSequences = std::min(options.trainSequences, options.trainTokens);
  return convertSpecToTN(context, spec, build);
}

void tnllm::buildTNPipeline(OpPassManager &pm, const CompileOptions &options) {
  if (options.training) {
    // What is nothing, or one thing twice, would be kept twice.
    pm.addPass(createCanonicalizerPass());
    pm.addPass(createCSEPass());
    if (options.mixedPrecision)
      pm.addPass(createTNMixedPrecision());
    TNDifferentiateOptions differentiate;
    differentiate.recompute = options.recompute;
    pm.addPass(createTNDifferentiate(differentiate));
  } else {
    // A call of packed sequences is prefill position by position, and decode is
    // prefill with one position.
    TNDeriveDecodeOptions packed;
    packed.to = "packed";
    packed.rows = options.prefillRows;
    packed.packed = true;
    pm.addPass(createTNDeriveDecode(packed));
    TNDeriveDecodeOptions decode;
    decode.rows = options.decodeRows;
    pm.addPass(createTNDeriveDecode(decode));
  }
  // Decay slopes become constants; equal parts are computed once.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  if (options.trace == Trace::Values)
    pm.addPass(createTNInsertProbes());
  // What one kernel does.
  pm.addNestedPass<func::FuncOp>(createTNFuseEpilogues());
  if (options.trace == Trace::Kernels)
    pm.addPass(createTNInsertProbes());
}

static ConvertTNToTNKOptions kernelOptions(const CompileOptions &options) {
  ConvertTNToTNKOptions convert;
  if (options.gpu) {
    convert.gpuThreads = GPUTarget::maxRowThreads;
    convert.bf16Storage = options.dtype != DType::F32 || options.mixedPrecision;
    convert.bf16Depth = GPUTarget::minBF16Depth;
    convert.tensorCores = options.gpu->hasWarpgroupProducts;
    convert.training = options.training;
    const GPUFeatures &features = options.gpuFeatures;
    convert.attentionBlocks =
        features.segments ? options.gpu->multiprocessors : 0;
    if (options.training) // few rows are none, and every value may be kept
      return convert;
    convert.rowProducts = features.rowProducts;
    convert.foldNorms = features.foldNorms;
    convert.joinGates = features.joinGates;
    convert.tiledLinears = features.tiledLinears;
    return convert;
  }
  convert.training = options.training;
  convert.tileRows = options.target.tileRows;
  convert.panelWidth = options.target.panelWidth;
  convert.bf16Pairs = options.target.hasBF16Dot;
  // A quarter of the second cache: the panel stays there while the rows stream
  // by.
  convert.blockBytes = options.target.l2Bytes / 4;
  // A third of the first cache: the block at hand, the next one and the rows.
  convert.streamBlockBytes = options.target.l1Bytes / 3;
  convert.chunk = options.target.attentionChunk();
  return convert;
}

void tnllm::buildTNKPipeline(OpPassManager &pm, const CompileOptions &options) {
  pm.addPass(createConvertTNToTNK(kernelOptions(options)));
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

void tnllm::buildTNRTPipeline(OpPassManager &pm,
                              const CompileOptions &options) {
  // What they keep for the backward first.
  if (options.training)
    pm.addNestedPass<func::FuncOp>(createTNRTStackBuffers());
  // Layers of one shape become a loop.
  pm.addPass(createTNRTRollLayers());
  // Buffers become offsets in the arena.
  pm.addPass(createTNRTPlanMemory());
  // Constants that kernels read go where those run.
  if (options.gpu)
    pm.addPass(createTNRTPoolConstants());
}

// Micro-kernels of the CPU as functions of vectors of rank 1.
static void buildCPUKernelPipeline(OpPassManager &pm,
                                   const CompileOptions &options) {
  // Micro-kernels, and mathematics without library calls.
  TNKLowerContractOptions contract;
  contract.byteLanes = options.target.vectorLanes();
  contract.byteSums = options.target.tileRows * options.target.panelWidth /
                      options.target.vectorLanes();
  pm.addNestedPass<tnk::KernelOp>(createTNKLowerContract(contract));
  pm.addPass(createTNKExpandMath());
  // Rounding to bf16 by integer arithmetic where there is no instruction for
  // it.
  if (!options.target.hasBF16Dot) {
    arith::ArithExpandOpsPassOptions expand;
    expand.includeBf16 = true;
    pm.addPass(arith::createArithExpandOpsPass(expand));
  }
  pm.addPass(createConvertTNKToFunc());
  VectorTransferToSCFOptions transfers;
  transfers.enableFullUnroll();
  pm.addNestedPass<func::FuncOp>(createConvertVectorToSCFPass(transfers));
}

void tnllm::buildLLVMPipeline(OpPassManager &pm,
                              const CompileOptions &options) {
  if (!options.gpu)
    buildCPUKernelPipeline(pm, options);
  else // no kernel is left: it asks what the host functions hold
    pm.addPass(createConvertTNKToFunc());
  // Views to offsets, loops to branches.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createSCFToControlFlowPass());
  // Everything to the LLVM dialect.
  ConvertVectorToLLVMPassOptions vectors;
  vectors.x86Vector = true;
  vectors.vectorTransposeLowering =
      vector::VectorTransposeLowering::Shuffle16x16;
  pm.addPass(createConvertVectorToLLVMPass(vectors));
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createConvertTNRTToLLVM());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createUBToLLVMConversionPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  if (options.debugInfo)
    pm.addPass(LLVM::createDIScopeForLLVMFuncOpPass());
}
