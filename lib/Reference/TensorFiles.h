// Tensors of the interpreter from and to safetensors files, and random ones.
#ifndef TNLLM_LIB_REFERENCE_TENSORFILES_H
#define TNLLM_LIB_REFERENCE_TENSORFILES_H

#include "TN/TNDialect.h"
#include "tnllm/Reference/Tensor.h"
#include "tnrt/formats/Safetensors.h"

#include "mlir/Support/LLVM.h"

#include <random>

namespace tnllm::reference {

// The values of a stored tensor: any float of 16, 32 or 64 bits, i32 or i64.
// Error: another type.
tnrt::Result<Tensor> readTensor(const tnrt::TensorView &view);

struct NamedTensor {
  std::string name;
  Tensor value;
};

// Writes all as F64. A name that comes again, as a probe in a function that
// runs twice does, gets the suffix .1, .2, ...
tnrt::Status writeTensors(const std::string &path,
                          std::vector<NamedTensor> tensors);

// Initial value of a parameter, the same as an executable's for this seed.
Tensor initialValue(tn::ParamOp param, uint64_t seed);

// Standard normal values, rounded to f32 as inputs are.
Tensor randomNormal(llvm::ArrayRef<int64_t> shape, std::mt19937_64 &random);

// One more than the largest id that every embedding of the argument has a row
// for, and every loss a word.
int64_t idLimit(mlir::BlockArgument ids);

// Refuses a tensor of an operation, a block or a parameter of `module` that has
// no element, or more than the interpreter holds, 2^32: of the dynamic sizes
// the first is taken for `batch`, any other for `length`.
mlir::LogicalResult checkSizes(mlir::ModuleOp module, int64_t batch,
                               int64_t length);

} // namespace tnllm::reference

#endif // TNLLM_LIB_REFERENCE_TENSORFILES_H
