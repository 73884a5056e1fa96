// Names of layers and tensors in locations.
#include "TN/TNNames.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;

std::string tnllm::tn::getTensorName(Location loc) {
  if (auto name = dyn_cast<NameLoc>(loc))
    return name.getName().str();
  if (auto call = dyn_cast<CallSiteLoc>(loc)) {
    std::string outer = getTensorName(call.getCaller());
    std::string inner = getTensorName(call.getCallee());
    return outer.empty() || inner.empty() ? outer + inner : outer + "." + inner;
  }
  if (auto fused = dyn_cast<FusedLoc>(loc))
    for (Location part : llvm::reverse(fused.getLocations()))
      if (std::string name = getTensorName(part); !name.empty())
        return name;
  return "";
}
