// convert-gpu-to-ptx: writes the code of a gpu.module to a file.
#include "tnllm/Conversion/Passes.h"
#include "tnllm/Target/EmitPTX.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/ToolOutputFile.h"

namespace tnllm {
#define GEN_PASS_DEF_CONVERTGPUTOPTX
#include "tnllm/Conversion/Passes.h.inc"
} // namespace tnllm

using namespace mlir;
using namespace tnllm;

namespace {

struct ConvertGPUToPTXPass
    : public tnllm::impl::ConvertGPUToPTXBase<ConvertGPUToPTXPass> {
  using ConvertGPUToPTXBase::ConvertGPUToPTXBase;

  void runOnOperation() override {
    if (failed(convert(getOperation())))
      signalPassFailure();
  }

  LogicalResult convert(gpu::GPUModuleOp module) {
    FailureOr<GPUTarget> target = getGPUTarget(
        chip, [&](const Twine &message) { module.emitError(message); });
    if (failed(target))
      return failure();
    if (format != "cubin" && format != "ptx")
      return module.emitError("convert-gpu-to-ptx: expected the format ptx or "
                              "cubin, got '")
             << format << "'";
    llvm::Expected<std::string> code = emit(module, *target);
    if (!code)
      return module.emitError(llvm::toString(code.takeError()));
    return write(module, *code);
  }

  llvm::Expected<std::string> emit(gpu::GPUModuleOp module,
                                   const GPUTarget &target) {
    llvm::LLVMContext context;
    std::unique_ptr<llvm::Module> translated =
        translateModuleToLLVMIR(module, context, module.getName());
    if (!translated)
      return llvm::createStringError("cannot translate the kernels to LLVM IR");
    llvm::Expected<std::string> ptx = emitPTX(*translated, target);
    if (!ptx || (format == "ptx" && !report))
      return ptx;
    std::optional<std::string> program = findPtxas(ptxas);
    if (!program)
      return llvm::createStringError("expected ptxas in CUDA_HOME/bin, PATH or "
                                     "/usr/local/cuda/bin");
    llvm::Expected<Assembly> assembly = assemblePTX(*ptx, *program, target);
    if (!assembly)
      return assembly.takeError();
    if (report)
      llvm::errs() << assembly->report;
    return format == "ptx" ? *ptx : assembly->cubin;
  }

  LogicalResult write(gpu::GPUModuleOp module, StringRef code) {
    std::string message;
    std::unique_ptr<llvm::ToolOutputFile> file =
        openOutputFile(output, &message);
    if (!file)
      return module.emitError(message);
    file->os() << code;
    file->keep();
    return success();
  }
};

} // namespace
