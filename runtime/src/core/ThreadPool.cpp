// The thread pool. Three words carry a launch:
//
//   epoch  raised when a launch begins: what idle workers watch and sleep on
//   gate   whether the launch admits workers, and how many are inside
//   next   the first task that nobody has taken
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

ThreadPool::ThreadPool(int threads) {
  workers.reserve(static_cast<size_t>(std::max(threads - 1, 0)));
  for (int i = 1; i < threads; ++i) {
    // std::thread reports a refused thread by an exception; fewer will do.
    try {
      workers.emplace_back([this] { workerLoop(); });
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
  tasks = count;
  next.store(0, std::memory_order_relaxed);
  gate.store(gateOpen); // publishes the launch
  epoch.fetch_add(1);
  if (sleepers.load() != 0)
    futexWake(epoch, static_cast<int>(std::min<int64_t>(count - 1, INT32_MAX)));
  runTasks();
  closeAndWait();
}

// A thread takes half of its share of what is left, in one piece: neighbours
// among the tasks read neighbouring memory, and the core's prefetcher then goes
// on from one to the next. Towards the end the pieces are single tasks, so that
// the threads end together.
void ThreadPool::runTasks() {
  const int64_t shares = 2 * static_cast<int64_t>(size());
  int64_t begin = next.load(std::memory_order_relaxed);
  while (begin < tasks) {
    const int64_t end = begin + std::max<int64_t>(1, (tasks - begin) / shares);
    if (!next.compare_exchange_weak(begin, end, std::memory_order_relaxed))
      continue;
    for (int64_t task = begin; task < end; ++task)
      kernel(args, task);
    begin = next.load(std::memory_order_relaxed);
  }
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

void ThreadPool::workerLoop() {
  uint32_t seen = 0;
  for (;;) {
    seen = awaitLaunch(seen);
    if (stopping.load())
      return;
    if (enter()) {
      runTasks();
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
