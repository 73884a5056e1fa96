// Passes within one dialect; see Passes.td.
#ifndef TNLLM_TRANSFORMS_PASSES_H
#define TNLLM_TRANSFORMS_PASSES_H

#include "mlir/Pass/Pass.h"

#include <memory>

namespace tnllm {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "tnllm/Transforms/Passes.h.inc"

} // namespace tnllm

#endif // TNLLM_TRANSFORMS_PASSES_H
