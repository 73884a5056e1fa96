// The loss with its gradient on a GPU. Where a program wants both, as a
// training step does, the logits of some rows are computed once, for all of the
// vocabulary: one kernel turns them into their gradients in place and gives the
// losses of the rows, and two products take those back. What is kept of the
// logits is as wide as the weight's elements.
#include "FunctionConverter.h"
#include "GradKernels.h"

#include "TN/TNDialect.h"
#include "TNRT/TNRTDialect.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::kernels;

// Elements of the buffer of logits. More rows at once give fuller products, of
// which that for dx has the model's width in columns alone.
static constexpr int64_t kMostLogits = int64_t(1) << 29, kRowTile = 256;
// Threads of a block for long rows, and their elements: as many as a
// multiprocessor has for such a kernel.
static constexpr int64_t kWideThreads = 1024, kWideRow = 8 * kWideThreads;

tn::CrossEntropyGradOp
FunctionConverter::gradientOfLoss(tn::CrossEntropyOp op) const {
  if (!isForGPU() || !op.getLogSumExp().hasOneUse())
    return {};
  auto gradient =
      dyn_cast<tn::CrossEntropyGradOp>(*op.getLogSumExp().user_begin());
  if (!gradient || gradient.getLogSumExp() != op.getLogSumExp() ||
      gradient.getX() != op.getX() || gradient.getWeight() != op.getWeight() ||
      gradient.getLabels() != op.getLabels())
    return {};
  // It is computed here, and must be known.
  Operation *incoming = gradient.getGradient().getDefiningOp();
  return !incoming || incoming->isBeforeInBlock(op) ? gradient
                                                    : tn::CrossEntropyGradOp();
}

void FunctionConverter::launchLossMean(Value losses, Value labels,
                                       Value gradient, Value result) {
  Value partials = tnrt::AllocOp::create(
      b, MemRefType::get({llvm::divideCeilSigned(capacity, kLossRows), 2},
                         b.getF64Type()));
  Value blocks = arith::CeilDivUIOp::create(b, rows, index(kLossRows));
  TileSizes sizes = state.target.rowSizes(1);
  SmallVector<Value> ofRows = {labels, partials, rows};
  if (losses)
    ofRows.push_back(losses);
  launch(losses ? "loss_partials" : "label_partials", ofRows, blocks, sizes,
         "loss_partials", [&](KernelBuilder &k) {
           buildLossPartials(k, losses ? k.argument(3) : Value(), k.argument(0),
                             k.argument(1), k.argument(2));
         });
  SmallVector<Value> ofAll = {partials, result, blocks};
  if (gradient)
    ofAll.push_back(gradient);
  launch(gradient ? "loss_scale" : "mean_loss", ofAll, index(1), sizes,
         "loss_mean", [&](KernelBuilder &k) {
           buildLossMean(k, k.argument(0), gradient ? k.argument(3) : Value(),
                         k.argument(1), k.argument(2));
         });
}

void FunctionConverter::convertHead(tn::CrossEntropyOp op,
                                    tn::CrossEntropyGradOp gradient) {
  Value x = contiguous(op.getX()), weight = bufferOf(op.getWeight());
  Value labels = bufferOf(op.getLabels());
  Value dx = outputFor(gradient.getDx());
  Value dweight = accumulatorFor(gradient.getDweight());
  ArrayRef<int64_t> shape = op.getWeight().getType().getShape();
  int64_t some = std::max(kMostLogits / shape[0], int64_t(1));
  some =
      std::min(some > kRowTile ? some / kRowTile * kRowTile : some, capacity);
  auto vectorOf = [&](int64_t size) {
    return tnrt::AllocOp::create(b, MemRefType::get({size}, b.getF32Type()));
  };
  Value losses = vectorOf(capacity), scale = vectorOf(1);
  Value logits = tnrt::AllocOp::create(
      b, MemRefType::get({some, shape[0]},
                         getElementTypeOrSelf(weight.getType())));
  launchLossMean(/*losses=*/{}, labels, bufferOf(gradient.getGradient()),
                 scale);
  for (int64_t first = 0; first < capacity; first += some) {
    int64_t count = std::min(some, capacity - first);
    auto compute = [&] {
      Value left = arith::SubIOp::create(b, rows, index(first));
      launchHead({rowsOf(x, index(first), count), weight, labels, losses, scale,
                  logits, rowsOf(dx, index(first), count), dweight},
                 index(first), arith::MinUIOp::create(b, left, index(count)));
    };
    if (first == 0) {
      compute();
      continue;
    }
    Value isAny =
        arith::CmpIOp::create(b, arith::CmpIPredicate::ugt, rows, index(first));
    auto branch = scf::IfOp::create(b, isAny, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    compute();
  }
  launchLossMean(losses, labels, /*gradient=*/{}, outputFor(op.getLoss()));
  converted.insert(gradient);
}

void FunctionConverter::launchHead(const HeadBuffers &in, Value first,
                                   Value count) {
  Value logits = rowsOf(in.logits, index(0),
                        cast<MemRefType>(in.x.getType()).getDimSize(0));
  auto multiply = [&](Value left, Value right, Value result,
                      tnrt::MatmulForm form, bool accumulate) {
    tnrt::MatmulOp::create(b, context, left, right, result, count,
                           /*addend=*/Value(), form, accumulate);
  };
  multiply(in.x, in.weight, logits, tnrt::MatmulForm::Linear, false);
  // Few and large blocks, so that the second cache holds their rows while they
  // are read again.
  TileSizes sizes = state.target.rowSizes(columnsOf(in.logits));
  if (columnsOf(in.logits) >= kWideRow) {
    sizes.threads = kWideThreads;
    sizes.panelWidth = kWideRow;
  }
  Value arguments[] = {in.logits, in.labels, in.losses, in.scale, first};
  launch("loss_gradient", arguments, count, sizes, "loss_gradient",
         [&](KernelBuilder &k) { buildLossGradientRows(k); });
  multiply(logits, in.weight, in.dx, tnrt::MatmulForm::InputGrad, false);
  multiply(logits, in.x, in.dweight, tnrt::MatmulForm::WeightGrad, true);
}
