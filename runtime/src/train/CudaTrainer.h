// Training programs whose kernels are in a GPU image.
#ifndef TNRT_TRAIN_CUDATRAINER_H
#define TNRT_TRAIN_CUDATRAINER_H

#include "CreateBackend.h"

namespace tnrt {

// As createTrainBackend, of a program that it has checked. Gradients are
// computed on the GPU; the parameters' master copy, the moments and the
// optimizer are the host's. Errors, before any weight is read: no driver, no
// such GPU, a GPU of another kind, too little memory on it.
Result<std::unique_ptr<TrainBackend>>
createCudaTrainer(const tnrt_module &module, const Manifest &manifest,
                  const LoadOptions &options);

} // namespace tnrt

#endif // TNRT_TRAIN_CUDATRAINER_H
