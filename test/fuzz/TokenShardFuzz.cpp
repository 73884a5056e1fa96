// A shard of tokens, also with the checksum of its header made right: what
// opens is cut into windows, read and verified.
#include "InputFile.h"

#include "train/Crc32c.h"
#include "train/TokenData.h"

#include <string>
#include <vector>

using namespace tnrt;

namespace {

void readAll(const uint8_t *data, size_t size) {
  static tnllm::fuzz::InputFile file;
  file.set(data, size);
  constexpr int64_t length = 5, vocabulary = 1000;
  Result<TokenData> shards = TokenData::open({file.path()}, length, vocabulary);
  if (!shards)
    return;
  const TokenShard &shard = shards->shards().front();
  if (shard.header().tokens > size)
    std::abort();
  uint64_t total = 0;
  std::vector<int32_t> window(length + 1);
  for (int64_t w = 0; w < shards->windows(); ++w)
    if (shards->read(w, window.data()))
      for (int32_t id : window) {
        if (id < 0 || id >= vocabulary)
          std::abort();
        total += static_cast<uint64_t>(id);
      }
  total += shard.verify(vocabulary) ? 1 : 0;
  tnllm::fuzz::use(total);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  readAll(data, size);
  if (size < kShardHeaderBytes)
    return 0;
  std::string sound(data, data + size);
  const uint32_t checksum = crc32c(sound.data(), 60);
  for (size_t i = 0; i < 4; ++i)
    sound[60 + i] = static_cast<char>(checksum >> (8 * i));
  readAll(reinterpret_cast<const uint8_t *>(sound.data()), sound.size());
  return 0;
}
