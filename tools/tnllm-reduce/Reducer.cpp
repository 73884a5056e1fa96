// Delta debugging over the operations of a module.
//
// mlir-reduce is not used: it removes operations whose results are used and
// goes on with the invalid modules that this leaves; that of LLVM 22 crashed
// when it cloned such modules of kernels. Here every candidate is verified
// first.
#include "Reducer.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace tnllm;

// A candidate that is not valid is no news to the user.
static bool isValid(ModuleOp module) {
  ScopedDiagnosticHandler quiet(module.getContext(),
                                [](Diagnostic &) { return success(); });
  return succeeded(verify(module));
}

llvm::Expected<bool> FaultTest::shows(ModuleOp module) {
  if (!isValid(module))
    return false;
  SmallString<128> path;
  int descriptor = -1;
  if (std::error_code code = llvm::sys::fs::createTemporaryFile(
          "tnllm-reduce", "mlir", descriptor, path))
    return llvm::createStringError("cannot create a temporary file: " +
                                   code.message());
  llvm::FileRemover remover(path);
  {
    llvm::raw_fd_ostream file(descriptor, /*shouldClose=*/true);
    module.print(file);
    file << '\n';
  }
  SmallVector<StringRef> command = {program};
  command.append(arguments.begin(), arguments.end());
  command.push_back(path);
  std::string message;
  ++numRuns;
  int status = llvm::sys::ExecuteAndWait(program, command, std::nullopt, {}, 0,
                                         0, &message);
  if (status == 0 || status == 1)
    return status == 1;
  if (status < 0)
    return llvm::createStringError("--test: cannot run " + program + ": " +
                                   message);
  return llvm::createStringError("--test: " + program + " exited with " +
                                 Twine(status) +
                                 ", expected 1 (shows the fault) or 0");
}

// The operations in the module, in an order that clones share.
static std::vector<Operation *> listOperations(ModuleOp module) {
  std::vector<Operation *> operations;
  module.walk<WalkOrder::PreOrder>(
      [&](Operation *op) { operations.push_back(op); });
  return operations;
}

// `module` with the step applied to the operations [begin, end) of its list:
// users before what they use. Null where nothing changed.
static OwningOpRef<ModuleOp> apply(ModuleOp module, const Reduction &reduction,
                                   size_t begin, size_t end) {
  OwningOpRef<ModuleOp> copy = module.clone();
  std::vector<Operation *> operations = listOperations(*copy);
  llvm::DenseSet<Operation *> gone;
  bool changed = false;
  for (size_t i = end; i-- > begin;) {
    Operation *op = operations[i];
    if (gone.contains(op))
      continue;
    // What a step erases cannot be asked afterwards.
    SmallVector<Operation *> nested;
    op->walk([&](Operation *inner) { nested.push_back(inner); });
    if (!reduction.apply(op))
      continue;
    changed = true;
    gone.insert(nested.begin(), nested.end());
  }
  return changed ? std::move(copy) : nullptr;
}

// Tries one step on halves of the list, then on quarters, down to single ones.
static llvm::Expected<bool> reduceBy(const Reduction &reduction,
                                     OwningOpRef<ModuleOp> &module,
                                     FaultTest &test) {
  bool any = false;
  for (size_t length = listOperations(*module).size(); length > 0;
       length /= 2) {
    size_t size = listOperations(*module).size();
    // From the end, where users are: what they used is then free to go.
    for (size_t end = size; end > 0;) {
      size_t begin = end > length ? end - length : 0;
      OwningOpRef<ModuleOp> candidate = apply(*module, reduction, begin, end);
      if (candidate) {
        llvm::Expected<bool> shows = test.shows(*candidate);
        if (!shows)
          return shows.takeError();
        if (*shows) {
          module = std::move(candidate);
          any = true;
        }
      }
      end = std::min(begin, listOperations(*module).size());
    }
  }
  return any;
}

llvm::Error tnllm::reduce(OwningOpRef<ModuleOp> &module, FaultTest &test) {
  llvm::Expected<bool> shows = test.shows(*module);
  if (!shows)
    return shows.takeError();
  if (!*shows)
    return llvm::createStringError(
        "the module does not show the fault: the test exits with 0");
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (const Reduction &reduction : getReductions()) {
      llvm::Expected<bool> any = reduceBy(reduction, module, test);
      if (!any)
        return any.takeError();
      smaller |= *any;
    }
  }
  return llvm::Error::success();
}
