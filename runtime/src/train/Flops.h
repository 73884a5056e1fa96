// What a training step computes, and what the machine could: their ratio is the
// MFU.
#ifndef TNRT_TRAIN_FLOPS_H
#define TNRT_TRAIN_FLOPS_H

#include "TrainBackend.h"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace tnrt {

// Of forward and backward, for each token: 6 for each element of a matrix that
// is multiplied with (2 forward, 4 backward; the embedding is looked up and
// does not count, unless it is the head too; nor do learned positions), and of
// attention in each layer
//
//   linear   12 H Dk Dv: as a recurrence, a state update and a product, each
//            2 H Dk Dv forward and twice that backward
//   softmax  6 H n (Dk + Dv), n the mean number of keys that a query of
//            sequences of `length` tokens has: products with keys and values
//
// What is recomputed does not count. `model` is the manifest's object of the
// model; a layer whose shape it does not tell counts nothing.
double trainingFlopsPerToken(const std::vector<TrainParameter> &parameters,
                             const nlohmann::ordered_json &model,
                             int64_t length);

// f32 multiply-adds that `threads` threads of this CPU do in a second, times 2;
// measured, in about 30 ms.
double measurePeakFlops(int threads);

// What the vendor states for dense products of a GPU that the driver calls
// `device`, of bf16 or else of f32 operands (without TF32), in operations a
// second; 0 where it is not known here.
double statedPeakFlops(const std::string &device, bool isBF16);

} // namespace tnrt

#endif // TNRT_TRAIN_FLOPS_H
