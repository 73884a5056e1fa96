// Training programs whose kernels are host code.
#ifndef TNRT_TRAIN_CPUTRAINER_H
#define TNRT_TRAIN_CPUTRAINER_H

#include "CreateBackend.h"

namespace tnrt {

// As createTrainBackend, of a program that it has checked.
Result<std::unique_ptr<TrainBackend>>
createCpuTrainer(const tnrt_module &module, const Manifest &manifest,
                 const LoadOptions &options);

} // namespace tnrt

#endif // TNRT_TRAIN_CPUTRAINER_H
