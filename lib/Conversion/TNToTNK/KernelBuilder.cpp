// Loops, tiles and element-wise operations of kernel bodies.
#include "KernelBuilder.h"
#include "RoundedRows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

KernelBuilder::KernelBuilder(ModuleOp module, StringRef name, Location loc,
                             ArrayRef<Type> arguments, const TileSizes &sizes)
    : b(loc, module.getContext()), sizes(sizes) {
  b.setInsertionPointToEnd(module.getBody());
  SmallVector<Type> inputs(arguments);
  inputs.push_back(b.getIndexType());
  kernel = tnk::KernelOp::create(b, name, b.getFunctionType(inputs, {}),
                                 sizes.threads);
  if (sizes.threads != 0 && !sizes.overlaps)
    kernel->setAttr(tnk::kSerialAttrName, b.getUnitAttr());
  b.setInsertionPointToStart(&kernel.getBody().front());
}

void KernelBuilder::finish() { tnk::ReturnOp::create(b); }

//===----------------------------------------------------------------------===//
// Index arithmetic and loops
//===----------------------------------------------------------------------===//

Value KernelBuilder::index(int64_t value) {
  return arith::ConstantIndexOp::create(b, value);
}
Value KernelBuilder::add(Value x, Value y) {
  return b.createOrFold<arith::AddIOp>(x, y);
}
Value KernelBuilder::sub(Value x, Value y) {
  return b.createOrFold<arith::SubIOp>(x, y);
}
Value KernelBuilder::mul(Value x, Value y) {
  return b.createOrFold<arith::MulIOp>(x, y);
}
Value KernelBuilder::div(Value x, Value y) {
  return b.createOrFold<arith::DivUIOp>(x, y);
}
Value KernelBuilder::rem(Value x, Value y) {
  return b.createOrFold<arith::RemUIOp>(x, y);
}
Value KernelBuilder::min(Value x, Value y) {
  return b.createOrFold<arith::MinSIOp>(x, y);
}

Value KernelBuilder::compare(arith::CmpIPredicate predicate, Value x, Value y) {
  return b.createOrFold<arith::CmpIOp>(predicate, x, y);
}

void KernelBuilder::forLoop(Value begin, Value end, int64_t step,
                            IndexBody body) {
  forLoop(begin, end, index(step), body);
}

void KernelBuilder::forLoop(Value begin, Value end, Value step,
                            IndexBody body) {
  auto loop = scf::ForOp::create(b, begin, end, step);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

void KernelBuilder::forTiles(Value extent, ArrayRef<int64_t> sizes,
                             TileBody body) {
  Value begin = index(0);
  for (int64_t size : sizes) {
    Value tiles = div(sub(extent, begin), index(size));
    Value end = add(begin, mul(tiles, index(size)));
    forLoop(begin, end, size, [&](Value start) { body(start, size); });
    begin = end;
  }
}

void KernelBuilder::forColumns(int64_t extent, int64_t width, TileBody body) {
  int64_t full = extent / width * width;
  if (full == width)
    body(index(0), width);
  else if (full > 0)
    forLoop(index(0), index(full), width,
            [&](Value start) { body(start, width); });
  if (full < extent)
    body(index(full), extent - full);
}

SmallVector<int64_t> KernelBuilder::halvingSizes(int64_t largest) {
  SmallVector<int64_t> sizes = {largest};
  for (int64_t size = llvm::bit_floor(static_cast<uint64_t>(largest)); size > 0;
       size /= 2)
    if (size < largest)
      sizes.push_back(size);
  return sizes;
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

VectorType KernelBuilder::tileType(int64_t rows, int64_t columns) {
  return VectorType::get({rows, columns}, b.getF32Type());
}

Value KernelBuilder::constant(Type type, double value) {
  FloatAttr scalar = b.getFloatAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    return arith::ConstantOp::create(b, vector,
                                     SplatElementsAttr::get(vector, scalar));
  return arith::ConstantOp::create(b, type, scalar);
}

Value KernelBuilder::broadcast(Value value, VectorType type) {
  return vector::BroadcastOp::create(b, type, value);
}

Value KernelBuilder::broadcastRow(Value vector, int64_t rows) {
  int64_t columns = cast<VectorType>(vector.getType()).getDimSize(0);
  return vector::BroadcastOp::create(b, tileType(rows, columns), vector);
}

// The element type of a buffer, and the vector of it that `shape` gives.
static VectorType vectorOf(Value buffer, ArrayRef<int64_t> shape) {
  return VectorType::get(shape,
                         cast<MemRefType>(buffer.getType()).getElementType());
}

// Widens bf16 to f32; other values stay as they are.
static Value toF32(ImplicitLocOpBuilder &b, Value value) {
  Type type = value.getType();
  if (!getElementTypeOrSelf(type).isBF16())
    return value;
  Type wide = b.getF32Type();
  if (auto vector = dyn_cast<VectorType>(type))
    wide = vector.clone(wide);
  return arith::ExtFOp::create(b, wide, value);
}

// Narrows a vector of f32 to the element type of `buffer`.
static Value toStored(ImplicitLocOpBuilder &b, Value vector, Value buffer) {
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  auto type = cast<VectorType>(vector.getType());
  if (element == type.getElementType())
    return vector;
  return arith::TruncFOp::create(b, type.clone(element), vector);
}

Value KernelBuilder::loadScalar(Value buffer, ValueRange indices) {
  return toF32(b, memref::LoadOp::create(b, buffer, indices));
}

Value KernelBuilder::loadRow(Value buffer, Value row, Value column,
                             int64_t columns, bool inBounds) {
  SmallVector<Value> indices;
  if (row)
    indices.push_back(row);
  indices.push_back(column);
  VectorType type = vectorOf(buffer, {columns});
  Value padding = constant(type.getElementType(), 0.0);
  return toF32(b,
               vector::TransferReadOp::create(b, type, buffer, indices, padding,
                                              ArrayRef<bool>{inBounds}));
}

void KernelBuilder::storeRow(Value vector, Value buffer, Value row,
                             Value column) {
  vector::TransferWriteOp::create(b, toStored(b, vector, buffer), buffer,
                                  ValueRange{row, column},
                                  ArrayRef<bool>{true});
}

Value KernelBuilder::loadTile(Value buffer, const TilePlace &place) {
  VectorType type = vectorOf(buffer, {place.rows, place.columns});
  Value padding = constant(type.getElementType(), 0.0);
  Value mask = maskOf(place);
  auto read = vector::TransferReadOp::create(
      b, type, buffer, ValueRange{place.row, place.column}, padding,
      ArrayRef<bool>{true, place.columnsInBounds});
  if (mask)
    read.getMaskMutable().assign(mask);
  return toF32(b, read);
}

void KernelBuilder::storeTile(Value tile, Value buffer,
                              const TilePlace &place) {
  Value mask = maskOf(place);
  auto write = vector::TransferWriteOp::create(
      b, toStored(b, tile, buffer), buffer, ValueRange{place.row, place.column},
      ArrayRef<bool>{true, place.columnsInBounds});
  if (mask)
    write.getMaskMutable().assign(mask);
}

Value KernelBuilder::maskOf(const TilePlace &place) {
  if (!place.rowsLeft)
    return {};
  return vector::CreateMaskOp::create(
      b, VectorType::get({place.rows, place.columns}, b.getI1Type()),
      ValueRange{place.rowsLeft, index(place.columns)});
}

Value KernelBuilder::contract(Value a, ValueRange aIndices, Value bMatrix,
                              ValueRange bIndices, Value acc, Value depth,
                              bool transposeA, bool pairs, int64_t prefetch) {
  return tnk::ContractOp::create(
      b, acc.getType(), a, aIndices, bMatrix, bIndices, acc, depth, transposeA,
      pairs, prefetch ? b.getI64IntegerAttr(prefetch) : IntegerAttr());
}

Value KernelBuilder::contractGroups(const RoundedRows &a, Value row,
                                    Value column, Value bMatrix, Value bRow,
                                    Value acc, Value depth, int64_t group,
                                    int64_t prefetch) {
  return tnk::ContractGroupsOp::create(
      b, acc.getType(), a.codes, row, column, a.scales, a.starts, bMatrix, bRow,
      index(0), acc, depth, b.getI64IntegerAttr(group),
      prefetch ? b.getI64IntegerAttr(prefetch) : IntegerAttr());
}

Value KernelBuilder::scratch(int64_t rows, int64_t columns) {
  auto type = MemRefType::get({rows, columns}, b.getF32Type());
  return memref::AllocaOp::create(b, type, b.getI64IntegerAttr(64));
}

Value KernelBuilder::list(int64_t size, Type element) {
  if (sizes.threads == 0)
    return memref::AllocaOp::create(b, MemRefType::get({size}, element),
                                    b.getI64IntegerAttr(64));
  auto space =
      gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup);
  return tnk::SharedOp::create(b, MemRefType::get({size}, element,
                                                  MemRefLayoutAttrInterface(),
                                                  space));
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

Value KernelBuilder::sigmoid(Value x) {
  Value one = constant(x.getType(), 1.0);
  Value exponential = math::ExpOp::create(b, arith::NegFOp::create(b, x));
  return arith::DivFOp::create(b, one,
                               arith::AddFOp::create(b, one, exponential));
}

Value KernelBuilder::elu(Value x) {
  Value zero = constant(x.getType(), 0.0);
  // expm1 of the non-positive part alone: the other side could overflow.
  Value negative =
      math::ExpM1Op::create(b, arith::MinimumFOp::create(b, x, zero));
  Value isPositive =
      arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, zero);
  return arith::SelectOp::create(b, isPositive, x, negative);
}

Value KernelBuilder::activate(tn::ActivationKind kind, Value x) {
  Type type = x.getType();
  Value zero = constant(type, 0.0);
  switch (kind) {
  case tn::ActivationKind::None:
    return x;
  case tn::ActivationKind::SiLU:
    return arith::MulFOp::create(b, x, sigmoid(x));
  case tn::ActivationKind::Sigmoid:
    return sigmoid(x);
  case tn::ActivationKind::GELU: {
    Value scaled =
        arith::MulFOp::create(b, x, constant(type, 0.70710678118654752));
    Value erf = math::ErfOp::create(b, scaled);
    Value half = arith::MulFOp::create(b, x, constant(type, 0.5));
    return arith::MulFOp::create(
        b, half, arith::AddFOp::create(b, erf, constant(type, 1.0)));
  }
  case tn::ActivationKind::ReLU:
    return arith::MaximumFOp::create(b, x, zero);
  case tn::ActivationKind::LeakyReLU: {
    Value slope = arith::MulFOp::create(b, x, constant(type, 0.01));
    Value isPositive =
        arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, zero);
    return arith::SelectOp::create(b, isPositive, x, slope);
  }
  case tn::ActivationKind::ELU:
    return elu(x);
  case tn::ActivationKind::OnePlusELU:
    return arith::AddFOp::create(b, elu(x), constant(type, 1.0));
  case tn::ActivationKind::TwoPlusELU:
    return arith::AddFOp::create(b, elu(x), constant(type, 2.0));
  }
  llvm_unreachable("unknown activation");
}

//===----------------------------------------------------------------------===//
// Epilogue
//===----------------------------------------------------------------------===//

// A vector<rows x columns x i1> that is true in the columns [begin, end).
static Value columnMask(KernelBuilder &k, const TilePlace &place, int64_t begin,
                        int64_t end) {
  ImplicitLocOpBuilder &b = k.b;
  auto indices = VectorType::get({place.columns}, b.getIndexType());
  Value step = vector::StepOp::create(b, indices);
  Value column =
      arith::AddIOp::create(b, step, k.broadcast(place.column, indices));
  Value low = k.broadcast(k.index(begin), indices);
  Value high = k.broadcast(k.index(end), indices);
  Value inside = arith::AndIOp::create(
      b, arith::CmpIOp::create(b, arith::CmpIPredicate::sge, column, low),
      arith::CmpIOp::create(b, arith::CmpIPredicate::slt, column, high));
  return k.broadcast(
      inside, VectorType::get({place.rows, place.columns}, b.getI1Type()));
}

Value Epilogue::applyActivation(KernelBuilder &k, tn::ActivationOp op,
                                Value tile, const TilePlace &place) const {
  tn::ActivationKind kind = op.getKind();
  int64_t width = op.getX().getType().getShape().back();
  ArrayRef<int64_t> columns =
      op.getColumns().value_or(ArrayRef<int64_t>()); // empty: all
  if (columns.empty() || (columns[0] == 0 && columns[1] == width))
    return k.activate(kind, tile);
  ImplicitLocOpBuilder &b = k.b;
  // Tiles start at multiples of the panel width and are at most as wide.
  int64_t panel = k.sizes.panelWidth;
  if (columns[0] % panel != 0 || columns[1] % panel != 0)
    return arith::SelectOp::create(b,
                                   columnMask(k, place, columns[0], columns[1]),
                                   k.activate(kind, tile), tile);
  Value inside = arith::AndIOp::create(
      b,
      arith::CmpIOp::create(b, arith::CmpIPredicate::sge, place.column,
                            k.index(columns[0])),
      arith::CmpIOp::create(b, arith::CmpIPredicate::slt, place.column,
                            k.index(columns[1])));
  auto branch = scf::IfOp::create(b, TypeRange{tile.getType()}, inside,
                                  /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    scf::YieldOp::create(b, k.activate(kind, tile));
    b.setInsertionPointToStart(branch.elseBlock());
    scf::YieldOp::create(b, tile);
  }
  return branch.getResult(0);
}

void Epilogue::apply(KernelBuilder &k, Value tile,
                     const TilePlace &place) const {
  ImplicitLocOpBuilder &b = k.b;
  Value current = rootResult;
  Location loc = b.getLoc();
  for (Operation *op : operations) {
    b.setLoc(op->getLoc());
    auto operand = [&](Value tensor) {
      if (tensor == current)
        return tile;
      if (Value made = tiles ? tiles->lookup(tensor) : Value())
        return made;
      return k.loadTile(operands.lookup(tensor), place);
    };
    if (auto activation = dyn_cast<tn::ActivationOp>(op))
      tile = applyActivation(k, activation, tile, place);
    else if (auto sum = dyn_cast<tn::AddOp>(op))
      tile = arith::AddFOp::create(b, operand(sum.getLhs()),
                                   operand(sum.getRhs()));
    else if (auto product = dyn_cast<tn::MulOp>(op))
      tile = arith::MulFOp::create(b, operand(product.getLhs()),
                                   operand(product.getRhs()));
    // A cast and a rounding take effect in the store.
    current = op->getResult(0);
  }
  auto rounding = operations.empty()
                      ? tn::RoundGroupsOp()
                      : dyn_cast<tn::RoundGroupsOp>(operations.back());
  if (rounding)
    storeRounded(k, tile,
                 roundedRows(k, output,
                             rounding.getX().getType().getShape().back(),
                             rounding.getGroup()),
                 place);
  else
    k.storeTile(tile, output, place);
  b.setLoc(loc);
}
