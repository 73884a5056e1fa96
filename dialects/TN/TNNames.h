// Which layer and tensor of the model an operation computes: what locations
// say.
#ifndef TN_TNNAMES_H
#define TN_TNNAMES_H

#include "mlir/IR/Location.h"

#include <string>

namespace tnllm::tn {

// "layers.3.token_mixer.qkvu_proj", or empty where `loc` names nothing. A name
// is a NameLoc; a call site puts the caller's name before the callee's, since a
// block is one function for many layers; of a fused location the last name
// counts, the one of the value that the whole computes.
std::string getTensorName(mlir::Location loc);

} // namespace tnllm::tn

#endif // TN_TNNAMES_H
