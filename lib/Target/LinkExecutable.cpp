// Runs lld, linked into the compiler, over the link directory.
//
// The directory's file `link.args` says how: one linker argument a line, where
// `@/` stands for the directory and a line `@object` for the generated object. The
// build writes it, so that what a build's runtime needs (say, the sanitizers') is
// known to the build alone.
#include "tnllm/Target/LinkExecutable.h"

#include "lld/Common/Driver.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <sys/mman.h>
#include <thread>
#include <unistd.h>

LLD_HAS_DRIVER(elf)

using namespace llvm;

namespace tnllm {
namespace {

std::string replaceAll(StringRef text, StringRef what, StringRef by) {
  std::string result;
  for (;;) {
    auto [before, after] = text.split(what);
    result += before;
    if (before.size() == text.size())
      return result;
    result += by;
    text = after;
  }
}

Expected<std::vector<std::string>> readArguments(StringRef object,
                                                 StringRef directory) {
  SmallString<128> path(directory);
  sys::path::append(path, "link.args");
  auto file = MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!file)
    return createStringError("cannot read " + path + ": " +
                             file.getError().message());
  std::vector<std::string> arguments;
  SmallVector<StringRef> lines;
  (*file)->getBuffer().split(lines, '\n', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  for (StringRef line : lines)
    arguments.push_back(line == "@object"
                            ? object.str()
                            : replaceAll(line, "@/", (directory + "/").str()));
  return arguments;
}

// lld prefixes its lines with the program's name and "error: "; the first says
// what is wrong, the rest where (references of an undefined symbol, say).
std::string firstError(StringRef log) {
  SmallVector<StringRef> lines;
  log.split(lines, '\n', -1, /*KeepEmpty=*/false);
  for (StringRef line : lines) {
    size_t at = line.find("error: ");
    if (at != StringRef::npos)
      return line.substr(at + 7).str();
  }
  return lines.empty() ? "no reason given" : lines.front().str();
}

class Descriptor {
public:
  explicit Descriptor(int fd = -1) : fd(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;

  void close() {
    if (fd >= 0)
      ::close(fd);
    fd = -1;
  }
  void reset(int other) {
    close();
    fd = other;
  }
  int get() const { return fd; }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd); }

private:
  int fd;
};

Error systemError(const Twine &what) {
  std::error_code code(errno, std::generic_category());
  return createStringError("linking failed: " + what + ": " + code.message());
}

// A file in memory, to hand bytes to lld under a name.
Error fill(Descriptor &file, StringRef bytes) {
  file.reset(memfd_create("object", MFD_CLOEXEC));
  if (file.get() < 0)
    return systemError("a file in memory");
  while (!bytes.empty()) {
    ssize_t count = ::write(file.get(), bytes.data(), bytes.size());
    if (count < 0)
      return systemError("a file in memory");
    bytes = bytes.drop_front(count);
  }
  return Error::success();
}

// Collects what lld writes. On a disk, lld writes through a mapping, which dies of
// SIGBUS when the disk is full, or ends the program; into a pipe it can do neither.
class OutputPipe {
public:
  Error open() {
    int ends[2];
    if (pipe(ends) != 0)
      return systemError("a pipe");
    readEnd.reset(ends[0]);
    writeEnd.reset(ends[1]);
    reader = std::thread([this] { read(); });
    return Error::success();
  }
  std::string path() const { return writeEnd.path(); }
  // Once lld is done, what came through.
  std::string finish() {
    writeEnd.close();
    reader.join();
    return std::move(bytes);
  }

private:
  void read() {
    std::vector<char> block(1 << 16);
    for (;;) {
      ssize_t count = ::read(readEnd.get(), block.data(), block.size());
      if (count < 0 && errno == EINTR)
        continue;
      if (count <= 0)
        return;
      bytes.append(block.data(), count);
    }
  }

  Descriptor readEnd, writeEnd;
  std::thread reader;
  std::string bytes;
};

} // namespace

Expected<std::string> findLinkDirectory(const char *argv0, void *mainAddress) {
  std::string program = sys::fs::getMainExecutable(argv0, mainAddress);
  SmallString<128> path(sys::path::parent_path(program));
  sys::path::append(path, "..", "lib", "tnllm");
  sys::path::remove_dots(path, /*remove_dot_dot=*/true);
  if (!sys::fs::is_directory(path))
    return createStringError("the runtime is missing: expected the directory " +
                             path + ", which is installed with this program");
  return std::string(path);
}

Expected<std::string> linkExecutable(StringRef object, StringRef directory,
                                     bool keepDebugInfo) {
  Descriptor objectFile;
  if (Error error = fill(objectFile, object))
    return std::move(error);
  Expected<std::vector<std::string>> arguments =
      readArguments(objectFile.path(), directory);
  if (!arguments)
    return arguments.takeError();
  OutputPipe output;
  if (Error error = output.open())
    return std::move(error);
  std::string outputPath = output.path();

  std::vector<const char *> argv = {"ld.lld"};
  for (const std::string &argument : *arguments)
    if (!(keepDebugInfo && argument == "--strip-debug"))
      argv.push_back(argument.c_str());
  argv.insert(argv.end(), {"-o", outputPath.c_str()});
  std::string log;
  raw_string_ostream logStream(log);
  const lld::DriverDef drivers[] = {{lld::Gnu, &lld::elf::link}};
  lld::Result result = lld::lldMain(argv, nulls(), logStream, drivers);
  std::string executable = output.finish();
  if (result.retCode != 0 || executable.empty())
    return createStringError("linking failed: " + firstError(log));
  return executable;
}

} // namespace tnllm
