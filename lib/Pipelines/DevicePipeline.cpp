// The way of a GPU's kernels down to the NVVM dialect.
#include "tnllm/Pipelines/Pipelines.h"

using namespace mlir;

void tnllm::buildDevicePipeline(OpPassManager &, const CompileOptions &) {}
