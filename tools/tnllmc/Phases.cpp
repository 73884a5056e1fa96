// Dumps of phases, and what is read from them.
#include "Phases.h"

#include "Console.h"

#include "tnllm/Pipelines/Pipelines.h"
#include "tnllm/Spec/Printable.h"
#include "tnllm/Target/OutputFile.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

using namespace llvm;
using tnllm::printable;

namespace tnllmc {

StringRef stringify(Phase phase) {
  constexpr StringLiteral names[] = {"spec", "tn", "tnk", "tnrt", "llvm"};
  return names[static_cast<size_t>(phase)];
}

// MLIR's own parser takes the location behind `nvvm.barrier` for the attribute
// of a reduction, which may stand there.
static bool locationsDoNotReadBack(mlir::ModuleOp module) {
  return module
      .walk([](mlir::Operation *op) {
        return op->getName().getStringRef() == "nvvm.barrier"
                   ? mlir::WalkResult::interrupt()
                   : mlir::WalkResult::advance();
      })
      .wasInterrupted();
}

Error PhaseDumps::dump(Phase phase, mlir::ModuleOp module) const {
  std::string name = std::to_string(static_cast<int>(phase)) + "." +
                     stringify(phase).str() + ".mlir";
  auto flags = mlir::OpPrintingFlags().enableDebugInfo();
  if (locationsDoNotReadBack(module))
    flags.printGenericOpForm();
  return dump(name, [&](raw_ostream &out) { module->print(out, flags); });
}

Error PhaseDumps::dump(StringRef fileName,
                       function_ref<void(raw_ostream &)> print) const {
  if (!enabled())
    return Error::success();
  std::string text;
  raw_string_ostream stream(text);
  print(stream);
  SmallString<128> path(directory);
  sys::path::append(path, fileName);
  return tnllm::writeOutput(path, text);
}

static Error checkFingerprint(mlir::ModuleOp module, StringRef path,
                              StringRef expected) {
  std::optional<StringRef> found = tnllm::getModuleFingerprint(module);
  if (!found)
    return createStringError(
        printable(path) + ": the module has no attribute "
                          "'tnrt.fingerprint', expected IR that tnllmc wrote");
  if (*found != expected)
    return createStringError(
        printable(path) +
        ": was made for another model, target or type; expected the MODEL, "
        "--march and --dtype that it was made with");
  return Error::success();
}

Expected<mlir::OwningOpRef<mlir::ModuleOp>>
readPhase(mlir::MLIRContext &context, StringRef path, StringRef fingerprint) {
  auto buffer = MemoryBuffer::getFileOrSTDIN(path);
  if (!buffer)
    return createStringError("--ir: cannot read " + printable(path) + ": " +
                             buffer.getError().message());
  SourceMgr sources;
  sources.AddNewSourceBuffer(
      MemoryBuffer::getMemBufferCopy((*buffer)->getBuffer(),
                                     path == "-" ? "<stdin>" : path),
      SMLoc());
  std::string problem;
  mlir::ScopedDiagnosticHandler handler(
      &context, [&](mlir::Diagnostic &diagnostic) {
        if (problem.empty())
          problem = diagnosticText(diagnostic);
        return mlir::success();
      });
  auto module = mlir::parseSourceFile<mlir::ModuleOp>(
      sources, mlir::ParserConfig(&context));
  if (!module)
    return createStringError(problem);
  if (Error error = checkFingerprint(*module, path, fingerprint))
    return std::move(error);
  return module;
}

} // namespace tnllmc
