// Verifiers and folders of the tn dialect. Each message ends with the number of
// the constraint in docs/Spec.md.
#include "TN/TNDialect.h"
#include "TNVerify.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tnllm::tn;

#define GET_OP_CLASSES
#include "TN/TNOps.cpp.inc"

bool tnllm::tn::differ(int64_t a, int64_t b) {
  return !ShapedType::isDynamic(a) && !ShapedType::isDynamic(b) && a != b;
}

bool tnllm::tn::sameLeading(RankedTensorType a, RankedTensorType b,
                            int64_t trailingA, int64_t trailingB) {
  if (a.getRank() < trailingA || b.getRank() < trailingB)
    return false;
  ArrayRef<int64_t> da = a.getShape().drop_back(trailingA);
  ArrayRef<int64_t> db = b.getShape().drop_back(trailingB);
  if (da.size() != db.size())
    return false;
  for (auto [x, y] : llvm::zip(da, db))
    if (differ(x, y))
      return false;
  return true;
}

int64_t tnllm::tn::lastDim(RankedTensorType type) {
  return type.getShape().back();
}

bool tnllm::tn::isElementwise(Operation *op) {
  return isa<AddOp, MulOp, ActivationOp, CastOp>(op);
}

bool tnllm::tn::isQuantised(Type element) {
  return element.isSignlessInteger(8) || element.isSignlessInteger(4) ||
         isa<Float8E4M3FNType>(element);
}

// Whether `scales` are those of a quantised matrix: one for each row, or of i4
// for each kScaleGroup columns of a row.
static bool areScalesOf(RankedTensorType scales, RankedTensorType weight) {
  if (!weight.getElementType().isInteger(4))
    return scales.getRank() == 1 &&
           scales.getDimSize(0) == weight.getDimSize(0);
  return scales.getRank() == 2 &&
         scales.getDimSize(0) == weight.getDimSize(0) &&
         scales.getDimSize(1) * kScaleGroup == weight.getDimSize(1);
}

bool tnllm::tn::endsGroup(Operation *op) {
  return isa<CastOp, RoundGroupsOp>(op);
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

LogicalResult ParamOp::verify() {
  auto type = dyn_cast<RankedTensorType>(getType());
  if (!type || !type.hasStaticShape() || type.getRank() == 0)
    return emitOpError("expected a ranked tensor of static shape, got ")
           << getType() << " [param-C1]";
  Type element = type.getElementType();
  if (!element.isF32() && !element.isBF16() && !isQuantised(element))
    return emitOpError(
               "expected elements of f32, bf16, i8, f8E4M3FN or i4, got ")
           << type.getElementType() << " [param-C2]";
  return success();
}

LogicalResult GetParamOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  auto param =
      symbolTable.lookupNearestSymbolFrom<ParamOp>(*this, getParamAttr());
  if (!param)
    return emitOpError("expected a tn.param named '")
           << getParam() << "' [get_param-C1]";
  if (param.getType() != getResult().getType()) {
    InFlightDiagnostic diag = emitOpError("type ")
                              << getResult().getType()
                              << " differs from the parameter's type "
                              << param.getType() << " [get_param-C2]";
    diag.attachNote(param.getLoc()) << "declared here";
    return diag;
  }
  return success();
}

LogicalResult
RowScalesOp::verifySymbolUses(SymbolTableCollection &symbolTable) {
  auto param =
      symbolTable.lookupNearestSymbolFrom<ParamOp>(*this, getParamAttr());
  if (!param)
    return emitOpError("expected a tn.param named '")
           << getParam() << "' [row_scales-C1]";
  RankedTensorType type = param.getTensorType(), result = getResult().getType();
  if (type.getRank() != 2 || !isQuantised(type.getElementType()) ||
      !areScalesOf(result, type)) {
    InFlightDiagnostic diag =
        emitOpError("expected one scale for each row of a quantised matrix, or "
                    "each 128 columns of an i4 one, got ")
        << result << " for " << type << " [row_scales-C2]";
    diag.attachNote(param.getLoc()) << "declared here";
    return diag;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Embedding and linear maps
//===----------------------------------------------------------------------===//

LogicalResult EmbeddingOp::verify() {
  RankedTensorType ids = getIds().getType(), table = getTable().getType();
  RankedTensorType result = getResult().getType();
  if (table.getRank() != 2)
    return emitOpError("expected a table of rank 2, got ")
           << table << " [embedding-C1]";
  if (!sameLeading(ids, result, 0, 1))
    return emitOpError("expected the result's leading dimensions to equal "
                       "those of ids ")
           << ids << ", got " << result << " [embedding-C2]";
  if (differ(lastDim(result), lastDim(table)))
    return emitOpError(
               "expected the result's last dimension to equal the table's (")
           << lastDim(table) << "), got " << lastDim(result)
           << " [embedding-C3]";
  return success();
}

LogicalResult LinearOp::verify() {
  RankedTensorType x = getX().getType(), weight = getWeight().getType();
  RankedTensorType result = getResult().getType();
  if (weight.getRank() != 2 || !weight.hasStaticShape())
    return emitOpError("expected a weight of rank 2 and static shape, got ")
           << weight << " [linear-C1]";
  if (x.getRank() < 1 || differ(lastDim(x), weight.getDimSize(1)))
    return emitOpError(
               "expected the last dimension of x to equal dimension 1 of the "
               "weight (")
           << weight.getDimSize(1) << "), got " << x << " [linear-C2]";
  bool quantised = isQuantised(weight.getElementType());
  if (!quantised && x.getElementType() != weight.getElementType())
    return emitOpError("expected x and weight of one element type, or a "
                       "quantised weight, got ")
           << x.getElementType() << " and " << weight.getElementType()
           << " [linear-C3]";
  if (quantised != static_cast<bool>(getScales()) ||
      (quantised && !areScalesOf(getScales().getType(), weight)))
    return emitOpError("expected the scales of ")
           << weight.getDimSize(0)
           << " rows with a quantised weight and none with another "
              "[linear-C6]";
  if (!sameLeading(x, result, 1, 1) ||
      differ(lastDim(result), weight.getDimSize(0)))
    return emitOpError("expected a result of x's leading dimensions and ")
           << weight.getDimSize(0) << " columns, got " << result
           << " [linear-C4]";
  if (getBias() && (getBias().getType().getRank() != 1 ||
                    differ(lastDim(getBias().getType()), weight.getDimSize(0))))
    return emitOpError("expected a bias of ")
           << weight.getDimSize(0) << " elements, got " << getBias().getType()
           << " [linear-C5]";
  return success();
}

//===----------------------------------------------------------------------===//
// Element-wise operations
//===----------------------------------------------------------------------===//

LogicalResult tnllm::tn::verifyColumnRange(Operation *op,
                                           ArrayRef<int64_t> range,
                                           int64_t columns,
                                           StringRef constraint) {
  if (range.size() == 2 && range[0] >= 0 && range[0] < range[1] &&
      (ShapedType::isDynamic(columns) || range[1] <= columns))
    return success();
  return op->emitOpError(
             "expected columns [begin, end) with 0 <= begin < end <= ")
         << columns << ", got [" << range << "] [" << constraint << "]";
}

LogicalResult ActivationOp::verify() {
  if (getX().getType().getRank() < 1)
    return emitOpError("expected a tensor of rank 1 or more [activation-C1]");
  if (!getColumns())
    return success();
  return verifyColumnRange(*this, *getColumns(), lastDim(getX().getType()),
                           "activation-C2");
}

LogicalResult RoundGroupsOp::verify() {
  RankedTensorType type = getX().getType();
  int64_t group = getGroup();
  if (type.getRank() > 0 && !ShapedType::isDynamic(lastDim(type)) &&
      group >= 1 && lastDim(type) % group == 0)
    return success();
  return emitOpError("expected groups that divide the last dimension, got ")
         << group << " of " << type << " [round_groups-C1]";
}

OpFoldResult ActivationOp::fold(FoldAdaptor) {
  return getKind() == ActivationKind::None ? getX() : OpFoldResult();
}

LogicalResult ShiftedExpOp::verify() {
  RankedTensorType x = getX().getType();
  if (x.getRank() != 4 || x.isDynamicDim(2) || x.isDynamicDim(3))
    return emitOpError("expected x of [B, N, H, d], got ")
           << x << " [shifted_exp-C1]";
  return success();
}

OpFoldResult CastOp::fold(FoldAdaptor) {
  return getX().getType() == getResult().getType() ? getX() : OpFoldResult();
}

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

LogicalResult NormOp::verify() {
  NormKind kind = getKind();
  RankedTensorType x = getX().getType();
  if (x.getRank() < 1 || x != getResult().getType())
    return emitOpError("expected operand and result of one type of rank 1 or "
                       "more, got ")
           << x << " and " << getResult().getType() << " [norm-C1]";
  if ((kind == NormKind::SRMS) == static_cast<bool>(getWeight()))
    return emitOpError("expected ")
           << (kind == NormKind::SRMS ? "no weight" : "a weight")
           << " for kind " << stringifyNormKind(kind) << " [norm-C2]";
  if (getBias() && kind == NormKind::SRMS)
    return emitOpError("expected no bias for kind srms [norm-C3]");
  for (Value vector : {getWeight(), getBias()}) {
    if (!vector)
      continue;
    auto type = cast<RankedTensorType>(vector.getType());
    if (type.getRank() != 1 || differ(lastDim(type), lastDim(x)))
      return emitOpError("expected weight and bias of ")
             << lastDim(x) << " elements, got " << type << " [norm-C4]";
  }
  if (!getEpsilon().isNonZero() || getEpsilon().isNegative() ||
      !getEpsilon().isFinite())
    return emitOpError("expected a positive, finite epsilon [norm-C5]");
  return success();
}

//===----------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------===//

LogicalResult SliceOp::verify() {
  RankedTensorType x = getX().getType(), result = getResult().getType();
  if (x.getRank() < 1)
    return emitOpError("expected a tensor of rank 1 or more [slice-C1]");
  if (failed(verifyColumnRange(*this, getColumns(), lastDim(x), "slice-C2")))
    return failure();
  int64_t width = getColumns()[1] - getColumns()[0];
  // Exactly: a slice of unknown width would look like the whole to the folder.
  if (!sameLeading(x, result, 1, 1) || lastDim(result) != width)
    return emitOpError("expected a result of x's leading dimensions and ")
           << width << " columns, got " << result << " [slice-C3]";
  return success();
}

OpFoldResult SliceOp::fold(FoldAdaptor) {
  return getX().getType() == getResult().getType() ? getX() : OpFoldResult();
}

// `split` is [..., H, d], `merged` is [..., H * d].
static bool isHeadSplit(RankedTensorType merged, RankedTensorType split) {
  if (merged.getRank() < 1 || split.getRank() != merged.getRank() + 1)
    return false;
  ArrayRef<int64_t> heads = split.getShape().take_back(2);
  return sameLeading(merged, split, 1, 2) && !ShapedType::isDynamic(heads[0]) &&
         !ShapedType::isDynamic(heads[1]) &&
         lastDim(merged) == heads[0] * heads[1];
}

LogicalResult SplitHeadsOp::verify() {
  if (!isHeadSplit(getX().getType(), getResult().getType()))
    return emitOpError("expected [..., H * d] to become [..., H, d], got ")
           << getX().getType() << " and " << getResult().getType()
           << " [split_heads-C1]";
  return success();
}

LogicalResult MergeHeadsOp::verify() {
  if (!isHeadSplit(getResult().getType(), getX().getType()))
    return emitOpError("expected [..., H, d] to become [..., H * d], got ")
           << getX().getType() << " and " << getResult().getType()
           << " [merge_heads-C1]";
  return success();
}

OpFoldResult MergeHeadsOp::fold(FoldAdaptor) {
  if (auto split = getX().getDefiningOp<SplitHeadsOp>())
    if (split.getX().getType() == getResult().getType())
      return split.getX();
  return {};
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

LogicalResult LRPEOp::verify() {
  RankedTensorType x = getX().getType(), result = getResult().getType();
  RankedTensorType theta = getTheta().getType(),
                   positions = getPositions().getType();
  if (x.getRank() != 4 || x.isDynamicDim(2) || x.isDynamicDim(3))
    return emitOpError("expected x of [B, N, H, d], got ") << x << " [lrpe-C1]";
  ArrayRef<int64_t> shape = x.getShape();
  if (theta.getShape() != ArrayRef<int64_t>({shape[2], 1, shape[3]}))
    return emitOpError("expected theta of [")
           << shape[2] << ", 1, " << shape[3] << "], got " << theta
           << " [lrpe-C2]";
  if (positions.getRank() != 1 || differ(positions.getDimSize(0), shape[0]))
    return emitOpError("expected one position for each of the batch, got ")
           << positions << " [lrpe-C3]";
  if (result.getRank() != 4 || !sameLeading(x, result, 1, 1) ||
      lastDim(result) != 2 * shape[3])
    return emitOpError("expected a result of twice x's width (")
           << 2 * shape[3] << "), got " << result << " [lrpe-C4]";
  return success();
}

LogicalResult LightningAttentionOp::verify() {
  RankedTensorType q = getQ().getType(), v = getV().getType();
  RankedTensorType state = getState().getType(), slopes = getSlopes().getType();
  if (q.getRank() != 4 || v.getRank() != 4)
    return emitOpError("expected q, k and v of [B, N, H, d], got ")
           << q << " and " << v << " [lightning_attention-C1]";
  if (getK().getType() != q)
    return emitOpError("expected q and k of one type, got ")
           << q << " and " << getK().getType() << " [lightning_attention-C2]";
  if (!sameLeading(q, v, 1, 1) || getOut().getType() != v)
    return emitOpError(
               "expected v and out of one type with q's batch, length and "
               "heads, got ")
           << v << " and " << getOut().getType() << " [lightning_attention-C3]";
  if (slopes.getRank() != 1 || differ(slopes.getDimSize(0), q.getDimSize(2)))
    return emitOpError("expected one slope for each of ")
           << q.getDimSize(2) << " heads, got " << slopes
           << " [lightning_attention-C4]";
  Value offsets = getOffsets();
  if (offsets && (cast<RankedTensorType>(offsets.getType()).getRank() != 1 ||
                  q.getDimSize(1) != 1))
    return emitOpError(
               "expected offsets of rank 1 and one position for each row "
               "of q, got ")
           << offsets.getType() << " and " << q << " [lightning_attention-C7]";
  // With offsets, how many states there are is not in the types.
  int64_t sequences = offsets ? ShapedType::kDynamic : q.getDimSize(0);
  SmallVector<int64_t> expected = {sequences, q.getDimSize(2), lastDim(q),
                                   lastDim(v)};
  bool matches = state.getRank() == 4;
  for (int64_t i = 0; matches && i < 4; ++i)
    matches = !differ(state.getDimSize(i), expected[i]);
  if (!matches || getNewState().getType() != state)
    return emitOpError("expected states of [B, H, Dk, Dv] with H ")
           << expected[1] << ", Dk " << expected[2] << ", Dv " << expected[3]
           << ", got " << state << " and " << getNewState().getType()
           << " [lightning_attention-C5]";
  if (!getState().hasOneUse())
    return emitOpError(
        "expected to be the only user of the state, which it updates "
        "in place [lightning_attention-C6]");
  return success();
}

//===----------------------------------------------------------------------===//
// Structure
//===----------------------------------------------------------------------===//

LogicalResult FusedOp::verifyRegions() {
  Block &body = getBody().front();
  auto yield = dyn_cast<YieldOp>(body.getTerminator());
  if (!yield || yield.getValue().getType() != getResult().getType())
    return emitOpError("expected its body to yield ")
           << getResult().getType() << " [fused-C1]";
  Operation *root = &body.front();
  if (!isa<LinearOp, NormOp>(root) && !isElementwise(root))
    return emitOpError(
               "expected a root that is a linear map, a norm or element-wise, "
               "got '")
           << root->getName() << "' [fused-C2]";
  Operation *previous = root;
  for (Operation &op :
       llvm::make_range(std::next(body.begin()), std::prev(body.end()))) {
    bool readsInner = false; // an inner value other than the one before
    for (Value operand : op.getOperands())
      readsInner |= operand.getDefiningOp() &&
                    operand.getDefiningOp() != previous &&
                    operand.getDefiningOp()->getBlock() == &body;
    if ((!isElementwise(&op) && !endsGroup(&op)) || readsInner ||
        !llvm::is_contained(op.getOperands(), previous->getResult(0)))
      return op.emitOpError(
          "expected an element-wise consumer of the operation before "
          "it and of no other inside [fused-C3]");
    if (endsGroup(previous))
      return op.emitOpError("expected nothing after '")
             << previous->getName()
             << "', which takes effect where the tile is stored [fused-C5]";
    previous = &op;
  }
  if (yield.getValue() != previous->getResult(0))
    return emitOpError(
        "expected to yield the last operation's result [fused-C4]");
  return success();
}

//===----------------------------------------------------------------------===//
// Sampling
//===----------------------------------------------------------------------===//

LogicalResult SampleOp::verify() {
  // Positions in a row are counted in f32.
  constexpr int64_t kMaxTokens = int64_t(1) << 24;
  RankedTensorType logits = getLogits().getType();
  if (logits.getRank() != 2 || logits.isDynamicDim(1) ||
      logits.getDimSize(1) < 1 || logits.getDimSize(1) > kMaxTokens)
    return emitOpError(
               "expected logits of [R, V] with a static V of 1 to 2^24, "
               "got ")
           << logits << " [sample-C1]";
  int64_t rows = logits.getDimSize(0);
  if (getSettings().getType().getShape() != ArrayRef<int64_t>{rows, kSettings})
    return emitOpError("expected ")
           << kSettings << " settings for each row of logits, got "
           << getSettings().getType() << " [sample-C2]";
  auto tokens = cast<RankedTensorType>(getResult().getType());
  if (tokens.getShape() != ArrayRef<int64_t>{rows})
    return emitOpError("expected a token for each row of logits, got ")
           << tokens << " [sample-C3]";
  return success();
}
