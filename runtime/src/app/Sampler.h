// Draws the next token from logits.
#ifndef TNRT_APP_SAMPLER_H
#define TNRT_APP_SAMPLER_H

#include "core/Backend.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tnrt {

// The steps run in llama.cpp's order, with its defaults: repeat penalty, top-k,
// top-p, min-p (each on the probabilities before the temperature), temperature,
// draw.
struct SamplerOptions {
  float temperature = 0.8f; // 0: the largest logit, no randomness
  int64_t topK = 40;        // keep the k likeliest; 0: all
  float topP = 0.95f;       // keep the likeliest until they hold p; 1: all
  float minP = 0.05f;       // drop what is below p * (the likeliest's); 0: none
  float repeatPenalty = 1.0f; // arXiv 1909.05858, section 4.1; 1: none
  int64_t repeatLast = 64;    // tokens the penalty looks back; 0: none
};

// Uniform in [0, 1): a function of (seed, counter) alone, so that a sequence's
// draws depend neither on the batch nor on what was drawn before.
double uniformAt(uint64_t seed, uint64_t counter);

// The last tokens of one sequence, for the repeat penalty: a ring.
class RecentTokens {
public:
  explicit RecentTokens(int64_t capacity) : ring(capacity > 0 ? capacity : 0) {}
  void push(int32_t token);
  std::vector<int32_t> inOrder() const; // oldest first
  template <typename F> void each(F visit) const {
    for (int64_t i = 0; i < count; ++i)
      visit(ring[static_cast<size_t>(i)]);
  }

private:
  std::vector<int32_t> ring;
  int64_t count = 0, next = 0;
};

// The same choice as the program's own code makes it, which knows no penalty.
// `uniform` is rounded to f32.
Draw makeDraw(const SamplerOptions &options, double uniform);

// One sampler serves any number of sequences. Choosing takes O(V) time and,
// after construction, no memory.
class Sampler {
public:
  Sampler(const SamplerOptions &options, int64_t vocabSize);

  // Token of `logits` [V], which the penalty changes. `uniform` in [0, 1)
  // decides the draw. Equal logits rank by id, the smaller first. -1: no logit
  // is finite or +infinity (NaN counts as -infinity).
  int32_t sample(float *logits, const RecentTokens &recent, double uniform);

private:
  void penalise(float *logits, const RecentTokens &recent);
  void keepTopK(const float *logits);
  void keepTopP(const float *logits, float peak);
  void keepMinP(const float *logits, float peak);
  int32_t draw(const float *logits, float peak, double uniform);

  SamplerOptions options;
  int64_t vocabSize;
  std::vector<int32_t> kept;      // candidates, by id
  std::vector<int32_t> scratch;   // for selection
  std::vector<uint8_t> penalised; // [V], all zero between calls
};

} // namespace tnrt

#endif // TNRT_APP_SAMPLER_H
