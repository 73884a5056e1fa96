// The tnk dialect: HOW a kernel computes, on tiles.
#ifndef TNK_DIALECT_TD
#define TNK_DIALECT_TD

include "mlir/IR/OpBase.td"

def TNK_Dialect : Dialect {
  let name = "tnk";
  let cppNamespace = "::tnllm::tnk";
  let summary = "tiled kernels";
  let description = [{
    A kernel is a function of buffers that one launch runs once per task. Its body is
    `scf` loops over `vector` tiles; `tnk` holds only what upstream lacks: the kernel
    itself and the contraction that accumulates a register tile over a depth, whose
    lowering is the micro-kernel of the target.
  }];
  let dependentDialects = ["::mlir::gpu::GPUDialect"];
  let useDefaultTypePrinterParser = 1;
  let extraClassDeclaration = [{
    void registerTileTypes();
  }];
}

#endif // TNK_DIALECT_TD
