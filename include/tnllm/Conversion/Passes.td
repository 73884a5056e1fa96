// Passes that go from one dialect to another.
#ifndef TNLLM_CONVERSION_PASSES_TD
#define TNLLM_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertTNToTNK : Pass<"convert-tn-to-tnk", "::mlir::ModuleOp"> {
  let summary = "tensors to buffers, operations to tiled kernels and their launches";
  let description = [{
    Every function of tensors becomes a host function of buffers that allocates what
    it computes (`tnrt.alloc`) and launches one kernel for each `tn.fused` or lone
    operation. Equal kernels are made once. Activations [B, N, C] become matrices of
    `tn.rows` rows; slices and head splits become views. A lightning attention whose
    length is 1 takes the recurrent form, any other the chunked form.

    With `gpu-threads` the kernels are those of a GPU: a task is a block of threads that
    does one row or, of an attention, one head; weights lie in rows; a linear map is a
    `tnrt.matmul` and, where something follows it, a kernel on its result.

    ```mlir
    %y = tn.linear %x, %w : tensor<?x?x64xf32>, tensor<192x64xf32> -> tensor<?x?x192xf32>
    ```
    becomes
    ```mlir
    %y = tnrt.alloc : memref<256x192xf32>
    tnrt.launch %context @linear_k64_n192 tasks(%c3) (%x, %w, %y, %rows)
        : memref<256x64xf32>, memref<3x64x64xf32>, memref<256x192xf32>, index
    ```
  }];
  let options = [
    Option<"tileRows", "tile-rows", "int64_t", "6",
           "rows of the register tile of matrix kernels">,
    Option<"panelWidth", "panel-width", "int64_t", "64",
           "columns of the register tile, and of a panel of packed weights">,
    Option<"bf16Pairs", "bf16-pairs", "bool", "false",
           "pack bf16 weights in pairs for the dot product instruction">,
    Option<"blockBytes", "block-bytes", "int64_t", "262144",
           "bytes of a panel that all rows pass over while it is in the cache">,
    Option<"chunk", "chunk", "int64_t", "64",
           "positions in a chunk of the chunked attention">,
    Option<"rowBlock", "row-block", "int64_t", "8",
           "rows that one task of a row-wise kernel does">,
    Option<"gpuThreads", "gpu-threads", "int64_t", "0",
           "most threads of a block that treats a row on a GPU; 0 is for a CPU">,
    Option<"bf16Storage", "bf16-storage", "bool", "false",
           "on a GPU, keep activations that only kernels read as bf16">,
  ];
  let statistics = [
    Statistic<"numKernels", "kernels", "kernels made">,
    Statistic<"numLaunches", "launches", "launches made">,
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect",
    "::tnllm::tnk::TNKDialect", "::tnllm::tnrt::TNRTDialect",
  ];
}

def ConvertTNKToFunc : Pass<"convert-tnk-to-func", "::mlir::ModuleOp"> {
  let summary = "kernels to functions of the runtime's kernel signature";
  let description = [{
    ```mlir
    tnk.kernel @k(%x: memref<8x64xf32>, %task: index) { ... }
    ```
    becomes
    ```mlir
    func.func private @k(%args: !tnrt.arguments, %t: i64) {
      %x = tnrt.kernel_arg %args[0] : memref<8x64xf32>
      %task = arith.index_cast %t : i64 to index
      ...
    }
    ```
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::tnllm::tnrt::TNRTDialect",
  ];
}

def ConvertTNRTToLLVM : Pass<"convert-tnrt-to-llvm", "::mlir::ModuleOp"> {
  let summary = "the host schedule and functions to calls of the runtime's C ABI";
  let description = [{
    `tnrt`, `func` and `cf` become LLVM functions, their branches and calls of those in
    `tnrt/ABI.def`; buffers are bare pointers at every function boundary. Entry points stay
    external, every other function becomes internal.

    ```mlir
    %w = tnrt.param %context[3] : memref<4x64x64xf32>
    ```
    becomes
    ```mlir
    %i = llvm.mlir.constant(3 : i64) : i64
    %w = llvm.call @tnrt_param(%context, %i) : (!llvm.ptr, i64) -> !llvm.ptr
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // TNLLM_CONVERSION_PASSES_TD
