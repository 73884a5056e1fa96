// The way of a GPU's kernels down to the NVVM dialect.
#include "tnllm/Pipelines/Pipelines.h"

#include "TNK/TNKDialect.h"
#include "tnllm/Conversion/Passes.h"
#include "tnllm/Transforms/Passes.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/NVVMToLLVM/NVVMToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace tnllm;

void tnllm::buildDevicePipeline(OpPassManager &pm,
                                const CompileOptions &options) {
  // Kernels for tensor cores: rings, tiles and roles to what a thread does.
  OpPassManager &kernel = pm.nest<tnk::KernelOp>();
  kernel.addPass(createTNKLowerRings());
  kernel.addPass(createTNKDistributeTiles());
  kernel.addPass(createTNKLowerRoles());
  kernel.addPass(createReconcileUnrealizedCastsPass());
  // Vectors of a block to pieces of its threads.
  pm.addNestedPass<tnk::KernelOp>(createTNKDistributeRows());
  // Products of few rows to what a thread multiplies.
  pm.addNestedPass<tnk::KernelOp>(createTNKLowerMultiplyRows());
  // Kernels start before the last one has ended.
  if (options.gpuFeatures.overlap && options.gpu &&
      options.gpu->overlapsLaunches)
    pm.addNestedPass<tnk::KernelOp>(createTNKOverlapLaunches());
  pm.addNestedPass<tnk::KernelOp>(createCanonicalizerPass());
  pm.addNestedPass<tnk::KernelOp>(createCSEPass());
  // Mathematics without libdevice.
  pm.addNestedPass<tnk::KernelOp>(createTNKExpandMath());
  pm.addPass(createConvertTNKToGPU());
  // Views to offsets, loops to branches.
  OpPassManager &device = pm.nest<gpu::GPUModuleOp>();
  device.addPass(createCanonicalizerPass());
  device.addPass(createCSEPass());
  device.addPass(memref::createExpandStridedMetadataPass());
  device.addPass(createLowerAffinePass());
  device.addPass(createCSEPass());
  device.addPass(createLoopInvariantCodeMotionPass());
  device.addPass(createSCFToControlFlowPass());
  // Everything to the LLVM and NVVM dialects.
  device.addPass(createConvertKernelsToNVVM());
  device.addPass(createReconcileUnrealizedCastsPass());
  // Tensor-core products, and the barriers of copies, are text of PTX.
  device.addPass(createConvertNVVMToLLVMPass());
  device.addPass(createCanonicalizerPass());
  device.addPass(createCSEPass());
}
