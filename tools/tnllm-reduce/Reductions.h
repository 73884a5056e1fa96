// The single steps by which tnllm-reduce makes a module smaller. They keep a
// module valid where they can, never its meaning.
#ifndef TNLLM_REDUCE_REDUCTIONS_H
#define TNLLM_REDUCE_REDUCTIONS_H

#include "mlir/IR/Operation.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace tnllm {

struct Reduction {
  llvm::StringRef name;
  // Applies the step to `op` and says whether it changed anything. `op` and
  // what is nested in it may be gone afterwards; no other operation but a
  // terminator is erased.
  bool (*apply)(mlir::Operation *op);
};

// All of them, those that remove most first.
llvm::ArrayRef<Reduction> getReductions();

} // namespace tnllm

#endif // TNLLM_REDUCE_REDUCTIONS_H
