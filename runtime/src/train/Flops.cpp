// Counting and measuring.
#include "Flops.h"

#include "core/ThreadPool.h"

#include <algorithm>
#include <ctime>

namespace tnrt {
namespace {

constexpr const char *kEmbedding = "model.embed_tokens.weight";
constexpr const char *kPositions = "model.embed_positions.weight";
constexpr const char *kHead = "lm_head.weight";

// Independent sums, enough to hide the latency of a multiply-add.
constexpr int kSums = 12;
constexpr int64_t kRounds = 200000;

// GCC wants a size that no template argument decides.
typedef float Float4 __attribute__((vector_size(16)));
typedef float Float8 __attribute__((vector_size(32)));
typedef float Float16 __attribute__((vector_size(64)));

// Multiply-adds on kSums vectors of floats, `rounds` times; gives the number of
// operations. The result goes through `sink` so that it is needed.
template <typename Vector>
inline __attribute__((always_inline)) int64_t multiplyAdd(int64_t rounds,
                                                          float *sink) {
  constexpr int lanes = sizeof(Vector) / sizeof(float);
  Vector sums[kSums], factor, addend;
  for (int lane = 0; lane < lanes; ++lane) {
    factor[lane] = 0.5f;
    addend[lane] = sink[lane];
  }
  for (Vector &sum : sums)
    sum = addend;
  for (int64_t round = 0; round < rounds; ++round)
    for (Vector &sum : sums)
      sum = sum * factor + addend;
  for (const Vector &sum : sums)
    for (int lane = 0; lane < lanes; ++lane)
      sink[lane] += sum[lane];
  return rounds * kSums * lanes * 2;
}

#if defined(__x86_64__)
__attribute__((target("avx512f,fma"))) int64_t onAvx512(int64_t rounds,
                                                        float *sink) {
  return multiplyAdd<Float16>(rounds, sink);
}
__attribute__((target("avx2,fma"))) int64_t onAvx2(int64_t rounds,
                                                   float *sink) {
  return multiplyAdd<Float8>(rounds, sink);
}
#endif

int64_t onAny(int64_t rounds, float *sink) {
  return multiplyAdd<Float4>(rounds, sink);
}

double threadSeconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) * 1e-9;
}

int64_t sizeOf(const nlohmann::ordered_json &model, const char *key) {
  auto it = model.find(key);
  return it != model.end() && it->is_number_integer() ? it->get<int64_t>()
                                                      : int64_t(0);
}

// The entry of a list of one for each layer, or what is said for all; null
// where the key is missing.
nlohmann::ordered_json ofLayer(const nlohmann::ordered_json &model,
                               const char *key, int64_t layer) {
  auto it = model.find(key);
  if (it == model.end())
    return {};
  if (!it->is_array())
    return *it;
  return layer < static_cast<int64_t>(it->size())
             ? (*it)[static_cast<size_t>(layer)]
             : nlohmann::ordered_json();
}

// Keys of a query, on average, of blocks of `block` positions.
double meanKeys(int64_t length, int64_t block) {
  double sum = 0;
  for (int64_t begin = 0; begin < length; begin += block) {
    const auto count = static_cast<double>(std::min(block, length - begin));
    sum += count * (count + 1) / 2;
  }
  return length > 0 ? sum / static_cast<double>(length) : 0;
}

// Of a layer's attention, forward, for each token.
double attentionFlops(const nlohmann::ordered_json &model, int64_t layer,
                      int64_t length) {
  const int64_t width = sizeOf(model, "hidden_dim"),
                heads = sizeOf(model, "decoder_attention_heads");
  if (heads <= 0)
    return 0;
  // LRPE doubles keys.
  const bool isDoubled = ofLayer(model, "linear_use_lrpe_list", layer) == 1;
  const auto values = static_cast<double>(width) / static_cast<double>(heads);
  const double keys = isDoubled ? 2 * values : values;
  const nlohmann::ordered_json kind = ofLayer(model, "attention", layer);
  if (kind != "softmax" && kind != "diag")
    return 4 * static_cast<double>(heads) * keys * values;
  const int64_t block = kind == "diag" ? sizeOf(model, "attention_block") : 0;
  return 2 * static_cast<double>(heads) * (keys + values) *
         meanKeys(length, block > 0 ? block : std::max<int64_t>(length, 1));
}

// TFLOP/s of data sheets, without sparsity. The first name that fits counts.
struct StatedPeak {
  const char *name;
  double bf16, f32;
};
constexpr StatedPeak kStatedPeaks[] = {
    {"H100 PCIe", 756, 51}, {"H100 NVL", 835, 60}, {"H100", 989, 67},
    {"H200 NVL", 835, 60},  {"H200", 989, 67},     {"GH200", 990, 67},
    {"A100", 312, 19.5},    {"A30", 165, 10.3}};

// Whole words: "A30" is not in "A3000".
bool isNamed(const std::string &device, const std::string &name) {
  const std::string text = device + " ";
  const size_t at = text.find(" " + name), end = at + 1 + name.size();
  return at != std::string::npos && (text[end] == ' ' || text[end] == '-');
}

} // namespace

double statedPeakFlops(const std::string &device, bool isBF16) {
  for (const StatedPeak &peak : kStatedPeaks)
    if (isNamed(device, peak.name))
      return (isBF16 ? peak.bf16 : peak.f32) * 1e12;
  return 0;
}

double trainingFlopsPerToken(const std::vector<TrainParameter> &parameters,
                             const nlohmann::ordered_json &model,
                             int64_t length) {
  const bool hasHead =
      std::any_of(parameters.begin(), parameters.end(),
                  [](const TrainParameter &p) { return p.name == kHead; });
  double forward = 0;
  for (const TrainParameter &parameter : parameters)
    if (parameter.shape.size() == 2 && parameter.name != kPositions &&
        (parameter.name != kEmbedding || !hasHead))
      forward += 2 * static_cast<double>(parameter.elements);
  for (int64_t layer = 0; layer < sizeOf(model, "decoder_layers"); ++layer)
    forward += attentionFlops(model, layer, length);
  return 3 * forward; // the backward is twice the forward
}

double measurePeakFlops(int threads) {
  int64_t (*run)(int64_t, float *) = onAny;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    run = onAvx512;
  else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    run = onAvx2;
#endif
  // By each thread's own time, so that what else runs here does not count.
  ThreadPool pool(threads);
  std::vector<double> best(static_cast<size_t>(pool.size()));
  for (int turn = 0; turn < 3; ++turn)
    pool.forEach(pool.size(), [&](int64_t task) {
      float sink[16] = {1, 2, 3, 4};
      const double begin = threadSeconds();
      const auto operations = static_cast<double>(run(kRounds, sink));
      const double seconds = threadSeconds() - begin;
      asm volatile("" : : "m"(sink)); // the sums are wanted
      double &rate = best[static_cast<size_t>(task)];
      if (seconds > 0)
        rate = std::max(rate, operations / seconds);
    });
  double total = 0;
  for (double rate : best)
    total += rate;
  return total;
}

} // namespace tnrt
