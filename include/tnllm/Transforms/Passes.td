// Passes within one dialect.
#ifndef TNLLM_TRANSFORMS_PASSES_TD
#define TNLLM_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// tn
//===----------------------------------------------------------------------===//

def TNDeriveDecode : Pass<"tn-derive-decode", "::mlir::ModuleOp"> {
  let summary = "derives the one-position program from the general one";
  let description = [{
    Clones the function `from` and what it calls, with the position dimension 1, as
    `to`; the clone of a private function gets the suffix `_` and `to`. What follows can
    then take the recurrent form of the attention: decode and prefill come from one
    definition.

    ```mlir
    func.func @prefill(%ids: tensor<?x?xi32>) -> tensor<?x?x64xf32>
    ```
    gets beside it
    ```mlir
    func.func @decode(%ids: tensor<?x1xi32>) -> tensor<?x1x64xf32>
    ```

    With `packed` the rows of a call are not sequences of one position each, but positions
    of sequences of any lengths, one after the other: the functions take the `offsets` of
    their attention as a last argument, marked `tn.offsets`. A module with a softmax
    attention, whose rows have caches, stays as it is.

    ```mlir
    func.func @packed(%ids: tensor<?x1xi32>, %offsets: tensor<?xi64> {tn.offsets})
        -> tensor<?x1x64xf32>
    ```
  }];
  let options = [
    Option<"from", "from", "std::string", "\"prefill\"", "the general function">,
    Option<"to", "to", "std::string", "\"decode\"", "name of the derived function">,
    Option<"rows", "rows", "int64_t", "64",
           "`tn.rows` of the derived functions: rows that one call takes">,
    Option<"packed", "packed", "bool", "false",
           "rows are positions of sequences of any lengths">,
  ];
}

def TNDifferentiate : Pass<"tn-differentiate", "::mlir::ModuleOp"> {
  let summary = "adds the gradient of a function";
  let description = [{
    Adds `@<function>_gradient`, which takes the arguments and a gradient for each result
    and returns the results, the gradients of the arguments that have one and those of
    the parameters, marked `tn.gradient_of`. Adjoints are those that the operations say
    (`AdjointOpInterface`). Private functions that it calls are split in `@f_forward`,
    which also returns what is saved, and `@f_backward`.

    `recompute` decides what is saved: `none` saves what adjoints read, `selective` only
    what linear maps and attention computed, `full` only arguments.

    ```mlir
    func.func @f(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %0 = tn.activation <silu> %x : tensor<?x8xf32>
      return %0 : tensor<?x8xf32>
    }
    ```
    gets beside it
    ```mlir
    func.func @f_gradient(%x: tensor<?x8xf32>, %d: tensor<?x8xf32>)
        -> (tensor<?x8xf32>, tensor<?x8xf32> {tn.gradient_of = 0 : i64}) {
      %0 = tn.activation <silu> %x : tensor<?x8xf32>
      %1 = tn.activation_grad <silu> %x, %d : tensor<?x8xf32>
      return %0, %1 : tensor<?x8xf32>, tensor<?x8xf32>
    }
    ```
  }];
  let options = [
    Option<"function", "function", "std::string", "\"loss\"",
           "the function to differentiate">,
    Option<"recompute", "recompute", "std::string", "\"none\"",
           "what the backward computes again: none, selective or full">,
  ];
  let dependentDialects = ["::mlir::func::FuncDialect", "::tnllm::tn::TNDialect"];
}

def TNFuseEpilogues : Pass<"tn-fuse-epilogues", "::mlir::func::FuncOp"> {
  let summary = "groups a linear map or norm with the element-wise operations after it";
  let description = [{
    A chain of element-wise operations, each the only user of the one before, joins its
    root in a `tn.fused`, with a `tn.round_groups` at its end: the tile is then finished in registers and the values in
    between never reach memory.

    ```mlir
    %0 = tn.linear %x, %w : tensor<?x?x160xf32>, tensor<64x160xf32> -> tensor<?x?x64xf32>
    %1 = tn.add %r, %0 : tensor<?x?x64xf32>
    ```
    becomes
    ```mlir
    %1 = tn.fused -> tensor<?x?x64xf32> {
      %0 = tn.linear %x, %w : tensor<?x?x160xf32>, tensor<64x160xf32> -> tensor<?x?x64xf32>
      %2 = tn.add %r, %0 : tensor<?x?x64xf32>
      tn.yield %2 : tensor<?x?x64xf32>
    }
    ```
  }];
  let statistics = [Statistic<"numFused", "fused", "operations that joined a root">];
  let dependentDialects = ["::tnllm::tn::TNDialect"];
}

def TNInsertProbes : Pass<"tn-insert-probes", "::mlir::ModuleOp"> {
  let summary = "shows each value of each layer to whoever observes the run";
  let description = [{
    Inlines the blocks, so that each layer has operations of its own, and puts a
    `tn.probe` behind every tensor [batch, position, features...] that an operation of
    `tn` computes. The name is the location's: that of the call (`layers.3`) and that of
    the operation in the block. A value without a name is called by its operation, and a
    name that comes again gets `.1`, `.2`, ...

    A value with a probe has a second user and is not fused any more: before
    `tn-fuse-epilogues` every value is shown and becomes a buffer; after it, what the
    kernels write, and the kernels stay those of the program without probes. A value of
    bf16 is shown as f32, a slice as a copy. `tn.split_heads` and `tn.merge_heads` move no
    element and are not shown, nor is the state, which is updated in place, nor what
    `tn.round_groups` gives, which is stored as bytes; functions without positions, such as
    the head, are left alone.

    ```mlir
    func.func private @block(%x: tensor<?x?x64xf32>) -> tensor<?x?x64xf32> {
      %y = tn.norm <srms> %x {epsilon = 1.0e-06 : f32} : tensor<?x?x64xf32> -> tensor<?x?x64xf32> loc("token_norm")
      return %y : tensor<?x?x64xf32>
    }
    ...
      %x1 = call @block(%x0) : (tensor<?x?x64xf32>) -> tensor<?x?x64xf32> loc("layers.0")
    ```
    becomes
    ```mlir
      %x1 = tn.norm <srms> %x0 {epsilon = 1.0e-06 : f32} : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
      tn.probe "layers.0.token_norm" %x1 : tensor<?x?x64xf32>
    ```
  }];
  let statistics = [Statistic<"numProbes", "probes", "values shown">];
  let dependentDialects = ["::tnllm::tn::TNDialect"];
}

def TNMixedPrecision : Pass<"tn-mixed-precision", "::mlir::ModuleOp"> {
  let summary = "gives matrix products bf16 operands";
  let description = [{
    Linear maps and cross entropies of f32 weights take both operands in bf16; their sums
    stay f32. A weight is cast once, where its parameter is read: a private function that
    needs it takes it in bf16. Results of linear maps, activations, LRPE and attention
    that are no part of a sum are rounded to bf16 and widened again, which is what the
    backward then keeps of them. Parameters, gradients, norms, states and the sums of
    layers stay f32.

    ```mlir
    %w = tn.get_param @w : tensor<16x8xf32>
    %y = tn.linear %x, %w : tensor<?x?x8xf32>, tensor<16x8xf32> -> tensor<?x?x16xf32>
    ```
    becomes
    ```mlir
    %w = tn.get_param @w : tensor<16x8xf32>
    %w0 = tn.cast %w : tensor<16x8xf32> -> tensor<16x8xbf16>
    %x0 = tn.cast %x : tensor<?x?x8xf32> -> tensor<?x?x8xbf16>
    %y = tn.linear %x0, %w0 : tensor<?x?x8xbf16>, tensor<16x8xbf16> -> tensor<?x?x16xf32>
    %y0 = tn.cast %y : tensor<?x?x16xf32> -> tensor<?x?x16xbf16>
    %y1 = tn.cast %y0 : tensor<?x?x16xbf16> -> tensor<?x?x16xf32>
    ```
  }];
  let statistics = [
    Statistic<"numProducts", "products", "products that take bf16 operands">,
    Statistic<"numRounded", "rounded", "values that are rounded where they are made">,
  ];
  let dependentDialects = ["::tnllm::tn::TNDialect"];
}

//===----------------------------------------------------------------------===//
// tnk
//===----------------------------------------------------------------------===//

def TNKLowerContract : Pass<"tnk-lower-contract", "::tnllm::tnk::KernelOp"> {
  let summary = "register-tile contractions to micro-kernels";
  let description = [{
    `tnk.contract` becomes a loop over the depth that carries one vector for each row of
    the tile: load a row of B, and for each row of A broadcast one element and
    multiply-add. With bf16 in pairs, a step takes two depths and is the AVX-512 dot
    product `x86vector.avx512.dot`; the tile's columns are then a multiple of 16.

    `tnk.contract_groups` becomes a loop over the groups that carries vectors of f32, and in
    it one over fours of the depth that carries as many of i32: a step is `vpdpbusd` of
    `byte-lanes` sums, of AVX-512 VNNI or AVX-VNNI. The tile's columns are a multiple of
    `byte-lanes`. A tile of more than `byte-sums` vectors is done in passes over some of its
    columns, group by group.

    ```mlir
    %r = tnk.contract %a[%m, %c0], %b[%c0, %c0], %acc depth %k
       : memref<8x64xf32>, memref<64x32xf32>, vector<1x32xf32>
    ```
    becomes
    ```mlir
    %0 = vector.extract %acc[0] : vector<32xf32> from vector<1x32xf32>
    %1 = scf.for %i = %c0 to %k step %c1 iter_args(%sum = %0) -> (vector<32xf32>) {
      %row = vector.load %b[%i, %c0] : memref<64x32xf32>, vector<32xf32>
      %x = memref.load %a[%m, %i] : memref<8x64xf32>
      %xs = vector.broadcast %x : f32 to vector<32xf32>
      %next = math.fma %xs, %row, %sum : vector<32xf32>
      scf.yield %next : vector<32xf32>
    }
    ```
  }];
  let options = [
    Option<"byteLanes", "byte-lanes", "int64_t", "16",
           "sums of 32 bits that one product of bytes adds to: 16 or 8">,
    Option<"byteSums", "byte-sums", "int64_t", "24",
           "vectors of such sums that fit into registers together">,
  ];
  let dependentDialects = [
    "::mlir::LLVM::LLVMDialect",
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect", "::mlir::x86vector::X86VectorDialect",
  ];
}

def TNKExpandMath : Pass<"tnk-expand-math"> {
  let summary = "math functions of f32 to vector arithmetic";
  let description = [{
    exp, expm1, erf, sin and cos become polynomials, so that a kernel calls no library
    element by element. sin and cos reduce their argument in f64 and are good to 2 units
    in the last place up to 2^30, which positions of LRPE need; the others are MLIR's
    polynomial approximations.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::vector::VectorDialect",
  ];
}

def TNKDistributeRows : Pass<"tnk-distribute-rows", "::tnllm::tnk::KernelOp"> {
  let summary = "row vectors of a block to pieces of its threads";
  let description = [{
    In kernels with `threads`, a vector of rank 1 or of one row becomes a vector of the
    elements that one thread holds: 1, 2, 4 or 8, as few as the block allows. They lie in
    units of 16 bytes of memory (as far as there are as many), neighbouring units in
    neighbouring threads; an access is as wide as its address is known to be aligned.
    Threads beyond the vector neither load nor store. Lengths that do not divide evenly
    take one element at a time under a condition, as do reads and writes that may leave
    the buffer.

    Scalars are the same in all threads; the first thread stores them. A
    `vector.reduction` is a tree in the thread, a butterfly of shuffles in the warp and,
    where there are more warps, a row of shared memory: one fixed order. All lanes end
    with the same bits. Kernels whose body already asks for its thread are left alone; an
    operation without a rule is an error.

    What a kernel stores it must not load again as a vector of another length, or as a
    scalar, without a `gpu.barrier` between.

    ```mlir
    tnk.kernel @sum(%x: memref<8x128xf32>, %y: memref<8xf32>, %row: index) threads(32) {
      %v = vector.load %x[%row, %c0] : memref<8x128xf32>, vector<128xf32>
      %s = vector.reduction <add>, %v : vector<128xf32> into f32
      memref.store %s, %y[%row] : memref<8xf32>
      tnk.return
    }
    ```
    becomes
    ```mlir
    tnk.kernel @sum(%x: memref<8x128xf32>, %y: memref<8xf32>, %row: index) threads(32) {
      %t = gpu.thread_id x
      %i = arith.muli %t, %c4 : index
      %v = vector.load %x[%row, %i] {alignment = 16} : memref<8x128xf32>, vector<4xf32>
      %a = ... // v[0] + v[1] + v[2] + v[3]
      %b, %ok = gpu.shuffle xor %a, %c16, %c32 : f32
      ...
      %first = arith.cmpi ult, %t, %c1 : index
      scf.if %first {
        memref.store %s, %y[%row] : memref<8xf32>
      }
      tnk.return
    }
    ```
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect",
    "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect",
  ];
}

def TNKLowerRings : Pass<"tnk-lower-rings", "::tnllm::tnk::KernelOp"> {
  let summary = "rings and tensor copies to barriers in shared memory";
  let description = [{
    Lays out tiles, stages and barriers in one buffer of shared memory, makes the
    barriers before any role starts, and turns the steps of a ring into waits and
    arrivals: iteration i uses stage i mod S, in round i / S, whose parity the barriers
    wait for. One thread arms a stage with the bytes to come and starts its copies; for
    each warp one thread arrives. Tiles become pointers.

    ```mlir
    tnk.ring_wait %ring[%i] : !tnk.ring<2, <64x64xbf16>>
    ```
    becomes
    ```mlir
    %stage = arith.remui %i32, %c2_i32 : i32
    %bytes = arith.muli %stage, %c8_i32 : i32
    %full = llvm.getelementptr %barriers[%bytes] : (!llvm.ptr<3>, i32) -> !llvm.ptr<3>, i8
    %round = arith.divui %i32, %c2_i32 : i32
    %parity = arith.andi %round, %c1_i32 : i32
    nvvm.mbarrier.try_wait.parity %full, %parity, %ns : !llvm.ptr<3>, i32, i32
    ```
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::memref::MemRefDialect", "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect",
  ];
}

def TNKDistributeTiles : Pass<"tnk-distribute-tiles", "::tnllm::tnk::KernelOp"> {
  let summary = "tiles of a warpgroup to vectors of its threads, products to wgmma";
  let description = [{
    Every vector<64xNxT> becomes the vector<N/2xT> that one thread of the warpgroup
    holds, in the layout of wgmma's sums. Element-wise operations stay as they are on
    it; `tnk.mma` becomes wgmma, `tnk.read` and `tnk.write` ldmatrix and stmatrix,
    transfers loads and stores of a thread's elements.

    ```mlir
    %s = arith.addf %x, %y : vector<64x128xf32>
    ```
    becomes
    ```mlir
    %s = arith.addf %x, %y : vector<64xf32>
    ```
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::memref::MemRefDialect", "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect",
  ];
}

def TNKLowerRoles : Pass<"tnk-lower-roles", "::tnllm::tnk::KernelOp"> {
  let summary = "roles to branches on the warpgroup, with their registers";
  let description = [{
    One chain of branches; each role starts by giving up or taking registers, compared
    to the equal share that the kernel starts with.

    ```mlir
    tnk.roles {
      tnk.role "load" warps(1) registers(24) { ... }
      tnk.role "multiply" registers(240) { ... }
    }
    ```
    becomes
    ```mlir
    %isLoad = arith.cmpi ult, %warpgroup, %c1 : i32
    scf.if %isLoad {
      nvvm.setmaxregister decrease 24
      scf.if %isFirstWarp { ... }
    } else {
      nvvm.setmaxregister increase 240
      ...
    }
    ```
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect", "::mlir::NVVM::NVVMDialect",
    "::mlir::scf::SCFDialect",
  ];
}

def TNKLowerMultiplyRows : Pass<"tnk-lower-multiply-rows", "::tnllm::tnk::KernelOp"> {
  let summary = "products of few rows to what each thread loads and multiplies";
  let description = [{
    The warps of a block divide the depth, 32 at a time in turn. A thread loads 16 bytes
    of a weight's row and the same depths of a row of x; two `mma.sync` of 16 depths
    multiply them, the weight as the matrix of 16 rows and x as that of 8 columns. Which
    depth stands at which place of an instruction does not matter as long as both agree,
    so nothing is rearranged. The warps' sums meet in shared memory, in order.

    Weights of bytes become bf16 in registers, by permutations and integer operations
    that put a number's bits into those of a bf16: 16 bytes are then 16 depths of a row or,
    of i4, 32, and a warp takes 64 or 128 depths at a time. `tnk.widen_row` is the same
    without a product.

    As many loads of the weights as registers hold come before `tnk.wait_inputs`, all of
    them where the depth is small; x comes after. Longer depths are loaded a block ahead.

    ```mlir
    tnk.multiply_rows %x, weights(%w) [%column] rows(%rows) to(%sums) : ...
    ```
    becomes
    ```mlir
    %w0 = vector.load %w[%row, %k] {alignment = 16} : memref<64x128xbf16>, vector<8xbf16>
    ...
    tnk.wait_inputs
    %x0 = vector.load %x[%r, %k] {alignment = 16} : memref<16x128xf32>, vector<8xf32>
    %d = nvvm.mma.sync A[...] B[...] C[...] {shape = #nvvm.shape<m = 16, n = 8, k = 16>}
    ...
    memref.store %part, %partial[%warp, %e] : memref<4x128xf32, #gpu.address_space<workgroup>>
    gpu.barrier
    ...
    memref.store %sum, %sums[%r, %c] : memref<8x16xf32, #gpu.address_space<workgroup>>
    gpu.barrier
    ```
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
    "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect",
  ];
}

def TNKOverlapLaunches : Pass<"tnk-overlap-launches", "::tnllm::tnk::KernelOp"> {
  let summary = "kernels start while the one before them still runs";
  let description = [{
    A kernel with `threads` tells at once that the next one may be launched, and waits
    for the kernels before it where its `tnk.wait_inputs` is, or first of all where it has
    none. Launching, and loading weights before the wait, then cost no time of their own.
    The kernel gets the attribute `tnk.overlaps`; the runtime launches those that have it,
    after another kernel, with programmatic stream serialization. Kernels with `tnk.serial`
    stay as they are: the wait costs each block a microsecond. On GPUs from sm_90 on.

    ```mlir
    tnk.kernel @k(%x: memref<8x64xf32>, %row: index) threads(64) {
      %v = vector.load %x[%row, %c0] : ...
    ```
    becomes
    ```mlir
    tnk.kernel @k(%x: memref<8x64xf32>, %row: index) threads(64) attributes {tnk.overlaps} {
      nvvm.griddepcontrol launch_dependents
      llvm.inline_asm has_side_effects "griddepcontrol.wait;", "~{memory}"
      %v = vector.load %x[%row, %c0] : ...
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect"];
}

//===----------------------------------------------------------------------===//
// tnrt
//===----------------------------------------------------------------------===//

def TNRTStackBuffers : Pass<"tnrt-stack-buffers", "::mlir::func::FuncOp"> {
  let summary = "what layers keep for later, one buffer each, to rows of one buffer";
  let description = [{
    In training, what one layer after another writes is read by the backward of each: many
    buffers, which live at the same time. Those that three or more calls of one function
    have at one place, and those between the calls, become rows of one buffer, in the order
    of the calls. `tnrt-roll-layers` can then step through them, forwards and backwards.
    Buffers that nothing but the calls uses stay: of those a loop needs two.

    ```mlir
    %a = tnrt.alloc : memref<256x64xf32>
    func.call @block_forward(%context, %x, %y, %a) : ...
    %b = tnrt.alloc : memref<256x64xf32>
    func.call @block_forward(%context, %y, %z, %b) : ...
    ...
    func.call @block_backward(%context, %b, %dz, %dy) : ...
    func.call @block_backward(%context, %a, %dy, %dx) : ...
    ```
    becomes
    ```mlir
    %kept = tnrt.alloc : memref<3x256x64xf32>
    %a = tnrt.row %kept[%c0] : memref<3x256x64xf32> -> memref<256x64xf32>
    %b = tnrt.row %kept[%c1] : memref<3x256x64xf32> -> memref<256x64xf32>
    ...
    ```
  }];
  let statistics = [
    Statistic<"numStacks", "stacks", "buffers made of several">,
    Statistic<"numBuffers", "buffers", "buffers that they replace">,
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::tnllm::tnrt::TNRTDialect",
  ];
}

def TNRTRollLayers : Pass<"tnrt-roll-layers", "::mlir::ModuleOp"> {
  let summary = "calls of one block for layer after layer to a loop";
  let description = [{
    Three or more calls of one function, one after the other, become one loop when each
    operand is the same for all of them, a parameter, state, gradient or row of a buffer whose
    index grows by the same amount, a constant of one type, or a buffer between one call and
    the next. Constants
    become the rows of one table. Of such buffers between calls two stay, which the loop
    exchanges. Probes right before a call go with it. The code of a model then does not
    grow with its layers. Calls that do not fit stay as they are.

    ```mlir
    %b = tnrt.alloc : memref<256x64xf32>
    %w1 = tnrt.param %context[1] : memref<1x64x64xf32>
    %s1 = memref.get_global @constant : memref<4xf32>
    func.call @block(%context, %a, %s1, %w1, %b) : ...
    %c = tnrt.alloc : memref<256x64xf32>
    %w2 = tnrt.param %context[2] : memref<1x64x64xf32>
    %s2 = memref.get_global @constant_0 : memref<4xf32>
    tnrt.probe %context[2] %b, %rows : memref<256x64xf32>
    func.call @block(%context, %b, %s2, %w2, %c) : ...
    ...
    ```
    becomes
    ```mlir
    %b = tnrt.alloc : memref<256x64xf32>
    %table = memref.get_global @table : memref<23x4xf32>
    %x:2 = scf.for %i = %c0 to %c23 step %c1 iter_args(%in = %a, %out = %b)
        -> (memref<256x64xf32>, memref<256x64xf32>) {
      tnrt.probe %context[1 + %i] %in, %rows : memref<256x64xf32>
      %slopes = tnrt.row %table[%i] : memref<23x4xf32> -> memref<4xf32>
      %w = tnrt.param %context[1 + %i] : memref<1x64x64xf32>
      func.call @block(%context, %in, %slopes, %w, %out) : ...
      scf.yield %out, %in : memref<256x64xf32>, memref<256x64xf32>
    }
    ```
  }];
  let statistics = [
    Statistic<"numLoops", "loops", "loops made">,
    Statistic<"numLayers", "layers", "calls that they replace">,
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect", "::tnllm::tnrt::TNRTDialect",
  ];
}

def TNRTPlanMemory : Pass<"tnrt-plan-memory", "::mlir::ModuleOp"> {
  let summary = "places every buffer in one arena";
  let description = [{
    Each `tnrt.alloc` is live from its first to its last use in its block; uses of views
    and of the results of a loop that carries the buffer are uses of it. Within a
    function, buffers whose lives do not meet may share bytes (those that live during a
    call first, then largest first, at the lowest offset that fits); a callee's frame
    begins above what lives in each of its callers during the call. The
    module's `tnrt.arena_bytes` says how much the runtime must provide.

    ```mlir
    %y = tnrt.alloc : memref<256x64xf32>
    ```
    becomes
    ```mlir
    %arena = tnrt.arena %context : memref<131072xi8>
    %offset = arith.constant 65536 : index
    %y = memref.view %arena[%offset][] : memref<131072xi8> to memref<256x64xf32>
    ```
  }];
  let options = [
    Option<"alignment", "alignment", "int64_t", "64", "alignment of buffers in bytes">,
  ];
  let statistics = [
    Statistic<"arenaBytes", "arena-bytes", "bytes of the arena">,
    Statistic<"bufferBytes", "buffer-bytes", "bytes of all buffers, unshared">,
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect"];
}

def TNRTPoolConstants : Pass<"tnrt-pool-constants", "::mlir::ModuleOp"> {
  let summary = "constants of the schedule to one block of bytes on the GPU";
  let description = [{
    A constant that a host function passes to kernels of a GPU must be in that GPU's
    memory. All constants that functions read become pieces of one global of bytes, which
    the runtime copies to the GPU when it loads the program; functions compute addresses in
    the copy. Each piece begins at a multiple of 64 bytes.

    ```mlir
    memref.global "private" constant @table : memref<2x4xf32> = dense<...>
    %table = memref.get_global @table : memref<2x4xf32>
    ```
    becomes
    ```mlir
    memref.global "private" constant @device_constants : memref<32xi8> = dense<...>
    %constants = tnrt.constants %context : memref<32xi8>
    %offset = arith.constant 0 : index
    %table = memref.view %constants[%offset][] : memref<32xi8> to memref<2x4xf32>
    ```
  }];
  let statistics = [
    Statistic<"constantBytes", "constant-bytes", "bytes of all constants">,
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
    "::tnllm::tnrt::TNRTDialect",
  ];
}

#endif // TNLLM_TRANSFORMS_PASSES_TD
