// Tells the user at a terminal what the compiler is doing, and for how long.
#ifndef TNLLMC_PROGRESS_H
#define TNLLMC_PROGRESS_H

#include "mlir/Support/Timing.h"

#include <chrono>
#include <string>

namespace tnllmc {

// One line a phase on stderr, rewritten with its duration when the phase ends.
class Progress {
public:
  explicit Progress(bool enabled);

  // Runs from construction to destruction; also a scope of --mlir-timing.
  class Phase {
  public:
    Phase(const Progress &progress, mlir::TimingScope &parent,
          llvm::StringRef name);
    ~Phase();
    mlir::TimingScope &timing() { return scope; }

  private:
    const Progress &progress;
    std::string name;
    std::chrono::steady_clock::time_point start;
    mlir::TimingScope scope;
  };

private:
  bool enabled;
};

} // namespace tnllmc

#endif // TNLLMC_PROGRESS_H
