// What memory costs that a program has not used before: threads write to each page.
//
//     touch_memory MIB [THREADS]
//
// Twice, on huge pages, given back in between: in a virtual machine the first time may
// include what the host needs to give the memory, the second does not. Prints seconds
// and the process's page faults and system time as JSON.
#include <sys/mman.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

constexpr size_t kHuge = size_t(2) << 20, kPage = 4096;

// Seconds, or a negative number where the memory cannot be had.
double touch(size_t bytes, unsigned threads) {
  void *mapped = mmap(nullptr, bytes + kHuge, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED)
    return -1;
  auto address = (reinterpret_cast<uintptr_t>(mapped) + kHuge - 1) & ~(kHuge - 1);
  auto *begin = reinterpret_cast<volatile char *>(address);
  madvise(reinterpret_cast<void *>(address), bytes, MADV_HUGEPAGE);
  using Clock = std::chrono::steady_clock;
  auto start = Clock::now();
  std::vector<std::thread> pool;
  size_t part = bytes / threads;
  for (unsigned t = 0; t < threads; ++t)
    pool.emplace_back([=] {
      for (size_t at = t * part; at < (t + 1) * part; at += kPage)
        begin[at] = 1;
    });
  for (auto &thread : pool)
    thread.join();
  double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  munmap(mapped, bytes + kHuge);
  return seconds;
}

} // namespace

int main(int argc, char **argv) {
  size_t mebibytes = argc > 1 ? size_t(std::atoll(argv[1])) : 0;
  unsigned threads = argc > 2 ? unsigned(std::atoi(argv[2])) : 1;
  if (mebibytes < 1 || threads < 1 || threads > 64) {
    std::fprintf(stderr, "usage: %s MIB >= 1 [THREADS 1-64]\n", argv[0]);
    return 2;
  }
  double first = touch(mebibytes << 20, threads);
  double again = touch(mebibytes << 20, threads);
  if (first < 0 || again < 0) {
    std::perror("mmap");
    return 1;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("{\"bytes\": %zu, \"first\": %.6g, \"again\": %.6g, \"faults\": %ld, "
              "\"system_seconds\": %.6g}\n",
              mebibytes << 20, first, again, usage.ru_minflt,
              double(usage.ru_stime.tv_sec) + 1e-6 * double(usage.ru_stime.tv_usec));
}
