// Textual IR, through parser and verifiers. What verifies prints, reads back and
// prints the same, and goes down the ways that the tools have: the four stages of the
// compiler for a CPU, for a GPU and for training on either, the passes that
// differentiate, and the reference interpreter with its checks. A pass may refuse it, but
// says why.
#include "tnllm/Pipelines/Pipelines.h"
#include "tnllm/Reference/Passes.h"
#include "tnllm/Transforms/Passes.h"

#include "TN/TNDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/xxhash.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

using namespace mlir;
using namespace tnllm;

namespace {

// A search takes one way for each input, chosen by its text; a replay takes all of them, or
// the first where libFuzzer replays: with its sanitizers only that has been run so far.
bool takesAllWays = true, isSearch = false;

// Sizes that the reference interpreter runs with.
constexpr int64_t batch = 2, length = 3;

// The elements of a tensor, as many as the interpreter would hold; 1 for others.
double countElements(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  double count = 1;
  for (int64_t i = 0; tensor && i < tensor.getRank(); ++i) {
    int64_t size = tensor.getDimSize(i);
    count *= static_cast<double>(!ShapedType::isDynamic(size) ? size : i == 0 ? batch : length);
  }
  return count;
}

// Whether interpreting takes milliseconds. A function that calls another twice, which does
// the same, takes time exponential in their number.
bool isSmall(ModuleOp module) {
  int functions = 0;
  WalkResult walk = module.walk([&](Operation *op) {
    functions += isa<func::FuncOp>(op);
    SmallVector<Type> types(op->getResultTypes());
    llvm::append_range(types, op->getOperandTypes());
    for (Region &region : op->getRegions())
      for (Block &block : region)
        llvm::append_range(types, block.getArgumentTypes());
    if (auto param = dyn_cast<tn::ParamOp>(op))
      types.push_back(param.getTensorType());
    double most = 1, widest = 1;
    for (Type type : types) {
      most = std::max(most, countElements(type));
      auto tensor = dyn_cast<RankedTensorType>(type);
      if (tensor && tensor.getRank() > 0 && !tensor.isDynamicDim(tensor.getRank() - 1))
        widest = std::max(widest, static_cast<double>(tensor.getShape().back()));
    }
    bool isFine = most * widest <= 2e5 && functions <= 6;
    return isFine ? WalkResult::advance() : WalkResult::interrupt();
  });
  return !walk.wasInterrupted();
}

// One context serves many inputs. It never forgets a type or an attribute, so a new
// one takes over from time to time.
class Compiler {
public:
  Compiler() : context(registry(), MLIRContext::Threading::DISABLED) {
    context.loadAllAvailableDialects();
    context.getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
      saidWhy |= diagnostic.getSeverity() == DiagnosticSeverity::Error;
      return success();
    });
    auto target = getCPUTarget("x86-64-v3", [](const llvm::Twine &) { std::abort(); });
    CompileOptions options;
    options.target = *target;
    options.prefillRows = options.decodeRows = options.headRows = 8;
    addProgram(options);
    CompileOptions training = options;
    training.training = true;
    training.recompute = "selective";
    addProgram(training);
    auto gpu = getGPUTarget("sm_90a", [](const llvm::Twine &) { std::abort(); });
    options.gpu = training.gpu = *gpu;
    options.dtype = CompileOptions::DType::BF16;
    options.sampling = true;
    addProgram(options);
    training.mixedPrecision = true;
    addProgram(training);
    addReference();
  }

  void run(const std::string &text) {
    OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
    if (!module)
      return;
    readBack(*module);
    size_t chosen = isSearch ? llvm::xxh3_64bits(text) % ways.size() : 0;
    for (size_t i = 0; i < ways.size(); ++i)
      if (takesAllWays || i == chosen)
        follow(ways[i], *module);
  }

private:
  using Way = std::vector<std::unique_ptr<PassManager>>;

  static const DialectRegistry &registry() {
    static const DialectRegistry all = [] {
      DialectRegistry registry;
      registerAllDialects(registry);
      return registry;
    }();
    return all;
  }

  PassManager &addStage(Way &way) {
    way.push_back(std::make_unique<PassManager>(&context));
    return *way.back();
  }

  // What tnllmc runs.
  void addProgram(const CompileOptions &options) {
    Way &way = ways.emplace_back();
    for (auto build : {buildTNPipeline, buildTNKPipeline, buildTNRTPipeline})
      build(addStage(way), options);
    if (options.gpu)
      buildDevicePipeline(addStage(way), options);
    buildLLVMPipeline(addStage(way), options);
  }

  // What tnllm-opt runs on @f, and on all that is public.
  void addReference() {
    Way &way = ways.emplace_back();
    reference = ways.size() - 1;
    TNInterpretOptions interpret;
    interpret.batch = batch;
    interpret.length = length;
    interpret.printed = 0;
    addStage(way).addPass(createTNInterpret(interpret));
    TNCheckFormsOptions forms;
    forms.batch = batch;
    forms.length = length;
    forms.chunk = 2;
    addStage(way).addPass(createTNCheckForms(forms));
    for (const char *recompute : {"none", "full"}) {
      TNDifferentiateOptions differentiate;
      differentiate.function = "f";
      differentiate.recompute = recompute;
      addStage(way).addPass(createTNDifferentiate(differentiate));
    }
    addStage(way).addPass(createTNMixedPrecision());
    TNCheckGradientsOptions gradients;
    gradients.function = "f";
    gradients.batch = batch;
    gradients.length = length;
    addStage(way).addPass(createTNCheckGradients(gradients));
    addStage(way).addPass(createTNInsertProbes());
    addStage(way).addPass(createTNInterpret(interpret));
  }

  // A stage that refuses is skipped: the next one must cope with anything too.
  void follow(const Way &way, ModuleOp input) {
    bool interprets = &way == &ways[reference];
    OwningOpRef<ModuleOp> module = input.clone();
    for (const auto &stage : way) {
      // Gradients make it larger.
      if (interprets && !isSmall(*module))
        return;
      OwningOpRef<ModuleOp> next = module->clone();
      saidWhy = false;
      if (succeeded(stage->run(*next)))
        module = std::move(next);
      else if (!saidWhy)
        complain("a stage fails without a word", *module);
    }
  }

  static std::string print(ModuleOp module) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    module.print(stream);
    return text;
  }

  void readBack(ModuleOp module) {
    const std::string text = print(module);
    OwningOpRef<ModuleOp> again = parseSourceString<ModuleOp>(text, &context);
    if (!again || print(*again) != text)
      complain("it does not read back as it prints", module);
  }

  [[noreturn]] void complain(const char *what, ModuleOp module) {
    std::fprintf(stderr, "%s:\n%s\n", what, print(module).c_str());
    std::abort();
  }

  MLIRContext context;
  std::vector<Way> ways;
  size_t reference = 0;
  bool saidWhy = false;
};

} // namespace

// libFuzzer calls it with its options: `-runs=0` replays. What the interpreter prints is
// of no interest there.
extern "C" int LLVMFuzzerInitialize(int *argc, char ***argv) {
  takesAllWays = false;
  isSearch = true;
  for (int i = 1; i < *argc; ++i)
    if (std::strcmp((*argv)[i], "-runs=0") == 0)
      isSearch = false;
  if (dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO) < 0)
    std::abort();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  constexpr int inputsPerContext = 1000;
  static std::unique_ptr<Compiler> compiler;
  static int inputs = 0;
  if (inputs++ % inputsPerContext == 0)
    compiler = std::make_unique<Compiler>();
  // The parser reads up to a zero behind the end.
  compiler->run(std::string(reinterpret_cast<const char *>(data), size));
  return 0;
}
