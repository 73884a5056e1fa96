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

// A kernel that convert-tnk-to-gpu moved into a gpu.module takes the arguments
// alone: what was the task is the number of the block.
static LogicalResult verifyDeviceLaunch(LaunchOp launch,
                                        SymbolTableCollection &symbolTable) {
  auto kernel = symbolTable.lookupNearestSymbolFrom<FunctionOpInterface>(
      launch, launch.getKernelAttr());
  if (kernel && kernel.getNumArguments() == launch.getArgs().size())
    return success();
  return launch.emitOpError("expected ")
         << launch.getKernel() << " to be a kernel of "
         << launch.getArgs().size() << " arguments [launch-C3]";
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  if (!getKernel().getNestedReferences().empty())
    return verifyDeviceLaunch(*this, symbolTable);
  if (isLoweredKernel(
          symbolTable.lookupNearestSymbolFrom(*this, getKernelAttr())))
    return success();
  auto kernel = symbolTable.lookupNearestSymbolFrom<tnllm::tnk::KernelOp>(
      *this, getKernelAttr());
  if (!kernel)
    return emitOpError("expected a tnk.kernel named '")
           << getKernel().getLeafReference().getValue() << "' [launch-C1]";
  ArrayRef<Type> expected = kernel.getArgumentTypes().drop_back();
  if (TypeRange(expected) == getArgs().getTypes())
    return success();
  InFlightDiagnostic diag =
      emitOpError("arguments differ from the kernel's, which are (")
      << expected << ") and the task [launch-C2]";
  diag.attachNote(kernel.getLoc()) << "kernel declared here";
  return diag;
}

LogicalResult TensorMapOp::verify() {
  MemRefType buffer = getBuffer().getType();
  SmallVector<int64_t> strides;
  int64_t offset;
  if (!buffer.hasStaticShape() ||
      failed(buffer.getStridesAndOffset(strides, offset)) || strides[1] != 1 ||
      ShapedType::isDynamic(strides[0]) || ShapedType::isDynamic(offset) ||
      getHeads() < 1 || buffer.getDimSize(1) % getHeads() != 0)
    return emitOpError("expected a matrix of contiguous rows that divide into ")
           << getHeads() << " heads, got " << buffer << " [tensor_map-C1]";
  if (getMap().getType().getElementType() != buffer.getElementType())
    return emitOpError("expected boxes of ")
           << buffer.getElementType() << ", got " << getMap().getType()
           << " [tensor_map-C2]";
  constexpr int64_t kCopyBits = 128;
  int64_t bits = buffer.getElementTypeBitWidth();
  for (int64_t elements :
       {strides[0], offset, buffer.getDimSize(1) / int64_t(getHeads())})
    if (elements * bits % kCopyBits != 0)
      return emitOpError("expected rows and heads to begin at multiples of 16 "
                         "bytes, got ")
             << buffer << " [tensor_map-C3]";
  return success();
}

// True where x, w and y are those of a product of the form.
static bool haveShapesOf(MatmulForm form, ArrayRef<int64_t> x,
                         ArrayRef<int64_t> w, ArrayRef<int64_t> y) {
  switch (form) {
  case MatmulForm::Linear:
    return x[1] == w[1] && y[1] == w[0] && x[0] == y[0];
  case MatmulForm::InputGrad:
    return x[1] == w[0] && y[1] == w[1] && x[0] == y[0];
  case MatmulForm::WeightGrad:
    return x[0] == w[0] && y[0] == x[1] && y[1] == w[1];
  }
  llvm_unreachable("unknown form");
}

static StringRef shapesOf(MatmulForm form) {
  switch (form) {
  case MatmulForm::Linear:
    return "[R, K], [N, K] and [R, N]";
  case MatmulForm::InputGrad:
    return "[R, N], [N, K] and [R, K]";
  case MatmulForm::WeightGrad:
    return "[R, N], [R, K] and [N, K]";
  }
  llvm_unreachable("unknown form");
}

LogicalResult MatmulOp::verify() {
  MemRefType x = getX().getType(), w = getW().getType(), y = getY().getType();
  if (!x.hasStaticShape() || !w.hasStaticShape() || !y.hasStaticShape() ||
      !haveShapesOf(getForm(), x.getShape(), w.getShape(), y.getShape()))
    return emitOpError("expected matrices ")
           << shapesOf(getForm()) << ", got " << x << ", " << w << " and " << y
           << " [matmul-C1]";
  if (x.getElementType() != w.getElementType() ||
      (y.getElementType().isBF16() && !x.getElementType().isBF16()))
    return emitOpError("expected two matrices of one element type and a result "
                       "of f32 or of that type, got ")
           << x.getElementType() << ", " << w.getElementType() << " and "
           << y.getElementType() << " [matmul-C2]";
  for (MemRefType type : {x, w, y}) {
    SmallVector<int64_t> strides;
    int64_t offset = 0;
    if (failed(type.getStridesAndOffset(strides, offset)) || strides[1] != 1 ||
        strides[0] != type.getDimSize(1))
      return emitOpError("expected contiguous matrices, got ")
             << type << " [matmul-C3]";
  }
  if (Value addend = getAddend())
    if (getAccumulate() || addend.getType() != y)
      return emitOpError("expected to add a matrix of y's type or to y, got ")
             << addend.getType() << " and " << y << " [matmul-C5]";
  if ((getAccumulate() || getAddend()) && !y.getElementType().isF32())
    return emitOpError("expected a sum of f32 to add to, got ")
           << y << " [matmul-C4]";
  return success();
}
