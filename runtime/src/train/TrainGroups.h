// A batch as the calls of a training program that it takes.
#ifndef TNRT_TRAIN_TRAINGROUPS_H
#define TNRT_TRAIN_TRAINGROUPS_H

#include "TrainBackend.h"

#include <functional>

namespace tnrt {

struct Manifest;

// Runs the program on some sequences, of which `labels` labels count, at least
// one; returns the mean loss.
using GroupFunction =
    std::function<Result<float>(const TrainBatch &group, int64_t labels)>;

// Calls `run` for as many sequences at a time as one call takes. Errors: a
// batch that is too large, an id or label past the vocabulary (nothing was run
// then); those of `run`.
Result<TrainLoss> runGroups(const Manifest &manifest, const TrainBatch &batch,
                            const GroupFunction &run);

} // namespace tnrt

#endif // TNRT_TRAIN_TRAINGROUPS_H
