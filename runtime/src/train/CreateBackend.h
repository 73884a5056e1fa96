// From a training program to what a trainer drives.
#ifndef TNRT_TRAIN_CREATEBACKEND_H
#define TNRT_TRAIN_CREATEBACKEND_H

#include "TrainBackend.h"

#include "core/Session.h"

#include <memory>

namespace tnrt {

// Loads the parameters that the manifest or the options name; moments and
// gradients are zero. `module` and `manifest`, of one training program, must
// outlive the backend. Errors: a program that does not train, a CPU that lacks
// what it needs, those of loading weights, and memory.
Result<std::unique_ptr<TrainBackend>>
createTrainBackend(const tnrt_module &module, const Manifest &manifest,
                   const LoadOptions &options);

} // namespace tnrt

#endif // TNRT_TRAIN_CREATEBACKEND_H
