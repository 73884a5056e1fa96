// From the model's spec, or the IR of a phase, to the LLVM dialect.
#include "Compilation.h"

#include "Console.h"
#include "TraceRun.h"

#include "tnllm/Spec/Printable.h"
#include "tnllm/Target/EmitPTX.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"

using namespace llvm;
using namespace tnllm;

namespace tnllmc {
namespace {

// True where the command line holds this option of MLIR.
bool isGiven(StringRef option) {
  cl::Option *registered = cl::getRegisteredOptions().lookup(option);
  return registered && registered->getNumOccurrences() > 0;
}

// What is wrong, and then the notes, each on a line of its own.
void printDiagnostic(mlir::Diagnostic &diagnostic) {
  errs() << diagnosticText(diagnostic) << '\n';
  for (mlir::Diagnostic &note : diagnostic.getNotes())
    errs() << diagnosticText(note) << '\n';
}

// The lines that a diagnostic of MLIR would take, as one.
std::string joinLines(StringRef text) {
  SmallVector<StringRef> lines;
  text.trim().split(lines, '\n', -1, /*KeepEmpty=*/false);
  return join(lines, "; ");
}

} // namespace

void Compilation::makeContext() {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  context = std::make_unique<mlir::MLIRContext>(registry);
  context->getDiagEngine().registerHandler(printDiagnostic);
  // By default MLIR prints the operation, which may be the whole module.
  if (!isGiven("mlir-print-op-on-diagnostic"))
    context->printOpOnDiagnostic(false);
}

Error Compilation::makeModule() {
  std::string fingerprint =
      getFingerprint(model.spec, options.compile.target, options.compile.dtype,
                     gpu(), options.compile.mixedPrecision);
  if (options.compileFrom) {
    Progress::Phase phase(progress, timing, "Read the IR");
    auto read = readPhase(*context, options.ir, fingerprint);
    if (!read)
      return read.takeError();
    module = std::move(*read);
    return afterPhase(*options.compileFrom);
  }
  Progress::Phase phase(progress, timing, "Build the tn module");
  CompileOptions compile = options.compile;
  compile.bf16Embedding = model.bf16Embedding;
  module = buildTNModule(*context, model.spec, compile);
  if (!module) {
    internalError = true;
    return createStringError("the spec could not be turned into a module");
  }
  setModuleFingerprint(*module, fingerprint);
  return afterPhase(Phase::Spec);
}

// What is to be kept of a phase, whether it has just run or been read.
Error Compilation::afterPhase(Phase phase) {
  if (dumps.enabled())
    if (Error error = dumps.dump(phase, *module))
      return error;
  if (phase == Phase::TN && options.compile.debugInfo)
    if (Error error = takeSnapshot())
      return error;
  if (phase == Phase::TN && !options.traceDirectory.empty()) {
    SmallString<128> path(options.traceDirectory);
    sys::path::append(path, traceIRName);
    std::string text;
    raw_string_ostream stream(text);
    module->print(stream);
    if (Error error = writeOutput(path, text))
      return error;
  }
  if (phase < Phase::TNRT)
    return Error::success();
  auto info = getProgramInfo(*module);
  if (failed(info)) {
    internalError = !options.compileFrom;
    return createStringError("the module does not say what the runtime needs");
  }
  program = std::move(*info);
  program.mixedPrecision = options.compile.mixedPrecision;
  return Error::success();
}

// Lines of machine code are those of a file that stays.
Error Compilation::takeSnapshot() {
  SmallString<128> path(options.output + ".tn.mlir");
  if (std::error_code code = sys::fs::make_absolute(path))
    return createStringError("-g: " + printable(path) + ": " + code.message());
  std::string text;
  raw_string_ostream stream(text);
  snapshotLocations(*module, stream, path);
  return writeOutput(path, text);
}

Error Compilation::lower() {
  makeContext();
  if (Error error = makeModule())
    return error;
  struct {
    Stage stage;
    Phase phase;
    const char *name;
    void (*build)(mlir::OpPassManager &, const CompileOptions &);
  } const stages[] = {
      {Stage::TN, Phase::TN, "Simplify tn", buildTNPipeline},
      {Stage::TNK, Phase::TNK, "Form kernels", buildTNKPipeline},
      {Stage::TNRT, Phase::TNRT, "Plan memory", buildTNRTPipeline},
      {Stage::LLVM, Phase::LLVM, "Lower kernels", buildLLVMPipeline}};
  Phase from = options.compileFrom.value_or(Phase::Spec);
  for (const auto &stage : stages) {
    bool usesGPU = options.compile.gpu && options.emit > Stage::TNRT;
    if (usesGPU && stage.phase == Phase::LLVM)
      if (Error error = lowerDevice())
        return error;
    if (stage.stage > options.emit)
      break;
    if (stage.phase < from)
      continue;
    if (stage.phase > from) {
      if (Error error = runStage(stage.stage, stage.name, stage.build))
        return error;
      if (Error error = afterPhase(stage.phase))
        return error;
    }
    if (Error error = emitModule(stage.stage))
      return error;
  }
  return Error::success();
}

// The code of the GPU: PTX always, a cubin where ptxas is there.
Error Compilation::lowerDevice() {
  // A module of the llvm phase has been through it.
  if (options.compileFrom != Phase::LLVM) {
    if (Error error = runStage(Stage::PTX, "Lower the GPU's kernels",
                               buildDevicePipeline))
      return error;
    if (Error error = emitModule(Stage::PTX))
      return error;
  }
  Progress::Phase phase(progress, timing, "Generate the GPU's code");
  auto kernels = module->getOps<mlir::gpu::GPUModuleOp>();
  if (kernels.empty())
    return createStringError("the model has no kernels for a GPU");
  LLVMContext deviceContext;
  internalError = true; // for the two errors below
  auto device =
      mlir::translateModuleToLLVMIR(*kernels.begin(), deviceContext, "kernels");
  if (!device)
    return createStringError(
        "the translation of the GPU's kernels to LLVM IR failed");
  auto ptx = emitPTX(*device, *options.compile.gpu);
  if (!ptx)
    return ptx.takeError();
  internalError = false;
  if (Error error = deliver(Stage::PTX, "ptx", *ptx))
    return error;
  image.code = std::move(*ptx);
  return options.emit == Stage::PTX ? Error::success() : assembleDevice();
}

Error Compilation::assembleDevice() {
  auto ptxas = findPtxas(options.ptxas);
  if (!ptxas) {
    if (stopsAt(Stage::Cubin))
      return createStringError(
          "--emit=cubin: no ptxas in $CUDA_HOME/bin, PATH or "
          "/usr/local/cuda/bin, expected --ptxas=PATH");
    errs() << "tnllmc: warning: no ptxas found: the GPU's driver will compile "
              "the kernels when the program starts\n";
    return Error::success();
  }
  auto assembly = assemblePTX(image.code, *ptxas, *options.compile.gpu);
  if (!assembly)
    return assembly.takeError();
  image.code = std::move(assembly->cubin);
  // What ptxas says of registers, spills and serialised products.
  if (!options.saveTemps.empty())
    if (Error error = saveTemporary("ptxas.txt", assembly->report))
      return error;
  return deliver(Stage::Cubin, "cubin", image.code);
}

Error Compilation::applyPassOptions(mlir::PassManager &pm) {
  std::string reason;
  mlir::ScopedDiagnosticHandler handler(context.get(),
                                        [&](mlir::Diagnostic &diagnostic) {
                                          reason += diagnostic.str() + "\n";
                                          return mlir::success();
                                        });
  if (succeeded(mlir::applyPassManagerCLOptions(pm)))
    return Error::success();
  return createStringError("the MLIR options cannot be combined: " +
                           joinLines(reason));
}

Error Compilation::runStage(Stage stage, StringRef name,
                            void (*buildPipeline)(mlir::OpPassManager &,
                                                  const CompileOptions &)) {
  {
    Progress::Phase phase(progress, timing, name);
    mlir::PassManager pm(context.get(), mlir::ModuleOp::getOperationName());
    pm.enableTiming(phase.timing());
    if (Error error = applyPassOptions(pm))
      return error;
    buildPipeline(pm, options.compile);
    if (failed(pm.run(*module))) {
      internalError = true;
      return createStringError(
          "the stage '" + stringify(stage) + "' failed" +
          (isGiven("mlir-pass-pipeline-crash-reproducer")
               ? ""
               : "; --mlir-pass-pipeline-crash-reproducer=FILE writes what "
                 "tnllm-opt --run-reproducer FILE runs again"));
    }
  }
  return Error::success();
}

Error Compilation::emitModule(Stage stage) {
  auto print = [&](raw_ostream &out) { module->print(out); };
  if (stage <= Stage::TNRT)
    return emitText(stage, (stringify(stage) + ".mlir").str(), print);
  // What these stages show is no dialect any more; the dialect's form is among
  // the temporaries.
  if (options.saveTemps.empty())
    return Error::success();
  std::string text;
  raw_string_ostream stream(text);
  print(stream);
  return saveTemporary((stringify(stage) + ".mlir").str(), text);
}

} // namespace tnllmc
