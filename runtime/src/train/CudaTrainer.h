// Training programs whose kernels are in a GPU image.
#ifndef TNRT_TRAIN_CUDATRAINER_H
#define TNRT_TRAIN_CUDATRAINER_H

#include "CreateBackend.h"

namespace tnrt {

// As createTrainBackend, of a program that it has checked. Parameters, gradients
// and moments are on the GPU, and so is all that a step computes; view() copies
// from there. The norm of the gradients is a sum in f32, infinite where its
// square is no f32. Errors, before any weight is read: no driver, no such GPU, a
// GPU of another kind, too little memory on it.
Result<std::unique_ptr<TrainBackend>>
createCudaTrainer(const tnrt_module &module, const Manifest &manifest,
                  const LoadOptions &options);

} // namespace tnrt

#endif // TNRT_TRAIN_CUDATRAINER_H
