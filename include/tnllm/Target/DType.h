// The element type that the generated code computes matrix products in.
#ifndef TNLLM_TARGET_DTYPE_H
#define TNLLM_TARGET_DTYPE_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>

namespace tnllm {

// States, norms and accumulators are f32 with either.
enum class DType { F32, BF16 };

// "f32", "bf16": as on the command line and in the manifest.
inline llvm::StringRef stringify(DType dtype) {
  return dtype == DType::F32 ? "f32" : "bf16";
}

inline int64_t byteWidth(DType dtype) { return dtype == DType::F32 ? 4 : 2; }

} // namespace tnllm

#endif // TNLLM_TARGET_DTYPE_H
