// Laying out, loading, and the optimizer's passes, each in chunks of one size.
#include "TrainArrays.h"

#include "Optimizer.h"

#include "core/Progress.h"
#include "core/Session.h"
#include "core/WeightSource.h"
#include "tnrt/formats/Text.h"

#include <algorithm>
#include <cmath>

namespace tnrt {

Status TrainArrays::layOut() {
  for (const Manifest::Parameter &parameter : manifest.parameters) {
    TrainParameter entry;
    entry.name = parameter.tensor;
    entry.shape = parameter.shape;
    entry.offset = elements;
    entry.elements = elementCount(parameter.shape).value_or(0);
    entry.decays = parameter.shape.size() == 2;
    const int64_t padded =
        (entry.elements + alignment - 1) / alignment * alignment;
    if (__builtin_add_overflow(elements, padded, &elements) ||
        elements > INT64_MAX / int64_t(sizeof(float)))
      return Error{"manifest: the parameters overflow 64 bits"};
    table.push_back(std::move(entry));
  }
  return {};
}

Status TrainArrays::allocate() {
  if (Status status = layOut(); !status)
    return status;
  const char *const purposes[] = {"the parameters", "the gradients",
                                  "the first moments", "the second moments"};
  for (size_t i = 0; i < 4; ++i) {
    Result<Memory> memory =
        Memory::allocate(static_cast<size_t>(bytes()), purposes[i]);
    if (!memory)
      return memory.takeError();
    buffers[i] = std::move(*memory);
  }
  return {};
}

Status TrainArrays::load(const LoadOptions &options) {
  Result<WeightSource> source = WeightSource::open(manifest, options);
  if (!source)
    return source.takeError();
  std::vector<WeightSource::Task> tasks;
  for (size_t i = 0; i < table.size(); ++i)
    source->addTasks(i, tasks);
  Progress progress(source->isGenerated() ? "generating weights"
                                          : "loading weights",
                    bytes(), Progress::Unit::Bytes, options.progress);
  return WeightSource::forEach(
      tasks, pool, [&](const WeightSource::Task &task) -> Status {
        const Manifest::Parameter &parameter =
            manifest.parameters[task.parameter];
        char *destination =
            reinterpret_cast<char *>(data(TrainBuffer::Parameters) +
                                     table[task.parameter].offset) +
            task.begin * packedUnitBytes(parameter.shape, parameter.dtype,
                                         parameter.layout);
        Status status = source->pack(task, destination, /*rowScales=*/nullptr);
        progress.advance(source->taskBytes(task));
        return status;
      });
}

void TrainArrays::zeroGradients() {
  float *gradients = data(TrainBuffer::Gradients);
  const int64_t tasks = (elements + kOptimizerChunk - 1) / kOptimizerChunk;
  pool.forEach(tasks, [&](int64_t task) {
    const int64_t begin = task * kOptimizerChunk;
    std::fill(gradients + begin,
              gradients + std::min(begin + kOptimizerChunk, elements), 0.0f);
  });
}

// What lies between parameters is zero and changes no sum.
double TrainArrays::gradientNorm() {
  const float *gradients = data(TrainBuffer::Gradients);
  const int64_t tasks = (elements + kOptimizerChunk - 1) / kOptimizerChunk;
  std::vector<double> sums(static_cast<size_t>(tasks));
  pool.forEach(tasks, [&](int64_t task) {
    const int64_t begin = task * kOptimizerChunk;
    sums[static_cast<size_t>(task)] = sumOfSquares(
        gradients + begin, std::min(kOptimizerChunk, elements - begin));
  });
  double sum = 0;
  for (double part : sums)
    sum += part;
  return std::sqrt(sum);
}

void TrainArrays::adamw(const AdamWUpdate &update) {
  const AdamWFactors factors(update);
  struct Range {
    const TrainParameter *parameter;
    int64_t begin, count;
  };
  std::vector<Range> ranges;
  for (const TrainParameter &parameter : table)
    for (int64_t at = 0; at < parameter.elements; at += kOptimizerChunk)
      ranges.push_back({&parameter, parameter.offset + at,
                        std::min(kOptimizerChunk, parameter.elements - at)});
  pool.forEach(static_cast<int64_t>(ranges.size()), [&](int64_t task) {
    const Range &range = ranges[static_cast<size_t>(task)];
    updateAdamW(factors, range.parameter->decays, range.count,
                data(TrainBuffer::Gradients) + range.begin,
                data(TrainBuffer::Parameters) + range.begin,
                data(TrainBuffer::FirstMoment) + range.begin,
                data(TrainBuffer::SecondMoment) + range.begin);
  });
}

} // namespace tnrt
