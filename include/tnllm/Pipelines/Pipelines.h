// The way down from a model spec to LLVM IR, in four stages that can each be
// printed: tn, tnk, tnrt, llvm.
#ifndef TNLLM_PIPELINES_PIPELINES_H
#define TNLLM_PIPELINES_PIPELINES_H

#include "tnllm/Spec/ModelSpec.h"
#include "tnllm/Target/CPUTarget.h"
#include "tnllm/Target/DType.h"
#include "tnllm/Target/DeviceImage.h"
#include "tnllm/Target/GPUTarget.h"
#include "tnllm/Target/Manifest.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"

#include <optional>

namespace tnllm {

// What a run of the program shows to its observer, beside the hidden states.
enum class Trace {
  None,
  Values,  // each value of tn; kernels are those of single operations
  Kernels, // what the kernels of the program as it is write
};

struct CompileOptions {
  using DType = tnllm::DType; // F32, BF16

  CPUTarget target; // of the kernels or, with a GPU, of the schedule alone
  std::optional<GPUTarget> gpu; // of the kernels
  GPUFeatures gpuFeatures;
  DType dtype = DType::F32; // of the matrices; states, norms and sums are f32
  // The embedding is f32, whose rows cost no time, unless the checkpoint holds
  // it as bf16 and the matrices are not f32.
  bool bf16Embedding = false;

  // Rows (batch x length) that one call takes: what sizes every buffer. Prefill
  // and decode take the same number, so that they share kernels and memory.
  int64_t prefillRows = 256;
  int64_t decodeRows = 256;
  int64_t headRows = 64;

  // The program can choose tokens itself, so that logits need not leave the
  // device.
  bool sampling = false;

  Trace trace = Trace::None;
  // Line tables: the machine code's lines are those of the locations.
  bool debugInfo = false;
  // The loss and its gradients instead of @prefill, @decode and @head.
  bool training = false;
  // Of one call: tokens (batch x length), and sequences.
  int64_t trainTokens = 4096;
  int64_t trainSequences = 256;
  // What a block's backward computes again instead of keeping it: none,
  // selective or full; see tn-differentiate.
  std::string recompute = "none";
  // On a GPU, products of bf16 operands; see tn-mixed-precision.
  bool mixedPrecision = false;
};

// Every dialect, pass and pipeline of the project and the upstream ones they
// use.
void registerAllDialects(mlir::DialectRegistry &registry);
void registerAllPasses();

// The module of `spec`: @prefill and @head, or @loss for training, with private
// functions for the blocks; blocks of one shape share one function. Fails with a
// diagnostic.
mlir::OwningOpRef<mlir::ModuleOp> buildTNModule(mlir::MLIRContext &context,
                                                const ModelSpec &spec,
                                                const CompileOptions &options);

// tn: derives @decode from @prefill, or the gradient of @loss; simplifies, forms
// the kernels' groups.
void buildTNPipeline(mlir::OpPassManager &pm, const CompileOptions &options);
// tnk: tiled kernels and the host schedule that launches them.
void buildTNKPipeline(mlir::OpPassManager &pm, const CompileOptions &options);
// tnrt: the static memory plan.
void buildTNRTPipeline(mlir::OpPassManager &pm, const CompileOptions &options);
// For a GPU only: its kernels to the NVVM dialect, inside a gpu.module.
void buildDevicePipeline(mlir::OpPassManager &pm,
                         const CompileOptions &options);
// llvm: micro-kernels, functions, the LLVM dialect. Kernels of a GPU are what the
// device pipeline left.
void buildLLVMPipeline(mlir::OpPassManager &pm, const CompileOptions &options);

// What the manifest says of a program, read off a module after the tnrt stage.
// Fails with a diagnostic where the module, which may have been edited, lacks
// one of the attributes that the stages leave on it or has another in its
// place.
mlir::FailureOr<ProgramInfo> getProgramInfo(mlir::ModuleOp module);
// The kernels that the schedule launches on a GPU, in the order of their numbers;
// read off a module after the llvm stage that still holds its gpu.module.
std::vector<DeviceKernel> getDeviceKernels(mlir::ModuleOp module);
// The global that holds the constants of a GPU program, where it has any.
llvm::StringRef getDeviceConstantsName();

// The fingerprint (tnllm/Target/Manifest.h) of what a module is compiled for
// goes down with it as the attribute `tnrt.fingerprint`.
void setModuleFingerprint(mlir::ModuleOp module, llvm::StringRef fingerprint);
std::optional<llvm::StringRef> getModuleFingerprint(mlir::ModuleOp module);

// Writes the module to `out` as it stands and gives each operation its place
// there, as line and column of `fileName`; names stay.
void snapshotLocations(mlir::ModuleOp module, llvm::raw_ostream &out,
                       llvm::StringRef fileName);

} // namespace tnllm

#endif // TNLLM_PIPELINES_PIPELINES_H
