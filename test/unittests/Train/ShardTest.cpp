// Shards of tokens: written, read, refused; windows and their order.
#include "train/BatchLoader.h"
#include "train/Crc32c.h"
#include "train/LittleEndian.h"
#include "train/Permutation.h"
#include "train/TokenData.h"

#include "Runtime/TestFiles.h"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <set>

namespace tnrt::test {
namespace {

std::vector<int32_t> countTo(int32_t n) {
  std::vector<int32_t> tokens(static_cast<size_t>(n));
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

void writeShard(const std::string &path, int64_t vocabulary,
                const std::vector<std::vector<int32_t>> &documents,
                uint64_t tokenizer = 0) {
  auto writer = ShardWriter::create(path, vocabulary, tokenizer);
  ASSERT_TRUE(writer) << writer.message();
  for (const auto &document : documents)
    ASSERT_TRUE(writer->add(document));
  auto header = writer->commit();
  ASSERT_TRUE(header) << header.message();
}

std::string openMessage(const std::string &path) {
  auto shard = TokenShard::open(path);
  return shard ? std::string() : shard.message();
}

TEST(Shard, IsReadAsItWasWritten) {
  TempDir dir;
  for (int64_t vocabulary : {50000, 100000}) {
    const std::string path = dir.path("a.bin");
    std::vector<int32_t> all = countTo(50000);
    writeShard(path, vocabulary, {all, {7}, {}});
    auto shard = TokenShard::open(path);
    ASSERT_TRUE(shard) << shard.message();
    EXPECT_EQ(shard->header().tokens, 50001u);
    EXPECT_EQ(shard->header().documents, 3u);
    EXPECT_EQ(shard->header().tokenBytes, vocabulary <= 65536 ? 2u : 4u);
    EXPECT_EQ(std::filesystem::file_size(path),
              64 + 50001 * shard->header().tokenBytes);
    std::vector<int32_t> read(50001);
    ASSERT_TRUE(shard->read(0, read.size(), vocabulary, read.data()));
    EXPECT_EQ(read.back(), 7);
    read.pop_back();
    EXPECT_EQ(read, all);
    int32_t few[3];
    ASSERT_TRUE(shard->read(40000, 3, vocabulary, few));
    EXPECT_EQ(few[2], 40002);
    EXPECT_TRUE(shard->verify(vocabulary));
  }
}

TEST(Shard, RefusesWhatIsNone) {
  TempDir dir;
  const std::string path = dir.path("a.bin");
  writeFile(path, "");
  EXPECT_EQ(openMessage(path), path + ": is empty, expected a shard of tokens");
  writeFile(path,
            "Once upon a time there was a text that is no shard at all...");
  EXPECT_TRUE(contains(openMessage(path), "is not a shard of tokens"));
  writeFile(path, "TNTOKENS");
  EXPECT_TRUE(contains(openMessage(path), "cut off within its header"));
  EXPECT_TRUE(contains(openMessage(dir.path("none")), "No such file"));
  EXPECT_TRUE(contains(openMessage(dir.path()), "is not a file"));
  EXPECT_TRUE(contains(openMessage("/dev/null"), "is not a file"));

  writeShard(path, 300, {countTo(300)});
  const std::string whole = readFile(path);
  writeFile(path, whole.substr(0, whole.size() - 1));
  EXPECT_EQ(openMessage(path), path + ": is cut off: it has 299 of 300 tokens");
  writeFile(path, whole + "x");
  EXPECT_EQ(openMessage(path),
            path + ": has 665 bytes, expected 664 for 300 tokens");
  std::string damaged = whole;
  damaged[24] ^= 1; // the number of tokens
  writeFile(path, damaged);
  EXPECT_TRUE(contains(openMessage(path), "damaged header"));
}

// What a header says is checked even where its checksum is right.
TEST(Shard, RefusesHeadersThatCannotBe) {
  ShardHeader header;
  header.vocabulary = 300;
  header.tokens = 10;
  auto message = [](const ShardHeader &h, uint64_t size) {
    const std::string bytes = shardHeaderBytes(h);
    auto parsed = parseShardHeader(bytes.data(), bytes.size(), size);
    return parsed ? std::string() : parsed.message();
  };
  EXPECT_EQ(message(header, 84), "");
  ShardHeader bad = header;
  bad.tokenBytes = 3;
  EXPECT_TRUE(contains(message(bad, 84), "expected 2 or 4"));
  bad = header;
  bad.vocabulary = 70000;
  EXPECT_TRUE(contains(message(bad, 84), "vocabulary of 70000"));
  bad.vocabulary = 0;
  EXPECT_TRUE(contains(message(bad, 84), "vocabulary of 0"));
  bad = header;
  bad.tokens = UINT64_MAX;
  EXPECT_TRUE(contains(message(bad, 84), "is cut off"));
  std::string newer = shardHeaderBytes(header);
  newer[8] = 2;
  EXPECT_TRUE(contains(
      parseShardHeader(newer.data(), newer.size(), 84).message(), "version 2"));
}

TEST(Shard, FindsIdsThatTheModelLacks) {
  TempDir dir;
  const std::string path = dir.path("a.bin");
  writeShard(path, 300, {countTo(300)});
  auto shard = TokenShard::open(path);
  ASSERT_TRUE(shard);
  std::vector<int32_t> out(300);
  EXPECT_TRUE(shard->read(0, 256, 256, out.data()));
  EXPECT_EQ(shard->read(200, 100, 256, out.data()).message(),
            path + ": token 256 is 256, which the model does not have: "
                   "expected ids below 256");
  EXPECT_TRUE(contains(shard->verify(256).message(), "token 256 is 256"));
  // Past the header's word for it, in 4 bytes.
  writeShard(path, 70000, {{1, 2}});
  std::string bytes = readFile(path);
  bytes.replace(64 + 4, 4, "\xff\xff\xff\xff");
  writeFile(path, bytes);
  auto wide = TokenShard::open(path);
  ASSERT_TRUE(wide) << wide.message();
  EXPECT_TRUE(contains(wide->read(0, 2, 70000, out.data()).message(),
                       "token 1 is 4294967295"));
}

TEST(Shard, NoticesChangesBehindItsBack) {
  TempDir dir;
  const std::string path = dir.path("a.bin");
  writeShard(path, 300, {countTo(300)});
  auto shard = TokenShard::open(path);
  ASSERT_TRUE(shard);
  std::string bytes = readFile(path);
  bytes[70] ^= 1;
  writeFile(path, bytes);
  EXPECT_TRUE(contains(shard->verify(300).message(), "is damaged"));
  std::filesystem::resize_file(path, 164);
  std::vector<int32_t> out(300);
  EXPECT_TRUE(shard->read(0, 50, 300, out.data()));
  EXPECT_TRUE(
      contains(shard->read(0, 51, 300, out.data()).message(),
               "was cut short while it was in use: it ends at byte 164"));
}

TEST(Permutation, TakesEveryNumberOnce) {
  for (uint64_t size : {1, 2, 3, 5, 16, 17, 100, 1023, 1024, 4097}) {
    std::set<uint64_t> seen;
    KeyedPermutation order(size, 42);
    for (uint64_t i = 0; i < size; ++i) {
      EXPECT_LT(order(i), size);
      seen.insert(order(i));
    }
    EXPECT_EQ(seen.size(), size);
  }
}

// Neighbours go far apart, and another key is another order: of 4096 numbers at
// random about one stays, and two orders share about one.
TEST(Permutation, Shuffles) {
  constexpr uint64_t size = 4096;
  KeyedPermutation a(size, 1), b(size, 2);
  int stay = 0, same = 0, rises = 0;
  for (uint64_t i = 0; i < size; ++i) {
    stay += a(i) == i;
    same += a(i) == b(i);
    rises += i > 0 && a(i) > a(i - 1);
  }
  EXPECT_LT(stay, 10);
  EXPECT_LT(same, 10);
  EXPECT_NEAR(rises, size / 2.0, 150);
}

TEST(TokenData, CutsWindowsOutOfShards) {
  TempDir dir;
  writeShard(dir.path("b.bin"), 256, {countTo(21)}); // 2 windows of 10
  writeShard(dir.path("a.bin"), 256, {countTo(10)}); // a token too few
  writeShard(dir.path("c.bin"), 256, {countTo(11)}); // 1
  auto data = TokenData::open({dir.path()}, 10, 256);
  ASSERT_TRUE(data) << data.message();
  ASSERT_EQ(data->shards().size(), 3u);
  EXPECT_EQ(data->identity()[0].name, "a.bin"); // in the order of names
  EXPECT_EQ(data->windows(), 3);
  EXPECT_EQ(data->tokens(), 42u);
  std::vector<int32_t> window(11);
  const int32_t first[] = {0, 10, 0};
  for (int64_t w = 0; w < 3; ++w) {
    ASSERT_TRUE(data->read(w, window.data()));
    EXPECT_EQ(window.front(), first[w]);
    EXPECT_EQ(window.back(), first[w] + 10); // the label of the last input
  }
}

TEST(TokenData, FindsFilesByPattern) {
  TempDir dir;
  for (const char *name : {"x1.bin", "x2.bin", "y[1].bin"})
    writeShard(dir.path(name), 256, {countTo(20)});
  auto count = [&](const std::string &pattern) {
    auto data = TokenData::open({dir.path(pattern)}, 5, 256);
    return data ? static_cast<int>(data->shards().size()) : -1;
  };
  EXPECT_EQ(count("x*.bin"), 2);
  EXPECT_EQ(count("x1.bin"), 1);
  EXPECT_EQ(count("y[1].bin"), 1); // a name that looks like a pattern
  EXPECT_EQ(count("z*"), -1);
  auto none = TokenData::open({dir.path("z*")}, 5, 256);
  EXPECT_TRUE(contains(none.message(), "no shards at " + dir.path("z*")));
}

TEST(TokenData, RefusesShardsOfOtherModels) {
  TempDir dir;
  writeShard(dir.path("a.bin"), 300, {countTo(300)});
  auto data = TokenData::open({dir.path()}, 10, 256);
  ASSERT_FALSE(data);
  EXPECT_EQ(data.message(), dir.path("a.bin") +
                                ": has ids below 300, the model has 256: it "
                                "was made for another model");
  writeShard(dir.path("a.bin"), 200, {countTo(100)}, 0xABC);
  writeShard(dir.path("b.bin"), 200, {countTo(100)}, 0);
  data = TokenData::open({dir.path()}, 10, 256);
  ASSERT_FALSE(data);
  EXPECT_TRUE(contains(data.message(), "b.bin: was made by tokenizer bytes"));
  EXPECT_TRUE(contains(data.message(), "a.bin by 0000000000000abc"));
  // What the model reads, where it says so.
  EXPECT_TRUE(TokenData::open({dir.path("a.bin")}, 10, 256, 0xABC));
  EXPECT_TRUE(TokenData::open({dir.path("b.bin")}, 10, 256, 0));
  data = TokenData::open({dir.path("a.bin")}, 10, 256, 0);
  ASSERT_FALSE(data);
  EXPECT_EQ(data.message(), dir.path("a.bin") +
                                ": was made by tokenizer 0000000000000abc, "
                                "the model's is bytes");
}

TEST(TokenData, EveryEpochTakesEveryWindowInAnotherOrder) {
  std::vector<std::vector<int64_t>> epochs(3);
  constexpr int64_t windows = 50;
  for (int64_t i = 0; i < 3 * windows; ++i)
    epochs[static_cast<size_t>(i / windows)].push_back(
        shuffledWindow(9, windows, i));
  for (std::vector<int64_t> epoch : epochs) {
    std::sort(epoch.begin(), epoch.end());
    for (int64_t i = 0; i < windows; ++i)
      EXPECT_EQ(epoch[static_cast<size_t>(i)], i);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
  EXPECT_NE(shuffledWindow(9, 1000003, 5), shuffledWindow(10, 1000003, 5));
}

TEST(BatchLoader, GivesAnyBatchAndReadsAhead) {
  TempDir dir;
  writeShard(dir.path("a.bin"), 256, {countTo(201)}); // 20 windows of 10
  auto data = TokenData::open({dir.path()}, 10, 256);
  ASSERT_TRUE(data);
  BatchLoader loader(*data, 3, 4), other(*data, 3, 4);
  // In order, with a jump, again, and across the end of the epoch.
  const std::pair<int64_t, int64_t> calls[] = {{0, 1}, {1, 5}, {5, 6},
                                               {0, 1}, {1, 2}, {7, 8}};
  for (auto [number, next] : calls) {
    auto batch = loader.get(number, next);
    ASSERT_TRUE(batch);
    // No reading ahead: what it asks for is never what comes next.
    auto expected = other.get(number, number + 1000);
    ASSERT_TRUE(expected);
    EXPECT_EQ((*batch)->inputs, (*expected)->inputs);
    for (size_t i = 0; i < 40; ++i)
      EXPECT_EQ((*batch)->labels[i], (*batch)->inputs[i] + 1);
    for (int64_t row = 0; row < 4; ++row)
      EXPECT_EQ((*batch)->inputs[static_cast<size_t>(row * 10)],
                10 * shuffledWindow(3, 20, number * 4 + row));
  }
}

TEST(BatchLoader, SaysWhatCannotBeRead) {
  TempDir dir;
  writeShard(dir.path("a.bin"), 256, {countTo(201)});
  auto data = TokenData::open({dir.path()}, 10, 256);
  ASSERT_TRUE(data);
  std::filesystem::resize_file(dir.path("a.bin"), 64);
  BatchLoader loader(*data, 3, 4);
  auto batch = loader.get(0, 1);
  ASSERT_FALSE(batch);
  EXPECT_TRUE(contains(batch.message(), "was cut short"));
}

} // namespace
} // namespace tnrt::test
