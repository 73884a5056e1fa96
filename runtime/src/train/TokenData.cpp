// Finding shards, and windows in them.
#include "TokenData.h"

#include "Permutation.h"

#include <algorithm>
#include <glob.h>
#include <sys/stat.h>

namespace tnrt {
namespace {

std::string baseName(const std::string &path) {
  return path.substr(path.find_last_of('/') + 1);
}

// The files of one pattern, in the order of their names.
std::vector<std::string> findFiles(std::string pattern) {
  struct stat info;
  const bool exists = ::stat(pattern.c_str(), &info) == 0;
  // A file whose name happens to look like a pattern is that file.
  if (exists && !S_ISDIR(info.st_mode))
    return {pattern};
  if (exists)
    pattern += "/*.bin";
  std::vector<std::string> paths;
  glob_t found{};
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0)
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  return paths;
}

} // namespace

std::string tokenizerText(uint64_t hash) {
  if (hash == 0)
    return "bytes";
  char text[17];
  std::snprintf(text, sizeof text, "%016llx",
                static_cast<unsigned long long>(hash));
  return text;
}

Result<TokenData> TokenData::open(const std::vector<std::string> &patterns,
                                  int64_t length, int64_t vocabulary,
                                  std::optional<uint64_t> tokenizer) {
  TokenData data;
  data.windowLength = length;
  data.vocabulary = vocabulary;
  data.firstWindow = {0};
  for (const std::string &pattern : patterns) {
    std::vector<std::string> paths = findFiles(pattern);
    if (paths.empty())
      return Error{"no shards at " + pattern +
                   ": expected files, a folder with *.bin, or a pattern"};
    for (const std::string &path : paths) {
      Result<TokenShard> shard = TokenShard::open(path);
      if (!shard)
        return shard.takeError();
      const ShardHeader &header = shard->header();
      if (header.vocabulary > vocabulary)
        return Error{path + ": has ids below " +
                     std::to_string(header.vocabulary) + ", the model has " +
                     std::to_string(vocabulary) +
                     ": it was made for another model"};
      if (tokenizer && header.tokenizer != *tokenizer)
        return Error{path + ": was made by tokenizer " +
                     tokenizerText(header.tokenizer) + ", the model's is " +
                     tokenizerText(*tokenizer)};
      if (!data.files.empty() &&
          data.files[0].header().tokenizer != header.tokenizer)
        return Error{path + ": was made by tokenizer " +
                     tokenizerText(header.tokenizer) + ", " +
                     data.files[0].path() + " by " +
                     tokenizerText(data.files[0].header().tokenizer)};
      const int64_t windows =
          header.tokens == 0
              ? 0
              : (static_cast<int64_t>(header.tokens) - 1) / length;
      data.firstWindow.push_back(data.windows() + windows);
      data.files.push_back(std::move(*shard));
    }
  }
  return data;
}

uint64_t TokenData::tokens() const {
  uint64_t total = 0;
  for (const TokenShard &file : files)
    total += file.header().tokens;
  return total;
}

std::vector<ShardIdentity> TokenData::identity() const {
  std::vector<ShardIdentity> result;
  for (const TokenShard &file : files)
    result.push_back(
        {baseName(file.path()), file.header().tokens, file.header().checksum});
  return result;
}

Status TokenData::read(int64_t window, int32_t *out) const {
  auto after = std::upper_bound(firstWindow.begin(), firstWindow.end(), window);
  const auto shard = static_cast<size_t>(after - firstWindow.begin() - 1);
  const int64_t begin = (window - firstWindow[shard]) * windowLength;
  return files[shard].read(static_cast<uint64_t>(begin),
                           static_cast<size_t>(windowLength + 1), vocabulary,
                           out);
}

int64_t shuffledWindow(uint64_t seed, int64_t windows, int64_t index) {
  const auto count = static_cast<uint64_t>(windows);
  const auto epoch = static_cast<uint64_t>(index) / count;
  const auto place = static_cast<uint64_t>(index) % count;
  KeyedPermutation order(count, mixBits(seed) ^ epoch * 0x9FB21C651E98DF25u);
  return static_cast<int64_t>(order(place));
}

} // namespace tnrt
