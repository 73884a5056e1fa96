// The thread pool: every task once, launch after launch, awake or asleep.
#include "core/ThreadPool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>

using namespace tnrt;

namespace {

TEST(ThreadPool, RunsEveryTaskOnce) {
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (int64_t tasks : {0, 1, 2, 7, 100, 5000}) {
      std::vector<int> counts(static_cast<size_t>(tasks), 0);
      pool.forEach(tasks,
                   [&](int64_t task) { ++counts[static_cast<size_t>(task)]; });
      for (int count : counts)
        ASSERT_EQ(count, 1);
    }
  }
}

// Plain memory, written by one launch and read by the next: the sanitizers see
// whether a launch's end happens before what follows it.
TEST(ThreadPool, LaunchesFollowEachOther) {
  ThreadPool pool(4);
  std::vector<int64_t> values(64, 0);
  for (int64_t launch = 0; launch < 5000; ++launch) {
    const int64_t shift = launch % 64;
    std::vector<int64_t> next(64, 0);
    pool.forEach(64, [&](int64_t task) {
      next[static_cast<size_t>(task)] =
          values[static_cast<size_t>((task + shift) % 64)] + 1;
    });
    values.swap(next);
  }
  for (int64_t value : values)
    EXPECT_EQ(value, 5000);
}

TEST(ThreadPool, WakesSleepers) {
  ThreadPool pool(3);
  for (int launch = 0; launch < 200; ++launch) {
    std::atomic<int64_t> sum{0};
    pool.forEach(10, [&](int64_t task) { sum += task; });
    EXPECT_EQ(sum, 45);
    if (launch % 4 == 0)
      std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
}

TEST(ThreadPool, CallerSleepsWhileAWorkerIsBusy) {
  ThreadPool pool(2);
  for (int launch = 0; launch < 20; ++launch) {
    std::atomic<int> done{0};
    pool.forEach(2, [&](int64_t) {
      std::this_thread::sleep_for(
          std::chrono::milliseconds(1 + done.load() * 3));
      ++done;
    });
    EXPECT_EQ(done, 2);
  }
}

// Neighbouring tasks read neighbouring memory: a thread has long runs of them,
// and others take the back halves of what it has left.
TEST(ThreadPool, NeighboursRunOnOneThread) {
  ThreadPool pool(2);
  constexpr size_t tasks = 1024;
  std::vector<std::thread::id> ranBy(tasks);
  pool.forEach(tasks, [&](int64_t task) {
    ranBy[static_cast<size_t>(task)] = std::this_thread::get_id();
  });
  size_t changes = 0;
  for (size_t task = 1; task < tasks; ++task)
    changes += ranBy[task] != ranBy[task - 1];
  EXPECT_LT(changes, tasks / 8);
}

// A thread whose own tasks are done helps with the others': task 3 is in the
// share of the thread that waits for it.
TEST(ThreadPool, IdleThreadsTakeTasks) {
  ThreadPool pool(2);
  std::atomic<bool> ranLast{false}, wasHelped{false};
  pool.forEach(8, [&](int64_t task) {
    if (task == 3)
      ranLast = true;
    if (task != 0)
      return;
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!ranLast && std::chrono::steady_clock::now() < end)
      std::this_thread::yield();
    wasHelped = ranLast.load();
  });
  EXPECT_TRUE(wasHelped);
}

TEST(ThreadPool, IdleUsesNoTime) {
  ThreadPool pool(4);
  pool.forEach(100, [](int64_t) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::clock_t before = std::clock(); // of all threads
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.02);
}

TEST(ThreadPool, ManyPools) {
  for (int i = 0; i < 50; ++i) {
    ThreadPool pool(3);
    std::atomic<int> count{0};
    if (i % 2)
      pool.forEach(5, [&](int64_t) { ++count; });
    EXPECT_EQ(count, i % 2 ? 5 : 0);
  }
}

} // namespace
