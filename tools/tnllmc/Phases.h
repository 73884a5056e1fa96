// The IR between the phases of a compilation, as files that it can go on from.
#ifndef TNLLMC_PHASES_H
#define TNLLMC_PHASES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include "llvm/Support/Error.h"

#include <string>

namespace tnllmc {

// In order. Each is named by what it leaves: TNK is the IR after the tnk stage.
enum class Phase { Spec, TN, TNK, TNRT, LLVM };

// "spec", "tn", ...: the names of --compile-from and of the dumps.
llvm::StringRef stringify(Phase phase);

// Writes 0.spec.mlir, 1.tn.mlir, ... into a folder; without one, does nothing.
class PhaseDumps {
public:
  explicit PhaseDumps(std::string directory)
      : directory(std::move(directory)) {}

  bool enabled() const { return !directory.empty(); }
  // With locations, so that names go on too.
  llvm::Error dump(Phase phase, mlir::ModuleOp module) const;
  // "NUMBER.NAME", for what comes after the phases.
  llvm::Error dump(llvm::StringRef fileName,
                   llvm::function_ref<void(llvm::raw_ostream &)> print) const;

private:
  std::string directory;
};

// Reads a module that was dumped for the compilation that `fingerprint` tells
// of (tnllm::getFingerprint); "-" is standard input. Errors: the first problem,
// one line with its place.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
readPhase(mlir::MLIRContext &context, llvm::StringRef path,
          llvm::StringRef fingerprint);

} // namespace tnllmc

#endif // TNLLMC_PHASES_H
