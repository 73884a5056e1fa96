// Decay slopes: the formula of arXiv 2307.14995, section 3.1.1, and its
// constants.
#include "TN/TNDialect.h"

#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;
using namespace tnllm::tn;

LogicalResult DecayAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                DecayRule rule, int64_t layer, int64_t layers) {
  if (layers < 1 || layer < 0 || layer >= layers)
    return emitError() << "expected 0 <= layer < layers, got layer " << layer
                       << " of " << layers << " [decay_slopes-C1]";
  return success();
}

// As many as a spec may ask for, by far: the slopes become a constant.
constexpr int64_t maxHeads = 65536;

static SmallVector<double> powerOfTwoSlopes(int64_t heads) {
  SmallVector<double> slopes;
  for (int64_t head = 0; head < heads; ++head)
    slopes.push_back(std::exp2(-8.0 / heads * (head + 1)));
  return slopes;
}

static SmallVector<double> headSlopes(int64_t heads) {
  int64_t power = llvm::bit_floor(static_cast<uint64_t>(heads));
  SmallVector<double> slopes = powerOfTwoSlopes(power);
  if (power == heads)
    return slopes;
  SmallVector<double> finer = powerOfTwoSlopes(2 * power);
  for (int64_t i = 0; slopes.size() < static_cast<size_t>(heads); i += 2)
    slopes.push_back(finer[i]);
  return slopes;
}

SmallVector<double> tnllm::tn::computeDecaySlopes(DecayAttr rule,
                                                  int64_t heads) {
  if (rule.getRule() == DecayRule::None)
    return SmallVector<double>(heads, 0.0);
  SmallVector<double> slopes = headSlopes(heads);
  if (rule.getRule() == DecayRule::Headwise)
    return slopes;
  double depth = rule.getLayers() > 1 ? static_cast<double>(rule.getLayer()) /
                                            (rule.getLayers() - 1)
                                      : 0.0;
  for (double &slope : slopes)
    slope *= 1.0 - depth + 1e-5;
  return slopes;
}

LogicalResult DecaySlopesOp::verify() {
  RankedTensorType type = getResult().getType();
  if (type.getRank() != 1 || type.isDynamicDim(0) || type.getDimSize(0) < 1 ||
      type.getDimSize(0) > maxHeads)
    return emitOpError("expected a result of one static dimension of 1 to ")
           << maxHeads << ", got " << type << " [decay_slopes-C2]";
  return success();
}

DenseElementsAttr tnllm::tn::getDecaySlopes(DecaySlopesOp op) {
  RankedTensorType type = op.getResult().getType();
  SmallVector<float> values;
  for (double slope : computeDecaySlopes(op.getRule(), type.getDimSize(0)))
    values.push_back(static_cast<float>(slope));
  return DenseElementsAttr::get(type, ArrayRef<float>(values));
}

OpFoldResult DecaySlopesOp::fold(FoldAdaptor) { return getDecaySlopes(*this); }
