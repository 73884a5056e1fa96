// From lines of metrics to curves that fit a picture.
#include "Plot.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace tnrt {

Result<std::map<std::string, Curve>> readCurves(std::string_view jsonl) {
  std::map<std::string, std::map<double, double>> values;
  while (!jsonl.empty()) {
    const size_t end = std::min(jsonl.find('\n'), jsonl.size());
    auto line = nlohmann::json::parse(jsonl.begin(), jsonl.begin() + end,
                                      nullptr, /*allow_exceptions=*/false);
    jsonl.remove_prefix(std::min(end + 1, jsonl.size()));
    if (!line.is_object() || !line.contains("step") ||
        !line["step"].is_number())
      continue;
    const auto step = line["step"].get<double>();
    for (const auto &[key, value] : line.items())
      if (key != "step" && value.is_number())
        values[key][step] = value.get<double>();
  }
  if (values.empty())
    return Error{"has no metrics yet, expected lines with numbers"};
  std::map<std::string, Curve> curves;
  for (const auto &[key, points] : values)
    for (const auto &[step, value] : points)
      curves[key].push_back({step, value});
  return curves;
}

Curve thinned(const Curve &curve, size_t buckets) {
  if (curve.size() <= 2 * buckets)
    return curve;
  Curve result;
  for (size_t b = 0; b < buckets; ++b) {
    auto begin =
        curve.begin() + static_cast<std::ptrdiff_t>(b * curve.size() / buckets);
    auto end = curve.begin() +
               static_cast<std::ptrdiff_t>((b + 1) * curve.size() / buckets);
    auto [low, high] =
        std::minmax_element(begin, end, [](const Point &a, const Point &b) {
          return a.value < b.value;
        });
    result.push_back(*std::min(low, high));
    if (low != high)
      result.push_back(*std::max(low, high));
  }
  return result;
}

std::vector<double> axisTicks(double low, double high, int most) {
  double rough = (high - low) / std::max(most - 1, 1);
  if (!(rough > 0) || !std::isfinite(rough))
    return {low};
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (double factor : {1.0, 2.0, 5.0})
    if (factor * power >= rough) {
      step = factor * power;
      break;
    }
  std::vector<double> ticks;
  const double first = std::ceil(low / step - 1e-9);
  for (int i = 0; (first + i) * step <= high + step * 1e-9; ++i) {
    // Far from zero the next one may be the same number.
    if (i > 0 && (first + i) * step <= ticks.back())
      break;
    ticks.push_back((first + i) * step);
  }
  return ticks;
}

} // namespace tnrt
