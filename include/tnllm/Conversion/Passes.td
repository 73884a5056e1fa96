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
    `tnrt.matmul` and, where something follows it, a kernel on its result. Calls of up to
    8 rows multiply in kernels of their own, chosen when the program runs, which then may
    hold the norm before a map and a second map beside it.

    With `training` all parameters lie in rows, as the optimizer updates them. A gradient of
    a parameter is added to the buffer that it goes to: an entry point's to what
    `tnrt.gradient` gives, so that several calls add up. For a GPU the module also gets
    the optimizer's entry points, `@gradient_norm` and `@adamw`.

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
    Option<"streamBlockBytes", "stream-block-bytes", "int64_t", "16384",
           "the same for calls of few rows, and how far ahead they fetch">,
    Option<"streamRows", "stream-rows", "int64_t", "16",
           "most rows of such a call">,
    Option<"chunk", "chunk", "int64_t", "64",
           "positions in a chunk of the chunked attention">,
    Option<"rowBlock", "row-block", "int64_t", "8",
           "rows that one task of a row-wise kernel does">,
    Option<"training", "training", "bool", "false",
           "keep every parameter in rows, to be trained">,
    Option<"gpuThreads", "gpu-threads", "int64_t", "0",
           "most threads of a block that treats a row on a GPU; 0 is for a CPU">,
    Option<"bf16Storage", "bf16-storage", "bool", "false",
           "on a GPU, keep activations that only kernels read as bf16">,
    Option<"bf16Depth", "bf16-depth", "int64_t", "1",
           "with bf16-storage, the depth that every linear map needs; where one is "
           "shallower, activations stay f32">,
    Option<"tensorCores", "tensor-cores", "bool", "false",
           "on a GPU, use kernels of warpgroup products where operands are bf16">,
    Option<"attentionBlocks", "attention-blocks", "int64_t", "0",
           "with tensor cores, cut sequences in segments where they are fewer blocks "
           "than this; 0 never cuts">,
    Option<"rowProducts", "row-products", "bool", "false",
           "on a GPU, multiply up to 8 rows with weights of bf16 on tensor cores">,
    Option<"foldNorms", "fold-norms", "bool", "false",
           "with row products, a norm without weight is a scale of their rows">,
    Option<"joinGates", "join-gates", "bool", "false",
           "with row products, two maps of one input whose results are multiplied are "
           "one kernel">,
    Option<"tiledLinears", "tiled-linears", "bool", "false",
           "with tensor cores, linear maps of many rows by warpgroup products of their "
           "own with what follows them, where that is faster than the library">,
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

def TNKGenerateAttention : Pass<"tnk-generate-attention", "::mlir::ModuleOp"> {
  let summary = "adds the tiled attention kernel of given widths to a module";
  let description = [{
    The kernel that `convert-tn-to-tnk` makes for tensor cores, alone: to read, to change
    and to measure. Its arguments are the maps of q, k, v and the output, the slopes, the
    state, the length and the task. With `segments`, the three kernels too that cut a
    sequence in segments of `chunks` chunks of 64 positions: the states of segments
    (maps of k and v, slopes, length, states, chunks, segments of a sequence, task), their
    scan (slopes, state, states, chunks, segments, task) and the outputs (those of the
    whole, states, chunks, segments, task). With `gradients` there are no states of sequences,
    and the maps are those of q, k, v, the gradient that comes in and the three that go out.

    ```
    echo 'module {}' | tnllm-opt --tnk-generate-attention="key-width=128 value-width=128"
    ```
  }];
  let options = [
    Option<"heads", "heads", "int64_t", "1", "heads">,
    Option<"sequences", "sequences", "int64_t", "1", "states in the buffer">,
    Option<"segments", "segments", "int64_t", "0",
           "states of segments in their buffer; 0: no such kernels">,
    Option<"keyWidth", "key-width", "int64_t", "128", "columns of a key">,
    Option<"valueWidth", "value-width", "int64_t", "128", "columns of a value">,
    Option<"scale", "scale", "double", "1.0", "scale of the output">,
    Option<"reversed", "reversed", "bool", "false",
           "from the last position to the first, as the adjoint goes">,
    Option<"gradients", "gradients", "bool", "false",
           "the adjoint in q, k and v at once, of keys and values of one width">,
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect", "::tnllm::tnk::TNKDialect",
  ];
}

def TNKGenerateLinear : Pass<"tnk-generate-linear", "::mlir::ModuleOp"> {
  let summary = "adds the tiled kernel of a linear map to a module";
  let description = [{
    y = x w^T in bf16 with sums in f32, for tensor cores: to read, to change and to
    measure. Its arguments are the maps of x and w, y in f32, the rows and the task.

    ```
    echo 'module {}' | tnllm-opt --tnk-generate-linear="rows=4096 depth=1024 columns=1024"
    ```
  }];
  let options = [
    Option<"rows", "rows", "int64_t", "4096", "rows that y has">,
    Option<"depth", "depth", "int64_t", "1024", "columns of x and of w">,
    Option<"columns", "columns", "int64_t", "1024", "columns of y">,
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect", "::tnllm::tnk::TNKDialect",
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

def ConvertTNKToGPU : Pass<"convert-tnk-to-gpu", "::mlir::ModuleOp"> {
  let summary = "kernels with threads to functions of a gpu.module";
  let description = [{
    Kernels with `threads` move to `gpu.module @kernels`; the task is the number of the
    block. Every `tnk.shared` gets its place in one dynamic buffer, those of the largest
    alignment first; the bytes of all are the attribute `tnk.shared_bytes`, which a launch
    must provide. Uses of a kernel's name, `@k`, become `@kernels::@k`.

    ```mlir
    tnk.kernel @k(%x: memref<8x64xf32>, %task: index) threads(64) {
      %s = tnk.shared : memref<64xf32, #gpu.address_space<workgroup>>
      ...
      tnk.return
    }
    ```
    becomes
    ```mlir
    gpu.module @kernels {
      gpu.func @k(%x: memref<8x64xf32>) kernel
          attributes {known_block_size = array<i32: 64, 1, 1>, tnk.shared_bytes = 256 : i64} {
        %task = gpu.block_id x
        %bytes = gpu.dynamic_shared_memory : memref<?xi8, #gpu.address_space<workgroup>>
        %c0 = arith.constant 0 : index
        %s = memref.view %bytes[%c0][] : memref<?xi8, #gpu.address_space<workgroup>>
            to memref<64xf32, #gpu.address_space<workgroup>>
        ...
        gpu.return
      }
    }
    ```
  }];
  let dependentDialects = [
    "::mlir::LLVM::LLVMDialect", "::mlir::arith::ArithDialect",
    "::mlir::gpu::GPUDialect", "::mlir::memref::MemRefDialect",
  ];
}

def ConvertKernelsToNVVM : Pass<"convert-kernels-to-nvvm", "::mlir::gpu::GPUModuleOp"> {
  let summary = "a gpu.module to the LLVM and NVVM dialects, without libdevice";
  let description = [{
    Buffers become bare pointers at the kernels' boundary, index becomes i64. Functions of
    `math` that have an instruction become LLVM's intrinsics (`exp2`, `sqrt`, `fma`,
    rounding); what has none must have been expanded before (`tnk-expand-math`). Upstream's
    convert-gpu-to-nvvm instead calls libdevice, a file of NVIDIA's that the compiler
    would have to find and link. The dynamic shared buffer begins at a multiple of 1024
    bytes.

    ```mlir
    gpu.func @k(%x: memref<8x64xf32>) kernel {
      %t = gpu.thread_id x
      ...
    ```
    becomes
    ```mlir
    llvm.func @k(%x: !llvm.ptr) attributes {gpu.kernel, nvvm.kernel} {
      %0 = nvvm.read.ptx.sreg.tid.x : i32
      %t = llvm.sext %0 : i32 to i64
      ...
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect"];
}

def ConvertGPUToPTX : Pass<"convert-gpu-to-ptx", "::mlir::gpu::GPUModuleOp"> {
  let summary = "writes the PTX or the cubin of a gpu.module in the LLVM dialect";
  let description = [{
    LLVM's optimiser and NVPTX backend run in this process, ptxas in another. The module
    itself stays as it is. This is for looking at and for other programs; `tnllmc` calls
    the same functions and puts the code into the executable.

    ```
    tnllm-opt kernel.mlir --tnk-to-ptx="chip=sm_90a output=kernel.ptx"
    tnllm-opt kernel.mlir --tnk-to-ptx="format=cubin output=kernel.cubin report=1"
    ```
  }];
  let options = [
    Option<"chip", "chip", "std::string", "\"sm_90a\"", "the GPU: sm_90a or sm_80">,
    Option<"format", "format", "std::string", "\"ptx\"", "ptx or cubin">,
    Option<"output", "output", "std::string", "\"-\"", "file to write, - for stdout">,
    Option<"ptxas", "ptxas", "std::string", "\"\"", "the assembler's path">,
    Option<"report", "report", "bool", "false",
           "print what ptxas says of registers and spills on stderr">,
  ];
}

#endif // TNLLM_CONVERSION_PASSES_TD
