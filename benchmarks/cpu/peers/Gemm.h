// What the raw matrix-product peers share: arguments, random data, timing, JSON.
//
// A program here is called as
//     PROGRAM SECONDS M N K [N K ...]
// and times C[M, N] = A[M, K] * B[K, N] in f32 for each (N, K), as a model's linear
// maps do it: B is a weight that comes from memory, so several copies of it, larger
// than the last-level cache together, are used in turn. A variant is one way to call
// the library (B stored [K, N] or [N, K]). Prints one JSON object: for each shape and
// variant the seconds of every call.
#ifndef TNLLM_BENCHMARKS_CPU_PEERS_GEMM_H
#define TNLLM_BENCHMARKS_CPU_PEERS_GEMM_H

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace gemm {

struct Shape {
  int64_t m, n, k;
};

struct Operands {
  Shape shape;
  std::vector<float> a, c;
  std::vector<std::vector<float>> b; // either layout: the data are random

  explicit Operands(Shape shape) : shape(shape) {
    a = random(size_t(shape.m * shape.k));
    c.resize(size_t(shape.m * shape.n));
    constexpr int64_t kBeyondCache = 128 << 20;
    int64_t bytes = shape.n * shape.k * int64_t(sizeof(float));
    int64_t copies = std::clamp<int64_t>(kBeyondCache / bytes, 1, 16);
    b.push_back(random(size_t(shape.n * shape.k)));
    for (int64_t i = 1; i < copies; ++i)
      b.push_back(b[0]);
  }

private:
  static std::vector<float> random(size_t count) {
    std::vector<float> values(count);
    uint64_t state = 88172645463325252u;
    for (float &value : values) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      value = float(state >> 40) * (2.f / float(1 << 24)) - 1.f;
    }
    return values;
  }
};

// One product with the weight `b`; called once per copy in turn.
using Product = std::function<void(Operands &, const float *b)>;

struct Variant {
  std::string name;
  // Prepares for a shape (not timed) and returns the call to time.
  std::function<Product(const Shape &)> prepare;
};

inline std::vector<double> measure(Operands &operands, const Product &product,
                                   double seconds) {
  using Clock = std::chrono::steady_clock;
  auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  product(operands, operands.b[0].data()); // warm-up, apart
  std::vector<double> times;
  auto begin = Clock::now();
  for (size_t i = 1; times.size() < 3 || since(begin) < seconds; ++i) {
    auto start = Clock::now();
    product(operands, operands.b[i % operands.b.size()].data());
    times.push_back(since(start));
  }
  return times;
}

inline int run(int argc, char **argv, const std::string &library,
               const std::vector<Variant> &variants) {
  if (argc < 5 || argc % 2 == 0) {
    std::fprintf(stderr, "usage: %s SECONDS M N K [N K ...]\n", argv[0]);
    return 2;
  }
  double seconds = std::atof(argv[1]);
  std::printf("{\"library\": \"%s\", \"shapes\": [", library.c_str());
  for (int i = 3; i + 1 < argc; i += 2) {
    Operands operands({std::atoll(argv[2]), std::atoll(argv[i]),
                       std::atoll(argv[i + 1])});
    std::printf("%s\n{\"n\": %s, \"k\": %s", i > 3 ? "," : "", argv[i],
                argv[i + 1]);
    for (const Variant &variant : variants) {
      auto times =
          measure(operands, variant.prepare(operands.shape), seconds);
      std::printf(", \"%s\": [", variant.name.c_str());
      for (size_t t = 0; t < times.size(); ++t)
        std::printf("%s%.6g", t ? ", " : "", times[t]);
      std::printf("]");
    }
    std::printf("}");
  }
  std::printf("]}\n");
  return 0;
}

} // namespace gemm

#endif // TNLLM_BENCHMARKS_CPU_PEERS_GEMM_H
