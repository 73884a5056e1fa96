// From LLVM IR to assembly or an object file for a CPU target.
#ifndef TNLLM_TARGET_EMITOBJECT_H
#define TNLLM_TARGET_EMITOBJECT_H

#include "tnllm/Target/CPUTarget.h"
#include "tnllm/Target/DeviceImage.h"

#include "llvm/Support/CodeGen.h"
#include "llvm/Support/Error.h"

#include <memory>

namespace llvm {
class Module;
class raw_pwrite_stream;
class TargetMachine;
} // namespace llvm

namespace tnllm {

// Registers LLVM's X86 backend; calling it again does nothing.
void initializeCPUTarget();

// Position-independent code, optimised, a section for each function.
llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
createTargetMachine(const CPUTarget &target);

// Stamps the module and its functions with the target: triple, data layout, CPU,
// features and preferred vector width.
void setModuleTarget(llvm::Module &module, const CPUTarget &target,
                     const llvm::TargetMachine &machine);

// The functions of a module that the runtime calls (tnrt/abi.h); an empty name
// stands for an entry point that the program does not have.
struct EntryPoints {
  llvm::StringRef prefill, decode, head;
  llvm::StringRef sample, packed; // may be missing in the module
  llvm::StringRef evaluate, gradient; // of training programs
  llvm::StringRef gradientNorm, adamw; // of those of a GPU
};

// Adds the definition of `tnrt_model` (tnrt/abi.h), the one symbol the runtime
// looks for: the manifest and the entry points. All else becomes private to the
// object. For a GPU program, `image` is its device code (a NUL is added to PTX),
// and the module's global `constants`, where there is one, holds its constants.
// Fails when an entry point other than `sample` and `packed` is missing.
llvm::Error addModelDescriptor(llvm::Module &module, const EntryPoints &entries,
                               llvm::StringRef manifest,
                               const DeviceImage *image = nullptr,
                               llvm::StringRef constants = "");

// LLVM's -O3 pipeline.
void optimizeModule(llvm::Module &module, llvm::TargetMachine &machine);

// Writes assembly or an object file.
llvm::Error emitCode(llvm::Module &module, llvm::TargetMachine &machine,
                     llvm::CodeGenFileType type, llvm::raw_pwrite_stream &out);

} // namespace tnllm

#endif // TNLLM_TARGET_EMITOBJECT_H
