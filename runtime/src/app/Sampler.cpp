// The sampling chain. Selection finds the weakest candidate to keep in expected
// O(V) and then filters in id order: what is drawn does not depend on how a
// library's selection happens to permute.
#include "Sampler.h"

#include "Likeliest.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tnrt {
namespace {

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// Likelier first, then the smaller id: a strict total order without NaN.
struct Likelier {
  const float *logits;
  bool operator()(int32_t a, int32_t b) const {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  }
};

} // namespace

double uniformAt(uint64_t seed, uint64_t counter) {
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15u;
  uint64_t bits = mix(mix(seed + kGolden) + kGolden * (counter + 1));
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

void RecentTokens::push(int32_t token) {
  auto capacity = static_cast<int64_t>(ring.size());
  if (capacity == 0)
    return;
  ring[static_cast<size_t>(next)] = token;
  next = (next + 1) % capacity;
  count = std::min(count + 1, capacity);
}

std::vector<int32_t> RecentTokens::inOrder() const {
  std::vector<int32_t> tokens;
  auto capacity = static_cast<int64_t>(ring.size());
  for (int64_t i = 0; i < count; ++i)
    tokens.push_back(
        ring[static_cast<size_t>((next - count + i + capacity) % capacity)]);
  return tokens;
}

Draw makeDraw(const SamplerOptions &options, double uniform) {
  Draw draw;
  if (options.temperature > 0 && options.topK != 1)
    draw.inverseTemperature = 1.0f / options.temperature;
  // No vocabulary is larger than what f32 counts.
  constexpr int64_t kAll = int64_t(1) << 24;
  if (options.topK > 0 && options.topK < kAll)
    draw.topK = static_cast<float>(options.topK);
  draw.topP = std::max(options.topP, 0.0f);
  draw.logMinP = options.minP > 0
                     ? std::log(std::min(options.minP, 1.0f))
                     : -std::numeric_limits<float>::infinity();
  draw.uniform = static_cast<float>(uniform);
  return draw;
}

Sampler::Sampler(const SamplerOptions &options, int64_t vocabSize)
    : options(options), vocabSize(vocabSize) {
  kept.reserve(static_cast<size_t>(vocabSize));
  scratch.reserve(static_cast<size_t>(vocabSize));
  penalised.resize(static_cast<size_t>(vocabSize));
}

int32_t Sampler::sample(float *logits, const RecentTokens &recent,
                        double uniform) {
  penalise(logits, recent);
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  const int32_t best = likeliest(logits, vocabSize);
  if (best < 0 || options.temperature <= 0 || options.topK == 1)
    return best;
  const float peak = logits[best];
  if (std::isinf(peak)) // +infinity takes all the probability
    return best;
  for (int64_t i = 0; i < vocabSize; ++i)
    logits[i] = std::isnan(logits[i]) ? kLowest : logits[i];

  kept.resize(static_cast<size_t>(vocabSize));
  for (int64_t i = 0; i < vocabSize; ++i)
    kept[static_cast<size_t>(i)] = static_cast<int32_t>(i);
  keepTopK(logits);
  keepTopP(logits, peak);
  keepMinP(logits, peak);
  return draw(logits, peak, uniform);
}

void Sampler::penalise(float *logits, const RecentTokens &recent) {
  if (options.repeatPenalty == 1.0f)
    return;
  recent.each([&](int32_t token) { // a repeated token is penalised once
    if (token < 0 || token >= vocabSize || penalised[token])
      return;
    penalised[token] = 1;
    float &logit = logits[token];
    logit = logit > 0 ? logit / options.repeatPenalty
                      : logit * options.repeatPenalty;
  });
  recent.each([&](int32_t token) {
    if (token >= 0 && token < vocabSize)
      penalised[token] = 0;
  });
}

void Sampler::keepTopK(const float *logits) {
  auto count = static_cast<size_t>(options.topK);
  if (options.topK <= 0 || count >= kept.size())
    return;
  scratch.assign(kept.begin(), kept.end());
  Likelier likelier{logits};
  std::nth_element(scratch.begin(), scratch.begin() + (count - 1),
                   scratch.end(), likelier);
  int32_t weakest = scratch[count - 1];
  kept.erase(std::remove_if(kept.begin(), kept.end(),
                            [&](int32_t id) { return likelier(weakest, id); }),
             kept.end());
}

// A quickselect by mass: each round halves, in expectation, the candidates
// among which the last one to keep lies.
void Sampler::keepTopP(const float *logits, float peak) {
  if (options.topP >= 1.0f || kept.size() < 2)
    return;
  Likelier likelier{logits};
  auto weight = [&](int32_t id) { return std::exp(double(logits[id]) - peak); };
  scratch.assign(kept.begin(), kept.end());
  double total = 0;
  for (int32_t id : scratch)
    total += weight(id);
  double needed = std::max(0.0, double(options.topP)) * total;

  auto begin = scratch.begin(), end = scratch.end();
  while (end - begin > 1) {
    auto middle = begin + (end - begin) / 2;
    std::nth_element(begin, middle, end, likelier);
    double upper = 0;
    for (auto it = begin; it != middle; ++it)
      upper += weight(*it);
    if (upper >= needed) {
      end = middle;
    } else {
      needed -= upper;
      begin = middle;
    }
  }
  int32_t weakest = *begin;
  kept.erase(std::remove_if(kept.begin(), kept.end(),
                            [&](int32_t id) { return likelier(weakest, id); }),
             kept.end());
}

void Sampler::keepMinP(const float *logits, float peak) {
  if (options.minP <= 0)
    return;
  // p >= minP * p_max  <=>  logit >= peak + log(minP)
  float floor = peak + std::log(std::min(options.minP, 1.0f));
  kept.erase(std::remove_if(kept.begin(), kept.end(),
                            [&](int32_t id) { return logits[id] < floor; }),
             kept.end());
}

int32_t Sampler::draw(const float *logits, float peak, double uniform) {
  double scale = 1.0 / options.temperature, total = 0;
  auto weight = [&](int32_t id) {
    return std::exp((double(logits[id]) - peak) * scale);
  };
  for (int32_t id : kept)
    total += weight(id);
  double target = uniform * total, sum = 0;
  int32_t last = kept.front();
  for (int32_t id : kept) {
    double w = weight(id);
    if (w > 0)
      last = id; // rounding may leave the target at the very end
    sum += w;
    if (sum > target)
      return id;
  }
  return last;
}

} // namespace tnrt
