// Bytes and operations of launches, for whoever measures them.
#include "KernelCost.h"

#include "FunctionConverter.h"

#include "TN/TNDialect.h"
#include "TNK/TNKDialect.h"
#include "TNRT/TNRTDialect.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// Elements of one row of a result: what is left of its shape without the
// dimensions of unknown size.
static int64_t elementsOfRow(Value tensor) {
  int64_t elements = 1;
  for (int64_t size : cast<RankedTensorType>(tensor.getType()).getShape())
    if (!ShapedType::isDynamic(size))
      elements *= size;
  return elements;
}

static int64_t flopsOfElement(tn::NormOp op) {
  // Square and sum, scale; weight; mean, centre and bias.
  int64_t flops = op.getKind() == tn::NormKind::Layer ? 5 : 3;
  return flops + (op.getWeight() ? 1 : 0) + (op.getBias() ? 1 : 0);
}

static int64_t flopsOf(Operation *op) {
  int64_t elements = elementsOfRow(op->getResult(0));
  return llvm::TypeSwitch<Operation *, int64_t>(op)
      .Case<tn::LinearOp>([&](auto linear) {
        int64_t depth = linear.getWeight().getType().getDimSize(1);
        return 2 * elements * depth + (linear.getBias() ? elements : 0);
      })
      .Case<tn::NormOp>(
          [&](auto norm) { return elements * flopsOfElement(norm); })
      .Case<tn::AddOp, tn::MulOp, tn::EmbeddingOp>(
          [&](auto) { return elements; })
      .Case<tn::ActivationOp>([&](auto activation) {
        // x / (1 + exp(-x)): four for each element that it applies to.
        if (auto columns = activation.getColumns())
          elements = (*columns)[1] - (*columns)[0];
        return 4 * elements;
      })
      .Case<tn::ShiftedExpOp>([&](auto) { return 3 * elements; })
      .Case<tn::LRPEOp>([&](auto) {
        return 2 * elements + elements / 2; // product, function; the angle
      })
      .Case<tn::LightningAttentionOp>([&](auto attention) {
        int64_t keys = attention.getQ().getType().getDimSize(3);
        return 5 * elements * keys; // decay, k v^T and their sum; q S
      })
      .Case<tn::SampleOp>(
          [&](auto sample) { return elementsOfRow(sample.getLogits()); })
      .Default(int64_t(0));
}

int64_t kernels::flopsOfRow(ArrayRef<Operation *> operations) {
  int64_t flops = 0;
  for (Operation *op : operations)
    flops += flopsOf(op);
  return flops;
}

// The buffer that an argument is, or is a view or a map of.
static Value rootOf(Value argument) {
  if (auto map = argument.getDefiningOp<tnrt::TensorMapOp>())
    argument = map.getBuffer();
  while (auto view = argument.getDefiningOp<memref::SubViewOp>())
    argument = view.getSource();
  return argument;
}

// True for a buffer that the kernel has a map of, too.
static bool hasMapOf(Value buffer, ArrayRef<Value> arguments) {
  return llvm::any_of(arguments, [&](Value argument) {
    auto map = argument.getDefiningOp<tnrt::TensorMapOp>();
    return map && map.getBuffer() == buffer;
  });
}

void FunctionConverter::setCost(tnk::KernelOp kernel, ArrayRef<Value> arguments,
                                const Work &work) {
  int64_t fixed = 0, ofRow = 0, ofSequence = 0;
  for (Value argument : arguments) {
    Value buffer = argument;
    if (auto map = argument.getDefiningOp<tnrt::TensorMapOp>())
      buffer = map.getBuffer();
    auto type = dyn_cast<MemRefType>(buffer.getType());
    if (!type || argument == work.scarce ||
        (argument == buffer && hasMapOf(buffer, arguments)))
      continue;
    int64_t bytes = type.getElementTypeBitWidth() / 8 * type.getNumElements();
    int64_t rowBytes = bytes / std::max<int64_t>(1, type.getDimSize(0));
    Value root = rootOf(argument);
    if (argument == work.gathered)
      ofRow += rowBytes;
    else if (isParameter(root) || argument == work.whole)
      fixed += bytes;
    else if (isState(root))
      ofSequence += 2 * rowBytes;
    else if (type.getElementType().isInteger(64))
      ofSequence += rowBytes; // positions
    else
      ofRow += argument == work.updated ? 2 * rowBytes : rowBytes;
  }
  kernel->setAttr(
      tnk::kCostAttrName,
      b.getDenseI64ArrayAttr({fixed, ofRow, ofSequence, work.flops}));
}

bool FunctionConverter::isParameter(Value buffer) const {
  return isa_and_nonnull<tnrt::ParamOp, memref::GetGlobalOp>(
             buffer.getDefiningOp()) ||
         parameterArguments.contains(buffer);
}

bool FunctionConverter::isState(Value buffer) const {
  return isa_and_nonnull<tnrt::StateOp>(buffer.getDefiningOp()) ||
         stateArguments.contains(buffer);
}
