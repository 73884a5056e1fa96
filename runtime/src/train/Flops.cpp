// Counting and measuring.
#include "Flops.h"

#include "core/ThreadPool.h"

#include <algorithm>
#include <ctime>

namespace tnrt {
namespace {

constexpr const char *kEmbedding = "model.embed_tokens.weight";
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

// H Dk Dv of all layers.
double stateElements(const nlohmann::ordered_json &model) {
  auto size = [&](const char *key) {
    auto it = model.find(key);
    return it != model.end() && it->is_number_integer() ? it->get<int64_t>()
                                                        : int64_t(0);
  };
  const int64_t layers = size("decoder_layers"), width = size("hidden_dim"),
                heads = size("decoder_attention_heads");
  if (heads <= 0)
    return 0;
  int64_t doubled = 0; // layers whose keys LRPE doubles
  if (auto it = model.find("linear_use_lrpe_list"); it != model.end())
    doubled = std::count(it->begin(), it->end(), 1);
  const auto one = static_cast<double>(width) * static_cast<double>(width) /
                   static_cast<double>(heads);
  return one * static_cast<double>(layers + doubled);
}

} // namespace

double trainingFlopsPerToken(const std::vector<TrainParameter> &parameters,
                             const nlohmann::ordered_json &model) {
  const bool hasHead =
      std::any_of(parameters.begin(), parameters.end(),
                  [](const TrainParameter &p) { return p.name == kHead; });
  double flops = 0;
  for (const TrainParameter &parameter : parameters)
    if (parameter.shape.size() == 2 &&
        (parameter.name != kEmbedding || !hasHead))
      flops += 6 * static_cast<double>(parameter.elements);
  return flops + 12 * stateElements(model);
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
