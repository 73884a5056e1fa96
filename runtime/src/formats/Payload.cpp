// Appends weights and tokenizer to an executable, and finds them there.
#include "tnrt/formats/Payload.h"

#include "FileDescriptor.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <unordered_set>

namespace tnrt {

namespace {

constexpr char magic[8] = {'T', 'N', 'L', 'L', 'M', 'P', 'A', 'Y'};
constexpr uint32_t version = 2;
constexpr size_t footerBytes = 64;
constexpr uint64_t pageBytes = 4096;

using Footer = std::array<unsigned char, footerBytes>;

struct Places {
  uint64_t weightsOffset = 0, weightsBytes = 0;
  uint64_t tokenizerOffset = 0, tokenizerBytes = 0;
};

void put(Footer &footer, size_t at, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i)
    footer[at + i] = static_cast<unsigned char>(value >> (8 * i));
}

uint64_t get(const unsigned char *footer, size_t at, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = bytes; i-- > 0;)
    value = value << 8 | footer[at + i];
  return value;
}

uint64_t checksum(const unsigned char *data, size_t bytes) {
  uint64_t hash = 0xCBF29CE484222325ull;
  for (size_t i = 0; i < bytes; ++i)
    hash = (hash ^ data[i]) * 0x100000001B3ull;
  return hash;
}

Footer encode(const Places &places) {
  Footer footer{};
  std::memcpy(footer.data(), magic, sizeof magic);
  put(footer, 8, version, 4);
  put(footer, 12, footerBytes, 4);
  put(footer, 16, places.weightsOffset, 8);
  put(footer, 24, places.weightsBytes, 8);
  put(footer, 32, places.tokenizerOffset, 8);
  put(footer, 40, places.tokenizerBytes, 8);
  put(footer, 48, checksum(footer.data(), 48), 8);
  return footer;
}

// Appends to a file and knows where it stands.
class Appender {
public:
  Appender(int fd, const std::string &path, uint64_t position)
      : fd(fd), path(path), position(position) {}

  Status write(const void *data, size_t bytes) {
    const char *cursor = static_cast<const char *>(data);
    while (bytes != 0) {
      ssize_t put = ::pwrite(fd, cursor, std::min<size_t>(bytes, 1u << 26),
                             static_cast<off_t>(position));
      if (put < 0 && errno == EINTR)
        continue;
      if (put < 0)
        return Error{path + ": cannot write: " + std::strerror(errno)};
      cursor += put;
      bytes -= static_cast<size_t>(put);
      position += static_cast<uint64_t>(put);
    }
    return {};
  }

  // The next page begins: what follows can be mapped aligned.
  void alignToPage() {
    position = (position + pageBytes - 1) / pageBytes * pageBytes;
  }
  uint64_t at() const { return position; }

private:
  int fd;
  const std::string &path;
  uint64_t position;
};

std::string nameOf(const StoredParameter &parameter) {
  return packedName(parameter.source->name, parameter.source->shape,
                    parameter.dtype, parameter.layout);
}

size_t bytesOf(const StoredParameter &parameter) {
  return static_cast<size_t>(
      packedBytes(parameter.source->shape, parameter.dtype, parameter.layout));
}

// Each parameter once, in an order in which all stand aligned without padding,
// which the format does not allow: first those that are whole cache lines, then
// wide elements before narrow ones.
std::vector<const StoredParameter *>
orderOf(const std::vector<StoredParameter> &parameters) {
  std::vector<const StoredParameter *> order;
  std::unordered_set<std::string> names;
  for (const StoredParameter &parameter : parameters)
    if (names.insert(nameOf(parameter)).second)
      order.push_back(&parameter);
  auto rank = [](const StoredParameter *parameter) {
    constexpr size_t lineBytes = 64;
    return bytesOf(*parameter) % lineBytes == 0
               ? 0
               : int64_t(lineBytes) - dtypeBytes(parameter->dtype);
  };
  std::sort(order.begin(), order.end(),
            [&](const StoredParameter *a, const StoredParameter *b) {
              const int64_t left = rank(a), right = rank(b);
              return left != right ? left < right : a < b; // of one vector
            });
  return order;
}

Status appendParameter(Appender &out, const StoredParameter &parameter) {
  const TensorView &source = *parameter.source;
  std::vector<char> packed(bytesOf(parameter));
  if (Status status =
          packRange(source, parameter.dtype, parameter.layout, 0,
                    packUnits(source.shape, parameter.layout), packed.data());
      !status)
    return status;
  releaseMappedPages(source.data, source.bytes);
  return out.write(packed.data(), packed.size());
}

Status appendWeights(Appender &out,
                     const std::vector<StoredParameter> &parameters) {
  const std::vector<const StoredParameter *> order = orderOf(parameters);
  std::vector<TensorSpec> specs;
  for (const StoredParameter *parameter : order)
    specs.push_back(
        {nameOf(*parameter),
         parameter->dtype == DType::I4 ? DType::U8 : parameter->dtype,
         {static_cast<int64_t>(bytesOf(*parameter)) /
          dtypeBytes(parameter->dtype)}});
  Result<std::string> header = safetensorsHeader(specs);
  if (!header)
    return header.takeError();
  if (Status status = out.write(header->data(), header->size()); !status)
    return status;
  for (const StoredParameter *parameter : order)
    if (Status status = appendParameter(out, *parameter); !status)
      return status;
  return {};
}

bool isInside(uint64_t offset, uint64_t bytes, uint64_t end) {
  return offset <= end && bytes <= end - offset;
}

} // namespace

Status appendPayload(const std::string &path,
                     const std::vector<StoredParameter> *parameters,
                     const std::string *tokenizer) {
  Result<Payload> existing = readPayload(path);
  if (!existing)
    return existing.takeError();
  if (existing->weights || existing->tokenizer)
    return Error{path + ": carries a payload already"};
  FileDescriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  struct stat info;
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0)
    return Error{path + ": cannot write: " + std::strerror(errno)};
  if (info.st_size == 0)
    return Error{path + ": is empty, expected an executable"};
  Appender out(file.get(), path, static_cast<uint64_t>(info.st_size));
  Places places;
  if (parameters) {
    out.alignToPage();
    places.weightsOffset = out.at();
    if (Status status = appendWeights(out, *parameters); !status)
      return status;
    places.weightsBytes = out.at() - places.weightsOffset;
  }
  if (tokenizer) {
    out.alignToPage();
    places.tokenizerOffset = out.at();
    if (Status status = out.write(tokenizer->data(), tokenizer->size());
        !status)
      return status;
    places.tokenizerBytes = tokenizer->size();
  }
  const Footer footer = encode(places);
  return out.write(footer.data(), footer.size());
}

Result<Payload> readPayload(const std::string &path) {
  Result<std::shared_ptr<const MappedFile>> file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  Payload payload;
  payload.mapping = std::move(*file);
  const size_t size = payload.mapping->size();
  if (size < footerBytes)
    return payload;
  const unsigned char *base = payload.mapping->data();
  const unsigned char *footer = base + size - footerBytes;
  if (std::memcmp(footer, magic, sizeof magic) != 0)
    return payload;
  if (get(footer, 8, 4) != version || get(footer, 12, 4) != footerBytes)
    return Error{path + ": payload of version " +
                 std::to_string(get(footer, 8, 4)) + ", expected " +
                 std::to_string(version)};
  if (get(footer, 48, 8) != checksum(footer, 48))
    return Error{path + ": the payload's footer is damaged"};
  const Places places{get(footer, 16, 8), get(footer, 24, 8),
                      get(footer, 32, 8), get(footer, 40, 8)};
  const uint64_t end = size - footerBytes;
  if (!isInside(places.weightsOffset, places.weightsBytes, end) ||
      !isInside(places.tokenizerOffset, places.tokenizerBytes, end))
    return Error{path + ": the payload leaves the file: truncated"};
  if (places.weightsOffset != 0) {
    Result<SafetensorsFile> weights = SafetensorsFile::parse(
        payload.mapping, places.weightsOffset, places.weightsBytes,
        path + " (embedded weights)");
    if (!weights)
      return weights.takeError();
    payload.weights = std::move(*weights);
  }
  if (places.tokenizerOffset != 0)
    payload.tokenizer = std::string_view(reinterpret_cast<const char *>(base) +
                                             places.tokenizerOffset,
                                         places.tokenizerBytes);
  return payload;
}

} // namespace tnrt
