// Model: what all sequences share.
#include "CpuFeatures.h"
#include "ModelImpl.h"

#include "cpu/CpuBackend.h"
#include "cuda/CudaBackend.h"
#include "tnrt/abi.h"

namespace tnrt {

Model::Model() : impl(new Impl()) {}
Model::~Model() = default;

Result<std::unique_ptr<Model>> Model::load(const tnrt_module &module,
                                           const LoadOptions &options) {
  if (module.abi_version != TNRT_ABI_VERSION)
    return Error{"the generated code has ABI version " +
                 std::to_string(module.abi_version) + ", this runtime has " +
                 std::to_string(TNRT_ABI_VERSION) +
                 "; compile the model again"};
  Result<Manifest> manifest = Manifest::parse(
      {module.manifest, static_cast<size_t>(module.manifest_size)});
  if (!manifest)
    return manifest.takeError();
  if (manifest->abi != TNRT_ABI_VERSION)
    return Error{"manifest: abi: expected " + std::to_string(TNRT_ABI_VERSION)};
  if (manifest->isTraining())
    return Error{"this program trains a model, expected one that runs it: "
                 "compiled without --train"};
  if (Status status = checkCpu(manifest->target); !status)
    return status.takeError();
  if (options.threads < 0)
    return Error{"the number of threads is " + std::to_string(options.threads) +
                 ", expected 0 (all) or more"};

  std::unique_ptr<Model> model(new Model());
  model->impl->manifest = std::move(*manifest);
  const Manifest &kept = model->impl->manifest;
  Result<std::unique_ptr<ModelBackend>> backend =
      kept.target.isGpu() ? createCudaBackend(module, kept, options)
                          : createCpuBackend(module, kept, options);
  if (!backend)
    return backend.takeError();
  model->impl->backend = std::move(*backend);
  return model;
}

const Manifest &Model::manifest() const { return impl->manifest; }
int Model::threads() const { return impl->backend->threads(); }
int64_t Model::parameterBytes() const {
  return impl->backend->parameterBytes();
}
std::string Model::device() const { return impl->backend->device(); }
int64_t Model::deviceBytes() const { return impl->backend->deviceBytes(); }

int64_t Model::stateBytes() const {
  int64_t bytes = 0;
  for (const Manifest::State &state : impl->manifest.states)
    bytes += state.elements() * static_cast<int64_t>(sizeof(float));
  return bytes;
}

} // namespace tnrt
