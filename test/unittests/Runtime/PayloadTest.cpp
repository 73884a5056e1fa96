// Weights and tokenizer behind an executable.
#include "tnrt/formats/Payload.h"

#include "TestFiles.h"

#include <cstring>

using namespace tnrt;
using namespace tnrt::test;

namespace {

const std::string image = "\x7f"
                          "ELF, and so on";

std::vector<StoredParameter> asRows(const Checkpoint &checkpoint) {
  std::vector<StoredParameter> stored;
  for (const TensorView &view : checkpoint.tensors())
    stored.push_back({&view, view.dtype, {}});
  return stored;
}

class PayloadTest : public ::testing::Test {
protected:
  void SetUp() override { writeFile(dir.path("exe"), image); }
  Checkpoint makeCheckpoint() {
    const std::string path = dir.path("w.safetensors");
    // The narrow tensor first: behind it the wide one would stand unaligned.
    Result<SafetensorsWriter> writer = SafetensorsWriter::create(
        path, {{"narrow", DType::BF16, {3}}, {"wide", DType::F32, {2}}});
    const uint16_t narrow[3] = {1, 2, 3};
    const float wide[2] = {4, 5};
    EXPECT_TRUE(writer->write(narrow, 6) && writer->write(wide, 8) &&
                writer->commit());
    return std::move(*Checkpoint::open(path));
  }

  TempDir dir;
};

TEST_F(PayloadTest, RoundTrip) {
  Checkpoint checkpoint = makeCheckpoint();
  const std::vector<StoredParameter> stored = asRows(checkpoint);
  const std::string tokenizer("tok\0enizer", 10);
  ASSERT_TRUE(appendPayload(dir.path("exe"), &stored, &tokenizer));
  EXPECT_EQ(readFile(dir.path("exe")).substr(0, image.size()), image);
  Result<Payload> payload = readPayload(dir.path("exe"));
  ASSERT_TRUE(payload) << payload.message();
  ASSERT_TRUE(payload->tokenizer && payload->weights);
  EXPECT_EQ(*payload->tokenizer, tokenizer);
  const TensorView *wide = payload->weights->find("wide F32 [2] rows");
  ASSERT_NE(wide, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(wide->data) % 64, 0u);
  const float expected[2] = {4, 5};
  EXPECT_EQ(std::memcmp(wide->data, expected, 8), 0);
  EXPECT_EQ(payload->weights->find("narrow BF16 [3] rows")->data[2], 2);
  EXPECT_TRUE(
      contains(appendPayload(dir.path("exe"), &stored, nullptr).message(),
               "carries a payload already"));
}

TEST_F(PayloadTest, EachPartAlone) {
  Result<Payload> none = readPayload(dir.path("exe"));
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->weights || none->tokenizer);
  const std::string empty;
  ASSERT_TRUE(appendPayload(dir.path("exe"), nullptr, &empty));
  Result<Payload> payload = readPayload(dir.path("exe"));
  ASSERT_TRUE(payload) << payload.message();
  EXPECT_FALSE(payload->weights);
  ASSERT_TRUE(payload->tokenizer);
  EXPECT_EQ(*payload->tokenizer, "");
}

TEST_F(PayloadTest, DamageIsFound) {
  Checkpoint checkpoint = makeCheckpoint();
  const std::vector<StoredParameter> stored = asRows(checkpoint);
  ASSERT_TRUE(appendPayload(dir.path("exe"), &stored, nullptr));
  const std::string whole = readFile(dir.path("exe"));
  for (size_t at = 8; at < 56; ++at) {
    std::string changed = whole;
    changed[whole.size() - 64 + at] ^= 1;
    writeFile(dir.path("bad"), changed);
    EXPECT_FALSE(readPayload(dir.path("bad"))) << at;
  }
  // The image lost its middle: the footer's offsets leave the file.
  writeFile(dir.path("bad"), whole.substr(whole.size() - 100));
  EXPECT_TRUE(contains(readPayload(dir.path("bad")).message(), "truncated"));
  EXPECT_FALSE(readPayload(dir.path("no")));
  EXPECT_FALSE(appendPayload(dir.path("no"), &stored, nullptr));
}

} // namespace
