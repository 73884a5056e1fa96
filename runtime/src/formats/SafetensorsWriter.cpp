// Writes safetensors files.
#include "tnrt/formats/Safetensors.h"
#include "tnrt/formats/Text.h"

#include <nlohmann/json.hpp>

#include <unordered_set>

namespace tnrt {

namespace {

// Data offset of each tensor, and the end of the last.
Result<std::vector<size_t>>
dataOffsets(const std::vector<TensorSpec> &tensors) {
  std::vector<size_t> begins;
  int64_t cursor = 0;
  for (const TensorSpec &tensor : tensors) {
    begins.push_back(static_cast<size_t>(cursor));
    std::optional<int64_t> count = elementCount(tensor.shape);
    int64_t bytes = 0;
    if (!count ||
        __builtin_mul_overflow(*count, dtypeBytes(tensor.dtype), &bytes) ||
        __builtin_add_overflow(cursor, bytes, &cursor))
      return Error{"tensor " + quote(tensor.name) + ": shape " +
                   shapeText(tensor.shape) +
                   " is negative or too large to write"};
  }
  begins.push_back(static_cast<size_t>(cursor));
  return begins;
}

std::string jsonString(const std::string &text) {
  return nlohmann::json(text).dump(-1, ' ', false,
                                   nlohmann::json::error_handler_t::replace);
}

// Written by hand to keep the tensors' order, which a JSON object would not.
std::string headerJson(const std::vector<TensorSpec> &tensors,
                       const std::vector<size_t> &begins,
                       const std::map<std::string, std::string> &metadata) {
  std::string json = "{";
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    for (const auto &[key, value] : metadata)
      json += jsonString(key) + ":" + jsonString(value) + ",";
    json.back() = '}';
    json += ",";
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    json += jsonString(tensors[i].name) + ":{\"dtype\":\"" +
            dtypeName(tensors[i].dtype) + "\",\"shape\":[";
    for (size_t d = 0; d < tensors[i].shape.size(); ++d)
      json += (d ? "," : "") + std::to_string(tensors[i].shape[d]);
    json += "],\"data_offsets\":[" + std::to_string(begins[i]) + "," +
            std::to_string(begins[i + 1]) + "]},";
  }
  if (json.back() == ',')
    json.pop_back();
  return json + "}";
}

} // namespace

Result<std::string>
safetensorsHeader(const std::vector<TensorSpec> &tensors,
                  const std::map<std::string, std::string> &metadata) {
  Result<std::vector<size_t>> begins = dataOffsets(tensors);
  if (!begins)
    return begins.takeError();
  std::unordered_set<std::string> names;
  for (const TensorSpec &tensor : tensors)
    if (!names.insert(tensor.name).second || tensor.name == "__metadata__")
      return Error{"tensor " + quote(tensor.name) +
                   ": the name is taken, expected different names"};
  std::string json = headerJson(tensors, *begins, metadata);
  json.resize((8 + json.size() + 63) / 64 * 64 - 8, ' ');
  std::string header(8, '\0');
  for (int i = 0; i < 8; ++i)
    header[i] =
        static_cast<char>(static_cast<uint64_t>(json.size()) >> (8 * i));
  return header + json;
}

Result<SafetensorsWriter>
SafetensorsWriter::create(const std::string &path,
                          std::vector<TensorSpec> tensors,
                          const std::map<std::string, std::string> &metadata) {
  Result<std::string> header = safetensorsHeader(tensors, metadata);
  if (!header)
    return Error{path + ": " + header.message()};
  Result<std::vector<size_t>> begins = dataOffsets(tensors);
  if (!begins)
    return begins.takeError();
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return file.takeError();
  SafetensorsWriter writer(std::move(*file));
  writer.tensors = std::move(tensors);
  writer.begins = std::move(*begins);
  writer.headerBytes = header->size();
  if (Status status =
          writer.file.reserve(header->size() + writer.begins.back());
      !status)
    return status.takeError();
  if (Status status = writer.file.writeAt(0, header->data(), header->size());
      !status)
    return status.takeError();
  return writer;
}

Status SafetensorsWriter::write(const void *data, size_t bytes) {
  if (bytes > begins.back() - cursor)
    return Error{file.path() + ": more data than the tensors hold"};
  Status status = file.writeAt(headerBytes + cursor, data, bytes);
  cursor += bytes;
  written += bytes;
  return status;
}

Status SafetensorsWriter::writeAt(size_t index, size_t byteOffset,
                                  const void *data, size_t bytes) {
  if (index >= tensors.size())
    return Error{file.path() + ": there is no tensor number " +
                 std::to_string(index)};
  const size_t size = begins[index + 1] - begins[index];
  if (byteOffset > size || bytes > size - byteOffset)
    return Error{file.path() + ": data leave tensor " +
                 quote(tensors[index].name)};
  written += bytes;
  return file.writeAt(headerBytes + begins[index] + byteOffset, data, bytes);
}

Status SafetensorsWriter::commit() {
  if (written != begins.back())
    return Error{file.path() + ": " + std::to_string(written) +
                 " bytes of data were written, expected " +
                 std::to_string(begins.back())};
  return file.commit();
}

} // namespace tnrt
