// One run of the compiler, from the model to the output.
#ifndef TNLLMC_COMPILATION_H
#define TNLLMC_COMPILATION_H

#include "Options.h"
#include "Phases.h"
#include "Progress.h"

#include "tnllm/Spec/LoadModel.h"
#include "tnllm/Target/OutputFile.h"
#include "tnrt/formats/Payload.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Support/Timing.h"

#include "llvm/IR/LLVMContext.h"

#include <memory>
#include <optional>

namespace mlir {
class PassManager;
} // namespace mlir

namespace llvm {
class Module;
class TargetMachine;
} // namespace llvm

namespace tnllmc {

class Compilation {
public:
  // `linkDirectory` is used by --emit=exe alone.
  Compilation(const Options &options, std::string linkDirectory,
              mlir::TimingScope &timing);
  ~Compilation();

  // Reads the model. Its error is the user's: every problem, one line each.
  llvm::Error load();
  // The output is opened first, so that an unwritable one is found early. Errors
  // that end in files are the user's too.
  llvm::Error openOutput();
  // Compiles as far as --emit says. A failure in the passes has been reported by a
  // diagnostic and is a fault of the compiler: `internalError` is set.
  llvm::Error run();

  bool internalError = false;

private:
  void makeContext();
  llvm::Error makeModule();
  llvm::Error lower();
  llvm::Error afterPhase(Phase phase);
  llvm::Error takeSnapshot();
  llvm::Error runStage(Stage stage, llvm::StringRef name,
                       void (*buildPipeline)(mlir::OpPassManager &,
                                             const tnllm::CompileOptions &));
  llvm::Error lowerDevice();
  llvm::Error assembleDevice();
  llvm::Error emitModule(Stage stage);
  llvm::Error applyPassOptions(mlir::PassManager &pm);
  llvm::Error translate();
  llvm::Error generateCode();
  llvm::Error link();
  // Of a trainer, what it will take, on stderr.
  void sayPlan();
  llvm::Expected<std::vector<tnrt::StoredParameter>>
  storedParameters(const tnrt::Checkpoint &checkpoint);
  llvm::Error embedWeights();
  llvm::Error trace();

  std::string buildManifest();
  llvm::Error emitText(Stage stage, llvm::StringRef extension,
                       llvm::function_ref<void(llvm::raw_ostream &)> print);
  llvm::Error saveTemporary(llvm::StringRef extension,
                            llvm::StringRef content);
  // The GPU that runs the kernels, or null.
  const tnllm::GPUTarget *gpu() const;
  // Among the temporaries and, where --emit names the stage, as the output.
  llvm::Error deliver(Stage stage, llvm::StringRef extension,
                      llvm::StringRef content);
  bool stopsAt(Stage stage) const { return options.emit == stage; }
  bool keeps(Stage stage) const {
    return stopsAt(stage) || !options.saveTemps.empty();
  }

  const Options &options;
  std::string linkDirectory;
  Progress progress;
  PhaseDumps dumps;
  mlir::TimingScope &timing;

  tnllm::LoadedModel model;
  std::optional<tnllm::OutputFile> output; // empty: standard output
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  tnllm::ProgramInfo program;
  llvm::LLVMContext llvmContext;
  std::unique_ptr<llvm::Module> llvmModule;
  std::unique_ptr<llvm::TargetMachine> machine;
  tnllm::DeviceImage image; // of a GPU's kernels
  std::string object;
};

} // namespace tnllmc

#endif // TNLLMC_COMPILATION_H
