// The search of tnllm-reduce: tries steps on ever shorter ranges of operations,
// and keeps a smaller module whenever the test still finds the fault in it.
#ifndef TNLLM_REDUCE_REDUCER_H
#define TNLLM_REDUCE_REDUCER_H

#include "Reductions.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace tnllm {

// A program that says whether a module shows the fault: it is run with its own
// arguments and the name of a file, and exits with 1 for yes and 0 for no.
class FaultTest {
public:
  FaultTest(std::string program, std::vector<std::string> arguments)
      : program(std::move(program)), arguments(std::move(arguments)) {}

  // An invalid module shows nothing. Fails where the program does not run, or
  // exits in another way.
  llvm::Expected<bool> shows(mlir::ModuleOp module);

  unsigned getNumRuns() const { return numRuns; }

private:
  std::string program;
  std::vector<std::string> arguments;
  unsigned numRuns = 0;
};

// Makes `module`, which shows the fault, smaller until no single step helps.
llvm::Error reduce(mlir::OwningOpRef<mlir::ModuleOp> &module, FaultTest &test);

} // namespace tnllm

#endif // TNLLM_REDUCE_REDUCER_H
