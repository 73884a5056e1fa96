// Registration and verifiers of the tnrt dialect.
#include "TNRT/TNRTDialect.h"

#include "TNK/TNKDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tnllm::tnrt;

#include "TNRT/TNRTDialect.cpp.inc"
#include "TNRT/TNRTEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "TNRT/TNRTAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "TNRT/TNRTTypes.cpp.inc"
#define GET_OP_CLASSES
#include "TNRT/TNRTOps.cpp.inc"

void TNRTDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "TNRT/TNRTAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "TNRT/TNRTTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "TNRT/TNRTOps.cpp.inc"
      >();
}

LogicalResult RowOp::verify() {
  auto table = cast<MemRefType>(getTable().getType());
  auto row = cast<MemRefType>(getResult().getType());
  if (table.getRank() < 2 || !table.getLayout().isIdentity())
    return emitOpError("expected a contiguous table of rank 2 or more, got ")
           << table << " [row-C1]";
  auto expected =
      MemRefType::get(table.getShape().drop_front(), table.getElementType(),
                      MemRefLayoutAttrInterface(), table.getMemorySpace());
  if (row != expected)
    return emitOpError("expected the result to be ")
           << expected << ", a row of the table, got " << row << " [row-C2]";
  return success();
}

// A kernel after convert-tnk-to-func: (!tnrt.arguments, i64) -> ().
static bool isLoweredKernel(Operation *op) {
  auto function = dyn_cast_or_null<FunctionOpInterface>(op);
  if (!function || isa<tnllm::tnk::KernelOp>(op) ||
      function.getNumArguments() != 2)
    return false;
  return isa<ArgumentsType>(function.getArgumentTypes()[0]) &&
         function.getArgumentTypes()[1].isInteger(64);
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  if (isLoweredKernel(
          symbolTable.lookupNearestSymbolFrom(*this, getKernelAttr())))
    return success();
  auto kernel = symbolTable.lookupNearestSymbolFrom<tnllm::tnk::KernelOp>(
      *this, getKernelAttr());
  if (!kernel)
    return emitOpError("expected a tnk.kernel named '")
           << getKernel() << "' [launch-C1]";
  ArrayRef<Type> expected = kernel.getArgumentTypes().drop_back();
  if (TypeRange(expected) == getArgs().getTypes())
    return success();
  InFlightDiagnostic diag =
      emitOpError("arguments differ from the kernel's, which are (")
      << expected << ") and the task [launch-C2]";
  diag.attachNote(kernel.getLoc()) << "kernel declared here";
  return diag;
}
