// Finds pieces and tables by protobuf's wire format
// (https://protobuf.dev/programming-guides/encoding) and checks them as
// darts_clone reads them.
#include "SentencePieceCheck.h"

#include <cstdint>
#include <cstring>
#include <optional>

namespace tnrt {
namespace {

std::optional<uint64_t> takeVarint(std::string_view &rest) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 70 && !rest.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    if (shift < 64)
      value |= uint64_t(byte & 0x7F) << shift;
    if (byte < 0x80)
      return value;
  }
  return std::nullopt;
}

// Calls `visit` with the number and the bytes of each field of `message` that
// holds bytes. False when the message is malformed or a visit says so.
template <typename Visit>
bool visitBytes(std::string_view message, Visit visit) {
  while (!message.empty()) {
    const std::optional<uint64_t> tag = takeVarint(message);
    if (!tag)
      return false;
    std::optional<uint64_t> size = 0;
    switch (*tag & 7) {
    case 0:
      if (!takeVarint(message))
        return false;
      break;
    case 1:
      size = 8;
      break;
    case 2:
      size = takeVarint(message);
      break;
    case 5:
      size = 4;
      break;
    default: // groups: no version of the format has one
      return false;
    }
    if (!size || *size > message.size())
      return false;
    if ((*tag & 7) == 2 && !visit(*tag >> 3, message.substr(0, *size)))
      return false;
    message.remove_prefix(*size);
  }
  return true;
}

// One word of a double array (third_party/darts_clone/darts.h).
struct Unit {
  uint32_t bits;

  bool isLeaf() const { return bits >> 31; } // of a leaf: a value
  bool hasLeaf() const { return bits >> 8 & 1; }
  uint32_t value() const { return bits & 0x7FFFFFFF; }
  uint32_t offset() const { return (bits >> 10) << ((bits & (1u << 9)) >> 6); }
};

// u32 size of the array in bytes, the array, and texts that end with a zero
// each: what its leaves point at. A step from unit i leads to i ^ offset ^
// byte.
bool isCharsMapSound(std::string_view map) {
  constexpr uint64_t labels = 256;
  uint32_t bytes;
  if (map.empty())
    return true;
  if (map.size() <= sizeof bytes)
    return false;
  std::memcpy(&bytes, map.data(), sizeof bytes);
  map.remove_prefix(sizeof bytes);
  if (bytes >= map.size() || bytes % sizeof(Unit) != 0 || map.back() != '\0')
    return false;
  const uint64_t units = bytes / sizeof(Unit);
  const uint64_t texts = map.size() - bytes;
  if (units == 0)
    return false; // the root is read always
  auto unit = [&](uint64_t index) {
    Unit result;
    std::memcpy(&result, map.data() + index * sizeof result, sizeof result);
    return result;
  };
  for (uint64_t i = 0; i < units; ++i) {
    const Unit from = unit(i);
    if (from.isLeaf() && i != 0)
      continue; // no step leads to it but the one that reads its value
    const uint64_t to = i ^ from.offset();
    if ((to | (labels - 1)) >= units)
      return false;
    if (from.hasLeaf() && unit(to).value() >= texts)
      return false;
  }
  return true;
}

} // namespace

bool isSentencePieceSound(std::string_view model) {
  return visitBytes(model, [](uint64_t field, std::string_view bytes) {
    constexpr uint64_t piece = 1, normalizer = 3, denormalizer = 5;
    constexpr uint64_t text = 1, charsMap = 2;
    if (field == piece)
      return visitBytes(bytes, [](uint64_t inner, std::string_view value) {
        return inner != text || value.find('\0') == value.npos;
      });
    if (field != normalizer && field != denormalizer)
      return true;
    return visitBytes(bytes, [](uint64_t inner, std::string_view map) {
      return inner != charsMap || isCharsMapSound(map);
    });
  });
}

} // namespace tnrt
