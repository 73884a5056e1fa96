// The kernel of scores, which no function of the module launches.
#include "ScoreKernel.h"

#include "TNRT/TNRTDialect.h"
#include "tnrt/score.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// @sample, whose first argument is the logits; null where the runtime chooses.
static func::FuncOp findSampler(ArrayRef<func::FuncOp> functions) {
  for (func::FuncOp function : functions)
    if (function.isPublic() && function.getSymName() == "sample" &&
        function.getNumArguments() > 0 &&
        function->hasAttrOfType<IntegerAttr>(tn::kRowsAttrName))
      return function;
  return {};
}

void kernels::addScores(ModuleState &state, ArrayRef<func::FuncOp> functions) {
  func::FuncOp sampler = findSampler(functions);
  if (!sampler)
    return;
  auto logits = dyn_cast<RankedTensorType>(sampler.getArgument(0).getType());
  if (!logits || logits.getRank() != 2)
    return;
  Builder b(state.module.getContext());
  int64_t rows =
      sampler->getAttrOfType<IntegerAttr>(tn::kRowsAttrName).getInt();
  int64_t vocabulary = logits.getDimSize(1);
  KernelBuilder k(state.module, TNRT_SCORE_KERNEL, sampler.getLoc(),
                  {MemRefType::get({rows, vocabulary}, b.getF32Type()),
                   MemRefType::get({rows}, b.getI32Type()),
                   MemRefType::get({rows}, b.getF32Type())},
                  state.target.rowSizes(vocabulary));
  buildScores(k, k.argument(0), k.argument(1), k.argument(2));
  k.getKernel()->setAttr(tnrt::kEntryAttrName, b.getUnitAttr());
  state.symbols.insert(k.getKernel());
  ++state.numKernels;
}
