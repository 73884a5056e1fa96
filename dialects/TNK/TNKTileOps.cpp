// Types, parsers and verifiers of tnk's operations for tensor cores.
#include "TNK/TNKDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tnllm::tnk;

#include "TNK/TNKEnums.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "TNK/TNKTypes.cpp.inc"

void TNKDialect::registerTileTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "TNK/TNKTypes.cpp.inc"
      >();
}

// Rows of a tile of a warpgroup in registers.
static constexpr int64_t kRegisterRows = 64;

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

// `<` rows `x` columns `x` type `>`
static FailureOr<std::pair<SmallVector<int64_t>, Type>>
parseShape(AsmParser &parser) {
  SmallVector<int64_t> shape;
  Type element;
  if (parser.parseLess() ||
      parser.parseDimensionList(shape, /*allowDynamic=*/false) ||
      parser.parseType(element) || parser.parseGreater())
    return failure();
  if (shape.size() != 2) {
    parser.emitError(parser.getNameLoc(), "expected rows and columns");
    return failure();
  }
  return std::make_pair(shape, element);
}

Type TileType::parse(AsmParser &parser) {
  auto shape = parseShape(parser);
  if (failed(shape))
    return {};
  return parser.getChecked<TileType>(parser.getContext(), shape->first[0],
                                     shape->first[1], shape->second);
}

void TileType::print(AsmPrinter &printer) const {
  printer << '<' << getRows() << 'x' << getColumns() << 'x' << getElementType()
          << '>';
}

// More than the threads of any block share: lowering writes out the parts of
// tiles and the stages of rings.
static constexpr int64_t kMostBytes = 1 << 20, kMostStages = 1024;

LogicalResult TileType::verify(function_ref<InFlightDiagnostic()> emitError,
                               int64_t rows, int64_t columns,
                               Type elementType) {
  if (!elementType.isBF16())
    return emitError() << "expected a tile of bf16, got " << elementType
                       << " [tile-C1]";
  if (rows <= 0 || rows % 8 != 0 || columns <= 0 ||
      columns % kBlockColumns != 0)
    return emitError() << "expected a multiple of 8 rows and of 64 columns, "
                          "got "
                       << rows << " x " << columns << " [tile-C2]";
  if (rows > kMostBytes || columns > kMostBytes ||
      rows * columns > kMostBytes / 2)
    return emitError() << "expected a tile of at most 1 MiB, got " << rows
                       << " x " << columns << " [tile-C3]";
  return success();
}

Type MapType::parse(AsmParser &parser) {
  auto shape = parseShape(parser);
  if (failed(shape))
    return {};
  return parser.getChecked<MapType>(parser.getContext(), shape->first[0],
                                    shape->first[1], shape->second);
}

void MapType::print(AsmPrinter &printer) const {
  printer << '<' << getRows() << 'x' << getColumns() << 'x' << getElementType()
          << '>';
}

LogicalResult MapType::verify(function_ref<InFlightDiagnostic()> emitError,
                              int64_t rows, int64_t columns, Type elementType) {
  if (!elementType.isBF16())
    return emitError() << "expected boxes of bf16, got " << elementType
                       << " [map-C1]";
  if (rows <= 0 || rows > 256 || columns != TileType::kBlockColumns)
    return emitError() << "expected boxes of at most 256 rows and 64 columns, "
                          "got "
                       << rows << " x " << columns << " [map-C2]";
  return success();
}

LogicalResult RingType::verify(function_ref<InFlightDiagnostic()> emitError,
                               int64_t stages, ArrayRef<TileType> tiles) {
  if (stages <= 0)
    return emitError() << "expected at least one stage, got " << stages
                       << " [ring-C1]";
  int64_t bytes = 0;
  for (TileType tile : tiles)
    bytes = std::min(bytes + tile.getBytes(), kMostBytes + 1);
  if (stages > kMostStages || stages * bytes > kMostBytes)
    return emitError() << "expected at most " << kMostStages
                       << " stages of 1 MiB in all, got " << stages
                       << " [ring-C6]";
  return success();
}

int64_t RingType::getTileOffset(int64_t tile) const {
  int64_t offset = 0;
  for (TileType type : getTiles().take_front(tile))
    offset += type.getBytes();
  return offset;
}

int64_t RingType::getStageBytes() const {
  return getTileOffset(getTiles().size());
}

//===----------------------------------------------------------------------===//
// Roles
//===----------------------------------------------------------------------===//

LogicalResult RolesOp::verifyRegions() {
  int64_t threads = 0, registers = 0;
  for (Operation &op : getBody().front()) {
    auto role = dyn_cast<RoleOp>(op);
    if (!role)
      return op.emitOpError("expected only tnk.role in tnk.roles [roles-C1]");
    threads += role.getThreads();
    registers += role.getThreads() * role.getRegisters();
  }
  auto kernel = cast<KernelOp>((*this)->getParentOp());
  int64_t expected = kernel.getThreads().value_or(0);
  if (threads != expected)
    return emitOpError("expected roles of the kernel's ")
           << expected << " threads, got " << threads << " [roles-C2]";
  constexpr int64_t kRegisters = 65536; // of a multiprocessor
  if (registers > kRegisters)
    return emitOpError("expected at most ")
           << kRegisters << " registers in all, got " << registers
           << " [roles-C3]";
  return success();
}

LogicalResult RoleOp::verify() {
  if (getGroups() <= 0 || (getWarps() != 4 && getWarps() != 1) ||
      (getWarps() == 1 && getGroups() != 1))
    return emitOpError("expected warpgroups of 4 warps, or one of 1 warp "
                       "[role-C1]");
  if (getRegisters() < 24 || getRegisters() > 240 || getRegisters() % 8 != 0)
    return emitOpError("expected registers to be a multiple of 8 from 24 to "
                       "240, got ")
           << getRegisters() << " [role-C2]";
  return success();
}

LogicalResult GroupOp::verify() {
  if (!(*this)->getParentOfType<RoleOp>())
    return emitOpError("expected a tnk.role around it [group-C1]");
  return success();
}

//===----------------------------------------------------------------------===//
// Tiles and rings
//===----------------------------------------------------------------------===//

LogicalResult PartOp::verify() {
  TileType tile = getTile().getType(), part = getPart().getType();
  bool ofColumns = part.getRows() == tile.getRows() &&
                   tile.getColumns() % part.getColumns() == 0;
  bool ofRows = tile.getColumns() == TileType::kBlockColumns &&
                part.getColumns() == TileType::kBlockColumns &&
                tile.getRows() % part.getRows() == 0;
  if (!ofColumns && !ofRows)
    return emitOpError("expected a part with all rows, or with all of 64 "
                       "columns, that divides the tile [part-C1]");
  return success();
}

// A vector and a tile that hold the same matrix, perhaps transposed.
static LogicalResult verifyRegisterTile(Operation *op, VectorType vector,
                                        TileType tile, bool transpose) {
  int64_t rows = transpose ? tile.getColumns() : tile.getRows();
  int64_t columns = transpose ? tile.getRows() : tile.getColumns();
  if (rows != kRegisterRows || columns % 16 != 0 ||
      vector.getShape() != ArrayRef<int64_t>({rows, columns}))
    return op->emitOpError("expected a matrix of 64 rows and a multiple of 16 "
                           "columns on both sides, got ")
           << vector << " and " << tile << " [read-C1]";
  return success();
}

LogicalResult ReadOp::verify() {
  return verifyRegisterTile(*this, getResult().getType(), getTile().getType(),
                            getTranspose());
}

LogicalResult WriteOp::verify() {
  return verifyRegisterTile(*this, getValue().getType(), getTile().getType(),
                            getTranspose());
}

LogicalResult RingOp::verify() {
  if (getReaders() <= 0)
    return emitOpError("expected at least one reader, got ")
           << getReaders() << " [ring-C2]";
  return success();
}

// The operation that makes `ring`, if it is of the kind `fill` and `op` runs
// on as many warps as may fill it.
static LogicalResult verifyFiller(Operation *op, Value ring,
                                  std::optional<RingFill> fill) {
  auto made = ring.getDefiningOp<RingOp>();
  if (!made)
    return op->emitOpError("expected the result of a tnk.ring [ring-C3]");
  if (fill && made.getFill() != *fill)
    return op->emitOpError("expected a ring filled by ")
           << stringifyRingFill(*fill) << " [ring-C4]";
  auto role = op->getParentOfType<RoleOp>();
  bool copies = made.getFill() == RingFill::Copies;
  if (!role || (copies ? role.getWarps() != 1
                       : role.getWarps() != 4 || role.getGroups() != 1))
    return op->emitOpError("expected a role of ")
           << (copies ? "one warp" : "one warpgroup") << " around it [ring-C5]";
  return success();
}

LogicalResult RingAcquireOp::verify() {
  return verifyFiller(*this, getRing(), std::nullopt);
}

LogicalResult RingCommitOp::verify() {
  return verifyFiller(*this, getRing(), RingFill::Threads);
}

// What all threads of a warpgroup do together.
static LogicalResult verifyInWarpgroup(Operation *op) {
  auto role = op->getParentOfType<RoleOp>();
  if (!role || role.getWarps() != 4)
    return op->emitOpError("expected a role of whole warpgroups around it "
                           "[role-C3]");
  return success();
}

LogicalResult RingWaitOp::verify() { return verifyInWarpgroup(*this); }

LogicalResult RingReleaseOp::verify() { return verifyInWarpgroup(*this); }

LogicalResult StoreWaitOp::verify() { return verifyInWarpgroup(*this); }

LogicalResult RingTileOp::verify() {
  ArrayRef<TileType> tiles = getRing().getType().getTiles();
  if (getIndex() >= tiles.size() || tiles[getIndex()] != getTile().getType())
    return emitOpError("expected a tile of the ring and its type "
                       "[ring_tile-C1]");
  return success();
}

// A box for each 64 columns of the tile, and a coordinate for each dimension.
static LogicalResult verifyCopy(Operation *op, MapType map, TileType tile,
                                size_t coordinates) {
  if (coordinates != 4)
    return op->emitOpError("expected 4 coordinates: batch, position, head, "
                           "column [copy-C1]");
  if (map.getRows() != tile.getRows() ||
      map.getElementType() != tile.getElementType())
    return op->emitOpError("expected boxes with the rows and the type of the "
                           "tile [copy-C2]");
  return success();
}

LogicalResult LoadAsyncOp::verify() {
  if (failed(verifyFiller(*this, getRing(), RingFill::Copies)))
    return failure();
  return verifyCopy(*this, getMap().getType(), getTile().getType(),
                    getCoordinates().size());
}

LogicalResult StoreAsyncOp::verify() {
  if (failed(verifyInWarpgroup(*this)))
    return failure();
  return verifyCopy(*this, getMap().getType(), getTile().getType(),
                    getCoordinates().size());
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

// Rows and columns of an operand as the product sees it.
static std::pair<int64_t, int64_t> operandShape(Type type, bool transpose) {
  std::pair<int64_t, int64_t> shape;
  if (auto tile = dyn_cast<TileType>(type))
    shape = {tile.getRows(), tile.getColumns()};
  else
    shape = {cast<VectorType>(type).getDimSize(0),
             cast<VectorType>(type).getDimSize(1)};
  if (transpose)
    std::swap(shape.first, shape.second);
  return shape;
}

LogicalResult MmaOp::verify() {
  if (getTransposeA() && isa<VectorType>(getA().getType()))
    return emitOpError("expected A to be a tile if it is transposed [mma-C1]");
  auto [m, k] = operandShape(getA().getType(), getTransposeA());
  auto [bRows, n] = operandShape(getB().getType(), getTransposeB());
  if (m != kRegisterRows || k % 16 != 0 || bRows != k || n > 256)
    return emitOpError("expected A of 64 x K, B of K x N with K a multiple of "
                       "16 and N at most 256, got ")
           << m << " x " << k << " and " << bRows << " x " << n << " [mma-C2]";
  if (getAcc().getType().getShape() != ArrayRef<int64_t>({m, n}))
    return emitOpError("expected sums of ")
           << m << " x " << n << ", got " << getAcc().getType() << " [mma-C3]";
  // An unfinished sum may only be added to, handed on or waited for.
  for (OpOperand &use : getResult().getUses()) {
    auto next = dyn_cast<MmaOp>(use.getOwner());
    bool added =
        next && next.getAcc() == getResult() && next.getA() != getResult();
    if (!added && !isa<MmaWaitOp>(use.getOwner()))
      return emitOpError("expected its result to be used by tnk.mma_wait, or "
                         "as the sum of another tnk.mma [mma-C4]");
  }
  if (!getResult().hasOneUse())
    return emitOpError("expected its result to be used once [mma-C5]");
  return success();
}

LogicalResult MmaWaitOp::verify() {
  if (static_cast<int64_t>(getPending()) < 0 || getPending() > 7)
    return emitOpError("expected 0 to 7 pending products, got ")
           << getPending() << " [mma_wait-C1]";
  if (getSums().empty())
    return emitOpError("expected sums to wait for [mma_wait-C2]");
  return success();
}

LogicalResult IndexOp::verify() {
  if (getDimension() > 1)
    return emitOpError("expected dimension 0 or 1, got ")
           << getDimension() << " [index-C1]";
  VectorType type = getResult().getType();
  if (type.getDimSize(0) != kRegisterRows || type.getDimSize(1) % 8 != 0)
    return emitOpError("expected 64 rows and a multiple of 8 columns, got ")
           << type << " [index-C2]";
  return success();
}
