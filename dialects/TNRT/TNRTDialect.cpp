// Registration and verifiers of the tnrt dialect.
#include "TNRT/TNRTDialect.h"

#include "TNK/TNKDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tnllm::tnrt;

#include "TNRT/TNRTDialect.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "TNRT/TNRTTypes.cpp.inc"
#define GET_OP_CLASSES
#include "TNRT/TNRTOps.cpp.inc"

void TNRTDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "TNRT/TNRTTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "TNRT/TNRTOps.cpp.inc"
      >();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  auto kernel =
      symbolTable.lookupNearestSymbolFrom<tnllm::tnk::KernelOp>(*this, getKernelAttr());
  if (!kernel)
    return emitOpError("expected a tnk.kernel named '") << getKernel() << "' [launch-C1]";
  ArrayRef<Type> expected = kernel.getArgumentTypes().drop_back();
  if (TypeRange(expected) == getArgs().getTypes())
    return success();
  InFlightDiagnostic diag =
      emitOpError("arguments differ from the kernel's, which are (")
      << expected << ") and the task [launch-C2]";
  diag.attachNote(kernel.getLoc()) << "kernel declared here";
  return diag;
}
