// The tnrt dialect: see TNRTDialect.td and docs/Rationale/TNRT.md.
#ifndef TNRT_TNRTDIALECT_H
#define TNRT_TNRTDIALECT_H

#include "TNK/TNKDialect.h"

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "TNRT/TNRTDialect.h.inc"
#include "TNRT/TNRTEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "TNRT/TNRTAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "TNRT/TNRTTypes.h.inc"
#define GET_OP_CLASSES
#include "TNRT/TNRTOps.h.inc"

namespace tnllm::tnrt {

// Module attributes that carry the program's interface to the manifest.
// Array of dictionaries {tensor, shape, dtype, layout, init...}; see
// tnllm/Conversion/TNToTNK.h.
inline constexpr llvm::StringLiteral kParametersAttrName = "tnrt.parameters";
inline constexpr llvm::StringLiteral kProbesAttrName = "tnrt.probes";
// Arrays of i64, what one token of each probe is: [64], or [4, 16] by heads.
inline constexpr llvm::StringLiteral kProbeShapesAttrName = "tnrt.probe_shapes";
inline constexpr llvm::StringLiteral kStatesAttrName = "tnrt.states";
inline constexpr llvm::StringLiteral kCapacityAttrName = "tnrt.capacity";
// Most sequences of one call of a training program: an i64.
inline constexpr llvm::StringLiteral kSequencesAttrName = "tnrt.sequences";
inline constexpr llvm::StringLiteral kArenaBytesAttrName = "tnrt.arena_bytes";
// The i8 global that holds what tnrt.constants addresses.
inline constexpr llvm::StringLiteral kConstantsName = "device_constants";
// The kernels of tnrt_launch_device by their index, an array of symbols of the
// gpu.module; written by convert-tnrt-to-llvm.
inline constexpr llvm::StringLiteral kDeviceKernelsAttrName =
    "tnrt.device_kernels";
// Of the spec, target and types that the module is compiled for: a string. IR
// goes on only together with what it was made for.
inline constexpr llvm::StringLiteral kFingerprintAttrName = "tnrt.fingerprint";
// Marks the functions that the runtime calls, and the kernels that it finds by
// their names and launches itself.
inline constexpr llvm::StringLiteral kEntryAttrName = "tnrt.entry";

} // namespace tnllm::tnrt

#endif // TNRT_TNRTDIALECT_H
