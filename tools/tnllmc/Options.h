// The command line of tnllmc: docs/CommandLine.md describes it.
#ifndef TNLLMC_OPTIONS_H
#define TNLLMC_OPTIONS_H

#include "Phases.h"

#include "tnllm/Pipelines/Pipelines.h"
#include "tnllm/Target/Manifest.h"

#include "llvm/Support/Error.h"

#include <cstdint>
#include <optional>
#include <string>

namespace tnllmc {

// How far to compile, in order. PTX and Cubin are those of a GPU alone.
enum class Stage {
  TN,
  TNK,
  TNRT,
  PTX,
  Cubin,
  LLVM,
  Assembly,
  Object,
  Executable
};

// "tn", ..., "exe": the names of --emit.
llvm::StringRef stringify(Stage stage);

struct Options {
  std::string model;
  std::string output; // "-": standard output
  Stage emit = Stage::Executable;
  std::string saveTemps; // a directory, or empty
  tnllm::WeightsSource::Kind weights = tnllm::WeightsSource::Link;
  std::optional<uint64_t> randomSeed; // set: weights is Random
  tnllm::CompileOptions compile;
  std::string ptxas; // a program, or empty: look for one
  std::string dumpPhases;           // a directory, or empty
  std::optional<Phase> compileFrom; // set: from `ir`, not from the model's spec
  std::string ir;                   // a file; "-": standard input
  std::string traceDirectory;       // empty: no trace
  std::string traceInput;           // a file, or empty
  bool quiet = false;
};

// Registers the options, also MLIR's. Call once, before parseOptions.
void registerOptions();

// Parses and checks the command line. --help and --version end the program. The
// error says which option, what is wrong with it and what was expected.
llvm::Expected<Options> parseOptions(int argc, char **argv);

} // namespace tnllmc

#endif // TNLLMC_OPTIONS_H
