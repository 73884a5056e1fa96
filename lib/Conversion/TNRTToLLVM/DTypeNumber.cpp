// In a file of its own, since the runtime's namespace has the name of the dialect's.
#include "DTypeNumber.h"

#include "tnrt/abi.h"

#include "tnrt/formats/DType.h"

int64_t tnllm::getDTypeNumber(mlir::Type element) {
  return static_cast<int64_t>(element.isBF16() ? ::tnrt::DType::BF16
                                               : ::tnrt::DType::F32);
}

int64_t tnllm::getMatmulForm(tnrt::MatmulOp op) {
  int64_t form = op.getAccumulate() || op.getAddend() ? TNRT_MATMUL_ACCUMULATE : 0;
  if (op.getForm() != tnrt::MatmulForm::Linear)
    form |= TNRT_MATMUL_W_PLAIN;
  if (op.getForm() == tnrt::MatmulForm::WeightGrad)
    form |= TNRT_MATMUL_X_TRANSPOSED;
  return form;
}
