// Registration and verifiers of the tnk dialect.
#include "TNK/TNKDialect.h"
#include "TNK/TNKVectors.h"

#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/FunctionImplementation.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::tnk;

#include "TNK/TNKDialect.cpp.inc"
#define GET_OP_CLASSES
#include "TNK/TNKOps.cpp.inc"

void TNKDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "TNK/TNKOps.cpp.inc"
      >();
  registerTileTypes();
}

void KernelOp::build(OpBuilder &builder, OperationState &state, StringRef name,
                     FunctionType type, int64_t threads) {
  state.addAttribute(SymbolTable::getSymbolAttrName(),
                     builder.getStringAttr(name));
  state.addAttribute(getFunctionTypeAttrName(state.name), TypeAttr::get(type));
  if (threads != 0)
    state.addAttribute(getThreadsAttrName(state.name),
                       builder.getI64IntegerAttr(threads));
  Region *body = state.addRegion();
  OpBuilder::InsertionGuard guard(builder);
  Block *entry = builder.createBlock(body);
  for (Type input : type.getInputs())
    entry->addArgument(input, state.location);
}

// `threads` `(` integer `)`, or nothing.
static ParseResult parseThreads(OpAsmParser &parser, OperationState &result) {
  if (failed(parser.parseOptionalKeyword("threads")))
    return success();
  IntegerAttr threads;
  if (parser.parseLParen() ||
      parser.parseAttribute(threads, parser.getBuilder().getI64Type()) ||
      parser.parseRParen())
    return failure();
  result.addAttribute(KernelOp::getThreadsAttrName(result.name), threads);
  return success();
}

ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  (void)impl::parseOptionalVisibilityKeyword(parser, result.attributes);
  StringAttr name;
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<DictionaryAttr> resultAttrs;
  SmallVector<Type> types, resultTypes;
  bool isVariadic = false;
  if (parser.parseSymbolName(name, SymbolTable::getSymbolAttrName(),
                             result.attributes) ||
      function_interface_impl::parseFunctionSignatureWithArguments(
          parser, /*allowVariadic=*/false, arguments, isVariadic, resultTypes,
          resultAttrs) ||
      parseThreads(parser, result) ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  for (const OpAsmParser::Argument &argument : arguments)
    types.push_back(argument.type);
  result.addAttribute(
      getFunctionTypeAttrName(result.name),
      TypeAttr::get(parser.getBuilder().getFunctionType(types, resultTypes)));
  call_interface_impl::addArgAndResultAttrs(
      parser.getBuilder(), result, arguments, resultAttrs,
      getArgAttrsAttrName(result.name), getResAttrsAttrName(result.name));
  OptionalParseResult body =
      parser.parseOptionalRegion(*result.addRegion(), arguments);
  return body.has_value() ? *body : ParseResult(success());
}

void KernelOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  if (auto visibility = (*this)->getAttrOfType<StringAttr>(
          SymbolTable::getVisibilityAttrName()))
    printer << visibility.getValue() << ' ';
  printer.printSymbolName(getSymName());
  function_interface_impl::printFunctionSignature(
      printer, *this, getArgumentTypes(), /*isVariadic=*/false,
      getResultTypes());
  if (std::optional<int64_t> threads = getThreads())
    printer << " threads(" << *threads << ')';
  function_interface_impl::printFunctionAttributes(
      printer, *this,
      {getFunctionTypeAttrName(), getThreadsAttrName(), getArgAttrsAttrName(),
       getResAttrsAttrName(), SymbolTable::getVisibilityAttrName()});
  if (!getBody().empty()) {
    printer << ' ';
    printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
  }
}

LogicalResult KernelOp::verify() {
  if (getBody().empty())
    return emitOpError("expected a body [kernel-C4]");
  ArrayRef<Type> inputs = getFunctionType().getInputs();
  if (inputs.empty() || !inputs.back().isIndex())
    return emitOpError(
        "expected its last argument, the task, of type index [kernel-C1]");
  for (Type input : inputs) {
    if (input.isIndex() || (getThreads() && isa<MapType>(input)))
      continue;
    auto buffer = dyn_cast<MemRefType>(input);
    if (!buffer || !buffer.hasStaticShape())
      return emitOpError("expected buffers of static shape and sizes of type "
                         "index, got ")
             << input << " [kernel-C2]";
  }
  if (getFunctionType().getNumResults() != 0)
    return emitOpError("expected no results [kernel-C3]");
  // A block is made of whole warps; the hardware takes no more than 1024
  // threads.
  std::optional<int64_t> threads = getThreads();
  if (threads && (*threads <= 0 || *threads > 1024 || *threads % 32 != 0))
    return emitOpError(
               "expected threads to be a multiple of 32 up to 1024, got ")
           << *threads << " [kernel-C5]";
  if (Definition large = findLargeVector(*this); large.op)
    return emitOpError("expected vectors of at most 2^20 elements, got ")
           << large.type << " [kernel-C6]";
  return success();
}

void SharedOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  setName(getMemory(), "shared");
}

// More than any block has; sums of a few of them do not overflow.
static constexpr int64_t kMostSharedBits = int64_t(8) << 20;

LogicalResult SharedOp::verify() {
  auto type = cast<MemRefType>(getMemory().getType());
  auto space = dyn_cast_or_null<gpu::AddressSpaceAttr>(type.getMemorySpace());
  if (!space || space.getValue() != gpu::AddressSpace::Workgroup ||
      !type.getLayout().isIdentity())
    return emitOpError("expected a dense buffer in the address space "
                       "#gpu.address_space<workgroup>, got ")
           << type << " [shared-C1]";
  int64_t alignment = getAlignment();
  if (alignment <= 0 || alignment > 1024 || (alignment & (alignment - 1)) != 0)
    return emitOpError(
               "expected an alignment that is a power of two up to 1024, got ")
           << alignment << " [shared-C2]";
  auto kernel = (*this)->getParentOfType<KernelOp>();
  if (kernel && !kernel.isForGPU())
    return emitOpError("expected a kernel with threads around it [shared-C3]");
  Type element = type.getElementType();
  if (!element.isIntOrFloat())
    return emitOpError("expected elements that are integers or floats, got ")
           << element << " [shared-C4]";
  int64_t bits = element.getIntOrFloatBitWidth();
  for (int64_t size : type.getShape())
    if (llvm::MulOverflow(bits, size, bits) || bits > kMostSharedBits)
      return emitOpError("expected at most 1 MiB, got ")
             << type << " [shared-C5]";
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
  if (getPrefetch().value_or(1) < 1)
    return emitOpError("expected to prefetch at least 1 row ahead, got ")
           << *getPrefetch() << " [contract-C5]";
  return success();
}

LogicalResult ContractGroupsOp::verify() {
  int64_t group = getGroup();
  if (group < 4 || group % 4 != 0)
    return emitOpError("expected groups of a multiple of 4 columns, got ")
           << group << " [contract_groups-C1]";
  MemRefType a = getA().getType();
  if (ShapedType::isDynamic(a.getDimSize(1)) || a.getDimSize(1) % group != 0)
    return emitOpError("expected A to have whole groups of ")
           << group << " columns, got " << a << " [contract_groups-C2]";
  SmallVector<int64_t> groups = {a.getDimSize(0), a.getDimSize(1) / group};
  for (MemRefType type : {getScales().getType(), getStarts().getType()})
    if (type.getShape() != ArrayRef(groups))
      return emitOpError("expected a scale and a start for each group of A, ")
             << groups[0] << " x " << groups[1] << ", got " << type
             << " [contract_groups-C3]";
  if (getPrefetch().value_or(1) < 1)
    return emitOpError("expected to prefetch at least 1 row ahead, got ")
           << *getPrefetch() << " [contract_groups-C4]";
  return success();
}

LogicalResult PartialDotOp::verify() {
  auto kernel = (*this)->getParentOfType<KernelOp>();
  if (kernel && getAcc().getType().getNumElements() != kernel.getThreads())
    return emitOpError(
               "expected one partial sum for each thread of the kernel, got ")
           << getAcc().getType() << " [partial_dot-C1]";
  return success();
}

// The constraints of tnk.multiply_rows that concern one of its results.
static LogicalResult verifyRowSums(MultiplyRowsOp op, Value value,
                                   MemRefType expected) {
  auto type = cast<MemRefType>(value.getType());
  auto space = dyn_cast_or_null<gpu::AddressSpaceAttr>(type.getMemorySpace());
  if (!space || space.getValue() != gpu::AddressSpace::Workgroup ||
      !type.getLayout().isIdentity() || type != expected ||
      type.getDimSize(0) % 8 != 0 || type.getDimSize(0) > 64 ||
      (type.getDimSize(1) != 8 && type.getDimSize(1) != 16 &&
       type.getDimSize(1) != 32))
    return op.emitOpError("expected dense results of one type in the address "
                          "space #gpu.address_space<workgroup>, of a multiple "
                          "of 8 rows up to 64 and 8, 16 or 32 columns, got ")
           << type << " [multiply_rows-C3]";
  return success();
}

// Whether a weight of rows of `depth` numbers of `type` is stored as `weight`,
// and its scales as `scales`.
static bool isWeightOf(MemRefType weight, Type type, int64_t depth) {
  int64_t bits = type.getIntOrFloatBitWidth();
  return weight.getElementType().isBF16() == type.isBF16() &&
         weight.getDimSize(1) * weight.getElementTypeBitWidth() == depth * bits;
}
static bool areScalesOf(MemRefType scales, MemRefType weight, Type type,
                        int64_t depth) {
  if (scales.getDimSize(0) != weight.getDimSize(0) ||
      !scales.getLayout().isIdentity())
    return false;
  if (!type.isInteger(4))
    return scales.getRank() == 1;
  return scales.getRank() == 2 &&
         scales.getDimSize(1) * MultiplyRowsOp::kGroup == depth;
}
static bool isQuantised(Type type) {
  return type.isSignlessInteger(8) || type.isSignlessInteger(4) ||
         isa<Float8E4M3FNType>(type);
}

// The weights, their type and their scales.
static LogicalResult verifyWeights(MultiplyRowsOp op) {
  Type type = op.getWeightElement();
  if (op.getWeightType() && !isQuantised(type))
    return op.emitOpError("expected weights as i8, f8E4M3FN or i4, got ")
           << type << " [multiply_rows-C5]";
  bool hasScales = op.getWeightType().has_value();
  if (op.getScales().size() != (hasScales ? op.getWeights().size() : 0))
    return op.emitOpError("expected scales for each quantised weight and no "
                          "others, got ")
           << op.getScales().size() << " [multiply_rows-C6]";
  for (auto [scales, weight] : llvm::zip(op.getScales(), op.getWeights()))
    if (!areScalesOf(cast<MemRefType>(scales.getType()),
                     cast<MemRefType>(weight.getType()), type, op.getDepth()))
      return op.emitOpError(
                 "expected dense scales of each row or, of i4, each ")
             << MultiplyRowsOp::kGroup << " columns, got " << scales.getType()
             << " for " << weight.getType() << " [multiply_rows-C6]";
  return success();
}

LogicalResult WidenRowOp::verify() {
  MemRefType weight = getWeight().getType(), out = getOut().getType();
  Type type = getWeightType();
  if (!isQuantised(type))
    return emitOpError("expected a weight as i8, f8E4M3FN or i4, got ")
           << type << " [widen_row-C1]";
  int64_t depth = out.getDimSize(1);
  if (!isWeightOf(weight, type, depth) || !weight.getLayout().isIdentity() ||
      !out.getLayout().isIdentity() ||
      out.getDimSize(0) != weight.getDimSize(0))
    return emitOpError("expected dense matrices of as many rows and columns, "
                       "got ")
           << weight << " and " << out << " [widen_row-C2]";
  if (!areScalesOf(getScales().getType(), weight, type, depth))
    return emitOpError("expected dense scales of each row or, of i4, each ")
           << MultiplyRowsOp::kGroup << " columns, got "
           << getScales().getType() << " [widen_row-C3]";
  auto kernel = (*this)->getParentOfType<KernelOp>();
  if (kernel && !kernel.isForGPU())
    return emitOpError(
        "expected a kernel with threads around it [widen_row-C4]");
  return success();
}

LogicalResult MultiplyRowsOp::verify() {
  if (getWeights().empty() || getWeights().size() > 2 ||
      getWeights().size() != getSums().size())
    return emitOpError(
               "expected one or two weights and a result for each, got ")
           << getWeights().size() << " and " << getSums().size()
           << " [multiply_rows-C1]";
  if (failed(verifyWeights(*this)))
    return failure();
  Type element = getWeightElement();
  int64_t depth = getDepth();
  SmallVector<Value> factors(getWeights());
  if (getTimes())
    factors.push_back(getTimes());
  factors.push_back(getX());
  for (auto [i, factor] : llvm::enumerate(factors)) {
    auto type = cast<MemRefType>(factor.getType());
    bool isOfDepth = i < getWeights().size() ? isWeightOf(type, element, depth)
                                             : type.getDimSize(1) == depth;
    if (!isOfDepth || depth % getStepDepth(element) != 0 ||
        !type.isLastDimUnitStride())
      return emitOpError("expected rows of one depth, a multiple of ")
             << getStepDepth(element) << ", without gaps, got " << type
             << " [multiply_rows-C2]";
  }
  for (Value sums : getSums())
    if (failed(verifyRowSums(*this, sums, getSumsType())))
      return failure();
  if (getSquares() && failed(verifyRowSums(*this, getSquares(), getSumsType())))
    return failure();
  auto kernel = (*this)->getParentOfType<KernelOp>();
  if (kernel && !kernel.isForGPU())
    return emitOpError(
        "expected a kernel with threads around it [multiply_rows-C4]");
  return success();
}

LogicalResult WaitInputsOp::verify() {
  auto kernel = (*this)->getParentOfType<KernelOp>();
  if (kernel && !kernel.isForGPU())
    return emitOpError(
        "expected a kernel with threads around it [wait_inputs-C1]");
  return success();
}
