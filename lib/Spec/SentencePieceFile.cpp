// Walks protobuf's wire format:
// https://protobuf.dev/programming-guides/encoding.
#include "SentencePieceFile.h"

#include <optional>

using llvm::StringRef;

namespace {
constexpr uint64_t maxFieldNumber = (uint64_t(1) << 29) - 1;

// Wire types 3 and 4 (groups) are long obsolete, 6 and 7 do not exist.
enum WireType { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

struct Field {
  uint64_t number = 0;
  uint64_t type = 0;
  StringRef bytes; // of type Bytes
};

std::optional<uint64_t> takeVarint(StringRef &rest) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 70 && !rest.empty(); shift += 7) {
    auto byte = static_cast<unsigned char>(rest.front());
    rest = rest.drop_front();
    if (shift == 63 && byte > 1)
      return std::nullopt; // more than 64 bits
    value |= uint64_t(byte & 0x7F) << shift;
    if (byte < 0x80)
      return value;
  }
  return std::nullopt;
}

std::optional<StringRef> take(StringRef &rest, uint64_t size) {
  if (size > rest.size())
    return std::nullopt;
  StringRef taken = rest.take_front(size);
  rest = rest.drop_front(size);
  return taken;
}

// Nothing for malformed bytes.
std::optional<Field> takeField(StringRef &rest) {
  std::optional<uint64_t> tag = takeVarint(rest);
  if (!tag)
    return std::nullopt;
  Field field{*tag >> 3, *tag & 7, {}};
  if (field.number == 0 || field.number > maxFieldNumber)
    return std::nullopt;
  std::optional<uint64_t> size;
  switch (field.type) {
  case Varint:
    if (!takeVarint(rest))
      return std::nullopt;
    return field;
  case Fixed64:
    size = 8;
    break;
  case Fixed32:
    size = 4;
    break;
  case Bytes:
    size = takeVarint(rest);
    break;
  default:
    return std::nullopt;
  }
  std::optional<StringRef> taken =
      size ? take(rest, *size) : std::optional<StringRef>();
  if (!taken)
    return std::nullopt;
  field.bytes = *taken;
  return field;
}

bool isPiece(StringRef message) {
  bool hasText = false;
  while (!message.empty()) {
    std::optional<Field> field = takeField(message);
    if (!field || (field->number == 1 && field->type != Bytes))
      return false;
    hasText |= field->number == 1;
  }
  return hasText;
}
} // namespace

llvm::Expected<int64_t> tnllm::spec::countSentencePieces(StringRef bytes) {
  if (bytes.empty())
    return llvm::createStringError("the file is empty");
  int64_t count = 0;
  for (StringRef rest = bytes; !rest.empty();) {
    size_t offset = bytes.size() - rest.size();
    std::optional<Field> field = takeField(rest);
    if (!field || (field->number == 1 &&
                   (field->type != Bytes || !isPiece(field->bytes))))
      return llvm::createStringError("malformed at byte " +
                                     llvm::Twine(offset));
    count += field->number == 1;
  }
  if (count == 0)
    return llvm::createStringError("it has no pieces");
  return count;
}
