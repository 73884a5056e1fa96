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

Error linkExecutable(StringRef object, StringRef output, StringRef directory) {
  Expected<std::vector<std::string>> arguments = readArguments(object, directory);
  if (!arguments)
    return arguments.takeError();
  std::vector<const char *> argv = {"ld.lld"};
  for (const std::string &argument : *arguments)
    argv.push_back(argument.c_str());
  std::string outputName = output.str();
  argv.insert(argv.end(), {"-o", outputName.c_str()});

  std::string log;
  raw_string_ostream logStream(log);
  const lld::DriverDef drivers[] = {{lld::Gnu, &lld::elf::link}};
  lld::Result result = lld::lldMain(argv, nulls(), logStream, drivers);
  if (result.retCode != 0)
    return createStringError("linking failed: " + firstError(log));
  return Error::success();
}

} // namespace tnllm
