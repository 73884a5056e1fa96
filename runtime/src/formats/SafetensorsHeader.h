// The JSON header of a safetensors file, read strictly.
#ifndef TNRT_FORMATS_SAFETENSORSHEADER_H
#define TNRT_FORMATS_SAFETENSORSHEADER_H

#include "tnrt/Result.h"
#include "tnrt/formats/DType.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tnrt {

// The format's own limit on the header; larger ones are refused.
constexpr uint64_t maxHeaderBytes = 100'000'000;

struct HeaderEntry {
  std::string name;
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0; // data_offsets
};

struct ParsedHeader {
  std::vector<HeaderEntry> entries; // in the header's order
  std::map<std::string, std::string> metadata;
};

// Each entry is complete, its name unique, and its shape and dtype make the
// bytes its offsets span; the offsets' relation to each other is not checked.
// Errors do not name the file.
Result<ParsedHeader> parseSafetensorsHeader(std::string_view json);

} // namespace tnrt

#endif // TNRT_FORMATS_SAFETENSORSHEADER_H
