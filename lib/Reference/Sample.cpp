// tn.sample by its definition.
#include "tnllm/Reference/Ops.h"

#include "TN/TNDialect.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

using namespace tnllm;
using namespace tnllm::reference;

static constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The tokens of a row, likelier first, and the smaller first among equals.
static std::vector<int64_t> ranked(llvm::ArrayRef<double> row) {
  std::vector<int64_t> tokens(row.size());
  for (size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = static_cast<int64_t>(i);
  std::sort(tokens.begin(), tokens.end(), [&](int64_t a, int64_t b) {
    return row[a] != row[b] ? row[a] > row[b] : a < b;
  });
  return tokens;
}

static int64_t sampleRow(llvm::ArrayRef<double> logits,
                         llvm::ArrayRef<double> settings) {
  using Op = tn::SampleOp;
  std::vector<double> row(logits.begin(), logits.end());
  for (double &logit : row)
    logit = std::isnan(logit) ? -kInfinity : logit;
  std::vector<int64_t> tokens = ranked(row);
  const double peak = row[tokens.front()];
  if (peak == -kInfinity)
    return -1;
  const double scale = settings[Op::kInverseTemperature];
  if (scale <= 0 || peak == kInfinity)
    return tokens.front();

  auto topK = static_cast<int64_t>(settings[Op::kTopK]);
  if (topK > 0)
    tokens.resize(std::min<size_t>(tokens.size(), topK));
  auto weight = [&](int64_t token, double power) {
    return std::exp((row[token] - peak) * power);
  };
  if (settings[Op::kTopP] < 1) {
    double total = 0, held = 0;
    for (int64_t token : tokens)
      total += weight(token, 1);
    size_t count = 0;
    while (count < tokens.size() &&
           (count == 0 || held < settings[Op::kTopP] * total))
      held += weight(tokens[count++], 1);
    tokens.resize(count);
  }
  llvm::erase_if(tokens, [&](int64_t token) {
    return row[token] < peak + settings[Op::kLogMinP];
  });

  std::sort(tokens.begin(), tokens.end());
  double total = 0, sum = 0;
  for (int64_t token : tokens)
    total += weight(token, scale);
  for (int64_t token : tokens) {
    sum += weight(token, scale);
    if (sum > settings[Op::kUniform] * total)
      return token;
  }
  return tokens.back();
}

Tensor reference::sample(const Tensor &logits, const Tensor &settings) {
  Tensor tokens({logits.dim(0)});
  for (int64_t i = 0; i < logits.dim(0); ++i)
    tokens[i] = static_cast<double>(sampleRow(logits.row(i), settings.row(i)));
  return tokens;
}
