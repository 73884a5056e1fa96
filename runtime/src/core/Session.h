// A model in memory, and sequences running through it.
//
// Model owns what all sequences share: parameters, arena and threads or GPU.
// Session owns what B sequences carry from token to token: per layer one f32
// state [B, H, Dk, Dv] and per sequence a position. Both are sized once; a step
// allocates nothing. Where a program runs is the backend's business
// (Backend.h); all arrays here are host memory.
#ifndef TNRT_CORE_SESSION_H
#define TNRT_CORE_SESSION_H

#include "Backend.h"
#include "Manifest.h"
#include "tnrt/Result.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct tnrt_module;

namespace tnrt {

struct LoadOptions {
  std::string weightsPath; // overrides the manifest's path when not empty
  int threads = 0;         // 0: one per available core
  bool progress = true;    // a progress bar on stderr, on terminals only
  int device = 0;          // of GPU programs: which GPU
  // The sequences that will run, so that a GPU whose memory they do not fit in
  // is refused before the weights are loaded.
  int64_t batch = 1;
};

class Model {
public:
  // Checks the ABI version, the CPU and the GPU, loads the weights. Errors:
  // what the manifest asks for and this machine or the checkpoint lacks; every
  // missing or misshapen tensor is listed.
  static Result<std::unique_ptr<Model>> load(const tnrt_module &module,
                                             const LoadOptions &options);
  ~Model();

  const Manifest &manifest() const;
  int threads() const;
  // Bytes of the parameters as the kernels read them.
  int64_t parameterBytes() const;
  int64_t stateBytes() const; // bytes of one sequence's states
  // The GPU's name, empty where the program runs on the CPU; and the most bytes
  // of its memory that the program has held.
  std::string device() const;
  int64_t deviceBytes() const;

private:
  friend class Session;
  Model();
  struct Impl;
  std::unique_ptr<Impl> impl;
};

class Session {
public:
  // `batch` sequences, states zero, positions zero.
  static Result<std::unique_ptr<Session>> create(Model &model, int64_t batch);
  ~Session();

  int64_t batch() const;

  // Feeds tokens int32 [batch, length] (length >= 1) and advances states and
  // positions. `hidden`, f32 [batch, length, D], may be null. Splits the work
  // into steps that fit the compiled capacity. Errors: a token out of range, or
  // more positions than the model has (nothing has run then).
  Status forward(const int32_t *tokens, int64_t length, float *hidden,
                 const Observer &observer = {});

  // Feeds tokens int32 [length] to the sequence `row` alone: ragged prompts.
  Status forwardRow(int64_t row, const int32_t *tokens, int64_t length,
                    float *hidden);

  // Feeds each sequence its own number of tokens, `lengths` [batch], 0 or more:
  // int32 [sum of them], one after the other, like `hidden`. Where canPack(), a
  // step holds as many tokens as fit, of whatever sequences; else each sequence
  // runs alone. The observer sees all as one sequence.
  bool canPack() const;
  Status forwardPacked(const int32_t *tokens, const int64_t *lengths,
                       float *hidden, const Observer &observer = {});
  // And then as decode() and decodeToTokens() below; what is there for
  // sequences without tokens means nothing.
  Result<float *> forwardPackedToLogits(const int32_t *tokens,
                                        const int64_t *lengths);
  Result<const int32_t *> forwardPackedToTokens(const int32_t *tokens,
                                                const int64_t *lengths,
                                                const Draw *draws); // [batch]

  // logits f32 [rows, V] of hidden f32 [rows, D].
  Status logits(const float *hidden, int64_t rows, float *out);

  // What they say of `labels` int32 [rows]: the natural logarithm of each one's
  // probability, f32 [rows], computed where the program runs. Only where
  // canScore().
  bool canScore() const;
  Status score(const float *hidden, int64_t rows, const int32_t *labels,
               float *out);

  // The same as forward() or forwardRow() and then logits() of each sequence's
  // last token, without the way over host memory: what generation needs. The
  // result, f32 [batch, V] or [V], belongs to the session and holds until its
  // next call; the caller may change it.
  Result<float *> decode(const int32_t *tokens); // [batch]: one token each
  Result<float *> forwardRowToLogits(int64_t row, const int32_t *tokens,
                                     int64_t length);

  // The same, but the program chooses the tokens, so that the logits need not
  // leave a GPU: int32 [batch], or one. -1: no logit is larger than -infinity.
  // Only where canSample().
  bool canSample() const;
  Result<const int32_t *> decodeToTokens(const int32_t *tokens,
                                         const Draw *draws); // [batch] both
  Result<int32_t> forwardRowToToken(int64_t row, const int32_t *tokens,
                                    int64_t length, const Draw &draw);

  // The state of one sequence and layer: f32 [H, Dk, Dv].
  // `in` may have any alignment.
  Status readState(int64_t layer, int64_t row, float *out);
  Status writeState(int64_t layer, int64_t row, const void *in);
  // Of all sequences: f32 [batch, H, Dk, Dv].
  Status readStates(int64_t layer, float *out);
  Status writeStates(int64_t layer, const void *in);
  // H * Dk * Dv: one sequence's part.
  int64_t stateElements(int64_t layer) const;
  std::vector<int64_t> &positions(); // [batch]
  Status reset();                    // states and positions to zero

  // Times each launch of a step of `rows` sequences (at most the batch) and of
  // the head alone; `length` tokens each, within the compiled capacity. States
  // and positions are zero afterwards. Errors: a CPU program.
  Result<StepProfile> profile(int64_t rows, int64_t length, int64_t repeat);

private:
  Session();
  struct Impl;
  std::unique_ptr<Impl> impl;
};

} // namespace tnrt

#endif // TNRT_CORE_SESSION_H
