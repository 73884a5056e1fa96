// tnllmc: compiles a model to an executable. docs/CommandLine.md is its manual.
//
// Exit status: 0 done; 2 the user's input is at fault, said in one line (several
// for a list of problems); 1 the compiler is at fault.
#include "Compilation.h"
#include "Options.h"

#include "tnllm/Target/LinkExecutable.h"

#include "mlir/Support/Timing.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace {

constexpr int badInput = 2;
constexpr int compilerFault = 1;

// Lines that name a place of their own stand as they are.
int report(Error error, int status) {
  std::string message = toString(std::move(error));
  SmallVector<StringRef> lines;
  StringRef(message).split(lines, '\n', -1, /*KeepEmpty=*/false);
  for (StringRef line : lines) {
    if (!line.contains(": error: "))
      errs() << "tnllmc: error: ";
    errs() << line << '\n';
  }
  return status;
}

} // namespace

int main(int argc, char **argv) {
  InitLLVM init(argc, argv);
  tnllmc::registerOptions();
  Expected<tnllmc::Options> options = tnllmc::parseOptions(argc, argv);
  if (!options)
    return report(options.takeError(), badInput);

  std::string linkDirectory;
  if (options->emit == tnllmc::Stage::Executable) {
    auto found = tnllm::findLinkDirectory(argv[0], reinterpret_cast<void *>(&main));
    if (!found)
      return report(found.takeError(), badInput);
    linkDirectory = *found;
  }

  mlir::DefaultTimingManager timing;
  mlir::applyDefaultTimingManagerCLOptions(timing);
  mlir::TimingScope scope = timing.getRootScope();
  tnllmc::Compilation compilation(*options, linkDirectory, scope);
  if (Error error = compilation.load())
    return report(std::move(error), badInput);
  if (Error error = compilation.openOutput())
    return report(std::move(error), badInput);
  if (Error error = compilation.run())
    return report(std::move(error),
                  compilation.internalError ? compilerFault : badInput);
  return 0;
}
