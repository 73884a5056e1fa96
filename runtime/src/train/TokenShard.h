// Files of token ids to train on (docs/TrainingFormats.md), little-endian:
//
//   offset  bytes
//        0      8  "TNTOKENS"
//        8      4  version: 1
//       12      4  bytes of this header: 64
//       16      4  bytes of a token: 2 or 4, unsigned
//       20      4  vocabulary: every id is below it
//       24      8  tokens
//       32      8  documents
//       40      8  tokenizer: FNV-1a of the bytes of tokenizer.model; 0: bytes
//       48      4  CRC-32C of the tokens' bytes
//       52      8  0
//       60      4  CRC-32C of the 60 bytes before
//       64         tokens
#ifndef TNRT_TRAIN_TOKENSHARD_H
#define TNRT_TRAIN_TOKENSHARD_H

#include "tnrt/Result.h"
#include "tnrt/formats/AtomicFile.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tnrt {

constexpr size_t kShardHeaderBytes = 64;

struct ShardHeader {
  uint32_t tokenBytes = 2;
  uint32_t vocabulary = 0;
  uint64_t tokens = 0;
  uint64_t documents = 0;
  uint64_t tokenizer = 0;
  uint32_t checksum = 0;
};

// The header at `data`, of which `size` bytes are there, of a file of
// `fileSize` bytes. Errors: empty, another format or version, a damaged header,
// a file that is shorter or longer than the header says.
Result<ShardHeader> parseShardHeader(const void *data, size_t size,
                                     uint64_t fileSize);
std::string shardHeaderBytes(const ShardHeader &header);
// What a header says of the tokenizer whose tokenizer.model has these bytes;
// never 0, which stands for bytes.
uint64_t tokenizerHash(std::string_view bytes);

// A shard that is read in pieces, by pread: memory does not grow with it, and a
// file that is cut short while it is used is an error and no signal.
class TokenShard {
public:
  // Errors: those of the file and of parseShardHeader, with the path in front.
  static Result<TokenShard> open(const std::string &path);
  TokenShard(TokenShard &&other) noexcept;
  TokenShard &operator=(TokenShard &&) = delete;
  ~TokenShard();

  const std::string &path() const { return name; }
  const ShardHeader &header() const { return info; }

  // Tokens [begin, begin + count), each in [0, vocabulary). Errors: the file
  // cannot be read, or an id that is not below `vocabulary`, with its place.
  Status read(uint64_t begin, size_t count, int64_t vocabulary,
              int32_t *out) const;
  // Reads everything: checksum and ids. Errors: as read, or another checksum.
  Status verify(int64_t vocabulary) const;

private:
  TokenShard() = default;
  std::string name;
  ShardHeader info;
  int descriptor = -1;
};

// Writes a shard that appears when it is complete.
class ShardWriter {
public:
  // `vocabulary` decides whether a token takes 2 bytes or 4.
  static Result<ShardWriter> create(const std::string &path, int64_t vocabulary,
                                    uint64_t tokenizer);
  // Appends a document's tokens, each in [0, vocabulary).
  Status add(const std::vector<int32_t> &tokens);
  Result<ShardHeader> commit();

private:
  ShardWriter(AtomicFile file) : file(std::move(file)) {}
  Status flush();

  AtomicFile file;
  ShardHeader info;
  std::string pending;
  uint64_t written = kShardHeaderBytes;
};

} // namespace tnrt

#endif // TNRT_TRAIN_TOKENSHARD_H
