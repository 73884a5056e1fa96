// Textual IR, through parser and verifiers. What verifies prints, reads back and
// prints the same, and goes through the four stages of the compiler: a stage may
// refuse it, but says why.
#include "tnllm/Pipelines/Pipelines.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"

#include <cstdio>
#include <cstdlib>

using namespace mlir;

namespace {

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
    auto target = tnllm::getCPUTarget("x86-64-v3", [](const llvm::Twine &) { std::abort(); });
    tnllm::CompileOptions options;
    options.target = *target;
    options.prefillRows = options.decodeRows = options.headRows = 8;
    for (auto build : {tnllm::buildTNPipeline, tnllm::buildTNKPipeline,
                       tnllm::buildTNRTPipeline, tnllm::buildLLVMPipeline}) {
      stages.push_back(std::make_unique<PassManager>(&context));
      build(*stages.back(), options);
    }
  }

  void run(const std::string &text) {
    OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
    if (!module)
      return;
    readBack(*module);
    // A stage that refuses is skipped: the next one must cope with anything too.
    for (const auto &stage : stages) {
      OwningOpRef<ModuleOp> next = module->clone();
      saidWhy = false;
      if (succeeded(stage->run(*next)))
        module = std::move(next);
      else if (!saidWhy)
        complain("a stage fails without a word", *module);
    }
  }

private:
  static const DialectRegistry &registry() {
    static const DialectRegistry all = [] {
      DialectRegistry registry;
      tnllm::registerAllDialects(registry);
      return registry;
    }();
    return all;
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
  std::vector<std::unique_ptr<PassManager>> stages;
  bool saidWhy = false;
};

} // namespace

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
