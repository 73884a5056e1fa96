// Products of distributed tiles: wgmma with operands in swizzled shared memory,
// or with A in registers.
#include "TilePatterns.h"

#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::tiles;

static constexpr int64_t kDepth = 16; // of one wgmma of bf16

//===----------------------------------------------------------------------===//
// Descriptors
//===----------------------------------------------------------------------===//

namespace {

// Operand descriptors of a tile (PTX ISA, "Matrix descriptor format"): the
// address and two strides in units of 16 bytes, and the swizzle. The depth runs
// along the tile's rows (`depthIsRows`) or along its columns.
class Descriptor {
public:
  Descriptor(ImplicitLocOpBuilder &b, Value tile, bool depthIsRows)
      : b(b), type(cast<tnk::TileType>(tile.getType())),
        depthIsRows(depthIsRows) {
    constexpr uint64_t kSwizzle128 = uint64_t(1) << 62;
    constexpr uint64_t kEightRows = 8 * 128;
    // From one block of columns to the next, where the depth runs along rows;
    // otherwise it is not read.
    uint64_t leading = depthIsRows ? type.getBlockBytes() : 16;
    uint64_t constants =
        kSwizzle128 | (kEightRows / 16) << 32 | (leading / 16) << 16;
    Value address =
        LLVM::PtrToIntOp::create(b, b.getI32Type(), tilePointer(b, tile));
    address = arith::ShRUIOp::create(b, address, threads::constant(b, 4));
    address = arith::AndIOp::create(b, address, threads::constant(b, 0x3FFF));
    first = arith::OrIOp::create(
        b, arith::ExtUIOp::create(b, b.getI64Type(), address),
        i64(static_cast<int64_t>(constants)));
  }

  // Of depths 16 * step and on.
  Value at(int64_t step) {
    int64_t bytes;
    if (depthIsRows) {
      bytes = step * kDepth * 128;
    } else {
      int64_t stepsOfBlock = tnk::TileType::kBlockColumns / kDepth;
      bytes = step / stepsOfBlock * type.getBlockBytes() +
              step % stepsOfBlock * kDepth * 2;
    }
    if (bytes == 0)
      return first;
    return arith::AddIOp::create(b, first, i64(bytes / 16));
  }

private:
  Value i64(int64_t value) {
    return arith::ConstantOp::create(b, b.getI64IntegerAttr(value));
  }

  ImplicitLocOpBuilder &b;
  tnk::TileType type;
  bool depthIsRows;
  Value first;
};

} // namespace

//===----------------------------------------------------------------------===//
// Values in registers
//===----------------------------------------------------------------------===//

static SmallVector<Value> elementsOf(ImplicitLocOpBuilder &b, Value vector) {
  SmallVector<Value> elements;
  int64_t count = cast<VectorType>(vector.getType()).getNumElements();
  for (int64_t i = 0; i < count; ++i)
    elements.push_back(vector::ExtractOp::create(b, vector, i));
  return elements;
}

static LLVM::LLVMStructType structOf(ImplicitLocOpBuilder &b,
                                     ArrayRef<Value> values) {
  SmallVector<Type> types;
  for (Value value : values)
    types.push_back(value.getType());
  return LLVM::LLVMStructType::getLiteral(b.getContext(), types);
}

static Value pack(ImplicitLocOpBuilder &b, ArrayRef<Value> values) {
  Value result = LLVM::UndefOp::create(b, structOf(b, values));
  for (auto [i, value] : llvm::enumerate(values))
    result = LLVM::InsertValueOp::create(b, result, value, i);
  return result;
}

static SmallVector<Value> unpack(ImplicitLocOpBuilder &b, Value aggregate) {
  SmallVector<Value> values;
  auto type = cast<LLVM::LLVMStructType>(aggregate.getType());
  for (size_t i = 0; i < type.getBody().size(); ++i)
    values.push_back(LLVM::ExtractValueOp::create(b, aggregate, i));
  return values;
}

static StringRef registerClass(Type type) { return type.isF32() ? "f" : "r"; }

// `ptx` with `values` in registers that it may change, and `inputs` besides;
// returns the values after it. What computes a value stays before `ptx`, what
// uses it stays after.
static SmallVector<Value> inlinePtx(ImplicitLocOpBuilder &b, const Twine &ptx,
                                    ArrayRef<Value> values,
                                    ArrayRef<Value> inputs = {}) {
  std::string constraints;
  for (Value value : values)
    constraints += ("=" + registerClass(value.getType()) + ",").str();
  for (size_t i = 0; i < values.size(); ++i)
    constraints += llvm::utostr(i) + ",";
  for (Value input : inputs)
    constraints +=
        (input.getType().isInteger(64) ? StringRef("l")
                                       : registerClass(input.getType()))
            .str() +
        ",";
  constraints.pop_back();
  SmallVector<Value> operands(values);
  llvm::append_range(operands, inputs);
  SmallString<0> text;
  auto result = LLVM::InlineAsmOp::create(
      b, structOf(b, values), operands, ptx.toStringRef(text), constraints,
      /*has_side_effects=*/true, /*is_align_stack=*/false,
      LLVM::tailcallkind::TailCallKind::None,
      LLVM::AsmDialectAttr::get(b.getContext(), LLVM::AsmDialect::AD_ATT),
      /*operand_attrs=*/ArrayAttr());
  return unpack(b, result.getResult(0));
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

namespace {

// One product: fence, a wgmma for each 16 depths, commit.
class Product {
public:
  Product(tnk::MmaOp op, Value a, Value acc, ImplicitLocOpBuilder &b)
      : op(op), b(b), a(a), sumsType(cast<VectorType>(acc.getType())),
        columns(op.getAcc().getType().getDimSize(1)) {
    if (auto constant = op.getAcc().getDefiningOp<arith::ConstantOp>())
      if (auto splat = dyn_cast<SplatElementsAttr>(constant.getValue()))
        startsAtZero = splat.getSplatValue<APFloat>().isPosZero();
    sums = elementsOf(b, acc);
  }

  Value start() {
    if (isa<VectorType>(a.getType()))
      multiplyRegisters();
    else
      multiplyTiles();
    NVVM::WgmmaGroupSyncAlignedOp::create(b);
    return vector::FromElementsOp::create(b, sumsType, sums);
  }

private:
  bool addsAt(int64_t step) const { return step != 0 || !startsAtZero; }
  int64_t depth() {
    tnk::TileType type = op.getB().getType();
    return op.getTransposeB() ? type.getColumns() : type.getRows();
  }
  void fence(ArrayRef<Value> more = {});
  void multiplyTiles();
  void multiplyRegisters();

  tnk::MmaOp op;
  ImplicitLocOpBuilder &b;
  Value a;
  VectorType sumsType;
  int64_t columns;
  bool startsAtZero = false;
  SmallVector<Value> sums, fenced;
};

} // namespace

// Registers that the products read or change are final before them.
void Product::fence(ArrayRef<Value> more) {
  // Sums from zero are not read.
  if (startsAtZero)
    llvm::for_each(sums, [&](Value &sum) {
      sum = LLVM::UndefOp::create(b, b.getF32Type());
    });
  SmallVector<Value> all(startsAtZero ? SmallVector<Value>() : sums);
  int64_t kept = all.size();
  llvm::append_range(all, more);
  if (all.empty()) {
    NVVM::WgmmaFenceAlignedOp::create(b);
    return;
  }
  SmallVector<Value> after = inlinePtx(b, "wgmma.fence.sync.aligned;", all);
  std::copy_n(after.begin(), kept, sums.begin());
  fenced.assign(after.begin() + kept, after.end());
}

void Product::multiplyTiles() {
  Descriptor descA(b, op.getA(), op.getTransposeA());
  Descriptor descB(b, op.getB(), !op.getTransposeB());
  fence();
  Value packed = pack(b, sums);
  for (int64_t step = 0; step < depth() / kDepth; ++step)
    packed = NVVM::WgmmaMmaAsyncOp::create(
        b, packed.getType(), packed, descA.at(step), descB.at(step),
        NVVM::MMAShapeAttr::get(b.getContext(), kRows, columns, kDepth),
        NVVM::WGMMATypes::bf16, NVVM::WGMMATypes::bf16, NVVM::WGMMATypes::f32,
        addsAt(step) ? NVVM::WGMMAScaleOut::one : NVVM::WGMMAScaleOut::zero,
        NVVM::WGMMAScaleIn::one, NVVM::WGMMAScaleIn::one,
        op.getTransposeA() ? NVVM::MMALayout::col : NVVM::MMALayout::row,
        op.getTransposeB() ? NVVM::MMALayout::col : NVVM::MMALayout::row,
        NVVM::MMAIntOverflowAttr{});
  sums = unpack(b, packed);
}

// nvvm.wgmma.mma_async has no form with A in registers.
void Product::multiplyRegisters() {
  Descriptor descB(b, op.getB(), !op.getTransposeB());
  int64_t words = cast<VectorType>(a.getType()).getNumElements() / 2;
  Value bits =
      vector::BitCastOp::create(b, VectorType::get({words}, b.getI32Type()), a);
  fence(elementsOf(b, bits));
  std::string outputs;
  for (size_t i = 0; i < sums.size(); ++i)
    outputs += llvm::formatv("{0}${1}", i ? ", " : "", i);
  // Operands: the sums, tied to the same sums, four registers of A, B.
  int64_t next = 2 * sums.size();
  for (int64_t step = 0; step < depth() / kDepth; ++step) {
    SmallVector<Value> inputs(fenced.begin() + 4 * step,
                              fenced.begin() + 4 * step + 4);
    inputs.push_back(descB.at(step));
    std::string ptx = llvm::formatv(
        "{{\n.reg .pred p;\nsetp.ne.b32 p, {0}, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n{1}k16.f32.bf16.bf16 "
        "{{{2}}, {{${3}, ${4}, ${5}, ${6}}, ${7}, p, 1, 1, {8};\n}",
        addsAt(step) ? 1 : 0, columns, outputs, next, next + 1, next + 2,
        next + 3, next + 4, op.getTransposeB() ? 0 : 1);
    sums = inlinePtx(b, ptx, sums, inputs);
  }
}

namespace {

struct DistributeMma : public OpConversionPattern<tnk::MmaOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(tnk::MmaOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Product product(op, adaptor.getA(), adaptor.getAcc(), b);
    rewriter.replaceOp(op, product.start());
    return success();
  }
};

struct DistributeMmaWait : public OpConversionPattern<tnk::MmaWaitOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(tnk::MmaWaitOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    SmallVector<Value> all;
    for (Value sums : adaptor.getSums())
      llvm::append_range(all, elementsOf(b, sums));
    all = inlinePtx(
        b, "wgmma.wait_group.sync.aligned " + Twine(op.getPending()) + ";",
        all);
    SmallVector<Value> results;
    auto *next = all.begin();
    for (Value sums : adaptor.getSums()) {
      auto type = cast<VectorType>(sums.getType());
      results.push_back(vector::FromElementsOp::create(
          b, type, ValueRange(ArrayRef<Value>(next, type.getNumElements()))));
      next += type.getNumElements();
    }
    rewriter.replaceOp(op, results);
    return success();
  }
};

} // namespace

void tiles::populateMmaPatterns(const TypeConverter &types,
                                RewritePatternSet &patterns) {
  patterns.add<DistributeMma, DistributeMmaWait>(types, patterns.getContext());
}
