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
    return file ? (*file)->getBuffer().str() : "<" + file.getError().message() + ">";
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
            "cannot write /dev/full: No space left on device");
  EXPECT_TRUE(fs::exists("/dev/null"));
}

TEST_F(OutputFileTest, SaysWhyItCannotBeWritten) {
  EXPECT_EQ(message(writeOutput(in("no/a"), "")),
            "cannot write " + in("no/a") + ": No such file or directory");
  EXPECT_EQ(message(writeOutput(std::string(directory), "")),
            "cannot write " + std::string(directory) +
                ": it is a directory, expected a file");
}

} // namespace
