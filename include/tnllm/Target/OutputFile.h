// A file that appears whole or not at all.
#ifndef TNLLM_TARGET_OUTPUTFILE_H
#define TNLLM_TARGET_OUTPUTFILE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>


namespace tnllm {

// Content goes to path(), a new file beside the final one (so that the rename
// stays on one file system); keep() moves it there. Unless kept, it vanishes: in
// the destructor, and when a signal ends the program. Where the final path is
// something else than a file (/dev/null, a pipe), keep() copies into it.
class OutputFile {
public:
  // Fails when a file cannot be created beside `finalPath`, with one line that
  // names it.
  static llvm::Expected<OutputFile> create(llvm::StringRef finalPath);
  OutputFile(OutputFile &&other);
  ~OutputFile();

  llvm::StringRef path() const { return temporary; }

  // Replaces what path() holds.
  llvm::Error write(llvm::StringRef content);

  // Makes path() what finalPath names, executable where asked.
  llvm::Error keep(bool executable = false);

private:
  OutputFile() = default;
  OutputFile(const OutputFile &) = delete;

  std::string finalPath;
  std::string temporary; // empty once kept or moved from
};

// Writes `content` to `path`, whole or not at all; "-" is standard output.
llvm::Error writeOutput(llvm::StringRef path, llvm::StringRef content);

} // namespace tnllm

#endif // TNLLM_TARGET_OUTPUTFILE_H
