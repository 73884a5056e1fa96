// Names and sizes of element types.
#include "tnrt/formats/DType.h"

#include <array>

namespace tnrt {

namespace {

struct Entry {
  DType dtype;
  const char *name;
  int64_t bytes;
};

constexpr std::array<Entry, 16> table = {{
    {DType::F64, "F64", 8},
    {DType::F32, "F32", 4},
    {DType::F16, "F16", 2},
    {DType::BF16, "BF16", 2},
    {DType::F8E5M2, "F8_E5M2", 1},
    {DType::F8E4M3, "F8_E4M3", 1},
    {DType::I64, "I64", 8},
    {DType::I32, "I32", 4},
    {DType::I16, "I16", 2},
    {DType::I8, "I8", 1},
    {DType::U64, "U64", 8},
    {DType::U32, "U32", 4},
    {DType::U16, "U16", 2},
    {DType::U8, "U8", 1},
    {DType::Bool, "BOOL", 1},
    {DType::I4, "I4", 1},
}};

const Entry &entryOf(DType dtype) { return table[static_cast<size_t>(dtype)]; }

} // namespace

int64_t dtypeBytes(DType dtype) { return entryOf(dtype).bytes; }

const char *dtypeName(DType dtype) { return entryOf(dtype).name; }

std::optional<DType> parseDType(std::string_view name) {
  for (const Entry &entry : table)
    if (name == entry.name && entry.dtype != DType::I4)
      return entry.dtype;
  return std::nullopt;
}

bool isFloatDType(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16;
}

std::optional<int64_t> elementCount(const std::vector<int64_t> &shape) {
  int64_t count = 1;
  bool empty = false;
  for (int64_t extent : shape) {
    if (extent < 0)
      return std::nullopt;
    if (extent == 0)
      empty = true;
    else if (__builtin_mul_overflow(count, extent, &count))
      return std::nullopt;
  }
  return empty ? 0 : count;
}

std::string shapeText(const std::vector<int64_t> &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i)
      text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

} // namespace tnrt
