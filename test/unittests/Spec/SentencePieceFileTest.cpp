// What counts as a sentencepiece model.
#include "../../../lib/Spec/SentencePieceFile.h"

#include "gtest/gtest.h"

using tnllm::spec::countSentencePieces;

namespace {

using namespace std::string_literals;

// "N pieces", or the reason why not.
std::string outcome(const std::string &bytes) {
  auto count = countSentencePieces(bytes);
  return count ? std::to_string(*count) + " pieces"
               : llvm::toString(count.takeError());
}

const std::string piece = "\x0A\x03\x0A\x01x"s;

TEST(SentencePieceFileTest, CountsPieces) {
  EXPECT_EQ(outcome(piece), "1 pieces");
  // A score, a type, and fields of the file itself: 2 (bytes), 3 (varint),
  // 16 (64 bits).
  EXPECT_EQ(outcome(piece + "\x0A\x0C\x15\0\0\x80\x3F\x18\x80\x01\x0A\x02yz"s +
                    "\x12\x02yz\x18\xFF\x7F\x81\x01\1\2\3\4\5\6\7\10"s + piece),
            "3 pieces");
}

TEST(SentencePieceFileTest, RefusesWhatHasNoPieces) {
  EXPECT_EQ(outcome(""), "the file is empty");
  EXPECT_EQ(outcome("\x12\x02xy"s), "it has no pieces");
}

TEST(SentencePieceFileTest, RefusesMalformedBytes) {
  for (const std::string &bad : {
           "\x0A\x03\x0A\x01"s,  // cut short
           "\x0A\x02\x0A\x01x"s, // the text leaves its piece
           "\x0A\x00"s,          // a piece without a text
           "\x0A\x02\x08\x01"s,  // the text is a number
           "\x08\x01"s,          // the piece is a number
           "\x02\x00"s,          // field 0
           "\x0B\x0C"s,          // a group
           "\x12"s,              // no size
           "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"s, // 77 bits
           "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02"s,     // 65 bits
           "\x12\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"s, // a size of 2^64-1
           "\x15\0\0\0"s,                                   // 3 of 4 bytes
       }) {
    EXPECT_EQ(outcome(bad), "malformed at byte 0");
    EXPECT_EQ(outcome(piece + bad), "malformed at byte 5");
  }
}

TEST(SentencePieceFileTest, EveryPrefixIsWholeOrRefused) {
  const std::string file = piece + piece + "\x12\x02xy"s;
  for (size_t size = 0; size < file.size(); ++size) {
    bool whole = size == 5 || size == 10;
    EXPECT_EQ(
        bool(
            llvm::StringRef(outcome(file.substr(0, size))).ends_with("pieces")),
        whole)
        << size;
  }
}

} // namespace
