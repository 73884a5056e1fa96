// Streaming text: whole characters only, and nothing of a stop string.
#include "TextStream.h"
#include "StopMatcher.h"
#include "Utf8.h"

#include <gtest/gtest.h>

namespace tnrt {
namespace {

constexpr char kReplacement[] = "\xEF\xBF\xBD";

TEST(Utf8Test, FindsTheFirstBadByte) {
  EXPECT_EQ(findInvalidUtf8("plain \xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80"),
            std::string_view::npos);
  EXPECT_EQ(findInvalidUtf8(""), std::string_view::npos);
  for (const char *bad :
       {"ab\x80", "ab\xFF", "ab\xC0\x80", "ab\xC1\xBF", "ab\xE0\x80\x80",
        "ab\xED\xA0\x80", "ab\xF4\x90\x80\x80", "ab\xF0\x80\x80\x80", "ab\xC3",
        "ab\xE2\x82", "ab\xF5\x80"})
    EXPECT_EQ(findInvalidUtf8(bad), 2u) << bad;
}

// Every character of one to four bytes at the edges of its range, cut at every
// byte: the parts shown are whole characters and add up to the text.
TEST(Utf8Test, NeverShowsPartOfACharacter) {
  std::string text =
      "a\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"
      "\xF0\x90\x80\x80\xF4\x8F\xBF\xBFz";
  for (size_t cut = 0; cut <= text.size(); ++cut)
    for (size_t second = cut; second <= text.size(); ++second) {
      Utf8Filter filter;
      std::string all;
      for (std::string part :
           {text.substr(0, cut), text.substr(cut, second - cut),
            text.substr(second)}) {
        std::string shown;
        filter.push(part, shown);
        EXPECT_EQ(findInvalidUtf8(shown), std::string_view::npos);
        all += shown;
      }
      filter.flush(all);
      EXPECT_EQ(all, text) << cut << " " << second;
    }
}

TEST(Utf8Test, ReplacesWhatCannotBecomeACharacter) {
  Utf8Filter filter;
  std::string out;
  filter.push("a\xFF"
              "b\xE2\x82"
              "c",
              out);
  EXPECT_EQ(out, std::string("a") + kReplacement + "b" + kReplacement + "c");
  out.clear();
  filter.push("\xF0\x9F", out);
  EXPECT_EQ(out, "");
  filter.flush(out);
  EXPECT_EQ(out, kReplacement);
}

TEST(Utf8Test, EscapesForOneLine) {
  EXPECT_EQ(escapeForLine("a\n\t\"\\\x01\xC3\xA4"),
            "a\\n\\t\\\"\\\\\\x01\xC3\xA4");
}

std::string feed(StopMatcher &matcher, const std::vector<std::string> &parts,
                 bool &stopped) {
  std::string out;
  stopped = false;
  for (const std::string &part : parts)
    if (matcher.push(part, out)) {
      stopped = true;
      return out;
    }
  return out;
}

TEST(StopMatcherTest, FindsAStopAcrossEveryCut) {
  const std::string text = "one\nUser: two";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    StopMatcher matcher({"\nUser:"});
    bool stopped = false;
    EXPECT_EQ(feed(matcher, {text.substr(0, cut), text.substr(cut)}, stopped),
              "one");
    EXPECT_TRUE(stopped);
  }
  StopMatcher bytewise({"\nUser:"});
  std::vector<std::string> parts;
  for (char c : text)
    parts.emplace_back(1, c);
  bool stopped = false;
  EXPECT_EQ(feed(bytewise, parts, stopped), "one");
  EXPECT_TRUE(stopped);
}

TEST(StopMatcherTest, HoldsBackOnlyWhatMayStop) {
  StopMatcher matcher({"END", "EXIT"});
  std::string out;
  EXPECT_FALSE(matcher.push("the E", out));
  EXPECT_EQ(out, "the ");
  EXPECT_FALSE(matcher.push("N", out));
  EXPECT_EQ(out, "the ");
  EXPECT_FALSE(matcher.push("E", out)); // "ENE": E may begin another stop
  EXPECT_EQ(out, "the EN");
  matcher.flush(out);
  EXPECT_EQ(out, "the ENE");
}

TEST(StopMatcherTest, TheEarliestStopWins) {
  StopMatcher matcher({"late", "early"});
  bool stopped = false;
  EXPECT_EQ(feed(matcher, {"x early late"}, stopped), "x ");
  EXPECT_TRUE(stopped);
}

TEST(StopMatcherTest, SelfOverlappingStop) {
  StopMatcher matcher({"aab"});
  bool stopped = false;
  EXPECT_EQ(feed(matcher, {"a", "a", "a", "b"}, stopped), "a");
  EXPECT_TRUE(stopped);
}

TEST(StopMatcherTest, StopAcrossARestart) {
  StopMatcher first({"END"}), second({"END"});
  std::string out;
  first.push("x E", out);
  first.flush(out);
  EXPECT_EQ(out, "x E");
  second.restoreShown(first.heldBack());
  out.clear();
  EXPECT_FALSE(second.push("N", out));
  EXPECT_EQ(out, "");
  EXPECT_TRUE(second.push("D more", out));
  EXPECT_EQ(out, "");

  StopMatcher third({"END"});
  third.restoreShown("E");
  out.clear();
  EXPECT_FALSE(third.push("at", out));
  EXPECT_EQ(out, "at") << "what was shown is not shown twice";
}

TEST(StopMatcherTest, WithoutStopsAllIsShown) {
  StopMatcher matcher({"", ""});
  std::string out;
  EXPECT_FALSE(matcher.push("abc", out));
  EXPECT_EQ(out, "abc");
  EXPECT_EQ(matcher.heldBack(), "");
}

TEST(TextStreamTest, BytesBecomeCharacters) {
  auto tokenizer = createByteTokenizer(300);
  TextStream stream(*tokenizer, {}, false);
  std::string out;
  for (int32_t id : {0xE2, 0x82})
    stream.push(id, out);
  EXPECT_EQ(out, "");
  EXPECT_EQ(stream.partialBytes(), "\xE2\x82");
  stream.push(0xAC, out);
  EXPECT_EQ(out, "\xE2\x82\xAC");
  stream.push(0xF0, out);
  stream.flush(out, /*keepPartial=*/false);
  EXPECT_EQ(out, std::string("\xE2\x82\xAC") + kReplacement);
}

// Ids beyond the bytes show as numbers, also within an unfinished character.
TEST(TextStreamTest, NumbersOfIdsThatAreNoBytes) {
  auto tokenizer = createByteTokenizer(300);
  TextStream stream(*tokenizer, {}, false);
  std::string out;
  for (int32_t id : {int32_t('a'), 299, 256, 0xE2, 0x82, 257, int32_t('b')})
    stream.push(id, out);
  stream.flush(out, /*keepPartial=*/false);
  EXPECT_EQ(findInvalidUtf8(out), std::string::npos);
  EXPECT_EQ(out.rfind("a<299><256>" + std::string(kReplacement), 0), 0u) << out;
  EXPECT_EQ(out.substr(out.size() - 6), "<257>b");
  EXPECT_EQ(tokenizer->pieceBytes(300), "");
}

TEST(TextStreamTest, StopWithinCharactersOfSeveralTokens) {
  auto tokenizer = createByteTokenizer(256);
  TextStream stream(*tokenizer, {"\xE2\x82\xAC!"}, false);
  std::string out;
  bool stopped = false;
  for (unsigned char byte : std::string("a\xE2\x82\xAC!b")) {
    stopped = stream.push(byte, out);
    if (stopped)
      break;
  }
  EXPECT_TRUE(stopped);
  EXPECT_EQ(out, "a");
}

} // namespace
} // namespace tnrt
