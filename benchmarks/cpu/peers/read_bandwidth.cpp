// The machine's read bandwidth: threads that each sum their part of one large buffer.
//
//     read_bandwidth [MIB [THREADS [PASSES]]] [--paced]     default 2048, all cores, 5
//
// Several ways to read are tried (vector width, number of streams, prefetch distance),
// each PASSES times after the buffer has been written; prints each one's best pass and the
// best of all as JSON. The buffer is on huge pages where the kernel gives them, so
// that page walks are not what is measured. With --paced it then says it is ready and
// answers each line of standard input with a new reading, of the three best ways.
#include <immintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

using Read = uint64_t (*)(const char *begin, size_t bytes);

// The parts are multiples of streams * unroll * 64 bytes. PREFETCH is a distance in
// bytes, 0 for none.
template <int STREAMS, int PREFETCH>
__attribute__((target("avx512f"))) uint64_t read512(const char *begin,
                                                    size_t bytes) {
  constexpr int kLines = 8 / STREAMS;
  __m512i sum[8];
  for (auto &s : sum)
    s = _mm512_setzero_si512();
  size_t part = bytes / STREAMS;
  for (size_t at = 0; at < part; at += 64 * kLines)
    for (int s = 0; s < STREAMS; ++s)
      for (int l = 0; l < kLines; ++l) {
        const char *line = begin + size_t(s) * part + at + size_t(l) * 64;
        if (PREFETCH)
          _mm_prefetch(line + PREFETCH, _MM_HINT_T0);
        sum[s * kLines + l] =
            _mm512_add_epi64(sum[s * kLines + l], _mm512_load_si512(line));
      }
  alignas(64) uint64_t lanes[8];
  uint64_t total = 0;
  for (auto &s : sum) {
    _mm512_store_si512(lanes, s);
    for (uint64_t lane : lanes)
      total += lane;
  }
  return total;
}

template <int STREAMS, int PREFETCH>
__attribute__((target("avx2"))) uint64_t read256(const char *begin,
                                                 size_t bytes) {
  constexpr int kLines = 8 / STREAMS;
  __m256i sum[8];
  for (auto &s : sum)
    s = _mm256_setzero_si256();
  size_t part = bytes / STREAMS;
  for (size_t at = 0; at < part; at += 64 * kLines)
    for (int s = 0; s < STREAMS; ++s)
      for (int l = 0; l < kLines; ++l) {
        const char *line = begin + size_t(s) * part + at + size_t(l) * 64;
        if (PREFETCH)
          _mm_prefetch(line + PREFETCH, _MM_HINT_T0);
        auto *value = reinterpret_cast<const __m256i *>(line);
        __m256i &own = sum[s * kLines + l];
        own = _mm256_add_epi64(own, _mm256_load_si256(value));
        own = _mm256_add_epi64(own, _mm256_load_si256(value + 1));
      }
  alignas(32) uint64_t lanes[4];
  uint64_t total = 0;
  for (auto &s : sum) {
    _mm256_store_si256(reinterpret_cast<__m256i *>(lanes), s);
    total += lanes[0] + lanes[1] + lanes[2] + lanes[3];
  }
  return total;
}

struct Way {
  const char *name;
  Read read;
  bool wide;
};

const Way kWays[] = {
    {"avx512, 1 stream", read512<1, 0>, true},
    {"avx512, 1 stream, prefetch 1 KiB", read512<1, 1024>, true},
    {"avx512, 1 stream, prefetch 4 KiB", read512<1, 4096>, true},
    {"avx512, 2 streams", read512<2, 0>, true},
    {"avx512, 4 streams", read512<4, 0>, true},
    {"avx512, 4 streams, prefetch 1 KiB", read512<4, 1024>, true},
    {"avx2, 1 stream", read256<1, 0>, false},
    {"avx2, 1 stream, prefetch 1 KiB", read256<1, 1024>, false},
    {"avx2, 4 streams", read256<4, 0>, false},
};

// Seconds of one pass, from the moment all threads are ready.
double pass(const char *buffer, size_t bytes, unsigned threads, Read read,
            std::atomic<uint64_t> &sink) {
  using Clock = std::chrono::steady_clock;
  std::atomic<unsigned> ready{0};
  std::atomic<bool> go{false};
  std::vector<std::thread> pool;
  size_t part = bytes / threads;
  for (unsigned t = 0; t < threads; ++t)
    pool.emplace_back([&, t] {
      ++ready;
      while (!go.load(std::memory_order_acquire))
        std::this_thread::yield(); // no core may be left for the starter
      sink += read(buffer + t * part, part);
    });
  while (ready < threads)
    std::this_thread::yield();
  auto start = Clock::now();
  go.store(true, std::memory_order_release);
  for (auto &thread : pool)
    thread.join();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Buffer {
  const char *data;
  size_t bytes;
};

// On huge pages where the kernel gives them, and written; null where there is
// no such memory. It stays mapped.
Buffer allocate(size_t mebibytes, unsigned threads) {
  constexpr size_t kHuge = size_t(2) << 20, kSlack = 8192;
  size_t unit = size_t(threads) * 8 * 64;
  size_t bytes = (mebibytes << 20) / unit * unit;
  void *mapped = mmap(nullptr, bytes + kHuge + kSlack, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED)
    return {nullptr, 0};
  auto address = (reinterpret_cast<uintptr_t>(mapped) + kHuge - 1) & ~(kHuge - 1);
  char *buffer = reinterpret_cast<char *>(address);
  madvise(buffer, bytes, MADV_HUGEPAGE);
  std::memset(buffer, 1, bytes);
  return {buffer, bytes};
}

struct Rate {
  const Way *way;
  double bytesPerSecond;
};

class Meter {
public:
  Meter(Buffer buffer, unsigned threads, int passes)
      : buffer(buffer), threads(threads), passes(passes) {}

  // The best pass of one way.
  double rate(const Way &way) {
    double best = 0;
    for (int i = 0; i < passes; ++i)
      best = std::max(best, double(buffer.bytes) / pass(buffer.data, buffer.bytes,
                                                        threads, way.read, sink));
    return best;
  }

  // Of every way that this CPU can do, the best first.
  std::vector<Rate> rates() {
    bool hasAvx512 = __builtin_cpu_supports("avx512f");
    bool hasAvx2 = __builtin_cpu_supports("avx2");
    std::vector<Rate> found;
    for (const Way &way : kWays)
      if (way.wide ? hasAvx512 : hasAvx2)
        found.push_back({&way, rate(way)});
    std::sort(found.begin(), found.end(), [](const Rate &a, const Rate &b) {
      return a.bytesPerSecond > b.bytesPerSecond;
    });
    return found;
  }

  std::atomic<uint64_t> sink{0};

private:
  Buffer buffer;
  unsigned threads;
  int passes;
};

void report(const std::vector<Rate> &rates, const Meter &meter,
            unsigned threads, size_t bytes) {
  std::printf("{\"threads\": %u, \"bytes\": %zu, \"ways\": {", threads, bytes);
  for (size_t i = 0; i < rates.size(); ++i)
    std::printf("%s\"%s\": %.6g", i ? ", " : "", rates[i].way->name,
                rates[i].bytesPerSecond);
  std::printf("}, \"best\": \"%s\", \"bytes_per_second\": %.6g, \"sum\": %llu}\n",
              rates[0].way->name, rates[0].bytesPerSecond,
              static_cast<unsigned long long>(meter.sink.load()));
  std::fflush(stdout);
}

// A reading for each line of standard input.
void answerLines(Meter &meter, std::vector<Rate> rates) {
  rates.resize(std::min<size_t>(rates.size(), 3));
  for (int c = std::getchar(); c != EOF; c = std::getchar()) {
    if (c != '\n')
      continue;
    double best = 0;
    for (const Rate &rate : rates)
      best = std::max(best, meter.rate(*rate.way));
    std::printf("{\"bytes_per_second\": %.6g}\n", best);
    std::fflush(stdout);
  }
}

} // namespace

int main(int argc, char **argv) {
  bool paced = argc > 1 && std::string(argv[argc - 1]) == "--paced";
  argc -= paced;
  size_t mebibytes = argc > 1 ? size_t(std::atoll(argv[1])) : 2048;
  unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  unsigned threads = argc > 2 ? unsigned(std::atoi(argv[2])) : cores;
  int passes = argc > 3 ? std::atoi(argv[3]) : 5;
  if (argc > 4 || mebibytes < 64 || threads < 1 || threads > 64 || passes < 1) {
    std::fprintf(stderr,
                 "usage: %s [MIB >= 64 [THREADS 1-64 [PASSES]]] [--paced]\n",
                 argv[0]);
    return 2;
  }
  Buffer buffer = allocate(mebibytes, threads);
  if (!buffer.data) {
    std::perror("mmap");
    return 1;
  }
  Meter meter(buffer, threads, passes);
  std::vector<Rate> rates = meter.rates();
  if (rates.empty()) {
    std::fprintf(stderr, "%s: expected a CPU with AVX2\n", argv[0]);
    return 1;
  }
  report(rates, meter, threads, buffer.bytes);
  if (paced)
    answerLines(meter, rates);
  return 0;
}
