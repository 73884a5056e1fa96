// The operations of tn that training needs, by their definitions.
#include "tnllm/Reference/Ops.h"

#include <algorithm>
#include <cmath>

using namespace tnllm;
using namespace tnllm::reference;

//===----------------------------------------------------------------------===//
// Loss
//===----------------------------------------------------------------------===//

// z = x_i weight^T
static std::vector<double> logitsOf(const Tensor &x, const Tensor &weight,
                                    int64_t i) {
  std::vector<double> logits(weight.dim(0), 0.0);
  for (int64_t v = 0; v < weight.dim(0); ++v)
    for (int64_t d = 0; d < weight.dim(1); ++d)
      logits[v] += x.row(i)[d] * weight.row(v)[d];
  return logits;
}

static int64_t countLabels(const Tensor &labels) {
  return llvm::count_if(labels.data(), [](double label) { return label >= 0; });
}

CrossEntropyResults reference::crossEntropy(const Tensor &x,
                                            const Tensor &weight,
                                            const Tensor &labels) {
  CrossEntropyResults results{Tensor({1}), Tensor(labels.shape())};
  for (int64_t i = 0; i < labels.size(); ++i) {
    std::vector<double> logits = logitsOf(x, weight, i);
    double largest = *std::max_element(logits.begin(), logits.end()), sum = 0;
    for (double logit : logits)
      sum += std::exp(logit - largest);
    results.logSumExp[i] = largest + std::log(sum);
    if (labels[i] >= 0)
      results.loss[0] +=
          results.logSumExp[i] - logits[static_cast<int64_t>(labels[i])];
  }
  if (int64_t count = countLabels(labels))
    results.loss[0] /= count;
  return results;
}

CrossEntropyGradients reference::crossEntropyGrad(const Tensor &x,
                                                  const Tensor &weight,
                                                  const Tensor &labels,
                                                  const Tensor &logSumExp,
                                                  double gradient) {
  CrossEntropyGradients results{Tensor(x.shape()), Tensor(weight.shape())};
  int64_t count = countLabels(labels);
  for (int64_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0)
      continue;
    std::vector<double> logits = logitsOf(x, weight, i);
    for (int64_t v = 0; v < weight.dim(0); ++v) {
      double probability = std::exp(logits[v] - logSumExp[i]);
      double dz = gradient / count * (probability - (labels[i] == v));
      for (int64_t d = 0; d < weight.dim(1); ++d) {
        results.dx.row(i)[d] += dz * weight.row(v)[d];
        results.dweight.row(v)[d] += dz * x.row(i)[d];
      }
    }
  }
  return results;
}

//===----------------------------------------------------------------------===//
// Linear maps and tables
//===----------------------------------------------------------------------===//

Tensor reference::linearInputGrad(const Tensor &dy, const Tensor &weight) {
  llvm::SmallVector<int64_t, 4> shape(dy.shape());
  shape.back() = weight.dim(1);
  Tensor result(shape);
  for (int64_t i = 0; i < dy.rows(); ++i)
    for (int64_t n = 0; n < weight.dim(0); ++n)
      for (int64_t k = 0; k < weight.dim(1); ++k)
        result.row(i)[k] += dy.row(i)[n] * weight.row(n)[k];
  return result;
}

Tensor reference::linearWeightGrad(const Tensor &dy, const Tensor &x) {
  Tensor result({dy.lastDim(), x.lastDim()});
  for (int64_t i = 0; i < dy.rows(); ++i)
    for (int64_t n = 0; n < dy.lastDim(); ++n)
      for (int64_t k = 0; k < x.lastDim(); ++k)
        result.row(n)[k] += dy.row(i)[n] * x.row(i)[k];
  return result;
}

Tensor reference::sumRows(const Tensor &x) {
  Tensor result({x.lastDim()});
  for (int64_t i = 0; i < x.rows(); ++i)
    for (int64_t d = 0; d < x.lastDim(); ++d)
      result[d] += x.row(i)[d];
  return result;
}

Tensor reference::embeddingGrad(const Tensor &ids, const Tensor &dy,
                                int64_t vocabulary, double scale,
                                int64_t padding) {
  Tensor result({vocabulary, dy.lastDim()});
  for (int64_t i = 0; i < ids.size(); ++i)
    for (int64_t d = 0; d < dy.lastDim() && ids[i] != padding; ++d)
      result.row(static_cast<int64_t>(ids[i]))[d] += scale * dy.row(i)[d];
  return result;
}

//===----------------------------------------------------------------------===//
// Element-wise operations, norms and views
//===----------------------------------------------------------------------===//

double reference::activationDerivative(tn::ActivationKind kind, double x) {
  auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  switch (kind) {
  case tn::ActivationKind::None:
    return 1;
  case tn::ActivationKind::SiLU:
    return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
  case tn::ActivationKind::GELU:
    return 0.5 * (1 + std::erf(x / std::sqrt(2.0))) +
           x * std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI);
  case tn::ActivationKind::ReLU:
    return x > 0 ? 1 : 0;
  case tn::ActivationKind::ELU:
  case tn::ActivationKind::OnePlusELU:
  case tn::ActivationKind::TwoPlusELU:
    return x > 0 ? 1 : std::exp(x);
  case tn::ActivationKind::Sigmoid:
    return sigmoid(x) * (1 - sigmoid(x));
  case tn::ActivationKind::LeakyReLU:
    return x > 0 ? 1 : 0.01;
  }
  llvm_unreachable("unknown activation");
}

Tensor reference::activationGrad(tn::ActivationKind kind, const Tensor &x,
                                 const Tensor &dy, int64_t begin, int64_t end) {
  Tensor result = dy;
  for (int64_t i = 0; i < x.rows(); ++i)
    for (int64_t d = begin; d < end; ++d)
      result.row(i)[d] *= activationDerivative(kind, x.row(i)[d]);
  return result;
}

namespace {

// y = r (x - c) of a row.
struct NormalisedRow {
  NormalisedRow(tn::NormKind kind, llvm::ArrayRef<double> x, double epsilon)
      : y(x.begin(), x.end()) {
    double centre = 0, square = 0;
    if (kind == tn::NormKind::Layer)
      for (double value : x)
        centre += value / x.size();
    for (double &value : y) {
      value -= centre;
      square += value * value / x.size();
    }
    r = 1 / std::sqrt(square + epsilon);
    for (double &value : y)
      value *= r;
  }

  double r = 0;
  std::vector<double> y;
};

} // namespace

Tensor reference::normGrad(tn::NormKind kind, const Tensor &x,
                           const Tensor *weight, const Tensor &dy,
                           double epsilon) {
  Tensor result(x.shape());
  int64_t width = x.lastDim();
  for (int64_t i = 0; i < x.rows(); ++i) {
    NormalisedRow row(kind, x.row(i), epsilon);
    double meanG = 0, meanGY = 0;
    auto g = [&](int64_t d) {
      return dy.row(i)[d] * (weight ? (*weight)[d] : 1);
    };
    for (int64_t d = 0; d < width; ++d) {
      meanG += g(d) / width;
      meanGY += g(d) * row.y[d] / width;
    }
    if (kind != tn::NormKind::Layer)
      meanG = 0;
    for (int64_t d = 0; d < width; ++d)
      result.row(i)[d] = row.r * (g(d) - row.y[d] * meanGY - meanG);
  }
  return result;
}

Tensor reference::normWeightGrad(tn::NormKind kind, const Tensor &x,
                                 const Tensor &dy, double epsilon) {
  Tensor result({x.lastDim()});
  for (int64_t i = 0; i < x.rows(); ++i) {
    NormalisedRow row(kind, x.row(i), epsilon);
    for (int64_t d = 0; d < x.lastDim(); ++d)
      result[d] += dy.row(i)[d] * row.y[d];
  }
  return result;
}

Tensor reference::unslice(llvm::ArrayRef<const Tensor *> pieces,
                          llvm::ArrayRef<int64_t> begins, int64_t width) {
  llvm::SmallVector<int64_t, 4> shape(pieces[0]->shape());
  shape.back() = width;
  Tensor result(shape);
  for (auto [piece, begin] : llvm::zip(pieces, begins))
    for (int64_t i = 0; i < piece->rows(); ++i)
      for (int64_t d = 0; d < piece->lastDim(); ++d)
        result.row(i)[begin + d] = piece->row(i)[d];
  return result;
}

//===----------------------------------------------------------------------===//
// LRPE
//===----------------------------------------------------------------------===//

LRPEGradients reference::lrpeGrad(const Tensor &x, const Tensor &theta,
                                  const Tensor &positions, const Tensor &dy,
                                  bool roundAngles) {
  LRPEGradients results{Tensor(x.shape()), Tensor(theta.shape())};
  int64_t length = x.dim(1), heads = x.dim(2), width = x.dim(3);
  for (int64_t i = 0; i < x.rows(); ++i) {
    int64_t head = i % heads, n = i / heads % length, b = i / heads / length;
    for (int64_t d = 0; d < width; ++d) {
      double position = positions[b] + n;
      double angle = lrpeAngle(position, theta[head * width + d], roundAngles);
      double cosine = dy.row(i)[d], sine = dy.row(i)[width + d];
      results.dx.row(i)[d] = cosine * std::cos(angle) + sine * std::sin(angle);
      results.dtheta[head * width + d] +=
          position * x.row(i)[d] *
          (sine * std::cos(angle) - cosine * std::sin(angle));
    }
  }
  return results;
}
