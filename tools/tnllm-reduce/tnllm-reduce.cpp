// tnllm-reduce: makes a module that shows a fault smaller, as long as a program
// says that it still does. docs/Reducing.md shows how.
#include "Reducer.h"

#include "tnllm/Pipelines/Pipelines.h"
#include "tnllm/Target/Version.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace {

cl::OptionCategory category("tnllm-reduce options");
cl::opt<std::string> inputName(cl::Positional, cl::Required,
                               cl::desc("<module.mlir>"), cl::cat(category));
cl::opt<std::string> outputName("o", cl::desc("the smaller module (-)"),
                                cl::value_desc("file"), cl::init("-"),
                                cl::cat(category));
cl::opt<std::string> testName(
    "test", cl::Required, cl::value_desc("program"),
    cl::desc("run with the name of a file as last argument; exits with "
             "1 if the module in it shows the fault, else with 0"),
    cl::cat(category));
cl::list<std::string> testArguments("test-arg", cl::value_desc("text"),
                                    cl::desc("an argument before the file"),
                                    cl::cat(category));
cl::opt<bool> allowUnregistered("allow-unregistered-dialect",
                                cl::desc("as for tnllm-opt"),
                                cl::cat(category));

int fail(const Twine &message) {
  errs() << "tnllm-reduce: error: " << message << '\n';
  return 2;
}

size_t countLines(mlir::ModuleOp module) {
  std::string text;
  raw_string_ostream stream(text);
  module.print(stream);
  return StringRef(text).count('\n') + 1;
}

} // namespace

int main(int argc, char **argv) {
  InitLLVM init(argc, argv);
  cl::HideUnrelatedOptions(category);
  cl::SetVersionPrinter(tnllm::printVersion);
  cl::ParseCommandLineOptions(argc, argv,
                              "makes a module that shows a fault smaller\n");
  ErrorOr<std::string> program = sys::findProgramByName(testName);
  if (!program)
    return fail("--test: cannot find " + testName);

  mlir::DialectRegistry registry;
  tnllm::registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  context.allowUnregisteredDialects(allowUnregistered);
  // Steps may make constants, whatever the module is written in.
  context.loadAllAvailableDialects();
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::parseSourceFile<mlir::ModuleOp>(inputName, &context);
  if (!module)
    return 2;
  std::string message;
  std::unique_ptr<ToolOutputFile> output =
      mlir::openOutputFile(outputName, &message);
  if (!output)
    return fail("-o: " + message);

  size_t before = countLines(*module);
  tnllm::FaultTest test(
      *program,
      std::vector<std::string>(testArguments.begin(), testArguments.end()));
  if (Error error = tnllm::reduce(module, test))
    return fail(toString(std::move(error)));
  module->print(output->os());
  output->os() << '\n';
  output->keep();
  errs() << "tnllm-reduce: " << before << " lines became "
         << countLines(*module) << ", after " << test.getNumRuns()
         << " tests\n";
  return 0;
}
