// From LLVM IR of GPU kernels to PTX, and from PTX to a cubin.
#ifndef TNLLM_TARGET_EMITPTX_H
#define TNLLM_TARGET_EMITPTX_H

#include "tnllm/Target/GPUTarget.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <string>

namespace llvm {
class Module;
} // namespace llvm

namespace tnllm {

// Registers LLVM's NVPTX backend; calling it again does nothing.
void initializeGPUTarget();

// Optimises the module, whose functions with the ptx_kernel calling convention are
// kernels, and returns its PTX. The module is used up.
llvm::Expected<std::string> emitPTX(llvm::Module &module,
                                    const GPUTarget &target);

// The ptxas to run: `given` itself where it is not empty, else that of $CUDA_HOME/bin,
// PATH or /usr/local/cuda/bin; nothing where there is none.
std::optional<std::string> findPtxas(llvm::StringRef given);

struct Assembly {
  std::string cubin;
  std::string report; // what ptxas -v says of registers, spills and more
};

// Runs ptxas. Fails with its first line of complaint.
llvm::Expected<Assembly> assemblePTX(llvm::StringRef ptx, llvm::StringRef ptxas,
                                     const GPUTarget &target);

} // namespace tnllm

#endif // TNLLM_TARGET_EMITPTX_H
