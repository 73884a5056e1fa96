// The checkpoints of a run: which are there, which stay.
#include "Checkpoints.h"

#include "Folders.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <iterator>
#include <set>
#include <sys/file.h>
#include <unistd.h>

namespace tnrt {
namespace {

std::vector<std::string> entriesOf(const std::string &folder) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator it(folder, error), end;
  for (; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  return names;
}

std::vector<int64_t> stepsIn(const std::string &folder) {
  std::vector<int64_t> steps;
  for (const std::string &name : entriesOf(folder))
    if (std::optional<int64_t> step = parseCheckpointName(name))
      steps.push_back(*step);
  std::sort(steps.begin(), steps.end());
  return steps;
}

// The newest of `steps` that is whole.
Result<std::optional<SavedCheckpoint>>
newestWhole(const std::string &folder, const std::vector<int64_t> &steps,
            std::vector<std::string> &skipped) {
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    auto saved = SavedCheckpoint::open(folder + "/" + checkpointName(*step));
    if (saved)
      return std::optional<SavedCheckpoint>(std::move(*saved));
    skipped.push_back(saved.message());
  }
  if (skipped.empty())
    return std::optional<SavedCheckpoint>();
  return Error{"no checkpoint of " + folder + " is whole: " + skipped.front()};
}

} // namespace

Result<CheckpointStore> CheckpointStore::open(const std::string &run) {
  CheckpointStore store;
  store.root = run;
  for (const std::string &path : {run, store.folder()})
    if (Status status = makeFolder(path); !status)
      return status.takeError();
  const std::string lockPath = run + "/lock";
  store.lock = ::open(lockPath.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (store.lock < 0)
    return Error{lockPath + ": cannot write: " + std::strerror(errno)};
  if (::flock(store.lock, LOCK_EX | LOCK_NB) != 0)
    return Error{run + ": another trainer is at work there"};
  for (const std::string &name : entriesOf(store.folder()))
    if (name.rfind(".step-", 0) == 0 || name.rfind(".unproven-step-", 0) == 0)
      removeTree(store.folder() + "/" + name);
  return store;
}

CheckpointStore::CheckpointStore(CheckpointStore &&other) noexcept
    : root(std::move(other.root)), lock(other.lock) {
  other.lock = -1;
}

CheckpointStore::~CheckpointStore() {
  if (lock >= 0)
    ::close(lock);
}

std::vector<int64_t> CheckpointStore::steps() const {
  return stepsIn(folder());
}

std::string CheckpointStore::pathOf(int64_t step) const {
  return folder() + "/" + checkpointName(step);
}

Status CheckpointStore::save(const TrainState &state, TrainBackend &backend,
                             int64_t keep) {
  Result<CheckpointWriter> writer =
      CheckpointWriter::begin(folder(), state.step);
  if (!writer)
    return writer.takeError();
  if (Status status = writeCheckpoint(*writer, backend); !status)
    return status;
  if (Status status = writer->commit(state); !status)
    return status;
  return removeOld(state, keep);
}

Status CheckpointStore::remove(int64_t step) {
  return discardFolder(pathOf(step));
}

Status CheckpointStore::removeOld(const TrainState &now, int64_t keep) {
  std::vector<int64_t> all = steps();
  const int64_t old = static_cast<int64_t>(all.size()) - keep;
  if (old <= 0)
    return {};
  std::set<int64_t> needed;
  if (!now.regular)
    if (auto regular = latestRegular(all.back()))
      needed.insert(regular->state().step);
  auto unknown = std::lower_bound(all.begin(), all.end(), now.lastFinite());
  if (unknown != all.begin())
    needed.insert(*std::prev(unknown));
  for (int64_t i = 0; i < old; ++i) {
    const int64_t step = all[static_cast<size_t>(i)];
    if (needed.count(step) != 0)
      continue;
    if (Status status = remove(step); !status)
      return status;
  }
  return {};
}

Result<std::optional<SavedCheckpoint>>
CheckpointStore::latest(std::vector<std::string> &skipped) const {
  return newestWhole(folder(), steps(), skipped);
}

template <typename Accepts>
std::optional<SavedCheckpoint>
CheckpointStore::latestThat(int64_t step, Accepts accepts) const {
  std::vector<int64_t> all = steps();
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    if (*it > step)
      continue;
    auto saved = SavedCheckpoint::open(pathOf(*it));
    if (saved && accepts(saved->state()))
      return std::move(*saved);
  }
  return std::nullopt;
}

std::optional<SavedCheckpoint>
CheckpointStore::latestWhole(int64_t step) const {
  return latestThat(step, [](const TrainState &) { return true; });
}

std::optional<SavedCheckpoint>
CheckpointStore::latestRegular(int64_t step) const {
  return latestThat(step,
                    [](const TrainState &state) { return state.regular; });
}

Status CheckpointStore::removeAfter(int64_t step) {
  std::vector<int64_t> all = steps();
  for (auto it = all.rbegin(); it != all.rend() && *it > step; ++it)
    if (Status status = remove(*it); !status)
      return status;
  return {};
}

Result<std::vector<std::string>> CheckpointStore::setAsideAfter(int64_t step) {
  std::vector<int64_t> all = steps();
  std::vector<std::string> places;
  for (auto it = all.rbegin(); it != all.rend() && *it > step; ++it) {
    const std::string place = folder() + "/unproven-" + checkpointName(*it);
    if (isFolder(place)) // of an earlier try to go on
      if (Status status = discardFolder(place); !status)
        return status.takeError();
    if (Status status = renameFolder(pathOf(*it), place); !status)
      return status.takeError();
    places.push_back(place);
  }
  return places;
}

Result<SavedCheckpoint> findCheckpoint(const std::string &path) {
  if (!isFolder(path))
    return Error{path + ": is not there, expected a run or a checkpoint"};
  std::error_code error;
  if (std::filesystem::exists(path + "/trainer.json", error))
    return SavedCheckpoint::open(path);
  const std::string folder = path + "/checkpoints";
  std::vector<std::string> skipped;
  auto found = newestWhole(folder, stepsIn(folder), skipped);
  if (!found)
    return found.takeError();
  if (!*found)
    return Error{path + ": has no checkpoint: expected the folder of a run"};
  return std::move(**found);
}

} // namespace tnrt
