// Both tokenizers, and the commands that show them.
#include "Tokenizer.h"

#include "AppTest.h"
#include "Files.h"
#include "TextStream.h"

namespace tnrt::test {
namespace {

const char *kModelPath = TNLLM_APP_INPUTS "/tokenizer.model";
const char *kTexts[] = {
    "Hello world", "na\xC3\xAFve \xE2\x82\xAC 5 \xF0\x9F\x98\x80\n\ttabs",
    "a  b   c",    " leading",
    "trailing ",   "x"};

std::unique_ptr<Tokenizer> loadModel() {
  auto tokenizer = loadSentencePiece(kModelPath, 512);
  if (!tokenizer) {
    ADD_FAILURE() << tokenizer.message();
    return nullptr;
  }
  return std::move(*tokenizer);
}

TEST(ByteTokenizerTest, RoundTrip) {
  auto tokenizer = createByteTokenizer(256);
  for (std::string text : kTexts) {
    auto ids = tokenizer->encode(text);
    ASSERT_TRUE(ids) << ids.message();
    EXPECT_EQ(ids->size(), text.size());
    EXPECT_EQ(tokenizer->decode(*ids), text);
  }
}

TEST(ByteTokenizerTest, SmallVocabulary) {
  auto ids = createByteTokenizer(128)->encode("ab\xC3\xA4");
  ASSERT_FALSE(ids);
  EXPECT_NE(ids.message().find("byte 195 at offset 2"), std::string::npos)
      << ids.message();
}

TEST(ByteTokenizerTest, RefusesWhatIsNotUtf8) {
  auto ids = createByteTokenizer(256)->encode("ab\xFFz");
  ASSERT_FALSE(ids);
  EXPECT_NE(ids.message().find("offset 2"), std::string::npos) << ids.message();
}

TEST(SentencePieceTest, RoundTrip) {
  auto tokenizer = loadModel();
  ASSERT_TRUE(tokenizer);
  for (std::string text : kTexts) {
    auto ids = tokenizer->encode(text);
    ASSERT_TRUE(ids) << ids.message();
    EXPECT_EQ(tokenizer->decode(*ids), text);
  }
}

// Tables of normalisation: real ones are sound and used; with any one word of the
// array leading astray they are refused before the library walks them.
TEST(SentencePieceTest, NormalisationTables) {
  std::string model;
  {
    auto bytes = readInput(TNLLM_NFKC_MODEL);
    ASSERT_TRUE(bytes) << bytes.message();
    model = std::move(*bytes);
  }
  auto tokenizer = parseSentencePiece(model, "model", 1000);
  ASSERT_TRUE(tokenizer) << tokenizer.message();
  auto wide = (*tokenizer)->encode("\xEF\xBD\x81"); // a, full width
  auto plain = (*tokenizer)->encode("a");
  ASSERT_TRUE(wide && plain);
  EXPECT_EQ(*wide, *plain);

  // The table begins with the size of its array, and the array with its root, whose
  // offset is moved far beyond the end.
  size_t at = model.find("nmt_nfkc") + std::string("nmt_nfkc").size();
  ASSERT_LT(at, model.size());
  at += 1;                                           // the field's tag
  while (static_cast<unsigned char>(model[at]) >= 0x80)
    ++at;                                            // its length
  at += 1 + sizeof(uint32_t);
  std::string astray = model;
  astray.replace(at, 4, std::string("\0\0\0\x7F", 4));
  EXPECT_FALSE(parseSentencePiece(astray, "model", 1000));
}

// Ids that the Python package gives for this model.
TEST(SentencePieceTest, KnownIds) {
  auto ids = loadModel()->encode("Hello w\xC3\xB6rld \xF0\x9F\x98\x80\n  x");
  ASSERT_TRUE(ids);
  EXPECT_EQ(*ids,
            (std::vector<int32_t>{394, 291, 367, 268, 198, 185, 435, 439, 437,
                                  427, 243, 162, 155, 131, 13, 427, 427, 464}));
}

TEST(SentencePieceTest, StreamingAgreesWithWholeDecoding) {
  auto tokenizer = loadModel();
  for (std::string text : kTexts) {
    auto ids = tokenizer->encode(text);
    ASSERT_TRUE(ids);
    TextStream stream(*tokenizer, {}, /*startsText=*/true);
    std::string all;
    for (int32_t id : *ids) {
      std::string part;
      stream.push(id, part);
      EXPECT_EQ(findInvalidUtf8(part), std::string_view::npos);
      all += part;
    }
    stream.flush(all, false);
    EXPECT_EQ(all, text);
  }
}

TEST(SentencePieceTest, ContinuationKeepsItsSpace) {
  auto tokenizer = loadModel();
  auto ids = tokenizer->encode("world");
  TextStream stream(*tokenizer, {}, /*startsText=*/false);
  std::string out;
  for (int32_t id : *ids)
    stream.push(id, out);
  EXPECT_EQ(out, " world");
}

TEST(SentencePieceTest, ControlTokensHaveNoText) {
  auto tokenizer = loadModel();
  EXPECT_EQ(tokenizer->pieceBytes(1), "");   // <s>
  EXPECT_EQ(tokenizer->pieceBytes(2), "");   // </s>
  EXPECT_EQ(tokenizer->pieceBytes(512), ""); // past the end
  EXPECT_EQ(tokenizer->pieceBytes(-1), "");
  EXPECT_EQ(tokenizer->decode({1, 100000}), "");
}

TEST(SentencePieceTest, VocabularySmallerThanTheTokenizer) {
  auto tokenizer = loadSentencePiece(kModelPath, 100);
  ASSERT_TRUE(tokenizer);
  auto ids = (*tokenizer)->encode("Hello");
  ASSERT_FALSE(ids);
  EXPECT_NE(ids.message().find("[0, 100)"), std::string::npos) << ids.message();
}

TEST(SentencePieceTest, RefusesOtherFiles) {
  for (std::string bytes :
       {std::string(), std::string("not a model"), std::string(1000, '\xFF'),
        std::string("\x0A\x7F", 2)}) {
    auto tokenizer = parseSentencePiece(bytes, "some.model", 512);
    ASSERT_FALSE(tokenizer);
    EXPECT_NE(tokenizer.message().find("some.model"), std::string::npos);
  }
  auto missing = loadSentencePiece("/nonexistent/tokenizer.model", 512);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.message().find("/nonexistent/tokenizer.model"),
            std::string::npos);
}

class TokenizeCommandTest : public AppTest {
protected:
  void useSentencePiece() {
    fake::Config config;
    config.vocabulary = 512;
    config.tokenizer = std::string(R"({"kind": "sentencepiece", "path": ")") +
                       kModelPath + "\"}";
    use(config);
  }
};

TEST_F(TokenizeCommandTest, Bytes) {
  EXPECT_EQ(run({"tokenize", "Hi\xC3\xA4"}).out, "72 105 195 164\n");
  EXPECT_EQ(run({"tokenize", "Hi", "--json"}).out, "[72,105]\n");
  EXPECT_EQ(run({"tokenize", "H\n", "--pieces"}).out,
            "72\t\"H\"\n10\t\"\\n\"\n");
  EXPECT_EQ(run({"tokenize", "--file", write("text", "Hi")}).out, "72 105\n");
  EXPECT_EQ(run({"tokenize", ""}).out, "\n");
  EXPECT_EQ(run({"tokenize", "[a,b]"}).out, "91 97 44 98 93\n");
  EXPECT_EQ(run({"tokenize", "{}"}).out, "123 125\n");
  EXPECT_EQ(run({"detokenize", "72", "105"}).out, "Hi\n");
  EXPECT_EQ(run({"detokenize", "[72, 105]"}).out, "Hi\n");
  EXPECT_EQ(run({"detokenize", "72,195"}).out, "H\xEF\xBF\xBD\n");
}

TEST_F(TokenizeCommandTest, SentencePiece) {
  useSentencePiece();
  Outcome ids = run({"tokenize", "Hello world"});
  EXPECT_EQ(ids.code, 0) << ids.err;
  EXPECT_EQ(run({"detokenize", ids.out}).out, "Hello world\n");
}

TEST_F(TokenizeCommandTest, BosIsAddedAndDropped) {
  use({}, R"("add_bos_token": false)", R"("add_bos_token": true)");
  EXPECT_EQ(run({"tokenize", "A"}).out, "1 65\n");
  EXPECT_EQ(run({"detokenize", "1", "65"}).out, "A\n");
}

TEST_F(TokenizeCommandTest, Errors) {
  expectBadInput({"tokenize", "a\xFF"}, {"UTF-8", "offset 1"});
  expectBadInput({"tokenize", "--file", path("none")}, {path("none")});
  expectBadInput({"tokenize", "--file", folder.string()}, {"directory"});
  expectBadInput({"tokenize", "--file", write("bad", "a\xFF")},
                 {path("bad") + ": expected text in UTF-8"});
  expectBadInput({"tokenize", "text", "--file", path("bad")}, {"found both"});
  expectBadInput({"detokenize", "12x"}, {"12x", "token id"});
  expectBadInput({"detokenize", "256"}, {"256", "[0, 256)"});
  expectBadInput({"detokenize", "99999999999999999999999"},
                 {"expected an integer"});
  useSentencePiece();
  expectBadInput({"tokenize", "a\xFF"}, {"UTF-8", "offset 1"});
  fake::Config config;
  config.tokenizer = R"({"kind": "sentencepiece", "path": "/nonexistent"})";
  use(config);
  expectBadInput({"tokenize", "a"}, {"/nonexistent"});
}

} // namespace
} // namespace tnrt::test
