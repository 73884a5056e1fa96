// What every kernel of lightning attention needs of its sequence and head.
// Private to this folder; defined in AttentionKernels.cpp.
#ifndef TNLLM_LIB_CONVERSION_TNTOTNK_ATTENTIONHEAD_H
#define TNLLM_LIB_CONVERSION_TNTOTNK_ATTENTIONHEAD_H

#include "KernelBuilder.h"

namespace tnllm::kernels {

struct HeadPlace {
  mlir::Value sequence, head; // b and h
  mlir::Value key, value; // first column of the head in q and k, in v and out
  mlir::Value state;      // the head's state, [Dk, Dv]
  mlir::Value slope;      // f32
};

// Of the head number `number`, sequence * heads + head.
HeadPlace placeOfHead(KernelBuilder &k, const AttentionBuffers &in,
                      mlir::Value number);

// exp(-slope * exponent), of scalars or of a vector of exponents.
mlir::Value decay(KernelBuilder &k, mlir::Value slope, mlir::Value exponent);

} // namespace tnllm::kernels

#endif // TNLLM_LIB_CONVERSION_TNTOTNK_ATTENTIONHEAD_H
