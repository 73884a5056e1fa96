// Registration and verifiers of the tnk dialect.
#include "TNK/TNKDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/FunctionImplementation.h"

using namespace mlir;
using namespace tnllm::tnk;

#include "TNK/TNKDialect.cpp.inc"
#define GET_OP_CLASSES
#include "TNK/TNKOps.cpp.inc"

void TNKDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "TNK/TNKOps.cpp.inc"
      >();
}

void KernelOp::build(OpBuilder &builder, OperationState &state, StringRef name,
                     FunctionType type) {
  state.addAttribute(SymbolTable::getSymbolAttrName(),
                     builder.getStringAttr(name));
  state.addAttribute(getFunctionTypeAttrName(state.name), TypeAttr::get(type));
  Region *body = state.addRegion();
  OpBuilder::InsertionGuard guard(builder);
  Block *entry = builder.createBlock(body);
  for (Type input : type.getInputs())
    entry->addArgument(input, state.location);
}

ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  auto buildType = [](Builder &builder, ArrayRef<Type> inputs,
                      ArrayRef<Type> results,
                      function_interface_impl::VariadicFlag, std::string &) {
    return builder.getFunctionType(inputs, results);
  };
  return function_interface_impl::parseFunctionOp(
      parser, result, /*allowVariadic=*/false,
      getFunctionTypeAttrName(result.name), buildType,
      getArgAttrsAttrName(result.name), getResAttrsAttrName(result.name));
}

void KernelOp::print(OpAsmPrinter &printer) {
  function_interface_impl::printFunctionOp(
      printer, *this, /*isVariadic=*/false, getFunctionTypeAttrName(),
      getArgAttrsAttrName(), getResAttrsAttrName());
}

LogicalResult KernelOp::verify() {
  if (getBody().empty())
    return emitOpError("expected a body [kernel-C4]");
  ArrayRef<Type> inputs = getFunctionType().getInputs();
  if (inputs.empty() || !inputs.back().isIndex())
    return emitOpError(
        "expected its last argument, the task, of type index [kernel-C1]");
  for (Type input : inputs) {
    if (input.isIndex())
      continue;
    auto buffer = dyn_cast<MemRefType>(input);
    if (!buffer || !buffer.hasStaticShape())
      return emitOpError("expected buffers of static shape and sizes of type "
                         "index, got ")
             << input << " [kernel-C2]";
  }
  if (getFunctionType().getNumResults() != 0)
    return emitOpError("expected no results [kernel-C3]");
  return success();
}

LogicalResult ContractOp::verify() {
  MemRefType a = getA().getType(), b = getB().getType();
  if (a.getRank() != 2 || getAIndices().size() != 2)
    return emitOpError(
        "expected A to be a matrix with two indices [contract-C1]");
  if (b.getRank() != 2 || getBIndices().size() != 2)
    return emitOpError(
        "expected B to be a matrix with two indices [contract-C2]");
  bool quantised =
      a.getElementType().isF32() && b.getElementType().isInteger(8);
  if (a.getElementType() != b.getElementType() && !quantised)
    return emitOpError(
               "expected A and B of one element type, or f32 and i8, got ")
           << a.getElementType() << " and " << b.getElementType()
           << " [contract-C3]";
  if (getPairs() && (!b.getElementType().isBF16() || getTransposeA()))
    return emitOpError(
        "expected pairs to be bf16 with A not transposed [contract-C4]");
  return success();
}
