// The driver's call, and what generated code may ask of it.
#include "TensorMap.h"

#include "tnrt/formats/DType.h"

#include <string>

using namespace tnrt;
using namespace tnrt::cuda;

Status tnrt::cuda::encodeTensorMap(const Driver &driver,
                                   const TensorMapCall &call) {
  constexpr int64_t maxRank = 5;
  int type = -1;
  if (call.type == static_cast<int64_t>(DType::F32))
    type = kTensorMapFloat32;
  else if (call.type == static_cast<int64_t>(DType::F16))
    type = kTensorMapFloat16;
  else if (call.type == static_cast<int64_t>(DType::BF16))
    type = kTensorMapBFloat16;
  if (type < 0 || call.rank < 1 || call.rank > maxRank)
    return Error{"tensor map: type " + std::to_string(call.type) +
                 " and rank " + std::to_string(call.rank) +
                 ", expected F32, F16 or BF16 and 1 to 5"};
  uint64_t sizes[maxRank] = {}, strides[maxRank] = {};
  uint32_t box[maxRank] = {}, elementStrides[maxRank] = {};
  const int64_t *geometry = call.geometry;
  for (int64_t i = 0; i < call.rank; ++i) {
    sizes[i] = static_cast<uint64_t>(geometry[i]);
    if (i + 1 < call.rank)
      strides[i] = static_cast<uint64_t>(geometry[call.rank + i]);
    box[i] = static_cast<uint32_t>(geometry[2 * call.rank - 1 + i]);
    elementStrides[i] = 1;
  }
  return TNRT_CUDA_CALL(driver, cuTensorMapEncodeTiled, call.map, type,
                        static_cast<uint32_t>(call.rank), call.data, sizes,
                        strides, box, elementStrides, kTensorMapInterleaveNone,
                        kTensorMapSwizzle128B, kTensorMapPromotion256B,
                        kTensorMapFillZeros);
}
