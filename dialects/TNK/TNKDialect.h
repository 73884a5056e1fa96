// The tnk dialect: see TNKDialect.td and docs/Rationale/TNK.md.
#ifndef TNK_TNKDIALECT_H
#define TNK_TNKDIALECT_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "TNK/TNKDialect.h.inc"
#include "TNK/TNKEnums.h.inc"
#define GET_TYPEDEF_CLASSES
#include "TNK/TNKTypes.h.inc"
#define GET_OP_CLASSES
#include "TNK/TNKOps.h.inc"

namespace tnllm::tnk {

// The gpu.module that convert-tnk-to-gpu makes.
inline constexpr llvm::StringLiteral kGPUModuleName = "kernels";
// Of a kernel with threads: bytes that a launch moves, that each of its rows moves,
// and each of its sequences; floating-point operations of a row. Four i64.
inline constexpr llvm::StringLiteral kCostAttrName = "tnk.cost";
// Of a kernel in a gpu.module: bytes of shared memory that a launch must ask for.
inline constexpr llvm::StringLiteral kSharedBytesAttrName = "tnk.shared_bytes";
// Of a kernel in a gpu.module: the numbers of the arguments that are tensor
// maps, passed by value.
inline constexpr llvm::StringLiteral kMapsAttrName = "tnk.maps";
inline constexpr int64_t kMapBytes = 128, kMapAlignment = 64;
// Of a kernel that waits itself for those launched before (tnk-overlap-launches),
// and may start while they still run.
inline constexpr llvm::StringLiteral kOverlapsAttrName = "tnk.overlaps";
// Of a kernel that is not to be one of those.
inline constexpr llvm::StringLiteral kSerialAttrName = "tnk.serial";

} // namespace tnllm::tnk

#endif // TNK_TNKDIALECT_H
