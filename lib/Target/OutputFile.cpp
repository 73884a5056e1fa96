// Files written aside and renamed: tnrt::AtomicFile, which emitted executables
// use too, with signals, special files and the executable's mode on top.
#include "tnllm/Target/OutputFile.h"

#include "tnllm/Spec/Printable.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

#include <csignal>

using namespace llvm;

namespace tnllm {
namespace {

Error cannotWrite(StringRef path, std::error_code code) {
  return createStringError(printable(path) +
                           ": cannot write: " + code.message());
}

// AtomicFile's messages start with the path.
Error fromStatus(const tnrt::Status &status) {
  return status ? Error::success()
                : createStringError(printable(status.message()));
}

// Something that a rename would replace instead of fill: a device, a pipe.
bool isSpecial(StringRef path) {
  sys::fs::file_status status;
  return !sys::fs::status(path, status) && sys::fs::exists(status) &&
         !sys::fs::is_regular_file(status) && !sys::fs::is_directory(status);
}

Error writeBytes(StringRef path, raw_fd_ostream &out, StringRef content) {
  out << content;
  out.flush();
  std::error_code code = out.error();
  out.clear_error(); // its destructor aborts on an error that nobody saw
  return code ? cannotWrite(path, code) : Error::success();
}

Error copyInto(StringRef from, StringRef to) {
  auto content = MemoryBuffer::getFile(from);
  if (!content)
    return cannotWrite(to, content.getError());
  std::error_code code;
  raw_fd_ostream out(to, code, sys::fs::CD_OpenExisting, sys::fs::FA_Write,
                     sys::fs::OF_None);
  if (code)
    return cannotWrite(to, code);
  return writeBytes(to, out, (*content)->getBuffer());
}

// Signals wait as long as this lives.
class SignalsHeld {
public:
  SignalsHeld() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
  }
  ~SignalsHeld() { ::pthread_sigmask(SIG_SETMASK, &before, nullptr); }

private:
  sigset_t before;
};

// Who may read the file may run it, as far as the umask lets them.
std::error_code makeExecutable(StringRef path) {
  sys::fs::file_status status;
  if (std::error_code code = sys::fs::status(path, status))
    return code;
  unsigned mode = status.permissions();
  mode |= ((mode & 0444) >> 2) & ~sys::fs::getUmask();
  return sys::fs::setPermissions(path, static_cast<sys::fs::perms>(mode));
}

} // namespace

Expected<OutputFile> OutputFile::create(StringRef finalPath) {
  OutputFile file;
  std::string aside = finalPath.str();
  if (isSpecial(finalPath)) {
    file.special = finalPath.str();
    SmallString<128> model, folder;
    sys::path::system_temp_directory(/*ErasedOnReboot=*/true, folder);
    sys::path::append(folder, "tnllm-%%%%%%%%");
    sys::fs::createUniquePath(folder, model, /*MakeAbsolute=*/false);
    aside = std::string(model);
  }
  SignalsHeld held; // until it is known which file a signal has to remove
  tnrt::Result<tnrt::AtomicFile> created = tnrt::AtomicFile::create(aside);
  if (!created)
    return createStringError(printable(created.message()));
  file.file.emplace(std::move(*created));
  sys::RemoveFileOnSignal(file.file->temporaryPath());
  return file;
}

OutputFile::OutputFile(OutputFile &&other)
    : file(std::move(other.file)), special(std::move(other.special)) {
  other.file.reset();
}

OutputFile::~OutputFile() {
  if (file)
    discard();
}

void OutputFile::discard() {
  std::string temporary = file->temporaryPath();
  file.reset();
  sys::DontRemoveFileOnSignal(temporary);
}

Error OutputFile::write(StringRef content) {
  return fromStatus(file->write(content.data(), content.size()));
}

Error OutputFile::keep(bool executable) {
  std::string temporary = file->temporaryPath();
  if (!special.empty())
    return copyInto(temporary, special);
  if (executable)
    if (std::error_code code = makeExecutable(temporary))
      return cannotWrite(file->path(), code);
  tnrt::Status status = file->commit();
  discard();
  sys::DontRemoveFileOnSignal(temporary);
  return fromStatus(status);
}

Error writeOutput(StringRef path, StringRef content) {
  if (path == "-")
    return writeBytes("standard output", outs(), content);
  Expected<OutputFile> file = OutputFile::create(path);
  if (!file)
    return file.takeError();
  if (Error error = file->write(content))
    return error;
  return file->keep();
}

} // namespace tnllm
