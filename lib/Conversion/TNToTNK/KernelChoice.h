// What a target decides of this lowering: how tensors are stored, what one task
// of a kernel does, and which kernels compute linear maps and attention. The
// bodies of the kernels know nothing of it. Private to this folder.
#ifndef TNLLM_LIB_CONVERSION_TNTOTNK_KERNELCHOICE_H
#define TNLLM_LIB_CONVERSION_TNTOTNK_KERNELCHOICE_H

#include "Buffers.h"
#include "KernelBuilder.h"

#include <memory>

namespace tnllm::kernels {

class FunctionConverter;

// A root and the element-wise operations on its result, each the only user of
// the one before; `result` is that of the last.
struct Group {
  mlir::Operation *root;
  llvm::ArrayRef<mlir::Operation *> tail;
  mlir::Value result;

  // Root and tail.
  llvm::SmallVector<mlir::Operation *> operations() const;
};

// The kernel of a lightning attention.
struct AttentionKernel {
  llvm::StringRef name;
  TileSizes sizes;
  void (*build)(KernelBuilder &, const AttentionBuffers &);
  int64_t tasksPerHead = 1; // of each sequence
  // q, k, v and the output are tensor maps of 64x64 boxes, not buffers.
  bool usesMaps = false;
  // With maps: blocks that fill the GPU. Where tasks are fewer, sequences are
  // cut in segments (TiledKernels.h); 0 where that is not wanted.
  int64_t fillingBlocks = 0;
  // The state may be null: a sequence that begins and ends in the call.
  bool mayLackState = false;
  // With calls of more rows than `fewRows`, another division of the same work.
  int64_t fewRows = 0;
  TileSizes manySizes = {};
  int64_t manyTasksPerHead = 0;
};

class KernelChoice {
public:
  explicit KernelChoice(const TileSizes &sizes) : sizes(sizes) {}
  virtual ~KernelChoice() = default;

  // What tn allows and the target does not, with a diagnostic.
  virtual mlir::LogicalResult check(mlir::Operation *op) const;
  // How the weight of a linear map lies in memory.
  virtual Layout weightLayout(tn::LinearOp op) const = 0;
  // The element type that an activation which a function computes is kept in.
  virtual mlir::Type storageOf(mlir::Value tensor) const = 0;
  // Sizes of a kernel that treats rows of this many elements.
  virtual TileSizes rowSizes(int64_t columns) const = 0;
  // `matrices` are the types of the buffers of q, k, v and the output.
  virtual AttentionKernel
  attentionKernel(tn::LightningAttentionOp op,
                  llvm::ArrayRef<mlir::MemRefType> matrices) const = 0;
  // On a GPU, of any number of positions and without an operation: the adjoint
  // of an attention is three.
  virtual AttentionKernel
  longAttentionKernel(int64_t keyWidth, int64_t valueWidth,
                      llvm::ArrayRef<mlir::MemRefType> matrices) const {
    llvm_unreachable("a CPU has a kernel for the adjoint");
  }
  // True where calls of at most kGemvRows rows need no buffer of the value: the
  // kernels that read it compute it.
  virtual bool isComputedByUsers(mlir::Value) const { return false; }
  // Everything that computes the group of a tn.linear.
  virtual void launchLinear(FunctionConverter &converter,
                            const Group &group) const = 0;

  const TileSizes sizes;
};

// One kernel for a linear map and its tail. Weights lie in panels or, where they
// are trained, in rows.
std::unique_ptr<KernelChoice> chooseForCPU(const TileSizes &sizes,
                                           tnrt::LayoutKind weights);

struct GPUOptions {
  int64_t maxThreads = 256; // of a block that treats rows
  // Activations that only kernels read are kept as bf16.
  bool bf16Storage = false;
  // Kernels may use warpgroup products and tensor copies.
  bool tensorCores = false;
  // Blocks that an attention of few sequences and heads is cut in; 0: never.
  int64_t attentionBlocks = 0;
  // Linear maps of few rows on tensor cores, with what is before them.
  bool rowProducts = false, foldNorms = false, joinGates = false;
  // Linear maps of more rows in tiles, where that was measured to be faster than
  // the library.
  bool tiledLinears = false;
};

// The library's product and a kernel for the tail; weights in rows. A task is a
// block of threads that does one row.
std::unique_ptr<KernelChoice> chooseForGPU(const TileSizes &sizes,
                                           const GPUOptions &options);

} // namespace tnllm::kernels

#endif // TNLLM_LIB_CONVERSION_TNTOTNK_KERNELCHOICE_H
