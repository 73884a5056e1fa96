// Compares the tensors of two files.
#include "tnllm/Reference/TensorDiff.h"

#include "TensorFiles.h"

#include <cmath>
#include <limits>

using namespace tnllm;
using namespace tnllm::reference;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

// |a - b|, but 0 for what is equal without being subtractable, and infinity for
// what has no distance.
static double distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b)))
    return 0;
  double difference = std::fabs(a - b);
  return std::isfinite(difference) ? difference : kInfinity;
}

static double largestMagnitude(const Tensor &tensor) {
  double largest = 0;
  for (double value : tensor.data())
    if (std::isfinite(value))
      largest = std::max(largest, std::fabs(value));
  return largest;
}

static void compareElements(const Tensor &a, const Tensor &b, double tolerance,
                            TensorDifference &result) {
  double magnitude = largestMagnitude(a);
  auto relative = [&](double difference) {
    if (difference == 0)
      return 0.0;
    return magnitude == 0 ? kInfinity : difference / magnitude;
  };
  for (int64_t i = 0; i < a.size(); ++i) {
    double difference = distance(a[i], b[i]);
    if (result.first < 0 && relative(difference) > tolerance)
      result.first = i;
    if (difference <= result.maxAbs)
      continue;
    result.maxAbs = difference;
    result.largest = i;
    result.a = a[i];
    result.b = b[i];
  }
  result.maxRel = relative(result.maxAbs);
  result.differs = result.first >= 0;
}

static tnrt::Result<TensorDifference> compare(const tnrt::TensorView &viewA,
                                              const tnrt::TensorView &viewB,
                                              double tolerance) {
  TensorDifference result;
  result.name = viewA.name;
  result.shapeA = viewA.shape;
  result.shapeB = viewB.shape;
  tnrt::Result<Tensor> a = readTensor(viewA), b = readTensor(viewB);
  if (!a)
    return a.takeError();
  if (!b)
    return b.takeError();
  result.sameSize = a->size() == b->size();
  result.differs = !result.sameSize;
  if (result.sameSize)
    compareElements(*a, *b, tolerance, result);
  return result;
}

const TensorDifference *TraceDifference::first() const {
  for (const TensorDifference &tensor : tensors)
    if (tensor.differs)
      return &tensor;
  return nullptr;
}

tnrt::Result<TraceDifference> reference::diffTensors(const tnrt::Checkpoint &a,
                                                     const tnrt::Checkpoint &b,
                                                     double tolerance) {
  TraceDifference result;
  for (const tnrt::TensorView &view : a.tensors()) {
    const tnrt::TensorView *other = b.find(view.name);
    if (!other) {
      result.onlyInA.push_back(view.name);
      continue;
    }
    tnrt::Result<TensorDifference> difference =
        compare(view, *other, tolerance);
    if (!difference)
      return difference.takeError();
    result.tensors.push_back(std::move(*difference));
  }
  for (const tnrt::TensorView &view : b.tensors())
    if (!a.find(view.name))
      result.onlyInB.push_back(view.name);
  return result;
}

std::string reference::indexText(int64_t flat,
                                 const std::vector<int64_t> &shape) {
  std::string text;
  for (size_t i = shape.size(); i-- > 0; flat /= shape[i])
    text = std::to_string(flat % shape[i]) + (text.empty() ? "" : ", ") + text;
  return "[" + text + "]";
}
