// The phases of a compilation: load, lower, translate, generate code, link.
#include "Compilation.h"

#include "TraceRun.h"

#include "tnllm/Spec/Printable.h"
#include "tnllm/Target/EmitObject.h"
#include "tnllm/Target/LinkExecutable.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Target/LLVMIR/Export.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Cloning.h"

using namespace llvm;
using namespace tnllm;

namespace tnllmc {
namespace {

// The names that buildTNModule and buildTNPipeline give the entry points.
EntryPoints entryPointsOf(const CompileOptions &options) {
  EntryPoints entries;
  if (options.training) {
    entries.evaluate = "loss";
    entries.gradient = "loss_gradient";
    if (options.gpu) {
      entries.gradientNorm = "gradient_norm";
      entries.adamw = "adamw";
    }
    return entries;
  }
  entries.prefill = "prefill";
  entries.decode = "decode";
  entries.head = "head";
  entries.sample = "sample";
  entries.packed = "packed";
  return entries;
}

WeightsSource describeWeights(const Options &options,
                              const LoadedModel &model) {
  WeightsSource source;
  source.kind = options.weights;
  source.path = model.weightsPath;
  source.seed = options.randomSeed.value_or(0);
  return source;
}

TokenizerSource describeTokenizer(const LoadedModel &model) {
  if (!model.tokenizerPath)
    return {};
  return {TokenizerSource::SentencePiece, *model.tokenizerPath};
}

std::string loadTokenizer(const LoadedModel &model, Error &error) {
  auto file = MemoryBuffer::getFile(*model.tokenizerPath);
  if (!file) {
    error = createStringError(printable(*model.tokenizerPath) +
                              ": cannot read: " + file.getError().message());
    return {};
  }
  return (*file)->getBuffer().str();
}

tnrt::DType storedType(DType dtype) {
  switch (dtype) {
  case DType::F32:
    return tnrt::DType::F32;
  case DType::BF16:
    return tnrt::DType::BF16;
  case DType::I8:
    return tnrt::DType::I8;
  case DType::F8:
    return tnrt::DType::F8E4M3;
  case DType::I4:
    return tnrt::DType::I4;
  }
  llvm_unreachable("unknown dtype");
}

tnrt::Layout storedLayout(const ParameterLayout &layout) {
  using Kind = tnrt::Layout::Kind;
  switch (layout.kind) {
  case ParameterLayout::Rows:
    return {};
  case ParameterLayout::RowScales:
    return {Kind::RowScales};
  case ParameterLayout::RowScalesF8:
    return {Kind::RowScalesF8};
  case ParameterLayout::GroupScales:
    return {Kind::GroupScales, layout.width};
  case ParameterLayout::Panels:
    return {Kind::Panels, layout.width, layout.step};
  }
  llvm_unreachable("unknown layout");
}

// The manifest is JSON, so a path that is not UTF-8 would come out as another
// one.
Error checkStoredPath(StringRef path) {
  if (json::isUTF8(path))
    return Error::success();
  return createStringError(
      printable(path) +
      ": the executable would have to store this path, which is "
      "not UTF-8; expected another name, or --weights=embed");
}

// One file by two names is found too.
Error checkIsNoInput(StringRef output, const LoadedModel &model) {
  for (const std::string &input : model.inputs)
    if (sys::fs::equivalent(output, input))
      return createStringError("-o: " + printable(output) +
                               " is part of the model, expected another file");
  return Error::success();
}

// What has kernels for a CPU alone yet, but for training, by the key of the
// spec that asks for it.
Error checkHasKernels(const ModelSpec &spec, const GPUTarget &gpu,
                      StringRef path) {
  auto refuse = [&](const Twine &asked, StringRef expected) {
    return createStringError(
        printable(path) + ": " + asked + " has no kernels for " + gpu.chip +
        " yet; expected " + expected + ", or --target=cpu");
  };
  for (int64_t layer = 0; layer < spec.layers; ++layer)
    if (AttentionKind kind = spec.attentionOf(layer);
        kind != AttentionKind::Linear)
      return refuse("'attention' " + stringify(kind) + " (layer " +
                        Twine(layer) + ")",
                    "linear");
  if (spec.ropeTheta)
    return refuse("'rope_theta'", "none");
  if (spec.absolutePositions)
    return refuse("'absolute_positions' true", "false");
  return Error::success();
}

// Matrices of i4 are whole groups.
Error checkGroups(const ModelSpec &spec, StringRef path) {
  constexpr int64_t group = 128;
  const std::pair<StringRef, int64_t> widths[] = {
      {"decoder_embed_dim", spec.embedDim},
      {"hidden_dim", spec.hiddenDim},
      {"glu_dim", spec.gluDim}};
  for (auto [name, width] : widths)
    if (width % group != 0)
      return createStringError(
          printable(path) + ": --dtype=int4 has a scale for each 128 columns " +
          "of a matrix: expected a multiple of 128 for " + name + ", got " +
          Twine(width));
  return Error::success();
}

// Makes the folder that `option` names, if it names one.
Error createDirectory(StringRef option, StringRef directory) {
  if (directory.empty())
    return Error::success();
  std::error_code code = sys::fs::create_directories(
      directory, /*IgnoreExisting=*/true, sys::fs::all_all);
  if (!code)
    return Error::success();
  return createStringError(option + ": cannot create " + printable(directory) +
                           ": " + code.message());
}

} // namespace

Compilation::Compilation(const Options &options, std::string linkDirectory,
                         mlir::TimingScope &timing)
    : options(options), linkDirectory(std::move(linkDirectory)),
      progress(!options.quiet), dumps(options.dumpPhases), timing(timing) {}

Compilation::~Compilation() = default;

Error Compilation::load() {
  Progress::Phase phase(progress, timing, "Read the model");
  LoadOptions loadOptions;
  // IR hardly depends on the weights (the embedding's type may); only an
  // executable needs them to be right.
  loadOptions.useWeights =
      stopsAt(Stage::Executable) && options.weights != WeightsSource::Random;
  auto loaded = loadModel(options.model, loadOptions);
  if (!loaded)
    return loaded.takeError();
  model = std::move(*loaded);
  for (const std::string &warning : model.warnings)
    errs() << warning << '\n';
  if (gpu() && !options.compile.training)
    if (Error error = checkHasKernels(model.spec, *gpu(), options.model))
      return error;
  if (options.compile.dtype == DType::I4)
    if (Error error = checkGroups(model.spec, options.model))
      return error;
  if (!stopsAt(Stage::Executable) || options.weights == WeightsSource::Embed)
    return Error::success();
  if (Error error = checkStoredPath(model.weightsPath))
    return error;
  return checkStoredPath(model.tokenizerPath.value_or(""));
}

Error Compilation::openOutput() {
  for (auto [option, directory] :
       {std::pair("--save-temps", StringRef(options.saveTemps)),
        std::pair("--dump-compilation-phases-to",
                  StringRef(options.dumpPhases)),
        std::pair("--trace-tensors", StringRef(options.traceDirectory))})
    if (Error error = createDirectory(option, directory))
      return error;
  if (options.output == "-")
    return Error::success();
  if (Error error = checkIsNoInput(options.output, model))
    return error;
  auto file = OutputFile::create(options.output);
  if (!file)
    return file.takeError();
  output.emplace(std::move(*file));
  return Error::success();
}

Error Compilation::run() {
  if (Error error = lower())
    return error;
  if (options.emit < Stage::LLVM)
    return Error::success();
  if (Error error = translate())
    return error;
  if (options.emit < Stage::Assembly)
    return Error::success();
  if (Error error = generateCode())
    return error;
  if (!stopsAt(Stage::Executable))
    return Error::success();
  if (Error error = link())
    return error;
  if (options.compile.training && !options.quiet)
    sayPlan();
  return options.traceDirectory.empty() ? Error::success() : trace();
}

std::string Compilation::buildManifest() {
  return tnllm::buildManifest(
      model.spec, options.compile.target, options.compile.dtype, program,
      describeWeights(options, model), describeTokenizer(model), gpu());
}

const GPUTarget *Compilation::gpu() const {
  return options.compile.gpu ? &*options.compile.gpu : nullptr;
}

Error Compilation::translate() {
  Progress::Phase phase(progress, timing, "Translate to LLVM IR");
  // The kernels are in the image; the schedule names them by number.
  image.kernels = getDeviceKernels(*module);
  for (auto kernels :
       make_early_inc_range(module->getOps<mlir::gpu::GPUModuleOp>()))
    kernels.erase();
  llvmModule = mlir::translateModuleToLLVMIR(*module, llvmContext, "model");
  internalError = true; // for the two errors below
  if (!llvmModule)
    return createStringError("the translation to LLVM IR failed");
  auto created = createTargetMachine(options.compile.target);
  if (!created)
    return created.takeError();
  machine = std::move(*created);
  setModuleTarget(*llvmModule, options.compile.target, *machine);
  if (Error error = addModelDescriptor(
          *llvmModule, entryPointsOf(options.compile), buildManifest(),
          gpu() ? &image : nullptr, getDeviceConstantsName()))
    return error;
  internalError = false;
  if (Error error = dumps.dump("5.translated.ll", [&](raw_ostream &out) {
        llvmModule->print(out, /*AAW=*/nullptr);
      }))
    return error;
  // MLIR's form is not needed any more: free it before code generation.
  module = nullptr;
  context.reset();
  return emitText(Stage::LLVM, "ll", [&](raw_ostream &out) {
    llvmModule->print(out, /*AAW=*/nullptr);
  });
}

Error Compilation::generateCode() {
  {
    Progress::Phase phase(progress, timing, "Optimise");
    optimizeModule(*llvmModule, *machine);
    if (Error error = dumps.dump("6.optimised.ll", [&](raw_ostream &out) {
          llvmModule->print(out, /*AAW=*/nullptr);
        }))
      return error;
  }
  auto emit = [&](CodeGenFileType type,
                  Module &source) -> Expected<std::string> {
    SmallString<0> buffer;
    raw_svector_ostream out(buffer);
    if (Error error = emitCode(source, *machine, type, out))
      return std::move(error);
    return std::string(buffer);
  };
  Progress::Phase phase(progress, timing, "Generate code");
  if (keeps(Stage::Assembly)) {
    // The code generator changes the module it runs on, and an object may
    // follow.
    auto copy = CloneModule(*llvmModule);
    auto text = emit(CodeGenFileType::AssemblyFile, *copy);
    if (!text)
      return text.takeError();
    if (Error error = deliver(Stage::Assembly, "s", *text))
      return error;
  }
  if (stopsAt(Stage::Assembly))
    return Error::success();
  auto code = emit(CodeGenFileType::ObjectFile, *llvmModule);
  if (!code)
    return code.takeError();
  object = std::move(*code);
  llvmModule.reset();
  return deliver(Stage::Object, "o", object);
}

Error Compilation::link() {
  Progress::Phase phase(progress, timing, "Link");
  auto executable = linkExecutable(object, linkDirectory,
                                   /*keepDebugInfo=*/options.compile.debugInfo);
  if (!executable)
    return executable.takeError();
  if (Error error = output->write(*executable))
    return error;
  if (options.weights == WeightsSource::Embed)
    if (Error error = embedWeights())
      return error;
  return output->keep(/*executable=*/true);
}

static std::string bytesText(int64_t bytes) {
  bool isLarge = bytes >= 1000000000;
  return formatv("{0:F1} {1}",
                 static_cast<double>(bytes) / (isLarge ? 1e9 : 1e6),
                 isLarge ? "GB" : "MB")
      .str();
}

void Compilation::sayPlan() {
  int64_t parameters = 0;
  for (const ProgramParameter &parameter : program.parameters) {
    int64_t bytes = sizeof(float);
    for (int64_t size : parameter.shape)
      bytes *= size;
    parameters += bytes;
  }
  // Gradients and two moments are as large.
  errs() << "memory: " << bytesText(4 * parameters + program.arenaBytes)
         << " planned for " << program.trainTokens
         << " tokens at a time: " << bytesText(parameters)
         << " of parameters, three times that of gradients and moments, "
         << bytesText(program.arenaBytes)
         << " of values (recompute: " << options.compile.recompute << ")\n";
}

// The program's parameters as the runtime will read them from the executable.
Expected<std::vector<tnrt::StoredParameter>>
Compilation::storedParameters(const tnrt::Checkpoint &checkpoint) {
  std::vector<tnrt::StoredParameter> stored;
  for (const ProgramParameter &parameter : program.parameters) {
    const tnrt::TensorView *view = checkpoint.find(parameter.tensor);
    if (!view || view->shape != parameter.shape)
      return createStringError(printable(checkpoint.path()) +
                               ": changed while it was being compiled: " +
                               printable(parameter.tensor));
    stored.push_back(
        {view, storedType(parameter.dtype), storedLayout(parameter.layout)});
  }
  return stored;
}

Error Compilation::embedWeights() {
  Progress::Phase phase(progress, timing, "Embed the weights");
  auto checkpoint = tnrt::Checkpoint::open(model.weightsPath);
  if (!checkpoint)
    return createStringError(printable(checkpoint.message()));
  std::string tokenizer;
  if (model.tokenizerPath) {
    Error error = Error::success();
    tokenizer = loadTokenizer(model, error);
    if (error)
      return error;
  }
  auto parameters = storedParameters(*checkpoint);
  if (!parameters)
    return parameters.takeError();
  tnrt::Status status =
      tnrt::appendPayload(output->path().str(), &*parameters,
                          model.tokenizerPath ? &tokenizer : nullptr);
  return status ? Error::success()
                : createStringError(printable(status.message()));
}

Error Compilation::trace() {
  Progress::Phase phase(progress, timing, "Run with a trace");
  return runTrace({options.traceDirectory, options.output, options.traceInput,
                   model.spec.vocabSize});
}

Error Compilation::emitText(Stage stage, StringRef extension,
                            function_ref<void(raw_ostream &)> print) {
  if (!keeps(stage))
    return Error::success();
  std::string text;
  raw_string_ostream stream(text);
  print(stream);
  return deliver(stage, extension, text);
}

Error Compilation::saveTemporary(StringRef extension, StringRef content) {
  SmallString<128> path(options.saveTemps);
  sys::path::append(path, "model." + extension);
  return writeOutput(path, content);
}

Error Compilation::deliver(Stage stage, StringRef extension,
                           StringRef content) {
  if (!options.saveTemps.empty())
    if (Error error = saveTemporary(extension, content))
      return error;
  if (!stopsAt(stage))
    return Error::success();
  if (!output)
    return writeOutput("-", content);
  if (Error error = output->write(content))
    return error;
  return output->keep();
}

} // namespace tnllmc
