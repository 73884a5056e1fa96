// Weights and tokenizer stored behind the ELF image of an executable:
//
//   image, padding to a page, safetensors stream, padding, tokenizer, footer
//
// The stream holds no checkpoint but the parameters as kernels read them, each
// once, so that a start maps them and is done. A tensor of it is a parameter's
// packed bytes; its name is the parameter's packedName, and so tells the
// layout.
//
// The footer is the last 64 bytes of the file, little-endian: magic "TNLLMPAY",
// u32 version, u32 footer size, u64 weights offset and size, u64 tokenizer
// offset and size, u64 checksum (FNV-1a) of the bytes before it, u64 zero. An
// offset of 0 means that the part is absent.
#ifndef TNRT_FORMATS_PAYLOAD_H
#define TNRT_FORMATS_PAYLOAD_H

#include "tnrt/Result.h"
#include "tnrt/formats/Pack.h"
#include "tnrt/formats/Safetensors.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tnrt {

struct Payload {
  std::optional<SafetensorsFile> weights;
  std::optional<std::string_view> tokenizer; // lives as long as `mapping`
  std::shared_ptr<const MappedFile> mapping;
};

// A parameter to store: `source` as `dtype` in `layout`, which fit each other
// (checkLayout).
struct StoredParameter {
  const TensorView *source = nullptr;
  DType dtype = DType::F32;
  Layout layout;
};

// Appends to the file `path`, which the caller has just linked: the parameters,
// packed, as one safetensors stream (null: none) and the tokenizer's bytes
// (null: none). Parameters of equal packedName are stored once; `source` is
// expected in a mapping, whose pages are given back. Errors: a weight that
// cannot be packed (packRange), the file cannot be written, the disk is full,
// or it carries a payload already; the file is then of no use and the caller
// removes it.
Status appendPayload(const std::string &path,
                     const std::vector<StoredParameter> *parameters,
                     const std::string *tokenizer);

// Both parts are empty when the file carries no payload. Errors: a file that
// cannot be read, a damaged footer, weights that are not valid safetensors.
Result<Payload> readPayload(const std::string &path);

} // namespace tnrt

#endif // TNRT_FORMATS_PAYLOAD_H
