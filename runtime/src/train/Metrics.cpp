// Two files that are appended to.
#include "Metrics.h"

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tnrt {
namespace {

// Keys of a line that become curves, and the curves' names.
constexpr const char *kCurves[][2] = {{"loss", "train/loss"},
                                      {"loss_z", "train/loss_z"},
                                      {"grad_norm", "train/grad_norm"},
                                      {"grad_norm_z", "train/grad_norm_z"},
                                      {"lr", "train/lr"},
                                      {"ms", "speed/ms_per_step"},
                                      {"tokens_per_s", "speed/tokens_per_s"},
                                      {"mfu", "speed/mfu"},
                                      {"memory_bytes", "speed/memory_bytes"},
                                      {"val_loss", "val/loss"},
                                      {"val_perplexity", "val/perplexity"}};

double now() {
  return std::chrono::duration<double>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Error systemError(const std::string &path, const char *what) {
  return Error{path + ": " + what + ": " + std::strerror(errno)};
}

// events.out.tfevents.<seconds>.<host>.<pid>: TensorBoard looks for "tfevents"
// and reads files in the order of their names.
std::string eventFileName() {
  char host[256] = "localhost";
  ::gethostname(host, sizeof host - 1);
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%017.6f", now());
  return std::string("events.out.tfevents.") + seconds + "." + host + "." +
         std::to_string(::getpid());
}

} // namespace

AppendFile::AppendFile(AppendFile &&other) noexcept {
  *this = std::move(other);
}

AppendFile &AppendFile::operator=(AppendFile &&other) noexcept {
  std::swap(path, other.path);
  std::swap(fd, other.fd);
  std::swap(bytes, other.bytes);
  return *this;
}

AppendFile::~AppendFile() {
  if (fd >= 0)
    ::close(fd);
}

Result<AppendFile> AppendFile::open(const std::string &path, int64_t size) {
  AppendFile file;
  file.path = path;
  file.fd =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  struct stat info;
  if (file.fd < 0 || ::fstat(file.fd, &info) != 0)
    return systemError(path, "cannot write");
  file.bytes = info.st_size;
  if (size >= 0 && size < file.bytes) {
    if (::ftruncate(file.fd, size) != 0)
      return systemError(path, "cannot write");
    file.bytes = size;
  }
  return file;
}

Status AppendFile::append(std::string_view text) {
  while (!text.empty()) {
    ssize_t put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR)
      continue;
    if (put < 0)
      return systemError(path, "cannot write");
    bytes += put;
    text.remove_prefix(static_cast<size_t>(put));
  }
  return {};
}

Status AppendFile::flush() {
  if (::fsync(fd) != 0)
    return systemError(path, "cannot write");
  return {};
}

Result<Metrics> Metrics::open(const std::string &run, int64_t size,
                              int64_t step) {
  Metrics metrics;
  Result<AppendFile> lines = AppendFile::open(run + "/metrics.jsonl", size);
  if (!lines)
    return lines.takeError();
  metrics.lines = std::move(*lines);
  const std::string folder = run + "/events";
  if (::mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST)
    return systemError(folder, "cannot make the folder");
  Result<AppendFile> events = AppendFile::open(folder + "/" + eventFileName());
  if (!events)
    return events.takeError();
  metrics.events = std::move(*events);
  Status status = metrics.events.append(tfRecord(fileVersionEvent(now())));
  if (status)
    status = metrics.restart(step);
  if (!status)
    return status.takeError();
  return metrics;
}

Status Metrics::write(int64_t step, const nlohmann::ordered_json &line) {
  if (Status status = lines.append(line.dump() + "\n"); !status)
    return status;
  Scalars scalars;
  for (const auto &[key, tag] : kCurves)
    if (auto it = line.find(key); it != line.end() && it->is_number())
      scalars.emplace_back(tag, it->get<double>());
  if (scalars.empty())
    return {};
  return events.append(tfRecord(scalarsEvent(now(), step, scalars)));
}

Status Metrics::restart(int64_t step) {
  return events.append(tfRecord(restartEvent(now(), step + 1)));
}

Status Metrics::flush() {
  Status status = lines.flush();
  return status ? events.flush() : std::move(status);
}

} // namespace tnrt
