// A training program whose loss anyone can differentiate: of an input x and a
// label y it is table[x, 0] * y + bias[1], in the mean over the labels.
#ifndef TNRT_TEST_FAKETRAINER_H
#define TNRT_TEST_FAKETRAINER_H

#include "tnrt/abi.h"

#include <string>

namespace tnrt::fake {

inline std::string trainerManifest() {
  return R"({"abi": )" + std::to_string(TNRT_ABI_VERSION) +
         R"(, "compiler": "fake", "fingerprint": "00112233445566778899aabbccddeeff",
  "target": {"triple": "x86_64-unknown-linux-gnu", "march": "x86-64", "cpu": "x86-64",
             "requires": []},
  "dtype": "f32",
  "model": {"name": "fake", "vocab_size": 8, "decoder_embed_dim": 3, "decoder_layers": 1},
  "training": {"max_tokens": 12, "max_sequences": 2},
  "arena_bytes": 4096,
  "states": [],
  "parameters": [
    {"tensor": "table", "shape": [8, 3], "dtype": "f32", "layout": {"kind": "rows"},
     "init": {"kind": "normal", "std": 0.5}},
    {"tensor": "bias", "shape": [2], "dtype": "f32", "layout": {"kind": "rows"},
     "init": {"kind": "constant", "value": 0.25}}],
  "probes": [],
  "weights": {"kind": "random", "seed": 7}, "tokenizer": {"kind": "bytes"}})";
}

struct TrainerRun {
  int64_t calls = 0;
  int64_t mostSequences = 0; // of a call
};

inline TrainerRun &trainerRun() {
  static TrainerRun run;
  return run;
}

// Writes the mean, and adds its gradient where `scale` is not null.
inline void computeLoss(void *context, int64_t batch, int64_t length,
                        const int32_t *tokens, const int32_t *labels,
                        const float *scale, float *loss) {
  ++trainerRun().calls;
  if (batch > trainerRun().mostSequences)
    trainerRun().mostSequences = batch;
  const float *table = static_cast<const float *>(tnrt_param(context, 0));
  const float *bias = static_cast<const float *>(tnrt_param(context, 1));
  int64_t count = 0;
  for (int64_t i = 0; i < batch * length; ++i)
    count += labels[i] >= 0;
  float sum = 0;
  for (int64_t i = 0; i < batch * length; ++i) {
    if (labels[i] < 0)
      continue;
    sum += table[3 * tokens[i]] * static_cast<float>(labels[i]) + bias[1];
    if (!scale)
      continue;
    const float share = *scale / static_cast<float>(count);
    static_cast<float *>(tnrt_gradient(context, 0))[3 * tokens[i]] +=
        share * static_cast<float>(labels[i]);
    static_cast<float *>(tnrt_gradient(context, 1))[1] += share;
  }
  *loss = sum / static_cast<float>(count);
}

inline void evaluate(void *context, int64_t batch, int64_t length,
                     const int32_t *tokens, const int32_t *labels,
                     const int64_t *, float *loss) {
  computeLoss(context, batch, length, tokens, labels, nullptr, loss);
}

inline void gradient(void *context, int64_t batch, int64_t length,
                     const int32_t *tokens, const int32_t *labels,
                     const int64_t *, const float *scale, float *loss) {
  computeLoss(context, batch, length, tokens, labels, scale, loss);
}

inline tnrt_module makeTrainer(const std::string &manifest) {
  trainerRun() = {};
  tnrt_module module{};
  module.abi_version = TNRT_ABI_VERSION;
  module.manifest = manifest.data();
  module.manifest_size = manifest.size();
  module.evaluate = evaluate;
  module.gradient = gradient;
  return module;
}

} // namespace tnrt::fake

#endif // TNRT_TEST_FAKETRAINER_H
