// Maps a safetensors file and checks all that its header says about the data.
#include "tnrt/formats/Safetensors.h"

#include "SafetensorsHeader.h"
#include "tnrt/formats/Text.h"

#include <algorithm>
#include <tuple>

namespace tnrt {

namespace {

constexpr size_t lengthBytes = 8;

uint64_t readLittleEndian64(const unsigned char *bytes) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i)
    value = value << 8 | bytes[i];
  return value;
}

// The format wants the tensors to cover the data exactly: what overlaps or
// leaves a hole was written wrongly or is meant to hide something.
Status checkCoverage(const std::vector<HeaderEntry> &entries,
                     uint64_t dataBytes) {
  uint64_t cursor = 0;
  const std::string *last = nullptr;
  for (const HeaderEntry &entry : entries) {
    const std::string name = "tensor " + quote(entry.name);
    if (entry.end > dataBytes)
      return Error{name + ": data_offsets [" + std::to_string(entry.begin) +
                   ", " + std::to_string(entry.end) +
                   ") leave the file, which holds " +
                   std::to_string(dataBytes) + " bytes of data"};
    if (entry.begin < cursor)
      return Error{name + ": its data begin at " + std::to_string(entry.begin) +
                   " and overlap tensor " + quote(*last) + ", which ends at " +
                   std::to_string(cursor)};
    if (entry.begin > cursor)
      return Error{name + ": its data begin at " + std::to_string(entry.begin) +
                   ", which leaves a hole after byte " +
                   std::to_string(cursor)};
    cursor = entry.end;
    last = &entry.name;
  }
  if (cursor != dataBytes)
    return Error{"the tensors end at data byte " + std::to_string(cursor) +
                 ", but the file holds " + std::to_string(dataBytes) +
                 " bytes of data"};
  return {};
}

} // namespace

Result<SafetensorsFile> SafetensorsFile::open(const std::string &path) {
  Result<std::shared_ptr<const MappedFile>> file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  const size_t size = (*file)->size();
  return parse(std::move(*file), 0, size, path);
}

Result<SafetensorsFile>
SafetensorsFile::parse(std::shared_ptr<const MappedFile> file, size_t offset,
                       size_t size, const std::string &label) {
  if (offset > file->size() || size > file->size() - offset)
    return Error{label + ": the weights leave the file"};
  if (size < lengthBytes)
    return Error{label + ": not a safetensors file: it has " +
                 std::to_string(size) + " bytes, expected at least 8"};
  const unsigned char *base = file->data() + offset;
  const uint64_t headerBytes = readLittleEndian64(base);
  if (headerBytes > maxHeaderBytes)
    return Error{label + ": not a safetensors file: it states a header of " +
                 std::to_string(headerBytes) + " bytes, expected at most " +
                 std::to_string(maxHeaderBytes)};
  if (headerBytes > size - lengthBytes)
    return Error{label + ": truncated: the header needs " +
                 std::to_string(headerBytes) + " bytes, the file has " +
                 std::to_string(size - lengthBytes) + " after the length"};
  Result<ParsedHeader> header = parseSafetensorsHeader(
      {reinterpret_cast<const char *>(base) + lengthBytes, headerBytes});
  if (!header)
    return Error{label + ": " + header.message()};
  std::vector<HeaderEntry> &entries = header->entries;
  // Empty tensors stand before the one that begins where they do.
  std::sort(entries.begin(), entries.end(),
            [](const HeaderEntry &a, const HeaderEntry &b) {
              return std::tie(a.begin, a.end, a.name) <
                     std::tie(b.begin, b.end, b.name);
            });
  const uint64_t dataBytes = size - lengthBytes - headerBytes;
  if (Status status = checkCoverage(entries, dataBytes); !status)
    return Error{label + ": " + status.message()};

  SafetensorsFile result;
  result.label = label;
  result.meta = std::move(header->metadata);
  const unsigned char *data = base + lengthBytes + headerBytes;
  for (HeaderEntry &entry : entries) {
    result.byName.emplace(entry.name, result.views.size());
    result.views.push_back({std::move(entry.name), entry.dtype,
                            std::move(entry.shape), data + entry.begin,
                            static_cast<size_t>(entry.end - entry.begin)});
  }
  result.mapping = std::move(file);
  return result;
}

const TensorView *SafetensorsFile::find(const std::string &name) const {
  auto it = byName.find(name);
  return it == byName.end() ? nullptr : &views[it->second];
}

} // namespace tnrt
