// The element type that the generated code reads the weights of matrix products in.
#ifndef TNLLM_TARGET_DTYPE_H
#define TNLLM_TARGET_DTYPE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/ErrorHandling.h"

#include <cstdint>

namespace tnllm {

// States, norms and accumulators are f32 with any. I8 is for weights alone, with one
// f32 scale for each row of the matrix (docs/Manifest.md); activations are f32 then.
enum class DType { F32, BF16, I8 };

// "f32", "bf16", "int8": as on the command line and the manifest's `dtype`.
inline llvm::StringRef stringify(DType dtype) {
  switch (dtype) {
  case DType::F32:
    return "f32";
  case DType::BF16:
    return "bf16";
  case DType::I8:
    return "int8";
  }
  llvm_unreachable("unknown dtype");
}

// "f32", "bf16", "i8": the type of one element, as in the manifest's parameters.
inline llvm::StringRef elementName(DType dtype) {
  return dtype == DType::I8 ? "i8" : stringify(dtype);
}

inline int64_t byteWidth(DType dtype) {
  switch (dtype) {
  case DType::F32:
    return 4;
  case DType::BF16:
    return 2;
  case DType::I8:
    return 1;
  }
  llvm_unreachable("unknown dtype");
}

} // namespace tnllm

#endif // TNLLM_TARGET_DTYPE_H
