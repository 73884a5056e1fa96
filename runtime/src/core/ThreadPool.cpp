// The thread pool. These words carry a launch:
//
//   epoch  raised when a launch begins: what idle workers watch and sleep on
//   gate   whether the launch admits workers, and how many are inside
//   share  of each thread: its tasks that nobody has taken
//
// The caller works too. When no task is left it closes the gate and waits until
// it is empty; a worker that wakes late finds it closed, so that nobody waits
// for sleepers, and no worker can read a launch that is over.
#include "ThreadPool.h"

#include <algorithm>
#include <chrono>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

namespace tnrt {

namespace {

constexpr uint32_t gateOpen = 0x80000000u;
// A share's ends are 32 bits each; longer launches go in pieces.
constexpr int64_t mostTasks = INT32_MAX;
// How long to spin before sleeping: longer than the gap between two launches of
// a decode step, far shorter than anything one would notice as load.
constexpr auto spinTime = std::chrono::microseconds(20);

void cpuPause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

void futexWait(std::atomic<uint32_t> &word, uint32_t expected) {
  ::syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAIT_PRIVATE,
            expected, nullptr, nullptr, 0);
}

void futexWake(std::atomic<uint32_t> &word, int count) {
  ::syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAKE_PRIVATE,
            count, nullptr, nullptr, 0);
}

// Spins until `ready()` or the spin time is over; returns whether it is ready.
template <typename Ready> bool spinUntil(Ready ready) {
  if (ready())
    return true;
  const auto end = std::chrono::steady_clock::now() + spinTime;
  do {
    for (int i = 0; i < 32; ++i) {
      cpuPause();
      if (ready())
        return true;
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

} // namespace

int availableThreads() {
  // A machine may have more CPUs than a cpu_set_t; then ask for them all.
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0)
    return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

ThreadPool::ThreadPool(int threads)
    : shares(static_cast<size_t>(std::max(threads, 1))) {
  workers.reserve(shares.size() - 1);
  for (size_t i = 1; i < shares.size(); ++i) {
    // std::thread reports a refused thread by an exception; fewer will do.
    try {
      workers.emplace_back([this, i] { workerLoop(shares[i]); });
    } catch (const std::system_error &) {
      break;
    }
  }
}

ThreadPool::~ThreadPool() {
  stopping.store(true);
  epoch.fetch_add(1);
  futexWake(epoch, INT32_MAX);
  for (std::thread &worker : workers)
    worker.join();
}

void ThreadPool::run(int64_t count, Kernel function, void *const *arguments) {
  if (count <= 0)
    return;
  if (count == 1 || workers.empty()) {
    for (int64_t task = 0; task < count; ++task)
      function(arguments, task);
    return;
  }
  kernel = function;
  args = arguments;
  for (firstTask = 0; firstTask < count; firstTask += mostTasks)
    launch(static_cast<uint32_t>(std::min(count - firstTask, mostTasks)));
}

void ThreadPool::launch(uint32_t count) {
  const uint64_t threads = static_cast<uint64_t>(size());
  auto boundary = [&](uint64_t thread) {
    return static_cast<uint32_t>(count * thread / threads);
  };
  for (uint64_t i = 0; i < threads; ++i)
    shares[i].range.store(Range{boundary(i), boundary(i + 1)}.packed(),
                          std::memory_order_relaxed);
  gate.store(gateOpen); // publishes the launch
  epoch.fetch_add(1);
  if (sleepers.load() != 0)
    futexWake(epoch,
              static_cast<int>(std::min<uint32_t>(count - 1, INT32_MAX)));
  runTasks(shares[0]);
  closeAndWait();
}

// A thread goes through its share from the front: neighbours among the tasks
// read neighbouring memory, and the core's prefetcher goes on from one to the
// next. When it is done it takes the back half of another's, until each has
// one task left, so that the threads end together.
void ThreadPool::runTasks(Share &own) {
  do {
    Range range = own.load();
    while (range.begin < range.end)
      if (own.replace(range, {range.begin + 1, range.end}))
        kernel(args, firstTask + range.begin++);
  } while (takeFromOthers(own));
}

bool ThreadPool::takeFromOthers(Share &own) {
  const size_t count = static_cast<size_t>(size());
  const size_t self = static_cast<size_t>(&own - shares.data());
  for (size_t i = 1; i < count; ++i) {
    Share &other = shares[(self + i) % count];
    Range range = other.load();
    while (range.begin < range.end) {
      const uint32_t middle = range.begin + (range.end - range.begin) / 2;
      if (!other.replace(range, {range.begin, middle}))
        continue;
      // Empty until now, so that nobody else writes it.
      own.range.store(Range{middle, range.end}.packed(),
                      std::memory_order_relaxed);
      return true;
    }
  }
  return false;
}

void ThreadPool::closeAndWait() {
  gate.fetch_and(~gateOpen);
  auto isEmpty = [this] { return gate.load() == 0; };
  if (spinUntil(isEmpty))
    return;
  callerSleeps.store(1);
  for (uint32_t inside = gate.load(); inside != 0; inside = gate.load())
    futexWait(gate, inside);
  callerSleeps.store(0);
}

void ThreadPool::workerLoop(Share &own) {
  uint32_t seen = 0;
  for (;;) {
    seen = awaitLaunch(seen);
    if (stopping.load())
      return;
    if (enter()) {
      runTasks(own);
      leave();
    }
  }
}

// Returns the new epoch once it is not `seen`.
uint32_t ThreadPool::awaitLaunch(uint32_t seen) {
  auto isNew = [this, seen] { return epoch.load() != seen; };
  if (!spinUntil(isNew)) {
    // Announce first, look again, then sleep: a launch that misses the
    // announcement has raised the epoch before the second look.
    sleepers.fetch_add(1);
    while (!isNew())
      futexWait(epoch, seen);
    sleepers.fetch_sub(1);
  }
  return epoch.load();
}

bool ThreadPool::enter() {
  uint32_t state = gate.load();
  while (state & gateOpen)
    if (gate.compare_exchange_weak(state, state + 1))
      return true;
  return false;
}

void ThreadPool::leave() {
  if (gate.fetch_sub(1) - 1 == 0 && callerSleeps.load() != 0)
    futexWake(gate, 1);
}

} // namespace tnrt
