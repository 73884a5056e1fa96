// The payload behind an executable, as it is and with its footer's checksum made
// right, which no search would find.
#include "InputFile.h"

#include "tnrt/formats/Payload.h"

#include <cstring>
#include <vector>

using namespace tnrt;

namespace {
void readAll(const uint8_t *data, size_t size) {
  static tnllm::fuzz::InputFile file;
  file.set(data, size);
  Result<Payload> parsed = readPayload(file.path());
  if (!parsed)
    return;
  uint64_t total = 0;
  if (parsed->weights)
    for (const TensorView &view : parsed->weights->tensors())
      total += tnllm::fuzz::sum(view.data, view.bytes);
  if (parsed->tokenizer)
    total += tnllm::fuzz::sum(parsed->tokenizer->data(), parsed->tokenizer->size());
  tnllm::fuzz::use(total);
}

// FNV-1a over the footer's first 48 bytes (tnrt/formats/Payload.h).
void repair(uint8_t *footer) {
  uint64_t hash = 0xCBF29CE484222325ull;
  for (size_t i = 0; i < 48; ++i)
    hash = (hash ^ footer[i]) * 0x100000001B3ull;
  for (size_t i = 0; i < 8; ++i)
    footer[48 + i] = static_cast<uint8_t>(hash >> (8 * i));
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  readAll(data, size);
  if (size < 64)
    return 0;
  std::vector<uint8_t> repaired(data, data + size);
  uint8_t *footer = repaired.data() + size - 64;
  std::memcpy(footer, "TNLLMPAY", 8);
  repair(footer);
  readAll(repaired.data(), size);
  return 0;
}
