// What the sessions of one GPU program share.
#ifndef TNRT_CUDA_CUDAMODEL_H
#define TNRT_CUDA_CUDAMODEL_H

#include "BlasLt.h"
#include "Device.h"
#include "Kernels.h"
#include "WeightUpload.h"

#include "core/Backend.h"
#include "core/StateLayout.h"

namespace tnrt::cuda {

// Sizes of what a session of `batch` sequences holds on the device.
struct SessionPlan {
  StateLayout states;
  int64_t maxRows = 0;     // of a step
  // Positions int64 [rows], offsets int64 [rows + 1], tokens int32 [rows], draws
  // f32 [rows, settings].
  int64_t inputBytes = 0;
  int64_t hiddenBytes = 0;     // f32 [maxRows or head_rows, D]
  int64_t lastHiddenBytes = 0; // f32 [head_rows, D]
  int64_t logitsBytes = 0; // f32 [head_rows, V]
  int64_t tokensBytes = 0; // int32 [maxRows]: tokens that were chosen
  int64_t bytes() const {
    return states.bytes + inputBytes + hiddenBytes + lastHiddenBytes +
           logitsBytes + tokensBytes;
  }
};
Result<SessionPlan> planSession(const Manifest &manifest, int64_t batch);

class CudaModel final : public ModelBackend {
public:
  CudaModel(const tnrt_module &module, const Manifest &manifest)
      : module(module), manifest(manifest) {}
  Status load(const LoadOptions &options);

  Result<std::unique_ptr<SessionBackend>> createSession(int64_t batch) override;
  int threads() const override { return loadingThreads; }
  int64_t parameterBytes() const override { return weights.parameterBytes; }
  std::string device() const override { return gpu->name(); }
  int64_t deviceBytes() const override { return gpu->peakBytes(); }

  DevicePointer parameter(int64_t index) const {
    return parameterMemory.address() +
           static_cast<DevicePointer>(
               weights.offsets[static_cast<size_t>(index)]);
  }
  // The products of all sessions. Errors: why there is no cuBLASLt.
  Result<Matmul *> matmul();

  const tnrt_module &module;
  const Manifest &manifest;
  std::shared_ptr<Device> gpu;
  std::unique_ptr<Kernels> kernels;
  DeviceMemory arena, constants;

private:
  Status checkMemory(int64_t needed) const;
  int loadingThreads = 0;
  WeightPlan weights;
  DeviceMemory parameterMemory;
  std::unique_ptr<Matmul> products;
  std::string productsError; // where there are none
};

// The constants of a program on the device; empty where it has none.
Result<DeviceMemory> uploadConstants(const std::shared_ptr<Device> &gpu,
                                     const tnrt_module &module);

// Opens GPU `index` and checks that it runs the program.
Result<std::shared_ptr<Device>> openDevice(const tnrt_module &module,
                                           const Manifest &manifest, int index);

} // namespace tnrt::cuda

#endif // TNRT_CUDA_CUDAMODEL_H
