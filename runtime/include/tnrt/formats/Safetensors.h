// Reading and writing safetensors: an 8-byte little-endian header length, a
// JSON header {name: {dtype, shape, data_offsets}}, then the data. Everything a
// file says is checked before any of it is used, so that a hostile file gives
// one message and never a crash.
#ifndef TNRT_FORMATS_SAFETENSORS_H
#define TNRT_FORMATS_SAFETENSORS_H

#include "tnrt/Result.h"
#include "tnrt/formats/AtomicFile.h"
#include "tnrt/formats/DType.h"
#include "tnrt/formats/MappedFile.h"

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace tnrt {

// One tensor of a mapped file. `data` is row-major and may be unaligned; it
// lives as long as the file it comes from.
struct TensorView {
  std::string name;
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  const unsigned char *data = nullptr;
  size_t bytes = 0;
};

// One safetensors file, or a part of another file in the same format.
class SafetensorsFile {
public:
  // Maps and validates `path`. Errors name the file and the tensor: header
  // length against file size, JSON, duplicate names, dtypes, shapes, and data
  // offsets that leave the data, overlap, or leave a hole.
  static Result<SafetensorsFile> open(const std::string &path);

  // The same of `size` bytes at `offset` of a mapping; `label` names it in
  // errors.
  static Result<SafetensorsFile> parse(std::shared_ptr<const MappedFile> file,
                                       size_t offset, size_t size,
                                       const std::string &label);

  const std::string &path() const { return label; }
  // In the order of their data.
  const std::vector<TensorView> &tensors() const { return views; }
  // Null when there is none of that name.
  const TensorView *find(const std::string &name) const;
  const std::map<std::string, std::string> &metadata() const { return meta; }

private:
  std::string label;
  std::shared_ptr<const MappedFile> mapping;
  std::vector<TensorView> views;
  std::unordered_map<std::string, size_t> byName;
  std::map<std::string, std::string> meta;
};

// The weights of a model: one file, or the shards an index names.
class Checkpoint {
public:
  // `path`: a .safetensors file, an index (*.index.json), or a directory with
  // model.safetensors or model.safetensors.index.json. Errors: those of the
  // files; an index that names a file outside its directory, a shard that is
  // missing, or a tensor that is not in its shard (all are listed).
  static Result<Checkpoint> open(const std::string &path);
  static Checkpoint of(SafetensorsFile file);

  const std::string &path() const { return label; }
  // Paths of all files: the index, if there is one, and the tensors' files.
  std::vector<std::string> files() const;
  const std::vector<TensorView> &tensors() const { return views; }
  const TensorView *find(const std::string &name) const;

private:
  void add(const TensorView &view);

  std::string label;
  std::vector<SafetensorsFile> shards;
  std::vector<TensorView> views;
  std::unordered_map<std::string, size_t> byName;
};

// What a writer is told of a tensor before its data come.
struct TensorSpec {
  std::string name;
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
};

// Header of a file that holds `tensors` one after the other: the length and the
// JSON, padded so that the data start at a multiple of 64 bytes.
// Errors: a name twice, a negative dimension, sizes that overflow.
Result<std::string>
safetensorsHeader(const std::vector<TensorSpec> &tensors,
                  const std::map<std::string, std::string> &metadata = {});

// Streams tensors to a file that appears under its name only when complete.
class SafetensorsWriter {
public:
  // Writes the header and reserves the space, so that a full disk shows now and
  // not after the computation. Errors: as safetensorsHeader and AtomicFile.
  static Result<SafetensorsWriter>
  create(const std::string &path, std::vector<TensorSpec> tensors,
         const std::map<std::string, std::string> &metadata = {});

  // Appends data in the order of the tensors, in pieces of any size.
  Status write(const void *data, size_t bytes);
  // Writes a piece of tensor `index` at `byteOffset` of its data, in any order.
  Status writeAt(size_t index, size_t byteOffset, const void *data,
                 size_t bytes);
  // Checks that the number of bytes written is that of the tensors, and puts
  // the file in place. Without it the destructor removes what was written.
  Status commit();

private:
  SafetensorsWriter(AtomicFile file) : file(std::move(file)) {}

  AtomicFile file;
  std::vector<TensorSpec> tensors;
  std::vector<size_t> begins; // data offset of each tensor, and the end
  size_t headerBytes = 0;
  size_t cursor = 0;  // of write()
  size_t written = 0; // by both
};

} // namespace tnrt

#endif // TNRT_FORMATS_SAFETENSORS_H
