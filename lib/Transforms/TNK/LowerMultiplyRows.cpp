// tnk-lower-multiply-rows: products of few rows by mma.sync, the weights
// streamed once through registers.
#include "WidenWeights.h"

#include "TNK/TNKDialect.h"
#include "tnllm/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace tnllm {
#define GEN_PASS_DEF_TNKLOWERMULTIPLYROWS
#include "tnllm/Transforms/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

static constexpr int64_t kWarp = 32;
static constexpr int64_t kRows = 8;  // of x: the columns of one instruction
static constexpr int64_t kPiece = 8; // depths of x that a thread loads at once
static constexpr int64_t kAlignment = 16;
// Registers of a thread that hold weights which have been asked for; with many
// rows, whose pieces and sums take most of them.
static constexpr int64_t kWeightRegisters = 64, kFewWeightRegisters = 32;
// Those that hold x beside quantised weights, of which few are many depths.
static constexpr int64_t kRowRegisters = 32;
// Blocks of a multiprocessor that the assembler is told of: without a word it
// takes the registers of three and asks for x late.
static constexpr int32_t kBlocks = 2;
// The same of bf16, where it was measured to be faster: neither side of the
// weights is shorter than this, and a row of them takes no more columns of a
// block than leave registers for two.
static constexpr int64_t kLongSide = 2048, kBoundColumns = 16;

namespace {

// What one thread does. In the layout of mma.sync (m16n8k16), thread 4 g + t
// holds rows g and g + 8 of A, column g of B, and rows g and g + 8 of columns 2
// t and 2 t + 1 of the result. A is 16 rows of a weight (of 8 the other half is
// zero), B is 8 rows of x, a group of rows.
class RowProducts {
public:
  explicit RowProducts(tnk::MultiplyRowsOp op)
      : op(op), b(op.getLoc(), op), type(op.getSumsType()),
        columns(type.getDimSize(1)), rowGroups(type.getDimSize(0) / kRows),
        element(op.getWeightElement()),
        pieceDepth(tnk::MultiplyRowsOp::getPieceDepth(element)),
        stepDepth(tnk::MultiplyRowsOp::getStepDepth(element)),
        steps(op.getDepth() / stepDepth) {
    auto kernel = op->getParentOfType<tnk::KernelOp>();
    threads = *kernel.getThreads();
    warps = threads / kWarp;
    rounds = llvm::divideCeil(steps, warps);
    isRagged = steps % warps != 0;
  }

  void lower();

private:
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  Value add(Value x, Value y) { return b.createOrFold<arith::AddIOp>(x, y); }
  Value mul(Value x, Value y) { return b.createOrFold<arith::MulIOp>(x, y); }
  Value below(Value x, Value y) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ult, x, y);
  }
  Value zeroOf(Type type) {
    return arith::ConstantOp::create(b, type, b.getZeroAttr(type));
  }
  Value shared(ArrayRef<int64_t> shape) {
    return tnk::SharedOp::create(b, MemRefType::get(shape, b.getF32Type(),
                                                    MemRefLayoutAttrInterface(),
                                                    type.getMemorySpace()));
  }

  // The sums of this thread, and what travels through the loop.
  struct Sums {
    SmallVector<Value> products; // [16 columns of a weight][row group][4]
    SmallVector<Value> squares;  // [row group], or empty
  };
  // Weights of some rounds: [round][weight][8 columns], and after those of a
  // round the scales of groups, if any, in the same order.
  using Block = SmallVector<Value>;

  int64_t halves() const { return columns / 8; }
  int64_t numWeights() { return static_cast<int64_t>(op.getWeights().size()); }
  int64_t piecesOfRound() { return numWeights() * halves(); }
  bool isQuantised() { return op.getWeightType().has_value(); }
  // A step is then one group of columns.
  bool hasGroups() const { return element.isInteger(4); }
  int64_t valuesOfRound() { return piecesOfRound() * (hasGroups() ? 2 : 1); }
  int64_t weightRegisters() const {
    // Those of i4 become four times as many.
    return rowGroups == 1 && !hasGroups() ? kWeightRegisters
                                          : kFewWeightRegisters;
  }
  // Instructions' A of a weight.
  int64_t factors() const { return llvm::divideCeil(columns, 16); }

  // Whether the assembler is told how many blocks are wanted.
  bool isBound() {
    if (rowGroups > 1)
      return false;
    auto weight = cast<MemRefType>(op.getWeights().front().getType());
    return isQuantised() ||
           (numWeights() * columns <= kBoundColumns &&
            std::min(weight.getDimSize(0), op.getDepth()) >= kLongSide);
  }

  void locate();
  bool isReadEarly(Operation *user);
  void waitForInputs();
  void loadRowScales();
  // Of a round: the step of this thread's warp, its first depth there, and
  // whether the warp has one, or null where each has.
  struct Place {
    Value step, depth, exists;
  };
  Place placeOf(Value round);
  Value piece(Value memory, Value row, Value depth);
  Value streamedPiece(Value memory, Value row, Value depth);
  Block loadWeights(Value first, int64_t count);
  using Words = SmallVector<Value>; // pairs of bf16
  Words loadRows(Value round, int64_t rowGroup, Sums &sums);
  Value loadRows(const Place &place, int64_t offset, int64_t rowGroup,
                 Sums &sums);
  Words wordsOfWeight(Value piece);
  // Adds low and high (16 columns of a weight) times rows to four sums.
  void multiplyWords(const Words &low, const Words &high, const Words &rows,
                     MutableArrayRef<Value> sums);
  void multiplyRound(ArrayRef<Value> weights, ArrayRef<Words> rows, Sums &sums);
  void multiply(Value first, const Block &weights, Sums &sums);
  void multiplyAll(Sums &sums);
  void multiplyInBlocks(Sums &sums);
  void meet(const Sums &sums);
  void leaveParts(const Sums &sums);
  void addParts();
  // Of this thread: its number among these, and its place among all.
  void forEachElement(llvm::function_ref<void(int64_t i, Value element)> body);

  tnk::MultiplyRowsOp op;
  ImplicitLocOpBuilder b;
  MemRefType type; // of the sums
  int64_t columns; // C
  int64_t rowGroups;
  Type element; // what the weights' numbers are
  int64_t pieceDepth, stepDepth;
  int64_t steps; // of the depth
  int64_t threads, warps;
  int64_t rounds;                   // in each, every warp does a step
  bool isRagged;                    // the last round has fewer steps than warps
  Value thread, warp, group, place; // place in the group: t
  SmallVector<Value> rows;          // of x, in each row group
  Value parts, squareParts;         // [warp, element]
  SmallVector<Value> rowScales; // [element of this thread][weight], or empty
};

} // namespace

void RowProducts::locate() {
  thread = gpu::ThreadIdOp::create(b, gpu::Dimension::x);
  warp = arith::DivUIOp::create(b, thread, index(kWarp));
  Value lane = arith::RemUIOp::create(b, thread, index(kWarp));
  group = arith::DivUIOp::create(b, lane, index(4));
  place = arith::RemUIOp::create(b, lane, index(4));
  Value last = arith::SubIOp::create(b, op.getRows(), index(1));
  for (int64_t i = 0; i < rowGroups; ++i)
    rows.push_back(
        arith::MinUIOp::create(b, add(group, index(i * kRows)), last));
}

RowProducts::Place RowProducts::placeOf(Value round) {
  Value step = add(mul(round, index(warps)), warp);
  Value exists;
  APInt number;
  bool isLast = matchPattern(round, m_ConstantInt(&number)) &&
                number.getSExtValue() == rounds - 1;
  if (isRagged && isLast) {
    exists = below(step, index(steps));
    step = arith::MinUIOp::create(b, step, index(steps - 1));
  }
  Value depth = add(mul(step, index(stepDepth)), mul(place, index(pieceDepth)));
  return {step, depth, exists};
}

Value RowProducts::piece(Value memory, Value row, Value depth) {
  Type element = cast<MemRefType>(memory.getType()).getElementType();
  return vector::LoadOp::create(
      b, VectorType::get({kPiece}, element), memory, ValueRange{row, depth},
      /*nontemporal=*/false, llvm::MaybeAlign(kAlignment));
}

// The same of a weight, as words. It is read once: the first cache need not
// keep it, and the second may ask memory for the neighbours, which other warps
// want.
Value RowProducts::streamedPiece(Value memory, Value row, Value depth) {
  auto type = cast<MemRefType>(memory.getType());
  auto [strides, offset] = type.getStridesAndOffset();
  if (hasGroups()) // two in a byte
    depth = b.createOrFold<arith::DivUIOp>(depth, index(2));
  Value element = add(mul(row, index(strides[0])), add(depth, index(offset)));
  Value base = memref::ExtractAlignedPointerAsIndexOp::create(b, memory);
  Value bytes = mul(element, index(type.getElementTypeBitWidth() / 8));
  Value address =
      arith::IndexCastOp::create(b, b.getI64Type(), add(base, bytes));
  Type i32 = b.getI32Type();
  auto words =
      LLVM::LLVMStructType::getLiteral(b.getContext(), {i32, i32, i32, i32});
  Value loaded =
      LLVM::InlineAsmOp::create(
          b, TypeRange{words}, ValueRange{address},
          "ld.global.L1::no_allocate.L2::256B.v4.b32 {$0, $1, $2, $3}, "
          "[$4];",
          "=r,=r,=r,=r,l", /*has_side_effects=*/true, /*is_align_stack=*/false,
          LLVM::tailcallkind::TailCallKind::None, LLVM::AsmDialectAttr(),
          ArrayAttr())
          .getResult(0);
  SmallVector<Value> elements;
  for (int64_t i = 0; i < 4; ++i)
    elements.push_back(LLVM::ExtractValueOp::create(b, loaded, i));
  return vector::FromElementsOp::create(b, VectorType::get({4}, i32), elements);
}

RowProducts::Block RowProducts::loadWeights(Value first, int64_t count) {
  Block block;
  for (int64_t i = 0; i < count; ++i) {
    Place place = placeOf(add(first, index(i)));
    SmallVector<Value> scales;
    for (auto [w, weight] : llvm::enumerate(op.getWeights()))
      for (int64_t half = 0; half < halves(); ++half) {
        Value at = add(op.getColumn(), add(group, index(8 * half)));
        Value loaded = streamedPiece(weight, at, place.depth);
        if (place.exists)
          loaded = arith::SelectOp::create(b, place.exists, loaded,
                                           zeroOf(loaded.getType()));
        block.push_back(loaded);
        if (hasGroups())
          scales.push_back(memref::LoadOp::create(b, op.getScales()[w],
                                                  ValueRange{at, place.step}));
      }
    block.append(scales);
  }
  return block;
}

// The four words of a piece, of x or of a weight.
static SmallVector<Value> wordsOf(ImplicitLocOpBuilder &b, Value piece) {
  auto type = cast<VectorType>(piece.getType());
  Value words = piece;
  if (!type.getElementType().isInteger(32))
    words = vector::BitCastOp::create(
        b, VectorType::get({type.getNumElements() / 2}, b.getI32Type()), piece);
  SmallVector<Value> all;
  for (int64_t i = 0; i < 4; ++i)
    all.push_back(vector::ExtractOp::create(b, words, i));
  return all;
}

// This thread's pieces of x in a round.
RowProducts::Words RowProducts::loadRows(Value round, int64_t rowGroup,
                                         Sums &sums) {
  Place place = placeOf(round);
  Words words;
  for (int64_t offset = 0; offset < pieceDepth; offset += kPiece)
    words.append(wordsOf(b, loadRows(place, offset, rowGroup, sums)));
  return words;
}

// A piece of x in bf16, with its squares added to the sums.
Value RowProducts::loadRows(const Place &place, int64_t offset,
                            int64_t rowGroup, Sums &sums) {
  Value row = rows[rowGroup], exists = place.exists;
  Value depth = add(place.depth, index(offset));
  auto wide = VectorType::get({kPiece}, b.getF32Type());
  auto narrow = VectorType::get({kPiece}, b.getBF16Type());
  auto widened = [&](Value value) -> Value {
    if (value.getType() == wide)
      return value;
    return arith::ExtFOp::create(b, wide, value);
  };
  Value x = piece(op.getX(), row, depth);
  if (exists)
    x = arith::SelectOp::create(b, exists, x, zeroOf(x.getType()));
  if (!sums.squares.empty()) {
    Value values = widened(x), &squares = sums.squares[rowGroup];
    for (int64_t i = 0; i < kPiece; ++i) {
      Value value = vector::ExtractOp::create(b, values, i);
      squares = math::FmaOp::create(b, value, value, squares);
    }
  }
  if (op.getTimes())
    x = arith::MulFOp::create(b, widened(x),
                              widened(piece(op.getTimes(), row, depth)));
  if (x.getType() == narrow)
    return x;
  return arith::TruncFOp::create(b, narrow, x);
}

// The words of a weight's piece as bf16.
RowProducts::Words RowProducts::wordsOfWeight(Value piece) {
  Words words = wordsOf(b, piece);
  if (!isQuantised())
    return words;
  Words pairs;
  for (Value word : words)
    pairs.append(widening::widenWord(b, word, element));
  return pairs;
}

// An instruction for each two words.
void RowProducts::multiplyWords(const Words &low, const Words &high,
                                const Words &rows,
                                MutableArrayRef<Value> sums) {
  Type f32 = b.getF32Type();
  auto result =
      LLVM::LLVMStructType::getLiteral(b.getContext(), {f32, f32, f32, f32});
  std::array<NVVM::MMATypes, 2> types = {NVVM::MMATypes::bf16,
                                         NVVM::MMATypes::bf16};
  std::array<NVVM::MMALayout, 2> layouts = {NVVM::MMALayout::row,
                                            NVVM::MMALayout::col};
  for (size_t k = 0; k < low.size(); k += 2) {
    Value a[] = {low[k], high[k], low[k + 1], high[k + 1]};
    Value x[] = {rows[k], rows[k + 1]};
    Value made =
        NVVM::MmaOp::create(b, result, a, x, sums, ArrayRef<int64_t>{16, 8, 16},
                            std::nullopt, std::nullopt, types, layouts);
    for (int64_t e = 0; e < 4; ++e)
      sums[e] = LLVM::ExtractValueOp::create(b, made, e);
  }
}

// Words 0 and 1 of every piece, then 2 and 3, for each 16 columns and row
// group. The sum of a group of columns is added when it is whole, times its
// scale: sums 0 and 1 are of the first 8 columns, 2 and 3 of the others.
void RowProducts::multiplyRound(ArrayRef<Value> weights, ArrayRef<Words> rows,
                                Sums &sums) {
  ArrayRef<Value> scales = weights.drop_front(piecesOfRound());
  MutableArrayRef<Value> products = sums.products;
  int64_t ofFactor = std::min<int64_t>(halves(), 2);
  for (int64_t w = 0; w < numWeights() * factors(); ++w) {
    Words low = wordsOfWeight(weights.front()), high;
    if (ofFactor > 1)
      high = wordsOfWeight(weights[1]);
    else
      high.assign(low.size(), zeroOf(b.getI32Type()));
    for (int64_t r = 0; r < rowGroups; ++r, products = products.drop_front(4)) {
      if (!hasGroups()) {
        multiplyWords(low, high, rows[r], products.take_front(4));
        continue;
      }
      SmallVector<Value> ofGroup(4, zeroOf(b.getF32Type()));
      multiplyWords(low, high, rows[r], ofGroup);
      for (int64_t e = 0; e < 2 * ofFactor; ++e)
        products[e] =
            math::FmaOp::create(b, ofGroup[e], scales[e / 2], products[e]);
    }
    weights = weights.drop_front(ofFactor);
    if (hasGroups())
      scales = scales.drop_front(ofFactor);
  }
}

// The loads of x, which nothing delays, before the products; of many rows,
// those of a round.
void RowProducts::multiply(Value first, const Block &weights, Sums &sums) {
  int64_t values = valuesOfRound();
  int64_t count = static_cast<int64_t>(weights.size()) / values;
  int64_t most = rowGroups == 1 ? count : 1;
  if (isQuantised())
    most = std::min(most, kRowRegisters / (pieceDepth / 2));
  for (int64_t begin = 0; begin < count; begin += most) {
    int64_t together = std::min(most, count - begin);
    SmallVector<Words> words;
    for (int64_t i = 0; i < together; ++i)
      for (int64_t r = 0; r < rowGroups; ++r)
        words.push_back(loadRows(add(first, index(begin + i)), r, sums));
    for (int64_t i = 0; i < together; ++i)
      multiplyRound(ArrayRef(weights).slice((begin + i) * values, values),
                    ArrayRef(words).slice(i * rowGroups, rowGroups), sums);
  }
}

// True for loads after the operation that do not depend on it, with conditions
// around them, and for the indices that these need.
bool RowProducts::isReadEarly(Operation *user) {
  auto isResult = [&](Value memory) {
    return memory == op.getSquares() ||
           llvm::is_contained(op.getSums(), memory);
  };
  WalkResult walk = user->walk([&](Operation *inner) {
    bool isLoad = isa<memref::LoadOp, vector::LoadOp>(inner);
    if (!isLoad && !isa<scf::IfOp, scf::YieldOp>(inner) && !isPure(inner))
      return WalkResult::interrupt();
    for (Value operand : inner->getOperands()) {
      Operation *maker = operand.getDefiningOp();
      bool isLater = maker && maker->getBlock() == op->getBlock() &&
                     !maker->isBeforeInBlock(op);
      if (isLater || isResult(operand))
        return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return !walk.wasInterrupted();
}

// What the kernel reads after the products is asked for before them, as far as
// it writes nothing in between.
void RowProducts::waitForInputs() {
  loadRowScales();
  tnk::WaitInputsOp::create(b);
  SmallVector<Operation *> rest;
  for (Operation *next = op->getNextNode(); next; next = next->getNextNode())
    rest.push_back(next);
  for (Operation *next : rest) {
    if (next->hasTrait<OpTrait::IsTerminator>() ||
        isa<memref::StoreOp, vector::StoreOp, gpu::BarrierOp>(next))
      return;
    if (isReadEarly(next))
      next->moveBefore(op);
  }
}

// Every weight is asked for before the inputs are there.
void RowProducts::multiplyAll(Sums &sums) {
  Block block = loadWeights(index(0), rounds);
  waitForInputs();
  multiply(index(0), block, sums);
}

// One block of weights is under way while the one before is multiplied. The
// rounds that are left come last, a ragged one among them.
void RowProducts::multiplyInBlocks(Sums &sums) {
  int64_t size =
      std::max<int64_t>(1, weightRegisters() / 2 / (4 * piecesOfRound()));
  int64_t blocks = (isRagged ? rounds - 1 : rounds) / size;
  Block block = loadWeights(index(0), size);
  waitForInputs();
  auto together = [](const Sums &sums, const Block &block) {
    SmallVector<Value> all(sums.products);
    all.append(sums.squares);
    all.append(block);
    return all;
  };
  auto take = [&](ValueRange values) {
    auto next = values.begin();
    for (SmallVector<Value> *part : {&sums.products, &sums.squares, &block})
      for (Value &value : *part)
        value = *next++;
  };
  auto loop = scf::ForOp::create(b, index(0), index((blocks - 1) * size),
                                 index(size), together(sums, block));
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    take(loop.getRegionIterArgs());
    Value first = loop.getInductionVar();
    Block next = loadWeights(add(first, index(size)), size);
    multiply(first, block, sums);
    scf::YieldOp::create(b, together(sums, next));
  }
  take(loop.getResults());
  Block rest = loadWeights(index(blocks * size), rounds - blocks * size);
  multiply(index((blocks - 1) * size), block, sums);
  if (!rest.empty())
    multiply(index(blocks * size), rest, sums);
}

// Each warp's sums to shared memory: those of weight i, row r and column c at
// (i * R + r) * C + c.
void RowProducts::leaveParts(const Sums &sums) {
  const Value *next = sums.products.begin();
  for (int64_t w = 0; w < numWeights(); ++w)
    for (int64_t f = 0; f < factors(); ++f)
      for (int64_t r = 0; r < rowGroups; ++r, next += 4)
        for (int64_t e = 0; e < 2 * std::min<int64_t>(halves(), 2); ++e) {
          int64_t firstRow = (w * rowGroups + r) * kRows + e % 2;
          Value row = add(mul(place, index(2)), index(firstRow));
          Value column = add(group, index(16 * f + 8 * (e / 2)));
          memref::StoreOp::create(
              b, next[e], parts,
              ValueRange{warp, add(mul(row, index(columns)), column)});
        }
  // The four threads of a group have pieces of one row.
  for (auto [r, sum] : llvm::enumerate(sums.squares)) {
    Value squares = sum;
    for (int32_t distance : {1, 2}) {
      auto other = gpu::ShuffleOp::create(b, squares, distance, kWarp,
                                          gpu::ShuffleMode::XOR);
      squares = arith::AddFOp::create(b, squares, other.getShuffleResult());
    }
    auto isFirst = scf::IfOp::create(b, below(place, index(1)), false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(isFirst.thenBlock());
    Value row = add(group, index(static_cast<int64_t>(r) * kRows));
    memref::StoreOp::create(b, squares, squareParts, ValueRange{warp, row});
  }
}

// The scales of the rows of weights whose sums this thread will add.
void RowProducts::loadRowScales() {
  if (!isQuantised() || hasGroups())
    return;
  int64_t count = rowGroups * kRows * columns;
  for (int64_t first = 0; first < count; first += threads) {
    Value column =
        arith::RemUIOp::create(b, add(thread, index(first)), index(columns));
    for (Value scales : op.getScales())
      rowScales.push_back(memref::LoadOp::create(
          b, scales, ValueRange{add(op.getColumn(), column)}));
  }
}

void RowProducts::forEachElement(
    llvm::function_ref<void(int64_t, Value)> body) {
  int64_t count = rowGroups * kRows * columns;
  for (int64_t first = 0; first < count; first += threads) {
    Value element = add(thread, index(first));
    OpBuilder::InsertionGuard guard(b);
    if (first + threads > count) {
      auto exists = scf::IfOp::create(b, below(element, index(count)), false);
      b.setInsertionPointToStart(exists.thenBlock());
    }
    body(first / threads, element);
  }
}

// The warps' sums, in the order of the warps.
void RowProducts::addParts() {
  auto total = [&](Value memory, Value place) {
    Value sum;
    for (int64_t w = 0; w < warps; ++w) {
      Value part =
          memref::LoadOp::create(b, memory, ValueRange{index(w), place});
      sum = sum ? arith::AddFOp::create(b, sum, part).getResult() : part;
    }
    return sum;
  };
  forEachElement([&](int64_t i, Value element) {
    Value r = arith::DivUIOp::create(b, element, index(columns));
    Value c = arith::RemUIOp::create(b, element, index(columns));
    for (auto [w, sums] : llvm::enumerate(op.getSums())) {
      Value at =
          add(element, index(static_cast<int64_t>(w) * type.getNumElements()));
      Value sum = total(parts, at);
      if (!rowScales.empty())
        sum = arith::MulFOp::create(b, sum, rowScales[i * numWeights() + w]);
      memref::StoreOp::create(b, sum, sums, ValueRange{r, c});
    }
    if (op.getSquares())
      memref::StoreOp::create(b, total(squareParts, r), op.getSquares(),
                              ValueRange{r, c});
  });
}

void RowProducts::meet(const Sums &sums) {
  leaveParts(sums);
  gpu::BarrierOp::create(b);
  addParts();
  gpu::BarrierOp::create(b);
}

void RowProducts::lower() {
  if (isBound())
    op->getParentOfType<tnk::KernelOp>()->setAttr(
        NVVM::NVVMDialect::getMinctasmAttrName(), b.getI32IntegerAttr(kBlocks));
  parts = shared({warps, numWeights() * type.getNumElements()});
  if (op.getSquares())
    squareParts = shared({warps, rowGroups * kRows});
  locate();
  Sums sums;
  Value zero = zeroOf(b.getF32Type());
  sums.products.assign(4 * numWeights() * factors() * rowGroups, zero);
  if (op.getSquares())
    sums.squares.assign(rowGroups, zero);
  if (4 * piecesOfRound() * rounds <= weightRegisters() || rounds < 3)
    multiplyAll(sums);
  else
    multiplyInBlocks(sums);
  meet(sums);
  op.erase();
}

namespace {

struct LowerMultiplyRowsPass
    : public tnllm::impl::TNKLowerMultiplyRowsBase<LowerMultiplyRowsPass> {
  using TNKLowerMultiplyRowsBase::TNKLowerMultiplyRowsBase;

  void runOnOperation() override {
    SmallVector<tnk::MultiplyRowsOp> products;
    getOperation().walk([&](tnk::MultiplyRowsOp op) {
      if (op->getParentOfType<tnk::KernelOp>().isForGPU())
        products.push_back(op);
    });
    for (tnk::MultiplyRowsOp op : products)
      RowProducts(op).lower();
    SmallVector<tnk::WidenRowOp> rows;
    getOperation().walk([&](tnk::WidenRowOp op) { rows.push_back(op); });
    for (tnk::WidenRowOp op : rows)
      widening::lower(op);
  }
};

} // namespace
