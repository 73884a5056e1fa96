// convert-tn-to-tnk: functions of tensors to host functions of buffers that
// launch kernels. The conversion and the kernels' bodies are in the files
// beside this one.
#include "FunctionConverter.h"
#include "KernelChoice.h"
#include "RowClusters.h"
#include "ScoreKernel.h"

#include "TN/TNDialect.h"
#include "TNK/TNKDialect.h"
#include "TNRT/TNRTDialect.h"
#include "tnllm/Conversion/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace tnllm {
#define GEN_PASS_DEF_CONVERTTNTOTNK
#include "tnllm/Conversion/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

namespace {

struct ConvertTNToTNKPass
    : public tnllm::impl::ConvertTNToTNKBase<ConvertTNToTNKPass> {
  using ConvertTNToTNKBase::ConvertTNToTNKBase;

  LogicalResult checkOptions() {
    if (gpuThreads != 0 &&
        (gpuThreads < 32 || gpuThreads > 1024 || gpuThreads % 32 != 0))
      return emitError(UnknownLoc::get(&getContext()),
                       "expected gpu-threads to be 0 or a multiple of 32 up to "
                       "1024, got ")
             << gpuThreads.getValue();
    for (int64_t value : {tileRows.getValue(), panelWidth.getValue(),
                          chunk.getValue(), rowBlock.getValue()})
      if (value < 1 || value > 4096)
        return emitError(UnknownLoc::get(&getContext()),
                         "expected tile sizes from 1 to 4096, got ")
               << value;
    if (chunk % panelWidth != 0 && panelWidth % chunk != 0)
      return emitError(UnknownLoc::get(&getContext()),
                       "expected the chunk to be a multiple of the panel width "
                       "or the "
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

  // Roundings to bf16 average out over the terms of a sum. Where a linear map
  // has few, they do not, and such a model is too small to gain by them.
  bool allSumsAreDeep(ModuleOp module) {
    return !module
                .walk([&](tn::LinearOp op) {
                  return op.getWeight().getType().getDimSize(1) < bf16Depth
                             ? WalkResult::interrupt()
                             : WalkResult::advance();
                })
                .wasInterrupted();
  }

  std::unique_ptr<KernelChoice> chooseTarget(ModuleOp module) {
    TileSizes sizes{tileRows,         panelWidth, bf16Pairs, blockBytes,
                    streamBlockBytes, streamRows, chunk,     rowBlock};
    if (gpuThreads == 0)
      return chooseForCPU(sizes, training ? tnrt::LayoutKind::Rows
                                          : tnrt::LayoutKind::Panels);
    return chooseForGPU(sizes,
                        {gpuThreads, bf16Storage && allSumsAreDeep(module),
                         tensorCores, attentionBlocks, rowProducts, foldNorms,
                         joinGates, tiledLinears});
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (failed(checkOptions()))
      return signalPassFailure();
    if (failed(checkFunctions(module)))
      return signalPassFailure();
    if (training && gpuThreads != 0)
      carryCasts(module);
    std::unique_ptr<KernelChoice> target = chooseTarget(module);
    ModuleState state(module, *target, training);
    ArrayAttr states = stateTypes(module);

    SmallVector<func::FuncOp> functions(module.getOps<func::FuncOp>());
    SmallVector<FunctionConverter, 0> converters;
    for (func::FuncOp function : functions)
      converters.emplace_back(state, function);
    SmallVector<NamedAttribute> capacity;
    for (auto [function, converter] : llvm::zip(functions, converters)) {
      if (failed(converter.declare()))
        return signalPassFailure();
      if (!function.isPublic())
        continue;
      capacity.emplace_back(function.getSymNameAttr(),
                            function->getAttr(tn::kRowsAttrName));
      if (Attribute sequences = function->getAttr(tn::kSequencesAttrName))
        module->setAttr(tnrt::kSequencesAttrName, sequences);
    }
    for (FunctionConverter &converter : converters)
      if (failed(converter.convertBody()))
        return signalPassFailure();
    finish(module, state, functions, capacity, states);
  }

  // Drops what was converted, gives the host functions their names and records
  // what the manifest needs.
  void finish(ModuleOp module, ModuleState &state,
              ArrayRef<func::FuncOp> functions,
              ArrayRef<NamedAttribute> capacity, ArrayAttr states) {
    if (!training && gpuThreads != 0)
      addScores(state, functions);
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
    if (training && gpuThreads != 0)
      addOptimizer(state);
    Builder builder(&getContext());
    module->setAttr(tnrt::kParametersAttrName,
                    builder.getArrayAttr(state.parameterEntries));
    module->setAttr(tnrt::kProbesAttrName, builder.getArrayAttr(state.probes));
    module->setAttr(tnrt::kProbeShapesAttrName,
                    builder.getArrayAttr(state.probeShapes));
    module->setAttr(tnrt::kStatesAttrName, states);
    module->setAttr(tnrt::kCapacityAttrName,
                    builder.getDictionaryAttr(capacity));
    numKernels += state.numKernels;
    numLaunches += state.numLaunches;
  }
};

} // namespace
