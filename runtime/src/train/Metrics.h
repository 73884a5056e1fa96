// What a run records: RUN/metrics.jsonl, one JSON object a line, and the same
// numbers as TensorBoard event files in RUN/events.
#ifndef TNRT_TRAIN_METRICS_H
#define TNRT_TRAIN_METRICS_H

#include "EventRecord.h"

#include "tnrt/Result.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>

namespace tnrt {

// A file that grows.
class AppendFile {
public:
  AppendFile() = default;
  AppendFile(AppendFile &&other) noexcept;
  AppendFile &operator=(AppendFile &&other) noexcept;
  ~AppendFile();

  // Opens or creates; `size`, if not negative, is how much of it stays.
  static Result<AppendFile> open(const std::string &path, int64_t size = -1);
  Status append(std::string_view bytes);
  Status flush(); // to the disk
  int64_t size() const { return bytes; }

private:
  std::string path;
  int fd = -1;
  int64_t bytes = 0;
};

class Metrics {
public:
  // Goes on at `size` bytes of metrics.jsonl (0: afresh; what was beyond is
  // gone) and tells TensorBoard that `step` steps are done and all after them
  // is void. A new event file is made each time, as TensorBoard expects.
  static Result<Metrics> open(const std::string &run, int64_t size,
                              int64_t step);

  // Appends a line; those of its numbers that make curves go to the event file
  // too. A number that is not finite stands as null.
  Status write(int64_t step, const nlohmann::ordered_json &line);
  // The run goes back to `step`.
  Status restart(int64_t step);
  Status flush();
  int64_t size() const { return lines.size(); }

private:
  AppendFile lines, events;
};

} // namespace tnrt

#endif // TNRT_TRAIN_METRICS_H
