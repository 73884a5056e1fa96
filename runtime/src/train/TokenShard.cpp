// Reading and writing shards of tokens.
#include "TokenShard.h"

#include "Crc32c.h"
#include "LittleEndian.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tnrt {
namespace {

constexpr char kMagic[] = "TNTOKENS"; // 8 bytes and a NUL
constexpr uint32_t kVersion = 1;
constexpr size_t kPieceTokens = 1 << 16;  // of verify()
constexpr size_t kPendingBytes = 1 << 20; // of the writer

int32_t tokenAt(const unsigned char *data, size_t index, uint32_t tokenBytes) {
  const unsigned char *at = data + index * tokenBytes;
  return tokenBytes == 2 ? static_cast<int32_t>(readU16(at))
                         : static_cast<int32_t>(readU32(at));
}

// Reads `bytes` at `offset`; what is missing is an error.
Status readAt(int descriptor, uint64_t offset, void *data, size_t bytes) {
  auto *cursor = static_cast<char *>(data);
  while (bytes > 0) {
    ssize_t got =
        ::pread(descriptor, cursor, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return Error{std::string("cannot read: ") + std::strerror(errno)};
    if (got == 0)
      return Error{"was cut short while it was in use: it ends at byte " +
                   std::to_string(offset)};
    cursor += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<size_t>(got);
  }
  return {};
}

} // namespace

uint64_t tokenizerHash(std::string_view bytes) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (unsigned char byte : bytes)
    hash = (hash ^ byte) * 0x100000001B3u;
  return hash == 0 ? 1 : hash;
}

Result<ShardHeader> parseShardHeader(const void *data, size_t size,
                                     uint64_t fileSize) {
  const auto *bytes = static_cast<const unsigned char *>(data);
  if (fileSize == 0)
    return Error{"is empty, expected a shard of tokens"};
  if (size < 8 || std::memcmp(bytes, kMagic, 8) != 0)
    return Error{"is not a shard of tokens (expected TNTOKENS at its start): "
                 "make one with the command tokenize"};
  if (size < kShardHeaderBytes)
    return Error{"is cut off within its header: " + std::to_string(fileSize) +
                 " bytes, expected at least 64"};
  if (readU32(bytes + 8) != kVersion ||
      readU32(bytes + 12) != kShardHeaderBytes)
    return Error{"is a shard of version " + std::to_string(readU32(bytes + 8)) +
                 ", expected version 1: make it again with tokenize"};
  if (crc32c(bytes, 60) != readU32(bytes + 60))
    return Error{"has a damaged header: its checksum does not fit"};
  ShardHeader header;
  header.tokenBytes = readU32(bytes + 16);
  header.vocabulary = readU32(bytes + 20);
  header.tokens = readU64(bytes + 24);
  header.documents = readU64(bytes + 32);
  header.tokenizer = readU64(bytes + 40);
  header.checksum = readU32(bytes + 48);
  if (header.tokenBytes != 2 && header.tokenBytes != 4)
    return Error{"has tokens of " + std::to_string(header.tokenBytes) +
                 " bytes, expected 2 or 4"};
  if (header.vocabulary == 0 || header.vocabulary > INT32_MAX ||
      (header.tokenBytes == 2 && header.vocabulary > 65536))
    return Error{"has a vocabulary of " + std::to_string(header.vocabulary) +
                 ", which its tokens of " + std::to_string(header.tokenBytes) +
                 " bytes cannot have"};
  const uint64_t there = (fileSize - kShardHeaderBytes) / header.tokenBytes;
  if (header.tokens > there)
    return Error{"is cut off: it has " + std::to_string(there) + " of " +
                 std::to_string(header.tokens) + " tokens"};
  if (kShardHeaderBytes + header.tokens * header.tokenBytes != fileSize)
    return Error{
        "has " + std::to_string(fileSize) + " bytes, expected " +
        std::to_string(kShardHeaderBytes + header.tokens * header.tokenBytes) +
        " for " + std::to_string(header.tokens) + " tokens"};
  return header;
}

std::string shardHeaderBytes(const ShardHeader &header) {
  std::string bytes(kMagic, 8);
  putU32(bytes, kVersion);
  putU32(bytes, kShardHeaderBytes);
  putU32(bytes, header.tokenBytes);
  putU32(bytes, header.vocabulary);
  putU64(bytes, header.tokens);
  putU64(bytes, header.documents);
  putU64(bytes, header.tokenizer);
  putU32(bytes, header.checksum);
  putU64(bytes, 0);
  putU32(bytes, crc32c(bytes.data(), bytes.size()));
  return bytes;
}

Result<TokenShard> TokenShard::open(const std::string &path) {
  auto fail = [&](const std::string &what) {
    return Error{path + ": " + what};
  };
  TokenShard shard;
  shard.name = path;
  // O_NONBLOCK keeps a pipe from blocking before it is refused.
  shard.descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat info;
  if (shard.descriptor < 0 || ::fstat(shard.descriptor, &info) != 0)
    return fail(std::string("cannot open: ") + std::strerror(errno));
  if (!S_ISREG(info.st_mode))
    return fail("is not a file, expected a shard of tokens");
  unsigned char bytes[kShardHeaderBytes];
  const auto fileSize = static_cast<uint64_t>(info.st_size);
  const size_t size = std::min<uint64_t>(fileSize, kShardHeaderBytes);
  if (Status status = readAt(shard.descriptor, 0, bytes, size); !status)
    return fail(status.message());
  Result<ShardHeader> header = parseShardHeader(bytes, size, fileSize);
  if (!header)
    return fail(header.message());
  shard.info = *header;
  return shard;
}

TokenShard::TokenShard(TokenShard &&other) noexcept
    : name(std::move(other.name)), info(other.info),
      descriptor(other.descriptor) {
  other.descriptor = -1;
}

TokenShard::~TokenShard() {
  if (descriptor >= 0)
    ::close(descriptor);
}

Status TokenShard::read(uint64_t begin, size_t count, int64_t vocabulary,
                        int32_t *out) const {
  // The end of `out` is where the bytes go: they are widened from the front,
  // which never overtakes what is still to be read.
  auto *bytes = reinterpret_cast<unsigned char *>(out) +
                count * (sizeof(int32_t) - info.tokenBytes);
  Status status =
      readAt(descriptor, kShardHeaderBytes + begin * info.tokenBytes, bytes,
             count * info.tokenBytes);
  if (!status)
    return Error{name + ": " + status.message()};
  for (size_t i = 0; i < count; ++i) {
    const int32_t id = tokenAt(bytes, i, info.tokenBytes);
    if (id < 0 || id >= vocabulary)
      return Error{name + ": token " + std::to_string(begin + i) + " is " +
                   std::to_string(static_cast<uint32_t>(id)) +
                   ", which the model does not have: expected ids below " +
                   std::to_string(vocabulary)};
    std::memcpy(out + i, &id, sizeof id);
  }
  return {};
}

Status TokenShard::verify(int64_t vocabulary) const {
  std::vector<unsigned char> bytes(kPieceTokens * info.tokenBytes);
  uint32_t checksum = 0;
  for (uint64_t begin = 0; begin < info.tokens;) {
    const auto count = static_cast<size_t>(
        std::min<uint64_t>(kPieceTokens, info.tokens - begin));
    const size_t size = count * info.tokenBytes;
    Status status =
        readAt(descriptor, kShardHeaderBytes + begin * info.tokenBytes,
               bytes.data(), size);
    if (!status)
      return Error{name + ": " + status.message()};
    checksum = crc32c(bytes.data(), size, checksum);
    for (size_t i = 0; i < count; ++i) {
      const int32_t id = tokenAt(bytes.data(), i, info.tokenBytes);
      if (id < 0 || id >= vocabulary)
        return Error{name + ": token " + std::to_string(begin + i) + " is " +
                     std::to_string(static_cast<uint32_t>(id)) +
                     ", expected ids below " + std::to_string(vocabulary)};
    }
    begin += count;
  }
  if (checksum != info.checksum)
    return Error{name +
                 ": is damaged: the checksum of its tokens does not fit"};
  return {};
}

Result<ShardWriter> ShardWriter::create(const std::string &path,
                                        int64_t vocabulary,
                                        uint64_t tokenizer) {
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return file.takeError();
  ShardWriter writer(std::move(*file));
  writer.info.tokenBytes = vocabulary <= 65536 ? 2 : 4;
  writer.info.vocabulary = static_cast<uint32_t>(vocabulary);
  writer.info.tokenizer = tokenizer;
  return writer;
}

Status ShardWriter::flush() {
  info.checksum = crc32c(pending.data(), pending.size(), info.checksum);
  Status status = file.writeAt(written, pending.data(), pending.size());
  written += pending.size();
  pending.clear();
  return status;
}

Status ShardWriter::add(const std::vector<int32_t> &tokens) {
  for (int32_t token : tokens) {
    if (info.tokenBytes == 2)
      putU16(pending, static_cast<uint16_t>(token));
    else
      putU32(pending, static_cast<uint32_t>(token));
  }
  info.tokens += tokens.size();
  ++info.documents;
  return pending.size() < kPendingBytes ? Status() : flush();
}

Result<ShardHeader> ShardWriter::commit() {
  if (Status status = flush(); !status)
    return status.takeError();
  const std::string header = shardHeaderBytes(info);
  if (Status status = file.writeAt(0, header.data(), header.size()); !status)
    return status.takeError();
  if (Status status = file.commit(); !status)
    return status.takeError();
  return info;
}

} // namespace tnrt
