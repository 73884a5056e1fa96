// One thread that is a batch ahead.
#include "BatchLoader.h"

#include <algorithm>
#include <system_error>

namespace tnrt {

BatchLoader::BatchLoader(const TokenData &data, uint64_t seed, int64_t rows)
    : data(data), seed(seed), rows(rows),
      window(static_cast<size_t>(data.length() + 1)) {
  const auto tokens = static_cast<size_t>(rows * data.length());
  for (LoadedBatch *batch : {&current, &ahead}) {
    batch->inputs.resize(tokens);
    batch->labels.resize(tokens);
  }
  try {
    worker = std::thread([this] { work(); });
  } catch (const std::system_error &) {
    // No more threads: get() reads what it needs itself.
  }
}

BatchLoader::~BatchLoader() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    stopping = true;
  }
  wake.notify_all();
  if (worker.joinable())
    worker.join();
}

Status BatchLoader::load(int64_t number, LoadedBatch &batch) {
  const int64_t length = data.length();
  for (int64_t row = 0; row < rows; ++row) {
    int64_t index = shuffledWindow(seed, data.windows(), number * rows + row);
    if (Status status = data.read(index, window.data()); !status)
      return status;
    std::copy_n(window.begin(), length, batch.inputs.begin() + row * length);
    std::copy_n(window.begin() + 1, length,
                batch.labels.begin() + row * length);
  }
  return {};
}

void BatchLoader::work() {
  std::unique_lock<std::mutex> lock(mutex);
  for (;;) {
    wake.wait(lock, [this] { return stopping || wanted >= 0; });
    if (stopping)
      return;
    const int64_t number = wanted;
    wanted = -1;
    busy = true;
    lock.unlock();
    Status status = load(number, ahead);
    lock.lock();
    busy = false;
    ready = number;
    readyStatus = std::move(status);
    wake.notify_all();
  }
}

Result<const LoadedBatch *> BatchLoader::get(int64_t number, int64_t next) {
  std::unique_lock<std::mutex> lock(mutex);
  wake.wait(lock, [this] { return wanted < 0 && !busy; });
  Status status;
  if (ready == number) {
    std::swap(current, ahead);
    status = std::move(readyStatus);
  } else {
    status = load(number, current);
  }
  ready = -1;
  if (!status)
    return status.takeError();
  if (worker.joinable()) {
    wanted = next;
    wake.notify_all();
  }
  return static_cast<const LoadedBatch *>(&current);
}

} // namespace tnrt
