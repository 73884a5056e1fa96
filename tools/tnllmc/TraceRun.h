// --trace-tensors: runs what was compiled and leaves every value in a folder.
#ifndef TNLLMC_TRACERUN_H
#define TNLLMC_TRACERUN_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace tnllmc {

// What the folder holds.
inline constexpr llvm::StringLiteral traceFileName = "trace.safetensors";
inline constexpr llvm::StringLiteral traceInputName = "input.safetensors";
inline constexpr llvm::StringLiteral traceModelName = "model";
inline constexpr llvm::StringLiteral traceIRName = "model.tn.mlir";

struct TraceRun {
  std::string directory;
  std::string executable;
  std::string input; // a safetensors file as EXE run reads it; or empty
  int64_t vocabSize;
};

// Puts the input into the folder, tokens drawn from a fixed seed if none is
// given, and runs the executable on it. The error is one line; what the
// executable says itself comes before it, on stderr.
llvm::Error runTrace(const TraceRun &run);

} // namespace tnllmc

#endif // TNLLMC_TRACERUN_H
