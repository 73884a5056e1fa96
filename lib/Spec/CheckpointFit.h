// Holds a spec against the checkpoint it is to run with.
#ifndef TNLLM_LIB_SPEC_CHECKPOINTFIT_H
#define TNLLM_LIB_SPEC_CHECKPOINTFIT_H

#include "SpecReader.h"

#include "tnrt/formats/Safetensors.h"

namespace tnllm::spec {

// Settles what only the checkpoint tells (norm biases, a tied head), then
// checks that every parameter is there, with its shape and a float dtype.
// `label` names the checkpoint in messages.
void fitCheckpoint(llvm::StringRef label, const tnrt::Checkpoint &checkpoint,
                   ParsedSpec &parsed, Diagnostics &diagnostics);

} // namespace tnllm::spec

#endif // TNLLM_LIB_SPEC_CHECKPOINTFIT_H
