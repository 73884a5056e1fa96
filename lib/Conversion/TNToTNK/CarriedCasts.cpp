// Casts that go with a value from one function to the next. The gradient of the
// residual stream comes into a layer's backward as f32 and is first of all
// rounded for products; the layer after it in time, whose last kernel made it,
// had it in registers. So a function takes the rounded value too, from whoever
// calls it, and a function of which most callers round a result (all but the
// first layer) returns it rounded too.
#include "RowClusters.h"

#include "Buffers.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// The cast of an activation to bf16 in the value's own block, or null.
static tn::CastOp roundingOf(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !isActivation(type) || !type.getElementType().isF32())
    return {};
  for (Operation *user : value.getUsers())
    if (auto cast = dyn_cast<tn::CastOp>(user);
        cast && cast->getBlock() == value.getParentBlock())
      if (getElementTypeOrSelf(cast.getResult().getType()).isBF16())
        return cast;
  return {};
}

static SmallVector<func::CallOp> callsOf(func::FuncOp function,
                                         ModuleOp module) {
  SmallVector<func::CallOp> calls;
  module.walk([&](func::CallOp call) {
    if (call.getCallee() == function.getSymName())
      calls.push_back(call);
  });
  return calls;
}

static void updateType(func::FuncOp function) {
  Block &body = function.getBody().front();
  function.setFunctionType(
      FunctionType::get(function.getContext(), body.getArgumentTypes(),
                        body.getTerminator()->getOperandTypes()));
}

// What is kept for the backward is made by the function that says so.
static bool isReturned(tn::CastOp rounding) {
  return llvm::any_of(rounding->getUsers(), llvm::IsaPred<func::ReturnOp>);
}

// The rounded argument as another one, which the callers make.
static void takeRounded(func::FuncOp function, ArrayRef<func::CallOp> calls) {
  Block &body = function.getBody().front();
  for (unsigned i = 0, count = body.getNumArguments(); i < count; ++i) {
    tn::CastOp rounding = roundingOf(body.getArgument(i));
    if (!rounding || isReturned(rounding))
      continue;
    Value argument =
        body.addArgument(rounding.getResult().getType(), rounding.getLoc());
    for (func::CallOp call : calls) {
      Value operand = call.getOperand(i);
      tn::CastOp known = roundingOf(operand);
      if (!known) {
        ImplicitLocOpBuilder b(call.getLoc(), call);
        b.setInsertionPointAfterValue(operand);
        known = tn::CastOp::create(b, argument.getType(), operand);
      } else if (!known->isBeforeInBlock(call)) {
        known->moveBefore(call);
      }
      call->insertOperands(call->getNumOperands(), known.getResult());
    }
    rounding.replaceAllUsesWith(argument);
    rounding.erase();
  }
  updateType(function);
}

// The results that most callers round, rounded as further results.
static void returnRounded(func::FuncOp function, ArrayRef<func::CallOp> calls) {
  Operation *terminator = function.getBody().front().getTerminator();
  SmallVector<unsigned> rounded;
  for (unsigned i = 0, count = terminator->getNumOperands(); i < count; ++i) {
    size_t roundings = llvm::count_if(calls, [&](func::CallOp call) {
      return static_cast<bool>(roundingOf(call.getResult(i)));
    });
    if (2 * roundings <= calls.size())
      continue;
    Value value = terminator->getOperand(i);
    ImplicitLocOpBuilder b(value.getLoc(), terminator);
    auto type = cast<RankedTensorType>(value.getType());
    terminator->insertOperands(
        terminator->getNumOperands(),
        tn::CastOp::create(b, type.clone(b.getBF16Type()), value).getResult());
    rounded.push_back(i);
  }
  if (rounded.empty())
    return;
  updateType(function);
  for (func::CallOp call : calls) {
    OpBuilder b(call);
    auto made =
        func::CallOp::create(b, call.getLoc(), function, call.getOperands());
    unsigned before = call.getNumResults();
    for (auto [place, result] : llvm::enumerate(rounded)) {
      if (tn::CastOp rounding = roundingOf(call.getResult(result))) {
        rounding.replaceAllUsesWith(made.getResult(before + place));
        rounding.erase();
      }
    }
    for (unsigned i = 0; i < before; ++i)
      call.getResult(i).replaceAllUsesWith(made.getResult(i));
    call.erase();
  }
}

void kernels::carryCasts(ModuleOp module) {
  SmallVector<func::FuncOp> functions;
  for (auto function : module.getOps<func::FuncOp>())
    if (function.isPrivate() && !function.getArgAttrsAttr() &&
        !function.getResAttrsAttr()) // they count arguments and results
      functions.push_back(function);
  for (func::FuncOp function : functions)
    takeRounded(function, callsOf(function, module));
  for (func::FuncOp function : functions)
    returnRounded(function, callsOf(function, module));
}
