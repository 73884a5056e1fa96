// Which backend a training program has.
#include "CreateBackend.h"

#include "CpuTrainer.h"
#include "CudaTrainer.h"

#include "core/CpuFeatures.h"
#include "tnrt/abi.h"

namespace tnrt {

Result<std::unique_ptr<TrainBackend>>
createTrainBackend(const tnrt_module &module, const Manifest &manifest,
                   const LoadOptions &options) {
  if (!manifest.isTraining() || !module.gradient || !module.evaluate)
    return Error{"this program runs a model, expected one that trains it: "
                 "compiled with --train"};
  if (Status status = checkCpu(manifest.target); !status)
    return status.takeError();
  if (manifest.target.isGpu())
    return createCudaTrainer(module, manifest, options);
  return createCpuTrainer(module, manifest, options);
}

} // namespace tnrt
