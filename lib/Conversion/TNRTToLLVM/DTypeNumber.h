// The numbers by which the C ABI names element types. Private to this folder.
#ifndef TNLLM_LIB_CONVERSION_TNRTTOLLVM_DTYPENUMBER_H
#define TNLLM_LIB_CONVERSION_TNRTTOLLVM_DTYPENUMBER_H

#include "TNRT/TNRTDialect.h"

#include "mlir/IR/Types.h"

namespace tnllm {

// The runtime's DType of f32 or bf16.
int64_t getDTypeNumber(mlir::Type element);

// The `form` of tnrt_matmul.
int64_t getMatmulForm(tnrt::MatmulOp op);

} // namespace tnllm

#endif // TNLLM_LIB_CONVERSION_TNRTTOLLVM_DTYPENUMBER_H
