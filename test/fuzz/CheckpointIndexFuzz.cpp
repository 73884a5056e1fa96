// The index of a sharded checkpoint, beside one shard with two tensors.
#include "InputFile.h"

#include "tnrt/formats/Safetensors.h"

#include <filesystem>

using namespace tnrt;

namespace {
// A folder whose index leads to the input; gone at exit.
class Folder {
public:
  Folder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "fuzz-index-XXXXXX").string();
    if (!::mkdtemp(pattern.data()))
      std::abort();
    root = pattern;
    Result<SafetensorsWriter> shard = SafetensorsWriter::create(
        root + "/a.safetensors", {{"x", DType::F32, {2}}, {"y", DType::U8, {3}}});
    const char zeros[11] = {};
    if (!shard || !shard->write(zeros, sizeof zeros) || !shard->commit())
      std::abort();
    std::filesystem::create_symlink(input.path(), index());
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
  }
  std::string index() const { return root + "/model.safetensors.index.json"; }

  tnllm::fuzz::InputFile input;

private:
  std::string root;
};
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static Folder folder;
  folder.input.set(data, size);
  Result<Checkpoint> parsed = Checkpoint::open(folder.index());
  if (!parsed)
    return 0;
  uint64_t total = 0;
  for (const TensorView &view : parsed->tensors())
    total += tnllm::fuzz::sum(view.data, view.bytes);
  tnllm::fuzz::use(total);
  return 0;
}
