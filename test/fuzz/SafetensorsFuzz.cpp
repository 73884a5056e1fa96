// A safetensors file: what is accepted can be read to the last byte.
#include "InputFile.h"

#include "tnrt/formats/Safetensors.h"

using namespace tnrt;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static tnllm::fuzz::InputFile file;
  file.set(data, size);
  Result<SafetensorsFile> parsed = SafetensorsFile::open(file.path());
  if (!parsed)
    return 0;
  uint64_t total = 0;
  for (const TensorView &view : parsed->tensors()) {
    if (parsed->find(view.name) != &view ||
        elementCount(view.shape).value() * dtypeBytes(view.dtype) !=
            static_cast<int64_t>(view.bytes))
      std::abort();
    total += tnllm::fuzz::sum(view.data, view.bytes);
  }
  tnllm::fuzz::use(total);
  return 0;
}
