// The bits of narrow numbers put into those of a bf16.
//
// A bf16 from 128 to 256 has the steps of integers: 0x4300 + n is 128 + n for n
// below 128. So the low bits of an integer, put below 0x43, are the integer
// plus 128, and a subtraction, which is exact, takes that away. An e4m3 has the
// order of fields of a bf16 and fewer bits of each: shifted into place it is
// the number divided by 2^120, subnormal ones included.
#include "WidenWeights.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <cmath>

using namespace mlir;
using namespace tnllm;

namespace {

// Arithmetic on words and on the two bf16 that a word holds.
class Words {
public:
  explicit Words(ImplicitLocOpBuilder &b)
      : b(b), pair(VectorType::get({2}, b.getBF16Type())) {}

  Value constant(uint32_t value) {
    return arith::ConstantOp::create(
        b, b.getI32IntegerAttr(static_cast<int32_t>(value)));
  }
  Value both(Value x, uint32_t mask) {
    return arith::AndIOp::create(b, x, constant(mask));
  }
  Value either(Value x, Value y) { return arith::OrIOp::create(b, x, y); }
  Value either(Value x, uint32_t bits) { return either(x, constant(bits)); }
  Value shiftedRight(Value x, uint32_t bits) {
    return bits == 0 ? x : arith::ShRUIOp::create(b, x, constant(bits));
  }
  // Bytes of x (0 to 3) and of `other` (4 to 7), the lowest first in
  // `selector`.
  Value permute(Value x, uint32_t other, uint32_t selector) {
    return NVVM::PermuteOp::create(b, b.getI32Type(), x, constant(other),
                                   constant(selector),
                                   NVVM::PermuteMode::DEFAULT);
  }
  Value subtract(Value x, Value y) {
    return toWord(arith::SubFOp::create(b, toPair(x), toPair(y)));
  }
  Value subtract(Value x, double y) {
    return toWord(arith::SubFOp::create(b, toPair(x), splat(y)));
  }
  Value multiply(Value x, double y) {
    return toWord(arith::MulFOp::create(b, toPair(x), splat(y)));
  }

private:
  Value splat(double value) {
    return arith::ConstantOp::create(
        b, pair,
        DenseElementsAttr::get(pair, b.getFloatAttr(b.getBF16Type(), value)));
  }
  Value toPair(Value word) { return LLVM::BitcastOp::create(b, pair, word); }
  Value toWord(Value value) {
    return LLVM::BitcastOp::create(b, b.getI32Type(), value);
  }

  ImplicitLocOpBuilder &b;
  VectorType pair;
};

} // namespace

// Of two's complement, the low seven bits are the number plus 128 where it is
// negative, so that 128 or, where the highest bit is set, 256 is to be taken
// away: 0x4300 with that bit.
static SmallVector<Value> widenBytes(Words words, Value word) {
  SmallVector<Value> pairs;
  for (uint32_t selector : {0x4140, 0x4342}) {
    Value bytes = words.permute(word, 0x43434343, selector);
    pairs.push_back(words.subtract(words.both(bytes, 0xFF7FFF7F),
                                   words.both(bytes, 0xFF80FF80)));
  }
  return pairs;
}

static SmallVector<Value> widenFloats(Words words, Value word) {
  SmallVector<Value> pairs;
  for (uint32_t selector : {0x1404, 0x3424}) {
    Value bytes = words.permute(word, 0, selector); // each in a high half
    Value sign = words.both(bytes, 0x80008000);
    Value rest = words.both(words.shiftedRight(bytes, 4), 0x07F007F0);
    pairs.push_back(
        words.multiply(words.either(sign, rest), std::ldexp(1.0, 120)));
  }
  return pairs;
}

// Numbers plus 8, those of a pair 16 bits apart.
static SmallVector<Value> widenHalfBytes(Words words, Value word) {
  SmallVector<Value> pairs;
  for (uint32_t shift : {0, 4, 8, 12}) {
    Value low = words.both(words.shiftedRight(word, shift), 0x000F000F);
    pairs.push_back(words.subtract(words.either(low, 0x43004300), 136));
  }
  return pairs;
}

SmallVector<Value> widening::widenWord(ImplicitLocOpBuilder &b, Value word,
                                       Type element) {
  if (element.isInteger(4))
    return widenHalfBytes(Words(b), word);
  return element.isInteger(8) ? widenBytes(Words(b), word)
                              : widenFloats(Words(b), word);
}

namespace {

// The pieces of a row are dealt to the threads in turn.
class WidenRow {
public:
  explicit WidenRow(tnk::WidenRowOp op)
      : op(op), b(op.getLoc(), op), element(op.getWeightType()),
        bytes(op.getWeight().getType().getDimSize(1)) {
    // Rows begin at multiples of what divides their length.
    for (int64_t size : {16, 4, 1})
      if (bytes % size == 0) {
        pieceBytes = size;
        break;
      }
  }

  void lower() {
    auto kernel = op->getParentOfType<tnk::KernelOp>();
    Value thread = gpu::ThreadIdOp::create(b, gpu::Dimension::x);
    auto loop = scf::ForOp::create(b, thread, index(bytes / pieceBytes),
                                   index(*kernel.getThreads()));
    b.setInsertionPointToStart(loop.getBody());
    widen(mul(loop.getInductionVar(), pieceBytes));
    op.erase();
  }

private:
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  Value mul(Value x, int64_t y) {
    return b.createOrFold<arith::MulIOp>(x, index(y));
  }

  Value scaleOf(Value column) {
    SmallVector<Value> place = {op.getRow()};
    if (element.isInteger(4))
      place.push_back(arith::DivUIOp::create(
          b, column, index(tnk::MultiplyRowsOp::kGroup)));
    return memref::LoadOp::create(b, op.getScales(), place);
  }

  // The numbers of a piece as pairs of bf16.
  SmallVector<Value> load(Value byte) {
    Type i32 = b.getI32Type();
    Value loaded = vector::LoadOp::create(
        b, VectorType::get({pieceBytes}, b.getI8Type()), op.getWeight(),
        ValueRange{op.getRow(), byte}, /*nontemporal=*/false,
        llvm::MaybeAlign(pieceBytes));
    SmallVector<Value> words;
    if (pieceBytes == 1) {
      Value single = vector::ExtractOp::create(b, loaded, 0);
      words.push_back(arith::ExtUIOp::create(b, i32, single));
    } else {
      Value whole = vector::BitCastOp::create(
          b, VectorType::get({pieceBytes / 4}, i32), loaded);
      for (int64_t i = 0; i < pieceBytes / 4; ++i)
        words.push_back(vector::ExtractOp::create(b, whole, i));
    }
    SmallVector<Value> pairs;
    for (Value word : words)
      pairs.append(widening::widenWord(b, word, element));
    return pairs;
  }

  // The numbers of one piece, which have one scale, in units that a store
  // takes.
  void widen(Value byte) {
    int64_t numbers = tnk::MultiplyRowsOp::getPieceDepth(element);
    numbers = numbers * pieceBytes / 16;
    Value column = mul(byte, numbers / pieceBytes);
    Value scale = scaleOf(column);
    SmallVector<Value> pairs = load(byte);
    int64_t unit = std::min<int64_t>(numbers, 8);
    for (int64_t first = 0; first < numbers; first += unit) {
      auto words = ArrayRef(pairs).slice(first / 2, llvm::divideCeil(unit, 2));
      Value packed = vector::FromElementsOp::create(
          b, VectorType::get({int64_t(words.size())}, b.getI32Type()), words);
      auto narrow =
          VectorType::get({2 * int64_t(words.size())}, b.getBF16Type());
      auto wide = narrow.clone(b.getF32Type());
      Value values = vector::BitCastOp::create(b, narrow, packed);
      Value scales = vector::BroadcastOp::create(b, wide, scale);
      values = arith::ExtFOp::create(b, wide, values);
      values = arith::MulFOp::create(b, values, scales);
      values = arith::TruncFOp::create(b, narrow, values);
      store(values, unit, arith::AddIOp::create(b, column, index(first)));
    }
  }

  void store(Value values, int64_t count, Value column) {
    if (count == 1) {
      memref::StoreOp::create(b, vector::ExtractOp::create(b, values, 0),
                              op.getOut(), ValueRange{op.getRow(), column});
      return;
    }
    vector::StoreOp::create(b, values, op.getOut(),
                            ValueRange{op.getRow(), column},
                            /*nontemporal=*/false, llvm::MaybeAlign(2 * count));
  }

  tnk::WidenRowOp op;
  ImplicitLocOpBuilder b;
  Type element;
  int64_t bytes, pieceBytes = 1;
};

} // namespace

void widening::lower(tnk::WidenRowOp op) { WidenRow(op).lower(); }
