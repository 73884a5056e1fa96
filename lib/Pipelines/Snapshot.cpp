// Ties a module to the text that shows it.
#include "tnllm/Pipelines/Pipelines.h"

#include "TN/TNNames.h"

#include "mlir/Transforms/LocationSnapshot.h"

using namespace mlir;

// Printing and walking go through a module in the same order, so the names,
// which the snapshot replaces by places, are kept in a list.
void tnllm::snapshotLocations(ModuleOp module, llvm::raw_ostream &out,
                              llvm::StringRef fileName) {
  SmallVector<std::string> names;
  module.walk<WalkOrder::PreOrder>(
      [&](Operation *op) { names.push_back(tn::getTensorName(op->getLoc())); });
  OpPrintingFlags flags;
  generateLocationsFromIR(out, fileName, module, flags.enableDebugInfo());
  auto *name = names.begin();
  module.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (!name->empty())
      op->setLoc(
          NameLoc::get(StringAttr::get(op->getContext(), *name), op->getLoc()));
    ++name;
  });
}
