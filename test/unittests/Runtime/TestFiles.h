// Files for tests: a folder that goes away, and safetensors from hand-written
// headers.
#ifndef TNRT_TEST_TESTFILES_H
#define TNRT_TEST_TESTFILES_H

#include "tnrt/formats/Safetensors.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace tnrt::test {

class TempDir {
public:
  TempDir() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "tnrt-XXXXXX").string();
    root = ::mkdtemp(pattern.data());
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
  }
  std::string path(const std::string &name = "") const {
    return name.empty() ? root : root + "/" + name;
  }
  size_t fileCount() const {
    size_t count = 0;
    for ([[maybe_unused]] const auto &entry :
         std::filesystem::directory_iterator(root))
      ++count;
    return count;
  }

private:
  std::string root;
};

inline void writeFile(const std::string &path, const std::string &text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string readFile(const std::string &path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

// A file of this header and data, whatever they say.
inline std::string rawSafetensors(const std::string &json,
                                  const std::string &data) {
  std::string file(8, '\0');
  for (int i = 0; i < 8; ++i)
    file[i] = static_cast<char>(static_cast<uint64_t>(json.size()) >> (8 * i));
  return file + json + data;
}

struct NamedTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

inline void writeTensors(const std::string &path,
                         const std::vector<NamedTensor> &tensors) {
  std::vector<TensorSpec> specs;
  for (const NamedTensor &tensor : tensors)
    specs.push_back({tensor.name, DType::F32, tensor.shape});
  Result<SafetensorsWriter> writer = SafetensorsWriter::create(path, specs);
  ASSERT_TRUE(writer) << writer.message();
  for (const NamedTensor &tensor : tensors)
    ASSERT_TRUE(writer->write(tensor.values.data(), tensor.values.size() * 4));
  Status status = writer->commit();
  ASSERT_TRUE(status) << status.message();
}

inline ::testing::AssertionResult contains(const std::string &text,
                                           const std::string &part) {
  if (text.find(part) != std::string::npos)
    return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << "'" << text << "' lacks '" << part << "'";
}

} // namespace tnrt::test

#endif // TNRT_TEST_TESTFILES_H
