// Rounds tiles to bytes where they are stored.
#include "RoundedRows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <limits>

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// Of a scale and a start.
static constexpr int64_t kGroupBytes = 8;

std::optional<int64_t> kernels::roundedGroup(Value tensor) {
  Operation *op = tensor.getDefiningOp();
  if (auto fused = dyn_cast_or_null<tn::FusedOp>(op))
    op = fused.getBody().front().getTerminator()->getOperand(0).getDefiningOp();
  if (auto rounding = dyn_cast_or_null<tn::RoundGroupsOp>(op))
    return rounding.getGroup();
  return std::nullopt;
}

MemRefType kernels::roundedBufferType(MLIRContext *context, int64_t rows,
                                      int64_t columns, int64_t group) {
  int64_t rowBytes = columns + columns / group * kGroupBytes;
  return MemRefType::get({rows * rowBytes}, IntegerType::get(context, 8));
}

RoundedRows kernels::roundedRows(KernelBuilder &k, Value buffer,
                                 int64_t columns, int64_t group) {
  ImplicitLocOpBuilder &b = k.b;
  int64_t groups = columns / group;
  int64_t rows = cast<MemRefType>(buffer.getType()).getDimSize(0) /
                 (columns + groups * kGroupBytes);
  int64_t offset = 0;
  auto next = [&](int64_t width, Type element) -> Value {
    auto type = MemRefType::get({rows, width}, element);
    Value view = memref::ViewOp::create(b, type, buffer, k.index(offset),
                                        /*sizes=*/ValueRange());
    offset += rows * width * element.getIntOrFloatBitWidth() / 8;
    return view;
  };
  Value codes = next(columns, b.getI8Type());
  Value scales = next(groups, b.getF32Type());
  return {codes, scales, next(groups, b.getI32Type())};
}

// A splat of a 32-bit integer.
static Value integers(ImplicitLocOpBuilder &b, VectorType type, int32_t value) {
  return arith::ConstantOp::create(
      b, type, SplatElementsAttr::get(type, b.getI32IntegerAttr(value)));
}

// The scale of a group. Bit patterns without their sign order as magnitudes do,
// and infinities and NaNs stand above all numbers: they make the scale what
// they are.
static Value scaleOf(KernelBuilder &k, Value group) {
  ImplicitLocOpBuilder &b = k.b;
  VectorType words = VectorType::get(
      cast<VectorType>(group.getType()).getShape(), b.getI32Type());
  Value magnitudes = arith::AndIOp::create(
      b, vector::BitCastOp::create(b, words, group),
      integers(b, words, std::numeric_limits<int32_t>::max()));
  Value bits =
      vector::ReductionOp::create(b, vector::CombiningKind::MAXSI, magnitudes);
  Type f32 = b.getF32Type();
  Value largest = arith::BitcastOp::create(b, f32, bits);
  return arith::MaximumFOp::create(
      b, arith::DivFOp::create(b, largest, k.constant(f32, 127.0)),
      k.constant(f32, std::numeric_limits<float>::min()));
}

void kernels::storeRounded(KernelBuilder &k, Value tile,
                           const RoundedRows &rows, const TilePlace &place) {
  ImplicitLocOpBuilder &b = k.b;
  auto group = VectorType::get({place.columns}, b.getF32Type());
  auto words = VectorType::get({place.columns}, b.getI32Type());
  auto bytes = VectorType::get({place.columns}, b.getI8Type());
  Value number = k.div(place.column, k.index(place.columns));
  // Adding 1.5 * 2^23 rounds to an integer, to even between two, and leaves it
  // in the low bits.
  constexpr float kShift = 12582912.0f;
  constexpr int32_t kShiftBits = 0x4B400000;
  for (int64_t i = 0; i < place.rows; ++i) {
    Value row = k.add(place.row, k.index(i));
    Value values = vector::ExtractOp::create(b, tile, ArrayRef<int64_t>{i});
    Value scale = scaleOf(k, values);
    Value shifted = arith::AddFOp::create(
        b, arith::DivFOp::create(b, values, k.broadcast(scale, group)),
        k.constant(group, kShift));
    Value codes =
        arith::SubIOp::create(b, vector::BitCastOp::create(b, words, shifted),
                              integers(b, words, kShiftBits));
    Value sum =
        vector::ReductionOp::create(b, vector::CombiningKind::ADD, codes);
    Value start = arith::MulIOp::create(
        b, sum, arith::ConstantOp::create(b, b.getI32IntegerAttr(-128)));
    vector::StoreOp::create(b, arith::TruncIOp::create(b, bytes, codes),
                            rows.codes, ValueRange{row, place.column});
    memref::StoreOp::create(b, scale, rows.scales, ValueRange{row, number});
    memref::StoreOp::create(b, start, rows.starts, ValueRange{row, number});
  }
}
