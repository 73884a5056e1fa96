// A file that appears whole or not at all.
#ifndef TNLLM_TARGET_OUTPUTFILE_H
#define TNLLM_TARGET_OUTPUTFILE_H

#include "tnrt/formats/AtomicFile.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <string>

namespace tnllm {

// Content goes to path(), a new file beside the final one (so that the rename
// stays on one file system); keep() flushes it and moves it there, as
// tnrt::AtomicFile does: through a symbolic link, and not over a file that may not
// be written. Unless kept, it vanishes: in the destructor, and when a signal ends
// the program. Where the final path is neither file nor directory (/dev/null, a
// pipe), keep() copies into it.
// Errors are one line, "PATH: cannot write: REASON".
class OutputFile {
public:
  // Fails when a file cannot be created beside `finalPath`, and when what stands
  // there may not be replaced.
  static llvm::Expected<OutputFile> create(llvm::StringRef finalPath);
  OutputFile(OutputFile &&other);
  ~OutputFile();

  llvm::StringRef path() const { return file->temporaryPath(); }

  // Appends to what write() put into path() before.
  llvm::Error write(llvm::StringRef content);

  // Makes path() what finalPath names; it is of no use afterwards. With
  // `executable`, who may read the file may also run it (0777 less the umask for a
  // new file).
  llvm::Error keep(bool executable = false);

private:
  OutputFile() = default;
  OutputFile(const OutputFile &) = delete;

  void discard();

  std::optional<tnrt::AtomicFile> file; // empty once kept or moved from
  std::string special;                  // copy there instead of renaming; or empty
};

// Writes `content` to `path`, whole or not at all; "-" is standard output.
llvm::Error writeOutput(llvm::StringRef path, llvm::StringRef content);

} // namespace tnllm

#endif // TNLLM_TARGET_OUTPUTFILE_H
