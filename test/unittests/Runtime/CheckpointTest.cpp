// Checkpoints: single files, folders and shards.
#include "TestFiles.h"

#include <set>

using namespace tnrt;
using namespace tnrt::test;

namespace {

class CheckpointTest : public ::testing::Test {
protected:
  void SetUp() override {
    writeTensors(dir.path("s1.safetensors"),
                 {{"a", {1}, {1}}, {"extra", {1}, {9}}});
    writeTensors(dir.path("s2.safetensors"), {{"b", {2}, {2, 3}}});
  }
  std::string errorOfIndex(const std::string &index) {
    writeFile(dir.path("model.safetensors.index.json"), index);
    Result<Checkpoint> checkpoint = Checkpoint::open(dir.path());
    return checkpoint ? "" : checkpoint.message();
  }

  TempDir dir;
};

TEST_F(CheckpointTest, Shards) {
  writeFile(dir.path("model.safetensors.index.json"),
            R"({"metadata": {"total_size": 12, "x": {"y": [[1]]}},
                "weight_map": {"a": "s1.safetensors", "b": "s2.safetensors"}})");
  for (const char *name : {"", "model.safetensors.index.json"}) {
    Result<Checkpoint> checkpoint = Checkpoint::open(dir.path(name));
    ASSERT_TRUE(checkpoint) << checkpoint.message();
    EXPECT_EQ(checkpoint->tensors().size(), 2u);
    ASSERT_NE(checkpoint->find("b"), nullptr);
    EXPECT_EQ(reinterpret_cast<const float *>(checkpoint->find("b")->data)[1],
              3);
    EXPECT_EQ(checkpoint->find("extra"), nullptr)
        << "the index does not name it";
    std::set<std::string> files;
    for (const std::string &file : checkpoint->files())
      files.insert(file.substr(file.rfind('/') + 1));
    EXPECT_EQ(files,
              (std::set<std::string>{"model.safetensors.index.json",
                                     "s1.safetensors", "s2.safetensors"}));
  }
}

TEST_F(CheckpointTest, SingleFileComesFirst) {
  writeTensors(dir.path("model.safetensors"), {{"c", {1}, {1}}});
  writeFile(dir.path("model.safetensors.index.json"), "nonsense");
  for (const char *name : {"", "model.safetensors"}) {
    Result<Checkpoint> checkpoint = Checkpoint::open(dir.path(name));
    ASSERT_TRUE(checkpoint) << checkpoint.message();
    EXPECT_NE(checkpoint->find("c"), nullptr);
    EXPECT_EQ(checkpoint->files().size(), 1u);
  }
}

TEST_F(CheckpointTest, IndexErrors) {
  EXPECT_TRUE(
      contains(Checkpoint::open(dir.path()).message(), "holds neither"));
  EXPECT_TRUE(contains(errorOfIndex("{"), "not valid JSON"));
  EXPECT_TRUE(
      contains(errorOfIndex("[]"), "expected an object"));
  EXPECT_TRUE(contains(errorOfIndex("{}"), "'weight_map'"));
  EXPECT_TRUE(contains(errorOfIndex(R"({"weight_map": 3})"), "'weight_map'"));
  EXPECT_TRUE(contains(errorOfIndex(R"({"weight_map": {"a": 3}})"),
                       "expected a file name"));
  for (const char *file : {"../s1.safetensors", "/etc/passwd", "..", "", "x/y",
                           "s1.safetensors\\u0000"})
    EXPECT_TRUE(contains(
        errorOfIndex(R"({"weight_map": {"a": ")" + std::string(file) + "\"}}"),
        "expected a file of the same folder"))
        << file;
  EXPECT_TRUE(
      contains(errorOfIndex(R"({"weight_map": {"a": "s9.safetensors"}})"),
               "s9.safetensors: cannot open: No such file"));
  std::string error = errorOfIndex(
      R"({"weight_map": {"a": "s2.safetensors", "b": "s2.safetensors", "q": "s1.safetensors"}})");
  EXPECT_TRUE(
      contains(error, "'a' in 's2.safetensors', 'q' in 's1.safetensors'"));
  EXPECT_TRUE(contains(
      errorOfIndex(
          R"({"weight_map": {"a": "s2.safetensors", "a": "s1.safetensors"}})"),
      "'a' twice"));
  EXPECT_NE(errorOfIndex("{\"weight_map\":" + std::string(1000000, '[')), "");
}

} // namespace
