// Compares the tensors of two files.
#include "tnllm/Reference/TensorDiff.h"

#include "TensorFiles.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <limits>

using namespace tnllm;
using namespace tnllm::reference;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

static bool areNaN(double a, double b) { return std::isnan(a) && std::isnan(b); }

// |a - b|, but 0 for what is equal without being subtractable or no number on
// either side, and infinity for what has no distance.
static double distance(double a, double b) {
  if (a == b || areNaN(a, b))
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
    if (areNaN(a[i], b[i]) && result.numNaN++ == 0)
      result.firstNaN = i;
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
  result.isIncomparable = a.size() > 0 && result.numNaN == a.size();
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

template <typename Predicate>
static const TensorDifference *
firstOf(const std::vector<TensorDifference> &tensors, Predicate predicate) {
  auto found = llvm::find_if(tensors, predicate);
  return found == tensors.end() ? nullptr : &*found;
}

const TensorDifference *TraceDifference::first() const {
  return firstOf(tensors, [](auto &tensor) { return tensor.differs; });
}

const TensorDifference *TraceDifference::firstWithNaN() const {
  return firstOf(tensors, [](auto &tensor) { return tensor.numNaN > 0; });
}

const TensorDifference *TraceDifference::firstIncomparable() const {
  return firstOf(tensors, [](auto &tensor) { return tensor.isIncomparable; });
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
