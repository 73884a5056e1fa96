// The safetensors reader against files that are right, odd, and hostile.
#include "tnrt/formats/Safetensors.h"

#include "TestFiles.h"

#include <cstring>

using namespace tnrt;
using namespace tnrt::test;

namespace {

class SafetensorsTest : public ::testing::Test {
protected:
  // The error of a file with this content; empty when it opens.
  std::string errorOf(const std::string &content) {
    writeFile(dir.path("f"), content);
    Result<SafetensorsFile> file = SafetensorsFile::open(dir.path("f"));
    if (file)
      return "";
    EXPECT_EQ(file.message().rfind(dir.path("f") + ": ", 0), 0u)
        << file.message();
    EXPECT_EQ(file.message().find('\n'), std::string::npos);
    return file.message().substr(dir.path("f").size() + 2);
  }
  std::string errorOf(const std::string &json, size_t dataBytes) {
    return errorOf(rawSafetensors(json, std::string(dataBytes, 'd')));
  }

  TempDir dir;
};

TEST_F(SafetensorsTest, ReadsWhatTheWriterWrites) {
  const std::string path = dir.path("w.safetensors");
  Result<SafetensorsWriter> writer =
      SafetensorsWriter::create(path,
                                {{"b \"q\"\n", DType::BF16, {3}},
                                 {"scalar", DType::I64, {}},
                                 {"none", DType::F32, {0, 5}},
                                 {"a", DType::F32, {2, 2}}},
                                {{"format", "pt"}});
  ASSERT_TRUE(writer) << writer.message();
  const uint16_t b[3] = {1, 2, 3};
  const int64_t scalar = -5;
  const float a[4] = {1, 2, 3, 4};
  ASSERT_TRUE(writer->writeAt(3, 8, a + 2, 8));
  ASSERT_TRUE(writer->write(b, 6));
  ASSERT_TRUE(writer->write(&scalar, 8));
  EXPECT_FALSE(writer->commit()) << "8 bytes are missing";
  EXPECT_FALSE(writer->writeAt(3, 12, a, 8));
  EXPECT_FALSE(writer->writeAt(4, 0, a, 4));
  ASSERT_TRUE(writer->writeAt(3, 0, a, 8));
  ASSERT_TRUE(writer->commit());

  Result<SafetensorsFile> file = SafetensorsFile::open(path);
  ASSERT_TRUE(file) << file.message();
  EXPECT_EQ(file->tensors().size(), 4u);
  EXPECT_EQ(file->metadata().at("format"), "pt");
  EXPECT_EQ(file->find("x"), nullptr);
  const TensorView *view = file->find("b \"q\"\n");
  ASSERT_NE(view, nullptr);
  EXPECT_EQ(view->dtype, DType::BF16);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(view->data) % 64, 0u);
  EXPECT_EQ(std::memcmp(view->data, b, 6), 0);
  view = file->find("scalar"); // unaligned, and without dimensions
  ASSERT_NE(view, nullptr);
  EXPECT_TRUE(view->shape.empty());
  EXPECT_EQ(std::memcmp(view->data, &scalar, 8), 0);
  view = file->find("a");
  ASSERT_NE(view, nullptr);
  EXPECT_EQ(view->shape, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(std::memcmp(view->data, a, 16), 0);
  EXPECT_EQ(file->find("none")->bytes, 0u);
}

TEST_F(SafetensorsTest, WriterRefusesBadSpecs) {
  const std::string path = dir.path("w");
  EXPECT_FALSE(SafetensorsWriter::create(
      path, {{"a", DType::F32, {1}}, {"a", DType::F32, {1}}}));
  EXPECT_FALSE(SafetensorsWriter::create(path, {{"a", DType::F32, {-1}}}));
  EXPECT_FALSE(
      SafetensorsWriter::create(path, {{"a", DType::F32, {1LL << 62, 8}}}));
  EXPECT_FALSE(
      SafetensorsWriter::create("/dev/full", {{"a", DType::F32, {1}}}));
  // More than any disk: refused before a byte is computed.
  EXPECT_FALSE(
      SafetensorsWriter::create(path, {{"a", DType::F32, {1LL << 60}}}));
  EXPECT_EQ(dir.fileCount(), 0u);
}

TEST_F(SafetensorsTest, ReadsUnalignedHeaders) {
  const std::string one =
      R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  for (int pad = 0; pad < 8; ++pad)
    EXPECT_EQ(errorOf(one + std::string(pad, ' '), 4), "");
  EXPECT_EQ(errorOf("{}", 0), "");
  EXPECT_EQ(errorOf(R"({"__metadata__":{"a":"b"}})", 0), "");
}

TEST_F(SafetensorsTest, TruncatedAtEveryByte) {
  const std::string whole =
      rawSafetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                     R"("b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}})",
                     "01234567abc");
  ASSERT_EQ(errorOf(whole), "");
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(errorOf(whole.substr(0, size)), "") << size;
  EXPECT_NE(errorOf(whole + "x"), "");
}

TEST_F(SafetensorsTest, EveryByteChangedNeverCrashes) {
  const std::string whole = rawSafetensors(
      R"({"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
      R"("__metadata__":{"k":"v"},"b":{"dtype":"U8","shape":[],"data_offsets":[8,9]}})",
      "012345678");
  for (size_t at = 0; at < whole.size() - 9; ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 1 << bit);
      errorOf(changed);
    }
}

TEST_F(SafetensorsTest, SaysWhatIsWrong) {
  auto one = [](const std::string &entry) { return "{\"x\":{" + entry + "}}"; };
  EXPECT_TRUE(contains(errorOf("abc"), "has 3 bytes, expected at least 8"));
  EXPECT_TRUE(
      contains(errorOf(std::string(8, '\xff')), "expected at most 100000000"));
  EXPECT_TRUE(
      contains(errorOf(std::string("\x10\0\0\0\0\0\0\0{}", 10)), "truncated"));
  EXPECT_TRUE(contains(errorOf("[]", 0), "does not begin with '{'"));
  EXPECT_TRUE(contains(errorOf("{\"x\":", 0), "not valid JSON"));
  EXPECT_TRUE(contains(errorOf("{} {}", 0), "not valid JSON"));
  EXPECT_TRUE(contains(errorOf("{\"\xff\":1}", 0), "not valid JSON"));
  EXPECT_TRUE(contains(errorOf("{\"x\":1}", 0),
                       "'x': is the number 1, expected an object"));
  EXPECT_TRUE(contains(errorOf("{\"__metadata__\":{\"a\":1}}", 0),
                       "expected a string"));
  EXPECT_TRUE(contains(errorOf(one(R"("dtype":"F32","shape":[1])"), 4),
                       "tensor 'x': has no data_offsets"));
  EXPECT_TRUE(contains(
      errorOf(one(R"("dtype":"F99","shape":[1],"data_offsets":[0,4])"), 4),
      "unknown dtype 'F99'"));
  EXPECT_TRUE(contains(
      errorOf(one(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), 4),
      "negative dimension -1"));
  EXPECT_TRUE(contains(
      errorOf(one(R"("dtype":"F32","shape":[1.5],"data_offsets":[0,4])"), 4),
      "expected integers"));
  EXPECT_TRUE(contains(
      errorOf(one(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), 4),
      "data_offsets [0, 4) hold 4 bytes, but shape [2] of F32 needs 8"));
  EXPECT_TRUE(contains(
      errorOf(
          one(R"("dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0])"),
          0),
      "overflows"));
  EXPECT_TRUE(contains(
      errorOf(
          one(R"("dtype":"F32","shape":[4611686018427387904,4,0],"data_offsets":[0,0])"),
          0),
      "overflows"));
  EXPECT_TRUE(contains(
      errorOf(
          one(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,0])"),
          0),
      "too large"));
  EXPECT_TRUE(contains(
      errorOf(one(R"("dtype":"F32","shape":[1],"data_offsets":[8,4])"), 4),
      "end before they begin"));
  EXPECT_TRUE(contains(
      errorOf(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,8])"), 4),
      "more than 2"));
  EXPECT_TRUE(contains(
      errorOf(one(R"("dtype":"F32","shape":[1],"data_offsets":[4])"), 4),
      "has 1 numbers, expected 2"));
  EXPECT_TRUE(contains(
      errorOf(
          one(R"("dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4])"),
          4),
      "twice"));
  EXPECT_TRUE(contains(
      errorOf(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1)"),
              4),
      "unknown key 'more'"));
  EXPECT_TRUE(contains(
      errorOf(one(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"), 8),
      "leaves a hole after byte 0"));
  EXPECT_TRUE(contains(
      errorOf(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"), 3),
      "leave the file, which holds 3 bytes"));
  EXPECT_TRUE(contains(
      errorOf(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"), 5),
      "the tensors end at data byte 4"));
}

TEST_F(SafetensorsTest, RefusesOverlapsHolesAndDuplicates) {
  auto two = [](const std::string &second, const std::string &offsets) {
    return R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},")" +
           second + R"(":{"dtype":"F32","shape":[2],"data_offsets":)" +
           offsets + "}}";
  };
  EXPECT_EQ(errorOf(two("b", "[8,16]"), 16), "");
  EXPECT_TRUE(contains(errorOf(two("b", "[4,12]"), 12), "overlap tensor 'a'"));
  EXPECT_TRUE(contains(errorOf(two("b", "[0,8]"), 8), "overlap"));
  EXPECT_TRUE(contains(errorOf(two("b", "[12,20]"), 20), "hole after byte 8"));
  EXPECT_TRUE(contains(errorOf(two("a", "[8,16]"), 16),
                       "'a' stands in the header twice"));
}

TEST_F(SafetensorsTest, DeepNestingIsRefusedAtOnce) {
  EXPECT_NE(errorOf("{\"x\":" + std::string(2000000, '['), 0), "");
  EXPECT_NE(errorOf("{\"x\":{\"shape\":" + std::string(2000000, '['), 0), "");
}

TEST_F(SafetensorsTest, MessagesStayOneReadableLine) {
  const std::string name(100000, 'n');
  std::string error = errorOf("{\"\\n" + name + "\":1}", 0);
  EXPECT_TRUE(contains(error, "\\x0a"));
  EXPECT_LT(error.size(), 400u);
}

TEST_F(SafetensorsTest, OpensOnlyRegularFiles) {
  EXPECT_TRUE(
      contains(SafetensorsFile::open(dir.path()).message(), "is a directory"));
  EXPECT_TRUE(contains(SafetensorsFile::open(dir.path("no")).message(),
                       "No such file"));
  EXPECT_TRUE(
      contains(SafetensorsFile::open("/dev/null").message(), "not a regular"));
}

} // namespace
