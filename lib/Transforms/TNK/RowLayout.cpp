// Layouts of row vectors over threads, and alignment by divisibility.
#include "RowLayout.h"

#include "TNK/TNKDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"

#include <numeric>

using namespace mlir;
using namespace tnllm;

static constexpr int64_t kMaxElements = 8; // of a thread
static constexpr int64_t kMaxAlignment = 16;

std::optional<RowLayout> tnllm::getRowLayout(int64_t length, int64_t threads,
                                             int64_t maxUnit) {
  for (int64_t elements = 1; elements <= kMaxElements; elements *= 2)
    if (length % elements == 0 && length / elements <= threads)
      return RowLayout{length, elements, std::min(elements, maxUnit),
                       length / elements, threads};
  for (int64_t elements = 1; elements <= kMaxElements; elements *= 2)
    if (elements * threads >= length)
      return RowLayout{length, elements, /*unit=*/1, threads, threads};
  return std::nullopt;
}

std::optional<int64_t> tnllm::getRowLength(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  if (!vector || vector.isScalable())
    return std::nullopt;
  if (vector.getRank() == 1 || vector.getRank() == 2)
    return vector.getNumElements();
  return std::nullopt;
}

int64_t tnllm::getKnownDivisor(Value index) {
  APInt constant;
  if (matchPattern(index, m_ConstantInt(&constant)))
    return constant.abs().getSExtValue();
  if (auto argument = dyn_cast<BlockArgument>(index)) {
    auto loop = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp());
    if (loop && argument == loop.getInductionVar())
      return std::gcd(getKnownDivisor(loop.getLowerBound()),
                      getKnownDivisor(loop.getStep()));
    return 1;
  }
  Operation *op = index.getDefiningOp();
  auto ofOperand = [&](unsigned i) {
    return getKnownDivisor(op->getOperand(i));
  };
  if (isa<arith::MulIOp>(op))
    return ofOperand(0) * ofOperand(1);
  if (isa<arith::AddIOp, arith::SubIOp, arith::MinSIOp, arith::MinUIOp,
          arith::MaxSIOp, arith::MaxUIOp>(op))
    return std::gcd(ofOperand(0), ofOperand(1));
  if (isa<arith::SelectOp>(op))
    return std::gcd(ofOperand(1), ofOperand(2));
  if (isa<arith::IndexCastOp, arith::IndexCastUIOp>(op))
    return ofOperand(0);
  return 1;
}

// The same for an index that may be a constant.
static int64_t getKnownDivisor(OpFoldResult index) {
  if (auto value = dyn_cast<Value>(index))
    return tnllm::getKnownDivisor(value);
  return std::abs(*getConstantIntValue(index));
}

// What divides sum_i indices[i] * strides[i]; 1 where a stride is not known.
template <typename Indices>
static int64_t divisorOfOffset(MemRefType type, const Indices &indices) {
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)))
    return 1;
  int64_t divisor = 0;
  for (auto [index, stride] : llvm::zip_equal(indices, strides)) {
    int64_t step = ShapedType::isDynamic(stride) ? 1 : stride;
    divisor = std::gcd(divisor, getKnownDivisor(index) * step);
  }
  return divisor;
}

// What divides the elements between an aligned address and the buffer's first.
static int64_t divisorOfBase(Value memory) {
  auto type = cast<MemRefType>(memory.getType());
  if (auto view = memory.getDefiningOp<memref::SubViewOp>())
    return std::gcd(
        divisorOfBase(view.getSource()),
        divisorOfOffset(view.getSourceType(), view.getMixedOffsets()));
  if (!isa<BlockArgument>(memory) && !memory.getDefiningOp<tnk::SharedOp>())
    return 1;
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)) ||
      ShapedType::isDynamic(offset))
    return 1;
  return offset;
}

int64_t tnllm::getKnownAlignment(Value memory, ValueRange indices) {
  auto type = cast<MemRefType>(memory.getType());
  int64_t elementBytes = type.getElementTypeBitWidth() / 8;
  int64_t divisor =
      std::gcd(divisorOfBase(memory), divisorOfOffset(type, indices));
  return std::gcd(divisor * elementBytes, kMaxAlignment);
}
