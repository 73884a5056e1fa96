// What runs a program: the CPU (cpu/CpuBackend.h) or a GPU
// (cuda/CudaBackend.h). Model and Session hold one each and know no more of it
// than this.
#ifndef TNRT_CORE_BACKEND_H
#define TNRT_CORE_BACKEND_H

#include "Executor.h"
#include "Manifest.h"
#include "tnrt/Result.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

struct tnrt_module;

namespace tnrt {

struct LoadOptions;

// Sees f32 [rows, columns] of one probe; `row` is the first sequence of the
// group that is running, `offset` its first token's index in the call's tokens.
using Observer = std::function<void(int64_t probe, const float *data,
                                    int64_t row, int64_t offset, int64_t batch,
                                    int64_t length, int64_t columns)>;

// How one token is chosen by the program (tnrt_sample of tnrt/abi.h), in the
// order of its settings.
struct Draw {
  float inverseTemperature = 0; // 0: the likeliest
  float topK = 0;               // 0: all
  float topP = 1;
  float logMinP = 0;
  float uniform = 0; // in [0, 1]
};

// One call of an entry point, within the compiled capacity: sequences
// [row, row + rows), `length` tokens of each. All pointers are host memory.
//
// With `offsets` [rows + 1] the sequences are packed: the tokens of sequence
// `row` + s are those from offsets[s] to offsets[s + 1] - 1, maybe none.
// `length` means nothing then, and positions are those of the tokens.
struct Step {
  int64_t row = 0, rows = 0, length = 0;
  int64_t offset = 0;                 // for the observer
  const int32_t *tokens = nullptr;    // [rows, length]
  const int64_t *positions = nullptr; // [rows], of the first token
  const Observer *observer = nullptr;
  const Draw *draws = nullptr; // [rows], for runToTokens
  const int64_t *offsets = nullptr;

  int64_t numTokens() const { return offsets ? offsets[rows] : rows * length; }
  int64_t numPositions() const { return offsets ? offsets[rows] : rows; }
  // The token after which sequence `row` + r stands.
  int64_t lastToken(int64_t r) const {
    return (offsets ? offsets[r + 1] : (r + 1) * length) - 1;
  }
  // Shows a probe's rows, those of packed sequences as of a single one.
  void observe(int64_t probe, const float *data, int64_t columns) const {
    if (offsets)
      (*observer)(probe, data, 0, offset, 1, numTokens(), columns);
    else
      (*observer)(probe, data, row, offset, rows, length, columns);
  }
};

// A launch of a step, timed alone.
struct KernelTime {
  std::string name;
  int64_t tasks = 0, threads = 0; // 0 where the runtime does not know
  int64_t count = 0;              // launches of the step that are alike
  double seconds = 0;             // of one, the median
  int64_t bytes = -1, flops = -1; // of one; -1: not known
};

struct StepProfile {
  std::vector<KernelTime> kernels;
  // What the device does at best, measured beside them: a copy in its memory,
  // bytes read and written, and a large product of bf16 matrices. 0: not known.
  double copyBytesPerSecond = 0, flopsPerSecond = 0;
};

// B sequences: their states, and the steps that advance them.
class SessionBackend {
public:
  virtual ~SessionBackend() = default;

  // Whether the program takes packed steps.
  virtual bool canPack() const = 0;
  // Runs one step and updates the states. `hidden`, f32 [rows, length, D], may
  // be null.
  virtual Status run(const Step &step, float *hidden) = 0;
  // Runs one step and the head on each sequence's last token: f32 [rows, V] at
  // logits() + row * V. Of a packed sequence without tokens the row is
  // anything.
  virtual Status runToLogits(const Step &step) = 0;
  // f32 [batch, V] of host memory; null before the first runToLogits.
  virtual float *logits() = 0;
  // The same, and then the token of each sequence as the step's draws say, at
  // tokens() + row; -1 where no logit is larger than -infinity. Only where
  // canSample().
  virtual bool canSample() const = 0;
  virtual Status runToTokens(const Step &step) = 0;
  // int32 [batch] of host memory; null before the first runToTokens.
  virtual const int32_t *tokens() = 0;
  // logits f32 [rows, V] of hidden f32 [rows, D]; rows <= capacity.head_rows.
  virtual Status head(const float *hidden, int64_t rows, float *out) = 0;
  // The natural logarithm of softmax(those logits)[labels[row]] of each row,
  // f32 [rows]; no number where logits are not finite. Only where canScore().
  virtual bool canScore() const { return false; }
  virtual Status score(const float * /*hidden*/, int64_t /*rows*/,
                       const int32_t * /*labels*/, float * /*out*/) {
    return Error{"the program does not score by itself"};
  }

  // The states of sequences [row, row + rows): f32 [rows, H, Dk, Dv].
  virtual Status readStates(int64_t layer, int64_t row, int64_t rows,
                            float *out) = 0;
  // `in` of any alignment.
  virtual Status writeStates(int64_t layer, int64_t row, int64_t rows,
                             const void *in) = 0;
  virtual Status reset() = 0; // states to zero

  // Runs a step, the head and, where the program has it, the choice of tokens
  // once, then each distinct launch of them alone.
  // The states are of no use afterwards.
  virtual Result<StepProfile> profile(const Step &step, int64_t repeat) = 0;
};

// What all sequences share: parameters and arena.
class ModelBackend {
public:
  virtual ~ModelBackend() = default;

  virtual Result<std::unique_ptr<SessionBackend>>
  createSession(int64_t batch) = 0;
  virtual int threads() const = 0;
  // Bytes of the parameters as the kernels read them.
  virtual int64_t parameterBytes() const = 0;
  // The GPU's name; empty on the CPU.
  virtual std::string device() const { return {}; }
  // Most bytes of GPU memory that this program has held.
  virtual int64_t deviceBytes() const { return 0; }
};

} // namespace tnrt

#endif // TNRT_CORE_BACKEND_H
