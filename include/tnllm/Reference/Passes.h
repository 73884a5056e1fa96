// Passes that run the reference interpreter; see Passes.td.
#ifndef TNLLM_REFERENCE_PASSES_H
#define TNLLM_REFERENCE_PASSES_H

#include "mlir/Pass/Pass.h"

#include <memory>

namespace tnllm {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "tnllm/Reference/Passes.h.inc"

} // namespace tnllm

#endif // TNLLM_REFERENCE_PASSES_H
