// Passes that go from one dialect to another; see Passes.td.
#ifndef TNLLM_CONVERSION_PASSES_H
#define TNLLM_CONVERSION_PASSES_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Pass/Pass.h"

#include <memory>

namespace tnllm {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "tnllm/Conversion/Passes.h.inc"

} // namespace tnllm

#endif // TNLLM_CONVERSION_PASSES_H
