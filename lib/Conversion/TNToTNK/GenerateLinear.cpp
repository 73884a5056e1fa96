// tnk-generate-linear: the tiled kernel of a linear map, alone.
#include "TiledKernels.h"
#include "tnllm/Conversion/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace tnllm {
#define GEN_PASS_DEF_TNKGENERATELINEAR
#include "tnllm/Conversion/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

namespace {

struct GenerateLinearPass
    : public tnllm::impl::TNKGenerateLinearBase<GenerateLinearPass> {
  using TNKGenerateLinearBase::TNKGenerateLinearBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (rows < 1 || columns < 1 || depth < 8 || depth % 8 != 0) {
      module.emitError("expected rows, columns and a depth that is a multiple "
                       "of 8");
      return signalPassFailure();
    }
    Builder b(&getContext());
    TiledLinearPlan plan = planTiledLinear(columns);
    auto map = [&](int64_t rows) {
      return tnk::MapType::get(&getContext(), rows, 64, b.getBF16Type());
    };
    TileSizes sizes;
    sizes.threads = plan.threads;
    KernelBuilder k(module, "linear", module.getLoc(),
                    {map(plan.rows), map(plan.columns),
                     MemRefType::get({rows, columns}, b.getF32Type()),
                     b.getIndexType()},
                    sizes);
    llvm::DenseMap<Value, Value> none;
    Epilogue store({}, {}, none, k.argument(2));
    buildTiledLinear(
        k,
        {k.argument(0), k.argument(1), {}, k.argument(3), depth, columns, plan},
        store);
  }
};

} // namespace
