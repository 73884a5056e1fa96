// Persistent threads that run the tasks of one launch at a time.
//
// A launch costs no allocation, and no system call while the workers are awake:
// they spin for some microseconds after a launch (decode launches one kernel
// after the other) and then sleep on a futex, so that an idle program uses no
// CPU.
#ifndef TNRT_CORE_THREADPOOL_H
#define TNRT_CORE_THREADPOOL_H

#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace tnrt {

// Cores this process may run on.
int availableThreads();

class ThreadPool {
public:
  using Kernel = void (*)(void *const *args, int64_t task);

  // `threads` counts the caller of run(); at least 1. Fewer run when the system
  // refuses to start more: size() tells.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  int size() const { return static_cast<int>(workers.size()) + 1; }

  // Runs kernel(args, task) for task in [0, tasks), each once, on the caller
  // and the workers, and returns when all are done. One launch at a time:
  // neither nested nor from two threads.
  void run(int64_t tasks, Kernel kernel, void *const *args);

  // The same with a callable of (int64_t task).
  template <typename Function>
  void forEach(int64_t tasks, Function &&function) {
    using Callable = std::remove_reference_t<Function>;
    void *args[1] = {const_cast<void *>(static_cast<const void *>(&function))};
    run(
        tasks,
        [](void *const *args, int64_t task) {
          (*static_cast<Callable *>(args[0]))(task);
        },
        args);
  }

private:
  // Tasks [begin, end), counted from firstTask.
  struct Range {
    uint32_t begin, end;
    uint64_t packed() const { return uint64_t{end} << 32 | begin; }
  };

  // What is left of a thread's tasks, on a line of its own.
  struct alignas(64) Share {
    std::atomic<uint64_t> range{0};

    static Range unpacked(uint64_t word) {
      return {static_cast<uint32_t>(word), static_cast<uint32_t>(word >> 32)};
    }
    Range load() const {
      return unpacked(range.load(std::memory_order_relaxed));
    }
    // Puts `next` in the place of `expected`, or what is there into `expected`.
    bool replace(Range &expected, Range next) {
      uint64_t word = expected.packed();
      if (range.compare_exchange_weak(word, next.packed(),
                                      std::memory_order_relaxed))
        return true;
      expected = unpacked(word);
      return false;
    }
  };

  void launch(uint32_t tasks);
  void workerLoop(Share &own);
  void runTasks(Share &own);
  bool takeFromOthers(Share &own);
  uint32_t awaitLaunch(uint32_t seen);
  bool enter();
  void leave();
  void closeAndWait();

  // The current launch; written only while the gate is closed and empty.
  Kernel kernel = nullptr;
  void *const *args = nullptr;
  int64_t firstTask = 0;

  std::vector<Share> shares; // the caller's first
  // Bit 31: the launch is open to workers; below: how many are inside.
  alignas(64) std::atomic<uint32_t> gate{0};
  alignas(64) std::atomic<uint32_t> epoch{0}; // raised by every launch
  std::atomic<uint32_t> sleepers{0};
  std::atomic<uint32_t> callerSleeps{0};
  std::atomic<bool> stopping{false};
  std::vector<std::thread> workers;
};

} // namespace tnrt

#endif // TNRT_CORE_THREADPOOL_H
