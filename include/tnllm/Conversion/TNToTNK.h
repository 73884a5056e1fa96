// What convert-tn-to-tnk records of the program's parameters on the module.
#ifndef TNLLM_CONVERSION_TNTOTNK_H
#define TNLLM_CONVERSION_TNTOTNK_H

#include "llvm/ADT/StringRef.h"

namespace tnllm {

// Keys of the dictionaries in the module's `tnrt.parameters`, one for each
// index that tnrt.param uses. docs/Manifest.md says what they mean.
namespace parameter_keys {
inline constexpr llvm::StringLiteral kTensor = "tensor"; // string
inline constexpr llvm::StringLiteral kType = "type";     // tensor type
inline constexpr llvm::StringLiteral kInit = "init";     // #tn.init
inline constexpr llvm::StringLiteral kLayout = "layout"; // #tnrt.layout
} // namespace parameter_keys

} // namespace tnllm

#endif // TNLLM_CONVERSION_TNTOTNK_H
