// convert-tnk-to-func: kernels to functions of the runtime's kernel signature.
#include "TNK/TNKDialect.h"
#include "TNK/TNKVectors.h"
#include "TNRT/TNRTDialect.h"
#include "tnllm/Conversion/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace tnllm {
#define GEN_PASS_DEF_CONVERTTNKTOFUNC
#include "tnllm/Conversion/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

static void convertKernel(tnk::KernelOp kernel) {
  ImplicitLocOpBuilder b(kernel.getLoc(), kernel);
  auto argumentsType = tnrt::ArgumentsType::get(b.getContext());
  auto function = func::FuncOp::create(
      b, kernel.getSymName(),
      b.getFunctionType({argumentsType, b.getI64Type()}, {}));
  function.setPrivate();
  function.getBody().takeBody(kernel.getBody());
  Block &entry = function.getBody().front();
  b.setInsertionPointToStart(&entry);
  SmallVector<BlockArgument> old(entry.getArguments());
  BlockArgument arguments = entry.addArgument(argumentsType, kernel.getLoc());
  BlockArgument task = entry.addArgument(b.getI64Type(), kernel.getLoc());
  for (BlockArgument argument : ArrayRef(old).drop_back())
    argument.replaceAllUsesWith(tnrt::KernelArgOp::create(
        b, argument.getType(), arguments, argument.getArgNumber()));
  old.back().replaceAllUsesWith(
      arith::IndexCastOp::create(b, b.getIndexType(), task));
  entry.eraseArguments(0, old.size());
  function.walk([](tnk::ReturnOp op) {
    OpBuilder builder(op);
    func::ReturnOp::create(builder, op.getLoc());
    op.erase();
  });
  kernel.erase();
}

namespace {

struct ConvertTNKToFuncPass
    : public tnllm::impl::ConvertTNKToFuncBase<ConvertTNKToFuncPass> {
  using ConvertTNKToFuncBase::ConvertTNKToFuncBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (failed(tnk::checkVectors(module)))
      return signalPassFailure();
    for (auto kernel :
         llvm::make_early_inc_range(module.getOps<tnk::KernelOp>()))
      convertKernel(kernel);
  }
};

} // namespace
