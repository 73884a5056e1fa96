// Progress lines on stderr.
#include "Progress.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace tnllmc {

Progress::Progress(bool wanted)
    : enabled(wanted && errs().is_displayed()) {}

Progress::Phase::Phase(const Progress &progress, mlir::TimingScope &parent,
                       StringRef name)
    : progress(progress), name(name), start(std::chrono::steady_clock::now()),
      scope(parent.nest(name)) {
  if (progress.enabled)
    errs() << left_justify(name, 28) << "...";
}

Progress::Phase::~Phase() {
  if (!progress.enabled)
    return;
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  errs() << '\r' << left_justify(name, 28) << format("%6.2f s\n", seconds.count());
}

} // namespace tnllmc
