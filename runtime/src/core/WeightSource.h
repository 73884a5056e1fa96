// The weights that a manifest and the options name, opened and checked, to be
// packed piece by piece into whatever memory a backend has for them.
#ifndef TNRT_CORE_WEIGHTSOURCE_H
#define TNRT_CORE_WEIGHTSOURCE_H

#include "Manifest.h"
#include "ThreadPool.h"
#include "tnrt/formats/Payload.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tnrt {

struct LoadOptions;

class WeightSource {
public:
  // Pack units [begin, end) of a parameter (tnrt/formats/Pack.h).
  struct Task {
    size_t parameter;
    int64_t begin, end;
  };

  // Maps, generates or finds in the file `executable` what the manifest and the
  // options name. `manifest` must outlive the source. Errors list every missing
  // tensor and every one of the wrong shape or dtype, or every parameter that
  // the executable does not hold in the layout that the manifest states.
  static Result<WeightSource>
  open(const Manifest &manifest, const LoadOptions &options,
       const std::string &executable = "/proc/self/exe");

  // Whether the values are random numbers and not a file's.
  bool isGenerated() const { return !checkpoint && !stored; }
  // The first parameter of the same data; `index` where it is the first.
  size_t same(size_t index) const { return firstOfSame[index]; }
  // Bytes of one parameter, packed.
  int64_t bytes(size_t index) const;
  // The file's own bytes where kernels can read them as they are, or null.
  // Embedded parameters are all mapped.
  const unsigned char *mapped(size_t index) const;

  // The parameter that holds the scales of quantised parameter `index`, where
  // this is the first of its tensor and type; else `none`. Two must not write
  // them at once.
  static constexpr size_t none = SIZE_MAX;
  size_t scalesOf(size_t index) const;

  // Adds the tasks of one parameter.
  void addTasks(size_t index, std::vector<Task> &tasks) const;
  int64_t taskBytes(const Task &task) const;
  // Packs a task to `destination`, where its first unit goes. `rowScales`, of a
  // quantised parameter: where the scales of the whole tensor's rows go too, or
  // null. Not of the executable's own parameters. Errors: a weight that cannot
  // be quantised, with the file's name.
  Status pack(const Task &task, void *destination, float *rowScales) const;

  // Calls `run` for every task on the pool. The error is that of the first task
  // in order, whatever the threads' timing.
  static Status forEach(const std::vector<Task> &tasks, ThreadPool &pool,
                        const std::function<Status(const Task &)> &run);

private:
  explicit WeightSource(const Manifest &manifest) : manifest(&manifest) {}
  Status openFile(const LoadOptions &options, const std::string &executable);
  Status checkTensors() const;
  Status checkStored() const;
  const TensorView *findStored(size_t index) const;
  void findSame();
  Status packMapped(const Task &task, void *destination,
                    float *rowScales) const;
  Status generate(const Task &task, void *destination, float *rowScales) const;

  const Manifest *manifest;
  std::optional<Checkpoint> checkpoint;
  std::optional<SafetensorsFile> stored; // the executable's parameters
  std::vector<size_t> firstOfSame;
};

} // namespace tnrt

#endif // TNRT_CORE_WEIGHTSOURCE_H
