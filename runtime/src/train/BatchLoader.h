// Batches of a run, by number; the next one is read while a step computes.
#ifndef TNRT_TRAIN_BATCHLOADER_H
#define TNRT_TRAIN_BATCHLOADER_H

#include "TokenData.h"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tnrt {

// Rows of inputs and of the labels that follow them, both [rows, length].
struct LoadedBatch {
  std::vector<int32_t> inputs, labels;
};

class BatchLoader {
public:
  // Row r of batch b is sample b * rows + r of the shuffled order. `data` must
  // outlive the loader.
  BatchLoader(const TokenData &data, uint64_t seed, int64_t rows);
  ~BatchLoader();
  BatchLoader(const BatchLoader &) = delete;
  BatchLoader &operator=(const BatchLoader &) = delete;

  // Batch `number`, which holds until the next call; `next` is then read in the
  // background. Errors: those of reading.
  Result<const LoadedBatch *> get(int64_t number, int64_t next);

private:
  Status load(int64_t number, LoadedBatch &batch);
  void work();

  const TokenData &data;
  uint64_t seed;
  int64_t rows;
  std::vector<int32_t> window; // of the thread that loads
  LoadedBatch current, ahead;

  // The worker owns `ahead` and `window` while it is busy.
  std::mutex mutex;
  std::condition_variable wake;
  int64_t wanted = -1, ready = -1; // batch numbers; -1: none
  Status readyStatus;
  bool busy = false, stopping = false;
  std::thread worker;
};

} // namespace tnrt

#endif // TNRT_TRAIN_BATCHLOADER_H
