// The kernel with which the runtime scores texts (tnrt/score.h). Private to
// this folder.
#ifndef TNLLM_LIB_CONVERSION_TNTOTNK_SCOREKERNEL_H
#define TNLLM_LIB_CONVERSION_TNTOTNK_SCOREKERNEL_H

#include "FunctionConverter.h"

namespace tnllm::kernels {

// scores [rows] = logits[row, labels[row]] - log(sum exp(logits[row])) of
// logits [rows, V]; one task is one row.
void buildScores(KernelBuilder &k, mlir::Value logits, mlir::Value labels,
                 mlir::Value scores);

// Adds that kernel to a GPU program that also chooses tokens by itself: where
// there is a function @sample, whose logits these are.
void addScores(ModuleState &state,
               llvm::ArrayRef<mlir::func::FuncOp> functions);

} // namespace tnllm::kernels

#endif // TNLLM_LIB_CONVERSION_TNTOTNK_SCOREKERNEL_H
