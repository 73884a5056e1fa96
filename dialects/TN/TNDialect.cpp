// Registration, attributes and constants of the tn dialect.
#include "TN/TNDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::tn;

#include "TN/TNDialect.cpp.inc"
#include "TN/TNEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "TN/TNAttrs.cpp.inc"

void TNDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "TN/TNAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "TN/TNOps.cpp.inc"
      >();
}

Operation *TNDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                          Type type, Location loc) {
  return arith::ConstantOp::materialize(builder, value, type, loc);
}
