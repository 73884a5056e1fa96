// tnllmc: compiles a model to an executable. docs/CommandLine.md is its manual.
//
// Exit status: 0 done; 2 the user's input is at fault, said in one line
// (several for a list of problems); 1 the compiler is at fault, or diff found a
// difference.
#include "Compilation.h"
#include "Console.h"
#include "DiffCommand.h"
#include "Options.h"

#include "tnllm/Target/LinkExecutable.h"

#include "mlir/Support/Timing.h"

#include "llvm/Support/InitLLVM.h"

#include <csignal>

using namespace llvm;
using namespace tnllmc;

int main(int argc, char **argv) {
  InitLLVM init(argc, argv);
  // A file size limit is then an error of write(), reported like a full disk.
  std::signal(SIGXFSZ, SIG_IGN);
  watchStandardOutput();
  if (isDiffCommand(argc, argv))
    return runDiffCommand(argc, argv);
  registerOptions();
  Expected<Options> options = parseOptions(argc, argv);
  if (!options)
    return report(options.takeError(), badInput);

  std::string linkDirectory;
  if (options->emit == Stage::Executable) {
    auto found = tnllm::findLinkDirectory(argv[0], reinterpret_cast<void *>(&main));
    if (!found)
      return report(found.takeError(), badInput);
    linkDirectory = *found;
  }

  mlir::DefaultTimingManager timing;
  mlir::applyDefaultTimingManagerCLOptions(timing);
  mlir::TimingScope scope = timing.getRootScope();
  Compilation compilation(*options, linkDirectory, scope);
  if (Error error = compilation.load())
    return report(std::move(error), badInput);
  if (Error error = compilation.openOutput())
    return report(std::move(error), badInput);
  if (Error error = compilation.run())
    return report(std::move(error),
                  compilation.internalError ? compilerFault : badInput);
  return 0;
}
