// A temporary folder to write specs and checkpoints into, and loading from it.
#ifndef TNLLM_UNITTESTS_SPEC_TESTSUPPORT_H
#define TNLLM_UNITTESTS_SPEC_TESTSUPPORT_H

#include "tnllm/Spec/LoadModel.h"
#include "tnrt/formats/Safetensors.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include "gtest/gtest.h"

namespace tnllm {

class SpecTest : public ::testing::Test {
protected:
  void SetUp() override {
    llvm::SmallString<128> made;
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("tnllm-spec", made));
    llvm::SmallString<128> real;
    ASSERT_FALSE(llvm::sys::fs::real_path(made, real));
    folder = std::string(real);
  }
  void TearDown() override { llvm::sys::fs::remove_directories(folder); }

  std::string write(const std::string &name, llvm::StringRef text) {
    std::string path = folder + "/" + name;
    std::error_code failure;
    llvm::raw_fd_ostream(path, failure) << text;
    EXPECT_FALSE(failure) << path;
    return path;
  }

  // A sentencepiece model of `count` pieces, each with a text, a score and a type.
  static std::string piecesFile(int count) {
    std::string bytes;
    for (int i = 0; i < count; ++i)
      bytes.append("\x0A\x0A\x0A\x01x\x15\0\0\0\0\x18\x01", 12);
    return bytes;
  }

  // The spec of a YAML text, weights aside; a failure ends up in the message.
  ModelSpec parse(llvm::StringRef yaml) {
    auto model = loadModel(write("spec.yaml", yaml), {/*useWeights=*/false});
    if (model)
      return model->spec;
    ADD_FAILURE() << llvm::toString(model.takeError());
    return ModelSpec();
  }

  // What loading says, or "" when it succeeds. The folder's name is left out.
  std::string errorOf(const std::string &path, bool useWeights = true) {
    auto model = loadModel(path, {useWeights});
    if (model)
      return "";
    std::string text = llvm::toString(model.takeError());
    for (size_t at; (at = text.find(folder + "/")) != std::string::npos;)
      text.erase(at, folder.size() + 1);
    return text;
  }
  std::string errorOfYaml(llvm::StringRef yaml) {
    return errorOf(write("spec.yaml", yaml), false);
  }
  std::string errorOfJson(llvm::StringRef json) {
    return errorOf(write("config.json", json), false);
  }

  using Tensors = std::vector<tnrt::TensorSpec>;
  static Tensors tensorsOf(const ModelSpec &spec,
                           tnrt::DType dtype = tnrt::DType::F32) {
    Tensors tensors;
    for (const Parameter &parameter : spec.parameters())
      tensors.push_back({parameter.tensor, dtype, parameter.shape});
    return tensors;
  }
  static void erase(Tensors &tensors, llvm::StringRef name) {
    size_t before = tensors.size();
    tensors.erase(std::remove_if(tensors.begin(), tensors.end(),
                                 [&](const tnrt::TensorSpec &t) {
                                   return t.name == name;
                                 }),
                  tensors.end());
    EXPECT_EQ(tensors.size() + 1, before) << name.str();
  }

  // A checkpoint of zeros.
  void writeCheckpoint(const std::string &name, const Tensors &tensors) {
    auto writer = tnrt::SafetensorsWriter::create(folder + "/" + name, tensors);
    ASSERT_TRUE(bool(writer)) << writer.message();
    for (const tnrt::TensorSpec &tensor : tensors) {
      std::string zeros(*tnrt::elementCount(tensor.shape) *
                            tnrt::dtypeBytes(tensor.dtype),
                        '\0');
      ASSERT_TRUE(bool(writer->write(zeros.data(), zeros.size())));
    }
    tnrt::Status done = writer->commit();
    ASSERT_TRUE(bool(done)) << done.message();
  }

  // Writes config.json and a checkpoint, and loads them.
  llvm::Expected<LoadedModel> loadWith(llvm::StringRef json,
                                       const Tensors &tensors) {
    write("config.json", json);
    writeCheckpoint("model.safetensors", tensors);
    return loadModel(folder);
  }

  std::string folder;
};

} // namespace tnllm

#endif // TNLLM_UNITTESTS_SPEC_TESTSUPPORT_H
