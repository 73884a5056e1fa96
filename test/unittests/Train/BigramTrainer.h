// A training program that nobody compiled: a bigram model with its true
// gradients, so that all around it is tested as with a real one.
//
//   logits(x) = W[x] + b      loss = mean over labels of
//                             log sum exp logits - logits[label]
//   dW[x] = db = scale / labels * (softmax(logits) - onehot(label))
#ifndef TNRT_TEST_BIGRAMTRAINER_H
#define TNRT_TEST_BIGRAMTRAINER_H

#include "tnrt/abi.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace tnrt::fake {

constexpr int64_t kBigramVocabulary = 256;
constexpr int64_t kBigramTokens = 512; // of one call

inline std::string bigramManifest() {
  const std::string v = std::to_string(kBigramVocabulary);
  return R"({"abi": )" + std::to_string(TNRT_ABI_VERSION) +
         R"(, "compiler": "by hand", "fingerprint": "b16b16b16b16b16b",
  "target": {"triple": "x86_64-unknown-linux-gnu", "march": "x86-64", "cpu": "x86-64",
             "requires": []},
  "dtype": "f32",
  "model": {"name": "bigram", "vocab_size": )" +
         v +
         R"(, "decoder_embed_dim": 1, "decoder_layers": 1, "add_bos_token": false},
  "training": {"max_tokens": )" +
         std::to_string(kBigramTokens) + R"(, "max_sequences": 64},
  "arena_bytes": 64, "states": [], "probes": [],
  "parameters": [
    {"tensor": "bigram.weight", "shape": [)" +
         v + ", " + v +
         R"(], "dtype": "f32", "layout": {"kind": "rows"},
     "init": {"kind": "normal", "std": 0.02}},
    {"tensor": "bigram.bias", "shape": [)" +
         v +
         R"(], "dtype": "f32", "layout": {"kind": "rows"},
     "init": {"kind": "constant", "value": 0}}],
  "weights": {"kind": "random", "seed": 1}, "tokenizer": {"kind": "bytes"}})";
}

// Writes the mean, and adds its gradient where `scale` is not null.
inline void bigramLoss(void *context, int64_t tokens, const int32_t *inputs,
                       const int32_t *labels, const float *scale, float *loss) {
  constexpr int64_t v = kBigramVocabulary;
  const auto *weight = static_cast<const float *>(tnrt_param(context, 0));
  const auto *bias = static_cast<const float *>(tnrt_param(context, 1));
  const auto count = static_cast<float>(
      std::count_if(labels, labels + tokens, [](int32_t y) { return y >= 0; }));
  std::vector<float> p(v);
  double sum = 0;
  for (int64_t i = 0; i < tokens; ++i) {
    if (labels[i] < 0)
      continue;
    float total = 0;
    for (int64_t k = 0; k < v; ++k) {
      p[k] = std::exp(weight[inputs[i] * v + k] + bias[k]);
      total += p[k];
    }
    sum -= std::log(p[labels[i]] / total);
    if (!scale)
      continue;
    auto *dWeight = static_cast<float *>(tnrt_gradient(context, 0));
    auto *dBias = static_cast<float *>(tnrt_gradient(context, 1));
    for (int64_t k = 0; k < v; ++k) {
      const float slope =
          *scale / count * (p[k] / total - (k == labels[i] ? 1.0f : 0.0f));
      dWeight[inputs[i] * v + k] += slope;
      dBias[k] += slope;
    }
  }
  *loss = static_cast<float>(sum / static_cast<double>(count));
}

// `manifest` must outlive the module.
inline tnrt_module makeBigramTrainer(const std::string &manifest) {
  tnrt_module module{};
  module.abi_version = TNRT_ABI_VERSION;
  module.manifest = manifest.data();
  module.manifest_size = manifest.size();
  module.evaluate = [](void *context, int64_t batch, int64_t length,
                       const int32_t *inputs, const int32_t *labels,
                       const int64_t *, float *loss) {
    bigramLoss(context, batch * length, inputs, labels, nullptr, loss);
  };
  module.gradient = [](void *context, int64_t batch, int64_t length,
                       const int32_t *inputs, const int32_t *labels,
                       const int64_t *, const float *scale, float *loss) {
    bigramLoss(context, batch * length, inputs, labels, scale, loss);
  };
  return module;
}

} // namespace tnrt::fake

#endif // TNRT_TEST_BIGRAMTRAINER_H
