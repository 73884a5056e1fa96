// The types that checks of sizes ask about, in every dialect.
#ifndef TNLLM_DIALECTS_DEFINEDTYPES_H
#define TNLLM_DIALECTS_DEFINEDTYPES_H

#include "mlir/IR/Operation.h"

namespace tnllm {

// Of all values that `op` defines: its results and its blocks' arguments.
inline llvm::SmallVector<mlir::Type> definedTypes(mlir::Operation *op) {
  llvm::SmallVector<mlir::Type> types(op->getResultTypes());
  for (mlir::Region &region : op->getRegions())
    for (mlir::Block &block : region)
      llvm::append_range(types, block.getArgumentTypes());
  return types;
}

struct Definition {
  mlir::Operation *op = nullptr;
  mlir::Type type;
};

// The first operation in `root`, itself included, that defines a value of a
// type that `matches`, and the type; null where none does.
inline Definition findDefinition(mlir::Operation *root,
                                 llvm::function_ref<bool(mlir::Type)> matches) {
  Definition found;
  root->walk([&](mlir::Operation *op) {
    auto types = definedTypes(op);
    auto *type = llvm::find_if(types, matches);
    if (type == types.end())
      return mlir::WalkResult::advance();
    found = {op, *type};
    return mlir::WalkResult::interrupt();
  });
  return found;
}

} // namespace tnllm

#endif // TNLLM_DIALECTS_DEFINEDTYPES_H
