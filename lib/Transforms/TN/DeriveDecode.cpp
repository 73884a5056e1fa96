// tn-derive-decode: the program whose rows are one position each, from the
// general one: of as many sequences, or of packed ones.
#include "TN/TNDialect.h"
#include "tnllm/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace tnllm {
#define GEN_PASS_DEF_TNDERIVEDECODE
#include "tnllm/Transforms/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

// [B, N, ...] of unknown N to N = 1; every other type stays.
static Type withOnePosition(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || tensor.getRank() < 2 || !tensor.isDynamicDim(0) ||
      !tensor.isDynamicDim(1))
    return type;
  SmallVector<int64_t> shape(tensor.getShape());
  shape[1] = 1;
  return RankedTensorType::get(shape, tensor.getElementType());
}

namespace {

struct DeriveDecodePass
    : public tnllm::impl::TNDeriveDecodeBase<DeriveDecodePass> {
  using TNDeriveDecodeBase::TNDeriveDecodeBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    derived.clear(); // a pass may run on one module after another
    SymbolTable symbols(module);
    auto general = symbols.lookup<func::FuncOp>(from);
    if (!general) {
      module.emitError("expected a function named '")
          << from << "' to derive from";
      return signalPassFailure();
    }
    if (symbols.lookup(to)) {
      module.emitError("the name '")
          << to << "' of the derived function is taken";
      return signalPassFailure();
    }
    if (packed && hasCaches(module))
      return;
    if (!derive(symbols, general, to))
      signalPassFailure();
  }

  // A softmax attention finds the past of a row by its place in the batch.
  static bool hasCaches(ModuleOp module) {
    return module
        .walk([](tn::SoftmaxAttentionOp) { return WalkResult::interrupt(); })
        .wasInterrupted();
  }

  // The derived clone of `function`, made once.
  func::FuncOp derive(SymbolTable &symbols, func::FuncOp function,
                      StringRef name) {
    func::FuncOp &clone = derived[function.getSymName()];
    if (clone)
      return clone;
    clone = function.clone();
    clone.setSymName(name);
    clone->setAttr(tn::kRowsAttrName,
                   IntegerAttr::get(IntegerType::get(&getContext(), 64), rows));
    symbols.insert(clone, std::next(function->getIterator()));
    func::FuncOp result = clone;
    specialise(result);
    Value offsets = packed ? addOffsets(result) : Value();
    WalkResult walk = result.walk([&](func::CallOp call) {
      auto callee = symbols.lookup<func::FuncOp>(call.getCallee());
      if (!callee || callee == function) {
        call.emitError("expected to call another function of the module");
        return WalkResult::interrupt();
      }
      func::FuncOp target =
          derive(symbols, callee, (call.getCallee() + "_" + to).str());
      if (!target)
        return WalkResult::interrupt();
      call.setCalleeAttr(FlatSymbolRefAttr::get(target.getSymNameAttr()));
      if (offsets)
        call.getOperandsMutable().append(offsets);
      return WalkResult::advance();
    });
    return walk.wasInterrupted() ? func::FuncOp() : result;
  }

  void specialise(func::FuncOp function) {
    function.walk([](Block *block) {
      for (BlockArgument argument : block->getArguments())
        argument.setType(withOnePosition(argument.getType()));
    });
    function.walk([](Operation *op) {
      for (OpResult result : op->getResults())
        result.setType(withOnePosition(result.getType()));
    });
    SmallVector<Type> inputs, results;
    for (Type type : function.getArgumentTypes())
      inputs.push_back(withOnePosition(type));
    for (Type type : function.getResultTypes())
      results.push_back(withOnePosition(type));
    function.setFunctionType(FunctionType::get(&getContext(), inputs, results));
  }

  // The last argument, which the function's attention reads.
  Value addOffsets(func::FuncOp function) {
    Builder b(&getContext());
    auto type = RankedTensorType::get({ShapedType::kDynamic}, b.getI64Type());
    unsigned last = function.getNumArguments();
    auto marks = b.getDictionaryAttr(
        b.getNamedAttr(tn::kOffsetsAttrName, b.getUnitAttr()));
    if (function.isDeclaration())
      return declareArgument(function, type, marks), Value();
    if (failed(function.insertArgument(last, type, marks, function.getLoc())))
      llvm_unreachable("a derived function has a body");
    Value offsets = function.getArgument(last);
    function.walk([&](tn::LightningAttentionOp op) {
      op.getOffsetsMutable().assign(offsets);
    });
    return offsets;
  }

  // insertArgument() wants a block to put the argument into.
  static void declareArgument(func::FuncOp function, Type type,
                              DictionaryAttr marks) {
    SmallVector<Type> inputs(function.getArgumentTypes());
    SmallVector<Attribute> attributes;
    for (unsigned i = 0; i < inputs.size(); ++i) {
      DictionaryAttr given = function.getArgAttrDict(i);
      attributes.push_back(given ? given
                                 : DictionaryAttr::get(function.getContext()));
    }
    inputs.push_back(type);
    attributes.push_back(marks);
    function.setFunctionType(FunctionType::get(function.getContext(), inputs,
                                               function.getResultTypes()));
    function.setAllArgAttrs(attributes);
  }

  llvm::StringMap<func::FuncOp> derived;
};

} // namespace
