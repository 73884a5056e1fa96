// A model in memory, and sequences running through it.
//
// Model owns what all sequences share: parameters, arena and thread pool.
// Session owns what B sequences carry from token to token: per layer one f32
// state [B, H, Dk, Dv] and per sequence a position. Both are sized once; a step
// allocates nothing.
#ifndef TNRT_CORE_SESSION_H
#define TNRT_CORE_SESSION_H

#include "Manifest.h"
#include "tnrt/Result.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

struct tnrt_module;

namespace tnrt {

struct LoadOptions {
  std::string weightsPath; // overrides the manifest's path when not empty
  int threads = 0;         // 0: one per available core
  bool progress = true;    // a progress bar on stderr, on terminals only
};

class Model {
public:
  // Checks the ABI version and the CPU, maps and packs the weights. Errors:
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

private:
  friend class Session;
  Model();
  struct Impl;
  std::unique_ptr<Impl> impl;
};

// Sees f32 [rows, columns] of one probe; `row` is the first sequence of the
// group that is running, `offset` its first token's index in the call's tokens.
using Observer = std::function<void(int64_t probe, const float *data,
                                    int64_t row, int64_t offset, int64_t batch,
                                    int64_t length, int64_t columns)>;

class Session {
public:
  // `batch` sequences, states zero, positions zero.
  static Result<std::unique_ptr<Session>> create(Model &model, int64_t batch);
  ~Session();

  int64_t batch() const;

  // Feeds tokens int32 [batch, length] (length >= 1) and advances states and
  // positions. `hidden`, f32 [batch, length, D], may be null. Splits the work
  // into steps that fit the compiled capacity. Errors: a token out of range
  // (nothing has run then).
  Status forward(const int32_t *tokens, int64_t length, float *hidden,
                 const Observer &observer = {});

  // Feeds tokens int32 [length] to the sequence `row` alone: ragged prompts.
  Status forwardRow(int64_t row, const int32_t *tokens, int64_t length,
                    float *hidden);

  // logits f32 [rows, V] of hidden f32 [rows, D].
  void logits(const float *hidden, int64_t rows, float *out);

  float *state(int64_t layer); // f32 [batch, H, Dk, Dv]
  // H * Dk * Dv: one sequence's part.
  int64_t stateElements(int64_t layer) const;
  std::vector<int64_t> &positions(); // [batch]
  void reset();                      // states and positions to zero

private:
  Session();
  struct Impl;
  std::unique_ptr<Impl> impl;
};

} // namespace tnrt

#endif // TNRT_CORE_SESSION_H
