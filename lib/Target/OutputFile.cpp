// Files written aside and renamed.
#include "tnllm/Target/OutputFile.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace tnllm {
namespace {

Error cannotWrite(StringRef path, std::error_code code) {
  return createStringError("cannot write " + path + ": " + code.message());
}

// Something that a rename would replace instead of fill.
bool isSpecial(StringRef path) {
  sys::fs::file_status status;
  return !sys::fs::status(path, status) && sys::fs::exists(status) &&
         !sys::fs::is_regular_file(status);
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

} // namespace

Expected<OutputFile> OutputFile::create(StringRef finalPath) {
  if (sys::fs::is_directory(finalPath))
    return createStringError("cannot write " + finalPath +
                             ": it is a directory, expected a file");
  SmallString<128> model;
  if (isSpecial(finalPath)) {
    sys::path::system_temp_directory(/*ErasedOnReboot=*/true, model);
    sys::path::append(model, "tnllm-%%%%%%%%");
  } else {
    model = finalPath;
    model += ".tmp-%%%%%%%%";
  }
  SmallString<128> temporary;
  if (std::error_code code = sys::fs::createUniqueFile(model, temporary))
    return cannotWrite(finalPath, code);
  OutputFile file;
  file.finalPath = finalPath.str();
  file.temporary = temporary.str().str();
  sys::RemoveFileOnSignal(file.temporary);
  return file;
}

OutputFile::OutputFile(OutputFile &&other)
    : finalPath(std::move(other.finalPath)),
      temporary(std::move(other.temporary)) {
  other.temporary.clear();
}

OutputFile::~OutputFile() {
  if (temporary.empty())
    return;
  sys::fs::remove(temporary);
  sys::DontRemoveFileOnSignal(temporary);
}

Error OutputFile::write(StringRef content) {
  std::error_code code;
  raw_fd_ostream out(temporary, code, sys::fs::OF_None);
  if (code)
    return cannotWrite(finalPath, code);
  return writeBytes(finalPath, out, content);
}

Error OutputFile::keep(bool executable) {
  if (isSpecial(finalPath))
    return copyInto(temporary, finalPath);
  // createUniqueFile made it private to the user; give it what the umask allows.
  unsigned mask = sys::fs::getUmask();
  unsigned mode = (executable ? 0777 : 0666) & ~mask;
  if (std::error_code code = sys::fs::setPermissions(
          temporary, static_cast<sys::fs::perms>(mode)))
    return cannotWrite(finalPath, code);
  if (std::error_code code = sys::fs::rename(temporary, finalPath))
    return cannotWrite(finalPath, code);
  sys::DontRemoveFileOnSignal(temporary);
  temporary.clear();
  return Error::success();
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
