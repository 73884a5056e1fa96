// Activations of tn.round_groups in memory: bytes with a scale for each group.
// Private to this folder.
#ifndef TNLLM_LIB_CONVERSION_TNTOTNK_ROUNDEDROWS_H
#define TNLLM_LIB_CONVERSION_TNTOTNK_ROUNDEDROWS_H

#include "KernelBuilder.h"

#include <optional>

namespace tnllm::kernels {

// Columns of a group where `tensor` is the result of a tn.round_groups, alone
// or at the end of a tn.fused; nothing where it is not.
std::optional<int64_t> roundedGroup(mlir::Value tensor);

// The buffer of such a tensor [rows, columns]: one of bytes, so that it passes
// through the host's code as any other. All rows' codes come first, then their
// scales, then their starts (see tnk.contract_groups).
mlir::MemRefType roundedBufferType(mlir::MLIRContext *context, int64_t rows,
                                   int64_t columns, int64_t group);

// The parts of it, inside a kernel.
struct RoundedRows {
  mlir::Value codes;          // [rows, columns] of i8
  mlir::Value scales, starts; // [rows, columns / group] of f32 and i32
};
RoundedRows roundedRows(KernelBuilder &k, mlir::Value buffer, int64_t columns,
                        int64_t group);

// Rounds a tile of one group's columns and stores it.
void storeRounded(KernelBuilder &k, mlir::Value tile, const RoundedRows &rows,
                  const TilePlace &place);

} // namespace tnllm::kernels

#endif // TNLLM_LIB_CONVERSION_TNTOTNK_ROUNDEDROWS_H
