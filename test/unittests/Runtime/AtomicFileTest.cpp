// Files appear whole or not at all.
#include "tnrt/formats/AtomicFile.h"

#include "TestFiles.h"

#include <csignal>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace tnrt;
using namespace tnrt::test;

namespace {

// Limits the size of files this process may write, as a full disk would.
class FileSizeLimit {
public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &old);
    oldHandler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit = old;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old);
    std::signal(SIGXFSZ, oldHandler);
  }

private:
  rlimit old{};
  void (*oldHandler)(int) = nullptr;
};

TEST(AtomicFile, ReplacesAndKeepsPermissions) {
  TempDir dir;
  const std::string path = dir.path("out");
  writeFile(path, "old");
  ::chmod(path.c_str(), 0640);
  ASSERT_TRUE(writeFileAtomically(path, "newer", 5));
  EXPECT_EQ(readFile(path), "newer");
  struct stat info;
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
  EXPECT_EQ(dir.fileCount(), 1u);
}

TEST(AtomicFile, AppearsOnlyAtCommit) {
  TempDir dir;
  const std::string path = dir.path("out");
  Result<AtomicFile> file = AtomicFile::create(path);
  ASSERT_TRUE(file) << file.message();
  EXPECT_EQ(file->temporaryPath(), path + ".tmp-" + std::to_string(::getpid()));
  ASSERT_TRUE(file->write("ab", 2));
  ASSERT_TRUE(file->writeAt(4, "ef", 2));
  ASSERT_TRUE(file->writeAt(2, "cd", 2));
  EXPECT_FALSE(std::filesystem::exists(path));
  ASSERT_TRUE(file->commit());
  EXPECT_EQ(readFile(path), "abcdef");
  EXPECT_FALSE(file->commit());
  EXPECT_EQ(dir.fileCount(), 1u);
}

TEST(AtomicFile, LeavesNothingWhenAbandoned) {
  TempDir dir;
  writeFile(dir.path("out"), "old");
  {
    Result<AtomicFile> file = AtomicFile::create(dir.path("out"));
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->write("new", 3));
    Result<AtomicFile> second = AtomicFile::create(dir.path("out"));
    ASSERT_TRUE(second) << second.message();
    AtomicFile moved = std::move(*file);
  }
  EXPECT_EQ(readFile(dir.path("out")), "old");
  EXPECT_EQ(dir.fileCount(), 1u);
}

// What a signal handler does before it ends the process.
TEST(AtomicFile, TemporariesOfAllOpenFilesCanBeRemoved) {
  TempDir dir;
  writeFile(dir.path("kept"), "old");
  ASSERT_TRUE(writeFileAtomically(dir.path("done"), "new", 3));
  Result<AtomicFile> first = AtomicFile::create(dir.path("kept"));
  Result<AtomicFile> second = AtomicFile::create(dir.path("kept"));
  Result<AtomicFile> third = AtomicFile::create(dir.path("moved"));
  ASSERT_TRUE(first && second && third);
  AtomicFile moved = std::move(*third);
  second->discard();
  // Takes the place of the discarded one among those that are remembered.
  Result<AtomicFile> fourth = AtomicFile::create(dir.path("late"));
  ASSERT_TRUE(fourth);
  EXPECT_EQ(dir.fileCount(), 5u);
  auto end = [] {
    removeTemporaryFiles();
    std::_Exit(3);
  };
  EXPECT_EXIT(end(), ::testing::ExitedWithCode(3), "");
  EXPECT_EQ(dir.fileCount(), 2u);
  Status status = moved.commit();
  ASSERT_FALSE(status);
  EXPECT_TRUE(contains(status.message(), "moved: cannot write: No such file"));
  EXPECT_EQ(readFile(dir.path("kept")), "old");
  EXPECT_EQ(readFile(dir.path("done")), "new");
}

// More than are remembered: they work all the same.
TEST(AtomicFile, ManyAtOnce) {
  TempDir dir;
  {
    std::vector<AtomicFile> files;
    for (int i = 0; i < 90; ++i) {
      Result<AtomicFile> file =
          AtomicFile::create(dir.path("out" + std::to_string(i)));
      ASSERT_TRUE(file) << file.message();
      files.push_back(std::move(*file));
    }
    for (size_t i = 0; i < files.size(); i += 2)
      ASSERT_TRUE(files[i].commit());
  }
  EXPECT_EQ(dir.fileCount(), 45u);
}

TEST(AtomicFile, KeepsTheOldFileWhenTheDiskIsFull) {
  TempDir dir;
  const std::string path = dir.path("out");
  writeFile(path, "old");
  {
    FileSizeLimit limit(1000);
    const std::string data(4000, 'x');
    Status status = writeFileAtomically(path, data.data(), data.size());
    ASSERT_FALSE(status);
    EXPECT_TRUE(
        contains(status.message(), path + ": cannot write: File too large"));
  }
  {
    Result<AtomicFile> file = AtomicFile::create(path);
    ASSERT_TRUE(file);
    EXPECT_TRUE(file->reserve(4000));
    EXPECT_FALSE(file->reserve(uint64_t(1) << 60)) << "more than any disk";
  }
  EXPECT_EQ(readFile(path), "old");
  EXPECT_EQ(dir.fileCount(), 1u);
}

TEST(AtomicFile, RefusesWhatIsNoRegularFile) {
  TempDir dir;
  EXPECT_TRUE(
      contains(AtomicFile::create(dir.path()).message(), "is a directory"));
  EXPECT_TRUE(contains(AtomicFile::create("/dev/full").message(),
                       "/dev/full: cannot write: is not a regular file"));
  EXPECT_TRUE(contains(AtomicFile::create(dir.path("no/such/out")).message(),
                       "No such file or directory"));
  EXPECT_FALSE(AtomicFile::create(""));
  writeFile(dir.path("file"), "x");
  EXPECT_TRUE(contains(AtomicFile::create(dir.path("file/out")).message(),
                       "Not a directory"));
}

TEST(AtomicFile, FollowsSymbolicLinks) {
  TempDir dir;
  writeFile(dir.path("real"), "old");
  std::filesystem::create_symlink("real", dir.path("link"));
  ASSERT_TRUE(writeFileAtomically(dir.path("link"), "new", 3));
  EXPECT_TRUE(std::filesystem::is_symlink(dir.path("link")));
  EXPECT_EQ(readFile(dir.path("real")), "new");
}

TEST(AtomicFile, ReplaceFile) {
  TempDir dir;
  writeFile(dir.path("a"), "a");
  writeFile(dir.path("b"), "b");
  ASSERT_TRUE(replaceFile(dir.path("a"), dir.path("b")));
  EXPECT_EQ(readFile(dir.path("b")), "a");
  EXPECT_FALSE(replaceFile(dir.path("a"), dir.path("b")));
  writeFile(dir.path("a"), "a");
  EXPECT_FALSE(replaceFile(dir.path("a"), dir.path("no/such")));
  EXPECT_EQ(dir.fileCount(), 1u);
}

} // namespace
