// Declares tnllmc's options and checks what the user gave. Values are checked
// here and not by cl::opt, whose messages do not say what was expected.
#include "Options.h"

#include "Console.h"
#include "TraceRun.h"
#include "Versions.h"

#include "tnllm/Spec/Printable.h"
#include "tnllm/Target/Version.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace tnllmc {
namespace {

cl::OptionCategory category("Compiler options");
cl::OptionCategory mlirCategory("MLIR options");

cl::opt<std::string> modelOption(cl::Positional, cl::desc("MODEL"),
                                 cl::cat(category));
cl::opt<std::string> outputOption("o", cl::value_desc("file"),
                                  cl::desc("Output; - is standard output"),
                                  cl::cat(category));
cl::opt<std::string> targetOption(
    "target", cl::value_desc("cpu|sm_90a|sm_80"), cl::init("cpu"),
    cl::desc("What runs the model: the CPU (cpu), or an NVIDIA GPU"),
    cl::cat(category));
cl::opt<std::string> marchOption(
    "march", cl::value_desc("native|x86-64-v3|x86-64-v4"), cl::init("native"),
    cl::desc("CPU to compile for (native: this machine's; x86-64-v3 beside a "
             "GPU)"),
    cl::cat(category));
cl::list<std::string> gpuWithoutOption(
    "gpu-without", cl::value_desc("feature"), cl::CommaSeparated,
    cl::desc("Leave out what makes a GPU's code faster, to measure its gain: "
             "overlap, segments, row-products, fold-norms, join-gates, "
             "tiled-linears"),
    cl::cat(category));
cl::opt<std::string>
    ptxasOption("ptxas", cl::value_desc("path"),
                cl::desc("NVIDIA's assembler, for a GPU ($CUDA_HOME/bin, PATH "
                         "or /usr/local/cuda/bin)"),
                cl::cat(category));
cl::opt<std::string> dtypeOption(
    "dtype", cl::value_desc("f32|bf16|int8|fp8|int4"), cl::init("f32"),
    cl::desc("Type of the weights in memory (f32), fp8 and int4 for "
             "a GPU alone; states and sums are f32 with any"),
    cl::cat(category));
cl::opt<std::string>
    weightsOption("weights", cl::value_desc("link|embed"), cl::init("link"),
                  cl::desc("Map the checkpoint's files at start-up (link), or "
                           "store weights and tokenizer in the executable"),
                  cl::cat(category));
cl::opt<std::string> emitOption(
    "emit", cl::value_desc("tn|tnk|tnrt|ptx|cubin|llvm|asm|obj|exe"),
    cl::init("exe"),
    cl::desc("Where to stop: one of the IR stages, a GPU's code, assembly, an "
             "object file or the executable (exe)"),
    cl::cat(category));
cl::opt<std::string> samplingOption(
    "sampling", cl::value_desc("program|runtime"),
    cl::desc(
        "Who chooses tokens: generated code, so that logits stay on a GPU, "
        "or the runtime (program on a GPU, runtime on a CPU)"),
    cl::cat(category));
cl::opt<std::string>
    saveTempsOption("save-temps", cl::value_desc("dir"),
                    cl::desc("Write every stage into this folder"),
                    cl::cat(category));
cl::opt<std::string> randomOption(
    "random-weights", cl::value_desc("seed"),
    cl::desc("Fill the weights at start-up from this seed; the model "
             "needs no checkpoint"),
    cl::cat(category));
cl::opt<bool> debugOption(
    "g",
    cl::desc("Line tables: from machine code to the tn module, which is "
             "written beside the output (OUTPUT.tn.mlir)"),
    cl::cat(category));
cl::opt<std::string>
    dumpOption("dump-compilation-phases-to", cl::value_desc("dir"),
               cl::desc("Write the IR after each phase into this folder, as "
                        "--compile-from reads it"),
               cl::cat(category));
cl::opt<std::string> compileFromOption(
    "compile-from", cl::value_desc("spec|tn|tnk|tnrt|llvm"),
    cl::desc("Go on after this phase, from the IR of --ir; MODEL gives weights "
             "and tokenizer"),
    cl::cat(category));
cl::opt<std::string> irOption("ir", cl::value_desc("file"), cl::init("-"),
                              cl::desc("IR for --compile-from (-: standard "
                                       "input)"),
                              cl::cat(category));
cl::opt<std::string> traceOption(
    "trace-tensors", cl::value_desc("dir"),
    cl::desc("Compile with every value of tn shown, run, and write the values "
             "into this folder; tnllmc diff compares two"),
    cl::cat(category));
cl::opt<std::string> traceInputOption(
    "trace-input", cl::value_desc("file"),
    cl::desc("What the traced run reads, as EXE run --input (some tokens)"),
    cl::cat(category));
cl::opt<bool>
    traceFusedOption("trace-fused",
                     cl::desc("Trace the program as it is: only what its fused "
                              "kernels write"),
                     cl::cat(category));
cl::opt<bool> trainOption(
    "train",
    cl::desc("A program that trains the model, instead of one that runs it; in "
             "f32 on the CPU"),
    cl::cat(category));
cl::opt<std::string> trainTokensOption(
    "train-tokens", cl::value_desc("n"), cl::init("4096"),
    cl::desc("With --train: most tokens (batch x length) of one call, which "
             "size its memory (4096)"),
    cl::cat(category));
cl::opt<std::string> recomputeOption(
    "recompute", cl::value_desc("none|selective|full"), cl::init("none"),
    cl::desc("With --train: what the backward computes again instead of "
             "keeping it (none)"),
    cl::cat(category));
cl::opt<std::string> ampOption(
    "amp", cl::value_desc("off|bf16"), cl::init("off"),
    cl::desc("With --train on a GPU: the type of the operands of matrix "
             "products (off: f32)"),
    cl::cat(category));
cl::opt<bool> quietOption("quiet", cl::desc("Show no progress"),
                          cl::cat(category));

cl::extrahelp examples(R"(
MODEL is a checkpoint directory (config.json, *.safetensors, tokenizer.model) or
a YAML spec. tnllmc diff --help shows how traces are compared.

Examples:
  tnllmc examples/tiny -o tiny
      compiles the model for this machine; then: ./tiny generate -p "Once"
  tnllmc spec.yaml --random-weights=1 --dtype=bf16 -o big
      an executable of a spec, with random weights in bf16
  tnllmc examples/tiny --march=x86-64-v3 --emit=tnk
      shows the kernels that an AVX2 machine would run
  tnllmc spec.yaml --random-weights=1 --dtype=bf16 --target=sm_90a -o big
      an executable for machines with an H100 or H200; this one needs no GPU
  tnllmc examples/tiny --train -o trainer
      a program that trains the model; then: ./trainer train --help
  tnllmc examples/tiny --trace-tensors=trace
      runs it and writes each tensor of each layer to trace/trace.safetensors
  tnllmc examples/tiny -o tiny --dump-compilation-phases-to=phases
  tnllmc examples/tiny -o tiny --compile-from=tnk --ir=phases/2.tnk.mlir
      goes on from the kernels, which may have been edited
)");

// A value of an option, by name.
template <typename T> struct Choice {
  const char *name;
  T value;
};

const Choice<Stage> stages[] = {
    {"tn", Stage::TN},         {"tnk", Stage::TNK},
    {"tnrt", Stage::TNRT},     {"ptx", Stage::PTX},
    {"cubin", Stage::Cubin},   {"llvm", Stage::LLVM},
    {"asm", Stage::Assembly},  {"obj", Stage::Object},
    {"exe", Stage::Executable}};
const Choice<tnllm::DType> dtypes[] = {{"f32", tnllm::DType::F32},
                                       {"bf16", tnllm::DType::BF16},
                                       {"int8", tnllm::DType::I8},
                                       {"fp8", tnllm::DType::F8},
                                       {"int4", tnllm::DType::I4}};
const Choice<StringRef> recomputes[] = {
    {"none", "none"}, {"selective", "selective"}, {"full", "full"}};

const Choice<tnllm::WeightsSource::Kind> weightKinds[] = {
    {"link", tnllm::WeightsSource::Link},
    {"embed", tnllm::WeightsSource::Embed}};

// Rows of one call on a GPU, which small calls leave idle.
constexpr int64_t gpuPrefillRows = 4096;
constexpr int64_t gpuHeadRows = 256;
// So that every size stays far from overflow.
constexpr int64_t mostTrainTokens = 1 << 24;
const Choice<Phase> phases[] = {{"spec", Phase::Spec},
                                {"tn", Phase::TN},
                                {"tnk", Phase::TNK},
                                {"tnrt", Phase::TNRT},
                                {"llvm", Phase::LLVM}};

template <typename T, size_t N>
Expected<T> choose(const cl::opt<std::string> &option,
                   const Choice<T> (&choices)[N]) {
  std::string expected;
  for (const Choice<T> &choice : choices) {
    if (option == choice.name)
      return choice.value;
    expected += expected.empty() ? "" : ", ";
    expected += choice.name;
  }
  return createStringError("--" + option.ArgStr + ": unknown value '" +
                           tnllm::printable(option.getValue()) +
                           "', expected " + (N > 1 ? "one of " : "") +
                           expected);
}

Error setOutput(Options &options) {
  if (outputOption.getNumOccurrences() > 1)
    return createStringError("-o: given more than once, expected one output");
  options.output = outputOption;
  bool text = options.emit <= Stage::Assembly && options.emit != Stage::Cubin;
  if (options.output.empty() && !options.traceDirectory.empty()) {
    SmallString<128> path(options.traceDirectory);
    sys::path::append(path, traceModelName);
    options.output = std::string(path);
  }
  if (options.output.empty()) {
    if (!text)
      return createStringError("-o: expected the name of the file to write");
    options.output = "-";
  }
  if (options.output == "-" && options.emit == Stage::Executable)
    return createStringError(
        "-o: an executable cannot go to standard output, expected a file");
  return Error::success();
}

Error setTrace(Options &options) {
  options.traceDirectory = traceOption;
  options.traceInput = traceInputOption;
  if (options.traceDirectory.empty()) {
    if (traceInputOption.getNumOccurrences() || traceFusedOption)
      return createStringError("--trace-input and --trace-fused say how to "
                               "trace, expected them with --trace-tensors=DIR");
    return Error::success();
  }
  if (options.emit != Stage::Executable)
    return createStringError("--trace-tensors runs the executable, expected it "
                             "without --emit=" +
                             stringify(options.emit));
  options.compile.trace =
      traceFusedOption ? tnllm::Trace::Kernels : tnllm::Trace::Values;
  return Error::success();
}

// The loss and its gradients have kernels in f32 for the CPU; as tn, the other
// types can be looked at.
Error setTraining(Options &options) {
  options.compile.training = trainOption;
  auto recompute = choose(recomputeOption, recomputes);
  if (!recompute)
    return recompute.takeError();
  options.compile.recompute = recompute->str();
  if (!trainOption) {
    for (auto *option : {&recomputeOption, &trainTokensOption, &ampOption})
      if (option->getNumOccurrences())
        return createStringError(
            "--" + option->ArgStr +
            " says how to train, expected it with --train");
    return Error::success();
  }
  if (StringRef(trainTokensOption)
          .getAsInteger(10, options.compile.trainTokens) ||
      options.compile.trainTokens < 1 ||
      options.compile.trainTokens > mostTrainTokens)
    return createStringError(
        "--train-tokens: expected a number from 1 to 16777216, got '" +
        tnllm::printable(trainTokensOption.getValue()) + "'");
  if (ampOption != "off" && ampOption != "bf16")
    return createStringError("--amp: unknown value '" +
                             tnllm::printable(ampOption.getValue()) +
                             "', expected off or bf16");
  options.compile.mixedPrecision = ampOption == "bf16";
  if (options.emit == Stage::TN)
    return Error::success();
  if (ampOption == "bf16" && targetOption == "cpu")
    return createStringError("--amp=bf16: CPUs have no kernels for it yet, "
                             "expected --target to be one of " +
                             tnllm::listGPUTargets());
  if (dtypeOption != "f32")
    return createStringError("--train: parameters are trained in f32, expected "
                             "--dtype=f32 or --emit=tn");
  if (options.weights == tnllm::WeightsSource::Embed)
    return createStringError("--train: a trainer changes its weights, expected "
                             "--weights=link");
  if (!options.traceDirectory.empty())
    return createStringError(
        "--trace-tensors: a trainer has no 'run', expected "
        "it without --train");
  return Error::success();
}

// The last phase that --emit=STAGE runs.
Phase lastPhaseOf(Stage stage) {
  switch (stage) {
  case Stage::TN:
    return Phase::TN;
  case Stage::TNK:
    return Phase::TNK;
  case Stage::TNRT:
    return Phase::TNRT;
  default:
    return Phase::LLVM;
  }
}

// Where the compilation begins, and what it leaves behind on the way.
Error setPhases(Options &options) {
  options.dumpPhases = dumpOption;
  options.compile.debugInfo = debugOption;
  if (debugOption && options.output == "-")
    return createStringError("-g writes the tn module beside the output, "
                             "expected -o with the name of a file");
  options.ir = irOption;
  if (!compileFromOption.getNumOccurrences()) {
    if (irOption.getNumOccurrences())
      return createStringError("--ir: expected --compile-from, which says what "
                               "phase the file comes from");
    return Error::success();
  }
  auto phase = choose(compileFromOption, phases);
  if (!phase)
    return phase.takeError();
  options.compileFrom = *phase;
  if (lastPhaseOf(options.emit) < *phase)
    return createStringError("--compile-from=" + stringify(*phase) +
                             " comes after --emit=" + stringify(options.emit) +
                             ", expected a stage not before it");
  return Error::success();
}

Error setWeights(Options &options) {
  auto kind = choose(weightsOption, weightKinds);
  if (!kind)
    return kind.takeError();
  options.weights = *kind;
  if (!randomOption.getNumOccurrences())
    return Error::success();
  if (*kind == tnllm::WeightsSource::Embed)
    return createStringError(
        "--random-weights leaves nothing to embed, expected "
        "it without --weights=embed");
  uint64_t seed;
  if (StringRef(randomOption).getAsInteger(10, seed))
    return createStringError("--random-weights: '" +
                             tnllm::printable(randomOption.getValue()) +
                             "' is no seed, expected a number of 0 to 2^64-1");
  options.randomSeed = seed;
  options.weights = tnllm::WeightsSource::Random;
  return Error::success();
}

Error setGPU(Options &options) {
  std::string message;
  auto gpu = tnllm::getGPUTarget(
      targetOption, [&](const Twine &text) { message = text.str(); });
  if (failed(gpu))
    return createStringError("--target: unknown value '" +
                             tnllm::printable(targetOption.getValue()) +
                             "', expected cpu or one of " +
                             tnllm::listGPUTargets());
  options.compile.gpu = *gpu;
  options.compile.prefillRows = gpuPrefillRows;
  options.compile.headRows = gpuHeadRows;
  options.ptxas = ptxasOption;
  for (const std::string &feature : gpuWithoutOption)
    if (!options.compile.gpuFeatures.turnOff(feature))
      return createStringError(
          "--gpu-without: unknown feature '" + tnllm::printable(feature) +
          "', expected some of " + tnllm::listGPUFeatures());
  return Error::success();
}

Error setSampling(Options &options) {
  options.compile.sampling = options.compile.gpu.has_value();
  if (!samplingOption.getNumOccurrences())
    return Error::success();
  if (samplingOption != "program" && samplingOption != "runtime")
    return createStringError("--sampling: unknown value '" +
                             tnllm::printable(samplingOption.getValue()) +
                             "', expected program or runtime");
  options.compile.sampling = samplingOption == "program";
  return Error::success();
}

Error setTarget(Options &options) {
  auto dtype = choose(dtypeOption, dtypes);
  if (!dtype)
    return dtype.takeError();
  options.compile.dtype = *dtype;
  bool onGPU = targetOption != "cpu";
  if (onGPU)
    if (Error error = setGPU(options))
      return error;
  if (!onGPU && (*dtype == tnllm::DType::F8 || *dtype == tnllm::DType::I4))
    return createStringError("--dtype=" + tnllm::stringify(*dtype) +
                             ": the CPU has no such kernels yet, expected f32, "
                             "bf16 or int8, or --target to be one of " +
                             tnllm::listGPUTargets());
  if (!onGPU && !gpuWithoutOption.empty())
    return createStringError("--gpu-without leaves out what a GPU's code does, "
                             "expected it with --target to be one of " +
                             tnllm::listGPUTargets());
  if (!onGPU && (options.emit == Stage::PTX || options.emit == Stage::Cubin))
    return createStringError(
        "--emit=" + stringify(options.emit) +
        ": the CPU has no such stage, expected --target to "
        "be one of " +
        tnllm::listGPUTargets());
  std::string march = marchOption;
  // The schedule costs little: it need not be this machine's.
  if (onGPU && !marchOption.getNumOccurrences())
    march = "x86-64-v3";
  std::string message;
  auto cpu = tnllm::getCPUTarget(
      march, [&](const Twine &text) { message = text.str(); });
  if (failed(cpu))
    return createStringError(tnllm::printable(message));
  options.compile.target = *cpu;
  return setSampling(options);
}

// Some of LLVM's messages come through a stream, some go to stderr; most start
// with the program's name, and some end in hints that repeat its path, on the
// same line or more of them.
Error parseCommandLine(int argc, char **argv) {
  std::string log;
  raw_string_ostream stream(log);
  bool parsed = false;
  std::string printed = captureStderr([&] {
    parsed = cl::ParseCommandLineOptions(
        argc, argv, "tnllmc compiles a TransNormerLLM to an executable\n",
        &stream);
  });
  if (parsed) {
    errs() << printed;
    return Error::success();
  }
  std::string text = printed + log;
  StringRef message = StringRef(text).trim().split('\n').first;
  message = message.split("  Try: ").first;
  for (StringRef name : {StringRef(argv[0]), sys::path::filename(argv[0])})
    message.consume_front((name + ": ").str());
  message = message.rtrim(".!\n ");
  return createStringError(tnllm::printable(message) +
                           "; tnllmc --help lists the options");
}

} // namespace

StringRef stringify(Stage stage) {
  return stages[static_cast<size_t>(stage)].name;
}

void registerOptions() {
  // For --mlir-print-ir-after=tn-... and the like.
  tnllm::registerAllPasses();
  mlir::registerAsmPrinterCLOptions();
  mlir::registerMLIRContextCLOptions();
  mlir::registerPassManagerCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();
  // LLVM registers hundreds more; they work, but --help-hidden alone shows
  // them.
  for (auto &entry : cl::getRegisteredOptions())
    if (entry.first.starts_with("mlir-"))
      entry.second->addCategory(mlirCategory);
  cl::HideUnrelatedOptions({&category, &mlirCategory});
  cl::SetVersionPrinter([](raw_ostream &out) {
    tnllm::printVersion(out);
    out << getLinkedVersions() << '\n';
  });
}

Expected<Options> parseOptions(int argc, char **argv) {
  if (Error error = parseCommandLine(argc, argv))
    return std::move(error);
  Options options;
  options.model = modelOption;
  if (options.model.empty())
    return createStringError(
        "expected a model: a checkpoint directory or a YAML "
        "spec; tnllmc --help shows examples");
  auto emit = choose(emitOption, stages);
  if (!emit)
    return emit.takeError();
  options.emit = *emit;
  options.saveTemps = saveTempsOption;
  options.quiet = quietOption;
  if (Error error = setTrace(options))
    return std::move(error);
  if (Error error = setOutput(options))
    return std::move(error);
  if (Error error = setPhases(options))
    return std::move(error);
  if (Error error = setWeights(options))
    return std::move(error);
  if (Error error = setTarget(options))
    return std::move(error);
  if (Error error = setTraining(options))
    return std::move(error);
  // lld, which runs in this process, registers an option of this name.
  marchOption.removeArgument();
  return options;
}

} // namespace tnllmc
