// Pieces of a matrix made where they belong. A gradient of several columns is
// put together of pieces (tn.unslice); where all of them are made by kernels
// that can write to columns of a wider matrix, they do, and the matrix needs no
// kernel of its own.
#include "FunctionConverter.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// The value whose buffer a piece is.
static Value rootOf(Value piece) {
  while (Operation *op = piece.getDefiningOp()) {
    if (!isa<tn::SplitHeadsOp, tn::MergeHeadsOp>(op))
      break;
    piece = op->getOperand(0);
  }
  return piece;
}

// Kernels that store rows of any stride.
static bool writesColumns(Operation *op) {
  return isa_and_nonnull<tn::AddOp, tn::MulOp, tn::ActivationOp,
                         tn::ActivationGradOp, tn::NormOp, tn::NormGradOp,
                         tn::LightningAttentionGradOp>(op);
}

// False where the pieces leave columns out, or one of them is made elsewhere.
bool FunctionConverter::placePieces(tn::UnsliceOp op) {
  Value matrix = op.getResult();
  if (bufferOf(matrix))
    return false;
  int64_t end = 0;
  SmallVector<Value> roots;
  Type element = getElementTypeOrSelf(outputs.contains(matrix)
                                          ? outputs.lookup(matrix).getType()
                                          : state.target.storageOf(matrix));
  for (auto [piece, begin] : llvm::zip(op.getPieces(), op.getBegins())) {
    Value root = rootOf(piece);
    if (begin != end || !writesColumns(root.getDefiningOp()) ||
        bufferOf(root) || outputs.contains(root) ||
        llvm::is_contained(roots, root) ||
        state.target.storageOf(root) != element)
      return false;
    roots.push_back(root);
    end += cast<RankedTensorType>(piece.getType()).getShape().back();
  }
  auto type = cast<RankedTensorType>(matrix.getType());
  if (end != type.getShape().back())
    return false;
  Value whole = outputFor(matrix);
  auto wholeType = cast<MemRefType>(whole.getType());
  for (auto [root, piece, begin] :
       llvm::zip(roots, op.getPieces(), op.getBegins())) {
    int64_t width = cast<RankedTensorType>(piece.getType()).getShape().back();
    SmallVector<int64_t> offsets = {0, begin}, strides = {1, 1};
    SmallVector<int64_t> sizes = {wholeType.getDimSize(0), width};
    auto view = cast<MemRefType>(
        memref::SubViewOp::inferResultType(wholeType, offsets, sizes, strides));
    buffers[root] =
        memref::SubViewOp::create(b, view, whole, offsets, sizes, strides);
  }
  return true;
}

void FunctionConverter::placePieces() {
  for (auto op : source.getBody().front().getOps<tn::UnsliceOp>()) {
    b.setLoc(op.getLoc());
    if (placePieces(op))
      converted.insert(op);
  }
}
