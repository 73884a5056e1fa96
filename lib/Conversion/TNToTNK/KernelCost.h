// What a launch moves and computes, counted from its operands. Private to this
// folder.
#ifndef TNLLM_LIB_CONVERSION_TNTOTNK_KERNELCOST_H
#define TNLLM_LIB_CONVERSION_TNTOTNK_KERNELCOST_H

#include "mlir/IR/Operation.h"
#include "mlir/IR/Value.h"

namespace tnllm::kernels {

// Of a launch, what its operands do not say.
struct Work {
  int64_t flops = 0;    // of a row
  mlir::Value gathered = {}; // a table of which each row of the call reads one row
  mlir::Value updated = {};  // a buffer that is read and written
  mlir::Value whole = {};    // a buffer that is not of rows: all of it moves
  mlir::Value scarce = {};   // a buffer of which next to nothing moves
};

// Floating-point operations that operations of tn do for one row (position), by
// their definitions: an addition, a multiplication, a comparison, a division and
// a function are one each. Lightning attention counts as its recurrence.
int64_t flopsOfRow(llvm::ArrayRef<mlir::Operation *> operations);

} // namespace tnllm::kernels

#endif // TNLLM_LIB_CONVERSION_TNTOTNK_KERNELCOST_H
