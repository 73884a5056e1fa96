// Files that appear whole or not at all.
#include "tnllm/Target/OutputFile.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <gtest/gtest.h>

using namespace tnllm;
namespace fs = llvm::sys::fs;

namespace {

class OutputFileTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(fs::createUniqueDirectory("tnllm-output", directory));
  }
  void TearDown() override { fs::remove_directories(directory); }

  std::string in(llvm::StringRef name) const {
    llvm::SmallString<128> path(directory);
    llvm::sys::path::append(path, name);
    return std::string(path);
  }
  static std::string read(const std::string &path) {
    auto file = llvm::MemoryBuffer::getFile(path);
    return file ? (*file)->getBuffer().str()
                : "<" + file.getError().message() + ">";
  }
  int entries() const {
    std::error_code code;
    int count = 0;
    for (fs::directory_iterator at(directory, code), end; at != end && !code;
         at.increment(code))
      ++count;
    return count;
  }
  static std::string message(llvm::Error error) {
    return llvm::toString(std::move(error));
  }

  llvm::SmallString<128> directory;
};

TEST_F(OutputFileTest, AppearsWhenKept) {
  auto file = OutputFile::create(in("a"));
  ASSERT_TRUE(bool(file));
  EXPECT_EQ(message(file->write("hello")), "");
  EXPECT_FALSE(fs::exists(in("a")));
  EXPECT_EQ(message(file->keep()), "");
  EXPECT_EQ(read(in("a")), "hello");
  EXPECT_EQ(entries(), 1);
}

TEST_F(OutputFileTest, VanishesUnlessKept) {
  ASSERT_EQ(message(writeOutput(in("a"), "old")), "");
  {
    auto file = OutputFile::create(in("a"));
    ASSERT_TRUE(bool(file));
    EXPECT_EQ(message(file->write("new")), "");
    OutputFile moved = std::move(*file);
    EXPECT_EQ(entries(), 2);
  }
  EXPECT_EQ(read(in("a")), "old");
  EXPECT_EQ(entries(), 1);
}

TEST_F(OutputFileTest, ReplacesAndSetsTheMode) {
  ASSERT_EQ(message(writeOutput(in("a"), "a longer old text")), "");
  auto file = OutputFile::create(in("a"));
  ASSERT_TRUE(bool(file));
  EXPECT_EQ(message(file->write("new")), "");
  EXPECT_EQ(message(file->keep(/*executable=*/true)), "");
  EXPECT_EQ(read(in("a")), "new");
  EXPECT_TRUE(fs::can_execute(in("a")));
}

TEST_F(OutputFileTest, FillsWhatIsNoFile) {
  EXPECT_EQ(message(writeOutput("/dev/null", "text")), "");
  EXPECT_EQ(message(writeOutput("/dev/full", "text")),
            "/dev/full: cannot write: No space left on device");
  EXPECT_TRUE(fs::exists("/dev/null"));
}

TEST_F(OutputFileTest, SaysWhyItCannotBeWritten) {
  EXPECT_EQ(message(writeOutput(in("no/a"), "")),
            in("no/a") + ": cannot write: No such file or directory");
  EXPECT_EQ(message(writeOutput(std::string(directory), "")),
            std::string(directory) +
                ": cannot write: is a directory, expected a file name");
  EXPECT_EQ(message(writeOutput(in("a\nb/c"), "")),
            in("a\\nb/c") + ": cannot write: No such file or directory");
}

TEST_F(OutputFileTest, WritesThroughALink) {
  ASSERT_EQ(message(writeOutput(in("real"), "old")), "");
  ASSERT_FALSE(fs::create_link("real", in("link")));
  EXPECT_EQ(message(writeOutput(in("link"), "new")), "");
  EXPECT_TRUE(fs::is_symlink_file(in("link")));
  EXPECT_EQ(read(in("real")), "new");
}

TEST_F(OutputFileTest, AppendsToItself) {
  auto file = OutputFile::create(in("a"));
  ASSERT_TRUE(bool(file));
  EXPECT_EQ(message(file->write("one ")), "");
  EXPECT_EQ(message(file->write("two")), "");
  EXPECT_EQ(message(file->keep()), "");
  EXPECT_EQ(read(in("a")), "one two");
}

TEST_F(OutputFileTest, KeepsTheModeOfWhatItReplaces) {
  ASSERT_EQ(message(writeOutput(in("a"), "")), "");
  ASSERT_FALSE(fs::setPermissions(in("a"), fs::owner_read | fs::owner_write));
  auto file = OutputFile::create(in("a"));
  ASSERT_TRUE(bool(file));
  EXPECT_EQ(message(file->keep(/*executable=*/true)), "");
  auto mode = fs::getPermissions(in("a"));
  ASSERT_TRUE(bool(mode));
  EXPECT_EQ(*mode, fs::owner_all);
}

} // namespace
