// The element type that the generated code reads the weights of matrix products in.
#ifndef TNLLM_TARGET_DTYPE_H
#define TNLLM_TARGET_DTYPE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/ErrorHandling.h"

#include <cstdint>

namespace tnllm {

// States, norms and accumulators are f32 with any. I8, F8 (e4m3) and I4 are for weights
// alone, with one f32 scale for each row of the matrix or, of I4, each 128 columns of a row
// (docs/Manifest.md).
enum class DType { F32, BF16, I8, F8, I4 };

// "f32", "bf16", "int8", "fp8", "int4": as on the command line and the manifest's `dtype`.
inline llvm::StringRef stringify(DType dtype) {
  switch (dtype) {
  case DType::F32:
    return "f32";
  case DType::BF16:
    return "bf16";
  case DType::I8:
    return "int8";
  case DType::F8:
    return "fp8";
  case DType::I4:
    return "int4";
  }
  llvm_unreachable("unknown dtype");
}

// "f32", "bf16", "i8", "f8e4m3", "i4": the type of one element, as in the manifest's
// parameters.
inline llvm::StringRef elementName(DType dtype) {
  switch (dtype) {
  case DType::F32:
  case DType::BF16:
    return stringify(dtype);
  case DType::I8:
    return "i8";
  case DType::F8:
    return "f8e4m3";
  case DType::I4:
    return "i4";
  }
  llvm_unreachable("unknown dtype");
}

// Whether weights are integers or narrow floats with scales.
inline bool isQuantised(DType dtype) {
  return dtype != DType::F32 && dtype != DType::BF16;
}

} // namespace tnllm

#endif // TNLLM_TARGET_DTYPE_H
