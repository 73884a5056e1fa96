// In a file of its own, since the runtime's namespace has the name of the dialect's.
#include "DTypeNumber.h"

#include "tnrt/formats/DType.h"

int64_t tnllm::getDTypeNumber(mlir::Type element) {
  return static_cast<int64_t>(element.isBF16() ? ::tnrt::DType::BF16
                                               : ::tnrt::DType::F32);
}
