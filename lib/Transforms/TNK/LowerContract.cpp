// tnk-lower-contract: the micro-kernel of the CPU, as vector operations.
#include "TNK/TNKDialect.h"
#include "tnllm/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace tnllm {
#define GEN_PASS_DEF_TNKLOWERCONTRACT
#include "tnllm/Transforms/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

namespace {

// Lanes of the AVX-512 dot product's accumulator.
constexpr int64_t kDotLanes = 16;
// Far beyond the registers of any machine. Rows are unrolled, so that a larger
// tile would only take for ever.
constexpr int64_t kMaxTileElements = 65536;

// What both contractions share: the tile as vectors of rank 1, which stay in
// registers, and asking for lines ahead.
class TileLowering {
protected:
  TileLowering(Operation *op, VectorType type, int64_t width)
      : b(op->getLoc(), op), type(type), rows(type.getDimSize(0)),
        columns(type.getDimSize(1)), width(width) {}

  Value add(Value x, Value y) { return b.createOrFold<arith::AddIOp>(x, y); }
  Value offset(Value x, int64_t y) { return y == 0 ? x : add(x, index(y)); }
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }

  // for i in [0, steps) with `carried`; `body` replaces what is carried.
  using Body = llvm::function_ref<void(Value i, SmallVectorImpl<Value> &)>;
  SmallVector<Value> loop(Value steps, ValueRange carried, Body body) {
    auto loop = scf::ForOp::create(b, index(0), steps, index(1), carried);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> values(loop.getRegionIterArgs());
    body(loop.getInductionVar(), values);
    scf::YieldOp::create(b, values);
    return SmallVector<Value>(loop.getResults());
  }

  // The tile as rows x (columns / width) vectors of `width`.
  SmallVector<Value> split(Value tile) {
    SmallVector<Value> parts;
    for (int64_t row = 0; row < rows; ++row) {
      Value vector = vector::ExtractOp::create(b, tile, ArrayRef<int64_t>{row});
      for (int64_t column = 0; column < columns; column += width)
        parts.push_back(width == columns
                            ? vector
                            : vector::ExtractStridedSliceOp::create(
                                  b, vector, ArrayRef<int64_t>{column},
                                  ArrayRef<int64_t>{width},
                                  ArrayRef<int64_t>{1}));
    }
    return parts;
  }

  Value join(ValueRange parts) {
    Value tile = arith::ConstantOp::create(b, b.getZeroAttr(type));
    auto part = parts.begin();
    for (int64_t row = 0; row < rows; ++row) {
      Value vector = *part;
      if (width != columns)
        vector = arith::ConstantOp::create(
            b, b.getZeroAttr(VectorType::get({columns}, b.getF32Type())));
      for (int64_t column = 0; column < columns; column += width, ++part)
        if (width != columns)
          vector = vector::InsertStridedSliceOp::create(
              b, *part, vector, ArrayRef<int64_t>{column},
              ArrayRef<int64_t>{1});
      tile = vector::InsertOp::create(b, vector, tile, ArrayRef<int64_t>{row});
    }
    return tile;
  }

  // Brings the lines of `rowBytes` bytes of `matrix` at [row, column] to the
  // first cache. Of less than a line nothing: its line is asked for often.
  void prefetchRow(Value matrix, Value row, Value column, int64_t rowBytes) {
    constexpr int64_t lineBytes = 64;
    int64_t elementBytes =
        cast<MemRefType>(matrix.getType()).getElementTypeBitWidth() / 8;
    if (rowBytes < lineBytes)
      return;
    for (int64_t byte = 0; byte < rowBytes; byte += lineBytes)
      memref::PrefetchOp::create(
          b, matrix, ValueRange{row, offset(column, byte / elementBytes)},
          /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
  }

  ImplicitLocOpBuilder b;
  VectorType type;
  int64_t rows, columns, width;
};

// Lowers a tnk.contract.
class ContractLowering : TileLowering {
public:
  explicit ContractLowering(tnk::ContractOp op)
      : TileLowering(op, op.getAcc().getType(),
                     op.getPairs() ? kDotLanes
                                   : op.getAcc().getType().getDimSize(1)),
        op(op) {}

  Value lower() {
    Value steps = op.getDepth();
    if (op.getPairs())
      steps = arith::ShRUIOp::create(b, steps, index(1));
    return join(loop(steps, split(op.getAcc()),
                     [&](Value k, SmallVectorImpl<Value> &sums) {
                       addPrefetch(k);
                       if (op.getPairs())
                         addPairStep(k, sums);
                       else
                         addStep(k, sums);
                     }));
  }

private:
  void addPrefetch(Value k) {
    if (!op.getPrefetch())
      return;
    auto matrix = cast<MemRefType>(op.getB().getType());
    int64_t rowBytes =
        columns * matrix.getElementTypeBitWidth() / 8 * (op.getPairs() ? 2 : 1);
    Value row = offset(add(op.getBIndices()[0], k), *op.getPrefetch());
    prefetchRow(op.getB(), row, op.getBIndices()[1], rowBytes);
  }

  // One depth: a row of B against one element of each row of A.
  void addStep(Value k, SmallVectorImpl<Value> &sums) {
    Value a = op.getA(), bMatrix = op.getB();
    Type element = cast<MemRefType>(bMatrix.getType()).getElementType();
    auto f32Row = VectorType::get({columns}, b.getF32Type());
    Value row = vector::LoadOp::create(
        b, VectorType::get({columns}, element), bMatrix,
        ValueRange{add(op.getBIndices()[0], k), op.getBIndices()[1]});
    if (element.isInteger())
      row = arith::SIToFPOp::create(b, f32Row, row);
    else if (!element.isF32())
      row = arith::ExtFOp::create(b, f32Row, row);
    for (int64_t i = 0; i < rows; ++i) {
      Value first = op.getAIndices()[0], second = op.getAIndices()[1];
      SmallVector<Value> indices =
          op.getTransposeA()
              ? SmallVector<Value>{add(first, k), offset(second, i)}
              : SmallVector<Value>{offset(first, i), add(second, k)};
      Value x = memref::LoadOp::create(b, a, indices);
      if (!x.getType().isF32())
        x = arith::ExtFOp::create(b, b.getF32Type(), x);
      Value xs = vector::BroadcastOp::create(b, f32Row, x);
      sums[i] = math::FmaOp::create(b, xs, row, sums[i]);
    }
  }

  // Two depths: pairs of B against a pair of each row of A.
  void addPairStep(Value k, SmallVectorImpl<Value> &sums) {
    Type bf16 = b.getBF16Type();
    auto pairs = VectorType::get({2 * kDotLanes}, bf16);
    Value row = add(op.getBIndices()[0], k);
    int64_t parts = columns / kDotLanes;
    SmallVector<Value> loaded;
    for (int64_t part = 0; part < parts; ++part)
      loaded.push_back(vector::LoadOp::create(
          b, pairs, op.getB(),
          ValueRange{row, offset(op.getBIndices()[1], 2 * kDotLanes * part)}));
    Value depth =
        arith::ShLIOp::create(b, k, arith::ConstantIndexOp::create(b, 1));
    for (int64_t i = 0; i < rows; ++i) {
      Value x =
          vector::LoadOp::create(b, VectorType::get({2}, bf16), op.getA(),
                                 ValueRange{offset(op.getAIndices()[0], i),
                                            add(op.getAIndices()[1], depth)});
      Value word =
          vector::BitCastOp::create(b, VectorType::get({1}, b.getI32Type()), x);
      Value words = vector::BroadcastOp::create(
          b, VectorType::get({kDotLanes}, b.getI32Type()), word);
      Value xs = vector::BitCastOp::create(b, pairs, words);
      for (int64_t part = 0; part < parts; ++part) {
        Value &sum = sums[i * parts + part];
        sum = x86vector::DotBF16Op::create(b, sum.getType(), sum, xs,
                                           loaded[part]);
      }
    }
  }

  tnk::ContractOp op;
};

// Lowers a tnk.contract_groups: vectors of f32 over the groups, and of as many
// integers over the depth of each.
class GroupsLowering : TileLowering {
public:
  // `most` is how many integer sums fit into registers beside what they need.
  GroupsLowering(tnk::ContractGroupsOp op, int64_t lanes, int64_t most)
      : TileLowering(op, op.getAcc().getType(), lanes), op(op),
        group(op.getGroup()), parts(columns / lanes), passParts(parts),
        integers(VectorType::get({lanes}, b.getI32Type())),
        bytes(VectorType::get({kFour * lanes}, b.getI8Type())) {
    while (passParts > 1 && (rows * passParts > most || parts % passParts != 0))
      --passParts;
  }

  Value lower() {
    Value size = index(group);
    Value first = arith::DivUIOp::create(b, op.getColumn(), size);
    Value groups = arith::DivUIOp::create(b, op.getDepth(), size);
    return join(loop(groups, split(op.getAcc()),
                     [&](Value g, SmallVectorImpl<Value> &tile) {
                       addGroup(g, add(first, g), tile);
                     }));
  }

private:
  // Neighbouring depths in one word.
  static constexpr int64_t kFour = 4;

  // The group with the number `g` from the first column on, which is number
  // `place` of the row.
  void addGroup(Value g, Value place, SmallVectorImpl<Value> &tile) {
    Value column = add(op.getColumn(), mul(g, group));
    Value row = add(op.getBRow(), mul(g, group / kFour));
    for (int64_t part = 0; part < parts; part += passParts)
      addPass(row, column, place, part, tile);
  }

  // A group's products with `passParts` vectors of columns from `first` on: all
  // rows of the tile take part, so that each line of B is read once.
  void addPass(Value row, Value column, Value place, int64_t first,
               SmallVectorImpl<Value> &tile) {
    SmallVector<Value> starts;
    for (int64_t i = 0; i < rows; ++i)
      starts.append(passParts, element(op.getStarts(), i, place, integers));
    SmallVector<Value> sums =
        loop(index(group / kFour), starts,
             [&](Value k, SmallVectorImpl<Value> &sums) {
               addFour(add(row, k), add(column, mul(k, kFour)), first, sums);
             });
    auto floats = VectorType::get({width}, b.getF32Type());
    for (int64_t i = 0; i < rows; ++i) {
      Value scale = element(op.getScales(), i, place, floats);
      for (int64_t part = 0; part < passParts; ++part) {
        Value &value = tile[i * parts + first + part];
        Value sum =
            arith::SIToFPOp::create(b, floats, sums[i * passParts + part]);
        value = math::FmaOp::create(b, sum, scale, value);
      }
    }
  }

  // Four depths: vectors of a row of B against a word of each row of A.
  void addFour(Value bRow, Value column, int64_t first,
               SmallVectorImpl<Value> &sums) {
    int64_t lineBytes = bytes.getNumElements();
    Value bColumn = offset(op.getBColumn(), lineBytes * first);
    if (op.getPrefetch())
      prefetchRow(op.getB(), offset(bRow, *op.getPrefetch()), bColumn,
                  lineBytes * passParts);
    // W + 128 without a sign.
    Value sign = arith::ConstantOp::create(
        b, bytes, SplatElementsAttr::get(bytes, b.getI8IntegerAttr(-128)));
    SmallVector<Value> weights;
    for (int64_t part = 0; part < passParts; ++part) {
      Value loaded = vector::LoadOp::create(
          b, bytes, op.getB(),
          ValueRange{bRow, offset(bColumn, lineBytes * part)});
      weights.push_back(arith::XOrIOp::create(b, loaded, sign));
    }
    for (int64_t i = 0; i < rows; ++i) {
      Value word = vector::LoadOp::create(
          b, VectorType::get({kFour}, b.getI8Type()), op.getA(),
          ValueRange{offset(op.getRow(), i), column});
      word = vector::BitCastOp::create(b, VectorType::get({1}, b.getI32Type()),
                                       word);
      Value words = vector::BroadcastOp::create(b, integers, word);
      words = vector::BitCastOp::create(b, bytes, words);
      for (int64_t part = 0; part < passParts; ++part) {
        Value &sum = sums[i * passParts + part];
        sum = product(sum, weights[part], words);
      }
    }
  }

  // sum[j] + sum_k u[4 j + k] s[4 j + k], u without a sign.
  Value product(Value sum, Value u, Value s) {
    std::string name = "llvm.x86.avx512.vpdpbusd." +
                       std::to_string(integers.getNumElements() * 32);
    return LLVM::CallIntrinsicOp::create(b, integers, b.getStringAttr(name),
                                         ValueRange{sum, u, s})
        .getResult(0);
  }

  // What `matrix` has for row i of the tile and a group, in every lane.
  Value element(Value matrix, int64_t i, Value place, VectorType lanes) {
    Value value = memref::LoadOp::create(
        b, matrix, ValueRange{offset(op.getRow(), i), place});
    return vector::BroadcastOp::create(b, lanes, value);
  }

  Value mul(Value x, int64_t y) {
    return b.createOrFold<arith::MulIOp>(x, index(y));
  }

  tnk::ContractGroupsOp op;
  int64_t group;
  int64_t parts;     // vectors of columns of the tile
  int64_t passParts; // of them, those that one pass over a group takes
  VectorType integers, bytes;
};

struct LowerContractPass
    : public tnllm::impl::TNKLowerContractBase<LowerContractPass> {
  using TNKLowerContractBase::TNKLowerContractBase;

  // Whether `op` has a tile that can be unrolled, of whole vectors.
  template <typename Op>
  LogicalResult check(Op op, int64_t lanes, StringRef what) {
    VectorType tile = op.getAcc().getType();
    int64_t rows = tile.getDimSize(0), columns = tile.getDimSize(1);
    if (rows > kMaxTileElements || columns > kMaxTileElements / rows)
      return op.emitError("expected a register tile of at most ")
             << kMaxTileElements << " elements, got " << tile;
    if (columns % lanes != 0)
      return op.emitError("expected a multiple of ")
             << lanes << " columns for " << what << ", got " << columns;
    return success();
  }

  template <typename Op> static void replace(Op op, Value result) {
    op.replaceAllUsesWith(result);
    op.erase();
  }

  void runOnOperation() override {
    if (byteLanes != 8 && byteLanes != 16) {
      getOperation().emitError("expected byte-lanes to be 8 or 16, got ")
          << byteLanes.getValue();
      return signalPassFailure();
    }
    WalkResult walk = getOperation().walk([&](Operation *op) {
      if (auto contract = dyn_cast<tnk::ContractOp>(op)) {
        if (failed(
                check(contract, contract.getPairs() ? kDotLanes : 1, "pairs")))
          return WalkResult::interrupt();
        replace(contract, ContractLowering(contract).lower());
      } else if (auto groups = dyn_cast<tnk::ContractGroupsOp>(op)) {
        if (failed(check(groups, byteLanes, "products of bytes")))
          return WalkResult::interrupt();
        replace(groups, GroupsLowering(groups, byteLanes, byteSums).lower());
      }
      return WalkResult::advance();
    });
    if (walk.wasInterrupted())
      signalPassFailure();
  }
};

} // namespace
