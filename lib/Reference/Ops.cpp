// The tn dialect by its definitions: everything but the attention.
#include "tnllm/Reference/Ops.h"

#include "tnrt/formats/Convert.h"

#include "llvm/ADT/APFloat.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace tnllm;
using namespace tnllm::reference;

static llvm::SmallVector<int64_t, 4> withLast(llvm::ArrayRef<int64_t> shape,
                                              int64_t last) {
  llvm::SmallVector<int64_t, 4> result(shape);
  result.back() = last;
  return result;
}

Tensor reference::embedding(const Tensor &ids, const Tensor &table,
                            double scale) {
  llvm::SmallVector<int64_t, 4> shape(ids.shape());
  shape.push_back(table.dim(1));
  Tensor result(shape);
  for (int64_t i = 0; i < ids.size(); ++i)
    for (int64_t d = 0; d < table.dim(1); ++d)
      result.row(i)[d] = scale * table.row(static_cast<int64_t>(ids[i]))[d];
  return result;
}

Tensor reference::linear(const Tensor &x, const Tensor &weight,
                         const Tensor *scales, const Tensor *bias) {
  Tensor result(withLast(x.shape(), weight.dim(0)));
  for (int64_t i = 0; i < x.rows(); ++i)
    for (int64_t n = 0; n < weight.dim(0); ++n) {
      // Scales are of a row, or of each group of its columns.
      int64_t groups = scales ? scales->size() / weight.dim(0) : 1;
      int64_t width = weight.dim(1) / groups;
      double sum = 0;
      for (int64_t g = 0; g < groups; ++g) {
        double part = 0;
        for (int64_t k = g * width; k < (g + 1) * width; ++k)
          part += x.row(i)[k] * weight.row(n)[k];
        sum += part * (scales ? (*scales)[n * groups + g] : 1);
      }
      result.row(i)[n] = sum + (bias ? (*bias)[n] : 0);
    }
  return result;
}

// The scale that fits `values` into [-limit, limit].
static float scaleOf(llvm::ArrayRef<double> values, float limit = 127) {
  float largest = 0;
  for (double value : values)
    largest = std::max(largest, std::fabs(static_cast<float>(value)));
  return largest == 0
             ? 1.0f
             : std::max(largest / limit, std::numeric_limits<float>::min());
}

Tensor reference::rowScales(const Tensor &w, mlir::Type element) {
  if (element.isInteger(4)) {
    constexpr int64_t group = tn::kScaleGroup;
    Tensor scales({w.dim(0), w.dim(1) / group});
    for (int64_t n = 0; n < w.dim(0); ++n)
      for (int64_t g = 0; g < scales.dim(1); ++g)
        scales.row(n)[g] = scaleOf(
            llvm::ArrayRef<double>(w.row(n)).slice(g * group, group), 7);
    return scales;
  }
  Tensor scales({w.dim(0)});
  for (int64_t n = 0; n < w.dim(0); ++n)
    scales[n] = scaleOf(w.row(n), element.isInteger(8) ? 127 : 448);
  return scales;
}

// The nearest e4m3, ties to even.
static double roundToF8(float value) {
  llvm::APFloat number(value);
  bool isInexact;
  number.convert(llvm::APFloat::Float8E4M3FN(),
                 llvm::APFloat::rmNearestTiesToEven, &isInexact);
  return number.convertToDouble();
}

Tensor reference::quantiseRows(const Tensor &w, const Tensor &scales,
                               mlir::Type element) {
  Tensor result(w.shape());
  if (w.size() == 0)
    return result;
  int64_t width = w.size() / scales.size(); // columns with one scale
  for (int64_t i = 0; i < w.size(); ++i) {
    float value =
        static_cast<float>(w[i]) / static_cast<float>(scales[i / width]);
    result[i] = element.isInteger() ? std::nearbyint(value) : roundToF8(value);
  }
  return result;
}

Tensor reference::add(const Tensor &a, const Tensor &b) {
  Tensor result(a.shape());
  for (int64_t i = 0; i < a.size(); ++i)
    result[i] = a[i] + b[i];
  return result;
}

Tensor reference::mul(const Tensor &a, const Tensor &b) {
  Tensor result(a.shape());
  for (int64_t i = 0; i < a.size(); ++i)
    result[i] = a[i] * b[i];
  return result;
}

double reference::activate(tn::ActivationKind kind, double x) {
  auto elu = [](double x) { return x > 0 ? x : std::expm1(x); };
  switch (kind) {
  case tn::ActivationKind::None:
    return x;
  case tn::ActivationKind::SiLU:
    return x / (1 + std::exp(-x));
  case tn::ActivationKind::GELU:
    return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  case tn::ActivationKind::ReLU:
    return x > 0 ? x : 0;
  case tn::ActivationKind::ELU:
    return elu(x);
  case tn::ActivationKind::Sigmoid:
    return 1 / (1 + std::exp(-x));
  case tn::ActivationKind::OnePlusELU:
    return 1 + elu(x);
  case tn::ActivationKind::TwoPlusELU:
    return 2 + elu(x);
  case tn::ActivationKind::LeakyReLU:
    return x > 0 ? x : 0.01 * x;
  }
  llvm_unreachable("unknown activation");
}

Tensor reference::activation(tn::ActivationKind kind, const Tensor &x,
                             int64_t begin, int64_t end) {
  Tensor result = x;
  for (int64_t i = 0; i < x.rows(); ++i)
    for (int64_t d = begin; d < end; ++d)
      result.row(i)[d] = activate(kind, x.row(i)[d]);
  return result;
}

Tensor reference::shiftedExp(const Tensor &x) {
  Tensor result(x.shape());
  for (int64_t i = 0; i < x.rows(); ++i) {
    double largest = *std::max_element(x.row(i).begin(), x.row(i).end());
    for (int64_t d = 0; d < x.lastDim(); ++d)
      result.row(i)[d] = std::exp(x.row(i)[d] - largest);
  }
  return result;
}

Tensor reference::roundToBF16(const Tensor &x) {
  Tensor result(x.shape());
  for (int64_t i = 0; i < x.size(); ++i)
    result[i] = tnrt::f32FromBf16(tnrt::bf16FromF32(static_cast<float>(x[i])));
  return result;
}

Tensor reference::roundGroups(const Tensor &x, int64_t group) {
  Tensor result(x.shape());
  for (int64_t i = 0; i < x.rows(); ++i)
    for (int64_t begin = 0; begin < x.lastDim(); begin += group) {
      float scale = scaleOf(x.row(i).slice(begin, group));
      for (int64_t d = begin; d < begin + group; ++d)
        result.row(i)[d] =
            static_cast<double>(scale) *
            std::nearbyint(static_cast<float>(x.row(i)[d]) / scale);
    }
  return result;
}

static double mean(llvm::ArrayRef<double> values,
                   llvm::function_ref<double(double)> f) {
  double sum = 0;
  for (double value : values)
    sum += f(value);
  return sum / values.size();
}

Tensor reference::norm(tn::NormKind kind, const Tensor &x, const Tensor *weight,
                       const Tensor *bias, double epsilon) {
  Tensor result(x.shape());
  for (int64_t i = 0; i < x.rows(); ++i) {
    llvm::ArrayRef<double> row = x.row(i);
    double centre =
        kind == tn::NormKind::Layer ? mean(row, [](double v) { return v; }) : 0;
    double square =
        mean(row, [&](double v) { return (v - centre) * (v - centre); });
    for (int64_t d = 0; d < x.lastDim(); ++d)
      result.row(i)[d] = (row[d] - centre) / std::sqrt(square + epsilon) *
                             (weight ? (*weight)[d] : 1) +
                         (bias ? (*bias)[d] : 0);
  }
  return result;
}

Tensor reference::slice(const Tensor &x, int64_t begin, int64_t end) {
  Tensor result(withLast(x.shape(), end - begin));
  for (int64_t i = 0; i < x.rows(); ++i)
    for (int64_t d = begin; d < end; ++d)
      result.row(i)[d - begin] = x.row(i)[d];
  return result;
}

// As the published code says it, recursively.
static std::vector<double> headSlopes(int64_t heads) {
  int64_t power = 1;
  while (2 * power <= heads)
    power *= 2;
  std::vector<double> slopes;
  for (int64_t h = 0; h < power; ++h)
    slopes.push_back(std::pow(std::pow(2.0, -8.0 / power), h + 1));
  if (power < heads) {
    std::vector<double> finer = headSlopes(2 * power);
    for (int64_t i = 0; i < heads - power; ++i)
      slopes.push_back(finer[2 * i]);
  }
  return slopes;
}

Tensor reference::decaySlopes(tn::DecayAttr rule, int64_t heads) {
  Tensor result({heads});
  if (rule.getRule() == tn::DecayRule::None)
    return result;
  double factor = 1;
  if (rule.getRule() == tn::DecayRule::TransNormer) {
    double last = rule.getLayers() - 1;
    factor = 1 - (last > 0 ? rule.getLayer() / last : 0) + 1e-5;
  }
  std::vector<double> slopes = headSlopes(heads);
  for (int64_t h = 0; h < heads; ++h)
    result[h] = static_cast<float>(slopes[h] * factor);
  return result;
}

double reference::lrpeAngle(double position, double theta, bool rounded) {
  if (!rounded)
    return position * theta;
  return static_cast<float>(static_cast<float>(position) * theta);
}

Tensor reference::lrpe(const Tensor &x, const Tensor &theta,
                       const Tensor &positions, bool roundAngles) {
  int64_t length = x.dim(1), heads = x.dim(2), width = x.dim(3);
  Tensor result(withLast(x.shape(), 2 * width));
  for (int64_t i = 0; i < x.rows(); ++i) {
    int64_t head = i % heads, n = i / heads % length, b = i / heads / length;
    for (int64_t d = 0; d < width; ++d) {
      double angle =
          lrpeAngle(positions[b] + n, theta[head * width + d], roundAngles);
      result.row(i)[d] = x.row(i)[d] * std::cos(angle);
      result.row(i)[width + d] = x.row(i)[d] * std::sin(angle);
    }
  }
  return result;
}
