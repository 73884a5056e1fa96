// Element types of stored tensors, under the names safetensors gives them.
#ifndef TNRT_FORMATS_DTYPE_H
#define TNRT_FORMATS_DTYPE_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tnrt {

enum class DType {
  F64,
  F32,
  F16,
  BF16,
  F8E5M2,
  F8E4M3,
  I64,
  I32,
  I16,
  I8,
  U64,
  U32,
  U16,
  U8,
  Bool,
  I4 // two in a byte, of packed parameters alone (tnrt/formats/Pack.h)
};

// Bytes of one element, of I4 of two.
int64_t dtypeBytes(DType dtype);

// The name in a safetensors header: "F32", "BF16", ...
const char *dtypeName(DType dtype);

// The type of a safetensors name; nothing for a name that is unknown, or I4.
std::optional<DType> parseDType(std::string_view name);

// Whether the loader converts from it: F32, F16 or BF16.
bool isFloatDType(DType dtype);

// Product of the dimensions (1 for a scalar's []); nothing when a dimension is
// negative or the product does not fit.
std::optional<int64_t> elementCount(const std::vector<int64_t> &shape);

// "[2, 3]", for messages.
std::string shapeText(const std::vector<int64_t> &shape);

} // namespace tnrt

#endif // TNRT_FORMATS_DTYPE_H
