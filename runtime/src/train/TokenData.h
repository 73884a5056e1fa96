// The windows of tokens that a model trains on, and the order they come in.
//
// A shard of T tokens has floor((T - 1) / length) windows: window w is its
// tokens [w * length, (w + 1) * length], of which the first `length` are inputs
// and the last `length` the labels. So each token but the first of a shard is a
// label once, except for a rest at the end that fills no window.
#ifndef TNRT_TRAIN_TOKENDATA_H
#define TNRT_TRAIN_TOKENDATA_H

#include "TokenShard.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tnrt {

// What tells one shard from another when a run is resumed.
struct ShardIdentity {
  std::string name; // of the file, without its folder
  uint64_t tokens = 0;
  uint32_t checksum = 0;
  bool operator==(const ShardIdentity &other) const {
    return name == other.name && tokens == other.tokens &&
           checksum == other.checksum;
  }
};

// "bytes", or the hash in hexadecimal.
std::string tokenizerText(uint64_t hash);

class TokenData {
public:
  // `patterns`: files, folders (all *.bin in them) and shell patterns; those of
  // one pattern come in the order of their names. Errors: nothing found, those
  // of the shards, shards of several tokenizers or of another than `tokenizer`
  // (ShardHeader::tokenizer; absent: any), or with a vocabulary that is larger
  // than the model's. There may be no window at all.
  static Result<TokenData>
  open(const std::vector<std::string> &patterns, int64_t length,
       int64_t vocabulary, std::optional<uint64_t> tokenizer = std::nullopt);

  int64_t length() const { return windowLength; }
  int64_t windows() const { return firstWindow.back(); }
  uint64_t tokens() const;
  uint64_t tokenizer() const { return files.front().header().tokenizer; }
  const std::vector<TokenShard> &shards() const { return files; }
  std::vector<ShardIdentity> identity() const;

  // The `length() + 1` tokens of a window.
  Status read(int64_t window, int32_t *out) const;

private:
  TokenData() = default;
  std::vector<TokenShard> files;
  std::vector<int64_t> firstWindow; // of each shard, and the end
  int64_t windowLength = 0, vocabulary = 0;
};

// The window that sample `index` of a run is: epoch after epoch, each the
// windows in an order of its own, which depends on the seed and the epoch.
int64_t shuffledWindow(uint64_t seed, int64_t windows, int64_t index);

} // namespace tnrt

#endif // TNRT_TRAIN_TOKENDATA_H
