// The interpreter's operations of training, of ablations and of baselines.
#include "Frame.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tnllm;
using namespace tnllm::reference;

// What training needs.
LogicalResult Frame::executeGradient(Operation *op) {
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](tn::CrossEntropyOp op) { return crossEntropy(op); })
      .Case([&](tn::CrossEntropyGradOp op) { return crossEntropyGrad(op); })
      .Case([&](tn::LRPEGradOp op) {
        LRPEGradients gradients =
            lrpeGrad(get(op.getX()), get(op.getTheta()), get(op.getPositions()),
                     get(op.getDy()), environment.roundAngles);
        return setAll(op,
                      {std::move(gradients.dx), std::move(gradients.dtheta)});
      })
      .Case([&](tn::LightningAttentionGradOp op) { return attendBack(op); })
      .Case([&](tn::LinearInputGradOp op) {
        return set(op, linearInputGrad(get(op.getDy()), get(op.getWeight())));
      })
      .Case([&](tn::LinearWeightGradOp op) {
        return set(op, linearWeightGrad(get(op.getDy()), get(op.getX())));
      })
      .Case([&](tn::SumRowsOp op) { return set(op, sumRows(get(op.getX()))); })
      .Case([&](tn::EmbeddingGradOp op) { return embedBack(op); })
      .Case([&](tn::ActivationGradOp op) {
        const Tensor &x = get(op.getX());
        std::optional<ArrayRef<int64_t>> columns = op.getColumns();
        return set(op, activationGrad(op.getKind(), x, get(op.getDy()),
                                      columns ? (*columns)[0] : 0,
                                      columns ? (*columns)[1] : x.lastDim()));
      })
      .Case([&](tn::NormGradOp op) {
        return set(op, normGrad(op.getKind(), get(op.getX()),
                                getOptional(op.getWeight()), get(op.getDy()),
                                op.getEpsilon().convertToFloat()));
      })
      .Case([&](tn::NormWeightGradOp op) {
        return set(op,
                   normWeightGrad(op.getKind(), get(op.getX()), get(op.getDy()),
                                  op.getEpsilon().convertToFloat()));
      })
      .Case([&](tn::UnsliceOp op) {
        SmallVector<const Tensor *> pieces;
        for (Value piece : op.getPieces())
          pieces.push_back(&get(piece));
        return set(op, unslice(pieces, op.getBegins(),
                               op.getResult().getType().getShape().back()));
      })
      .Case([&](tn::CopyOp op) {
        return set(op, op.getResult(), values.lookup(op.getX()));
      })
      .Case([&](tn::ZerosOp op) {
        SmallVector<int64_t> shape(op.getResult().getType().getShape());
        for (auto [i, size] : llvm::enumerate(shape))
          if (ShapedType::isDynamic(size))
            size = get(op.getLike()).dim(i);
        return set(op, Tensor(shape));
      })
      .Default([&](Operation *op) { return executeBaseline(op); });
}

// What ablations and baselines need.
LogicalResult Frame::executeBaseline(Operation *op) {
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](tn::PositionIdsOp op) {
        return set(
            op, positionIds(get(op.getPositions()), get(op.getLike()).dim(1)));
      })
      .Case([&](tn::RoPEOp op) {
        return set(op, rope(get(op.getX()), get(op.getTheta()),
                            get(op.getPositions()), op.getInverse(),
                            environment.roundAngles));
      })
      .Case([&](tn::SoftmaxAttentionOp op) { return attendSoftly(op); })
      .Case([&](tn::SoftmaxAttentionGradOp op) {
        SoftmaxOperands in{get(op.getQ()), get(op.getK()), get(op.getV())};
        in.block = op.getBlock().value_or(0);
        in.scale = op.getScale().convertToFloat();
        SoftmaxGradients gradients = softmaxAttentionGrad(
            in, get(op.getOut()), get(op.getLogSumExp()), get(op.getDout()));
        return setAll(op, {std::move(gradients.dq), std::move(gradients.dk),
                           std::move(gradients.dv)});
      })
      .Default([](Operation *op) {
        return op->emitError(
            "the reference interpreter does not know this operation");
      });
}

LogicalResult Frame::embedBack(tn::EmbeddingGradOp op) {
  int64_t rows = op.getResult().getType().getDimSize(0);
  if (failed(checkIds(op, get(op.getIds()), rows)))
    return failure();
  return set(op, embeddingGrad(get(op.getIds()), get(op.getDy()), rows,
                               op.getScale().convertToFloat(),
                               op.getPadding().value_or(-1)));
}

LogicalResult Frame::setAll(Operation *op,
                            std::initializer_list<Tensor> tensors) {
  for (auto [result, tensor] : llvm::zip(op->getResults(), tensors))
    if (failed(set(op, result, share(tensor))))
      return failure();
  return success();
}

LogicalResult Frame::checkLabels(Operation *op, const Tensor &labels,
                                 const Tensor &weight) {
  for (int64_t i = 0; i < labels.size(); ++i)
    if (!(labels[i] < weight.dim(0))) // also what is no number
      return op->emitError("label ")
             << static_cast<int64_t>(labels[i]) << " at element " << i
             << " is outside the vocabulary of " << weight.dim(0);
  return success();
}

LogicalResult Frame::crossEntropy(tn::CrossEntropyOp op) {
  const Tensor &labels = get(op.getLabels()), &weight = get(op.getWeight());
  if (failed(checkLabels(op, labels, weight)))
    return failure();
  CrossEntropyResults results =
      reference::crossEntropy(get(op.getX()), weight, labels);
  return setAll(op, {std::move(results.loss), std::move(results.logSumExp)});
}

LogicalResult Frame::crossEntropyGrad(tn::CrossEntropyGradOp op) {
  const Tensor &labels = get(op.getLabels()), &weight = get(op.getWeight());
  if (failed(checkLabels(op, labels, weight)))
    return failure();
  CrossEntropyGradients results = reference::crossEntropyGrad(
      get(op.getX()), weight, labels, get(op.getLogSumExp()),
      get(op.getGradient())[0]);
  return setAll(op, {std::move(results.dx), std::move(results.dweight)});
}

LogicalResult Frame::attendBack(tn::LightningAttentionGradOp op) {
  const Tensor &q = get(op.getQ()), &v = get(op.getV());
  Tensor zeros({q.dim(0), q.dim(2), q.dim(3), v.dim(3)});
  const Tensor *state = getOptional(op.getState());
  AttentionGradients gradients = attentionGradRecurrent(
      {q, get(op.getK()), v, get(op.getSlopes()), state ? *state : zeros,
       op.getScale().convertToFloat()},
      get(op.getDout()), getOptional(op.getDNewState()));
  return setAll(op, {std::move(gradients.dq), std::move(gradients.dk),
                     std::move(gradients.dv), std::move(gradients.dState)});
}

// Positions that have a row of their own, where rows are not taken again.
LogicalResult Frame::checkCache(tn::SoftmaxAttentionOp op) {
  const Tensor &positions = get(op.getPositions());
  int64_t rows = get(op.getCache()).dim(2), length = get(op.getQ()).dim(1);
  for (int64_t b = 0; b < positions.size(); ++b)
    if (positions[b] < 0 || (!op.getBlock() && positions[b] + length > rows))
      return op.emitError("sequence ")
             << b << " has the positions " << static_cast<int64_t>(positions[b])
             << " to " << static_cast<int64_t>(positions[b]) + length - 1
             << ", expected 0 to " << rows - 1;
  return success();
}

LogicalResult Frame::attendSoftly(tn::SoftmaxAttentionOp op) {
  SoftmaxOperands in{get(op.getQ()), get(op.getK()), get(op.getV())};
  in.block = op.getBlock().value_or(0);
  in.scale = op.getScale().convertToFloat();
  if (op.getCache()) {
    if (failed(checkCache(op)))
      return failure();
    in.cache = &get(op.getCache());
    in.positions = &get(op.getPositions());
  }
  SoftmaxResults results = softmaxAttention(in);
  if (failed(set(op, op.getOut(), share(std::move(results.out)))) ||
      failed(set(op, op.getLogSumExp(), share(std::move(results.logSumExp)))))
    return failure();
  if (!op.getNewCache())
    return success();
  return set(op, op.getNewCache(), share(std::move(results.newCache)));
}
