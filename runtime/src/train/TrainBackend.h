// What a trainer asks of a training program: losses, gradients and AdamW steps
// on parameters that it can read and write as one array. The trainer knows no
// more of CPU or GPU than this, and its tests have a backend of a few lines.
//
// Four flat arrays of f32 (TrainBuffer) have the same layout: parameter p lies
// at [p.offset, p.offset + p.elements), row-major in its shape; what lies
// between two parameters is zero, in all four, and stays so. Calls are made
// from one thread.
#ifndef TNRT_TRAIN_TRAINBACKEND_H
#define TNRT_TRAIN_TRAINBACKEND_H

#include "tnrt/Result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tnrt {

// A parameter that is trained. A tied head has none of its own: its gradient is
// part of the embedding's.
struct TrainParameter {
  std::string name;           // the tensor's in a checkpoint
  std::vector<int64_t> shape; // the tensor's in a checkpoint
  int64_t offset = 0;         // of its first element; a multiple of 16
  int64_t elements = 0;
  // Weight decay applies: a matrix, that is shape.size() == 2 (linear maps, the
  // embedding, the head). Norms, biases and LRPE's theta do not decay.
  bool decays = false;
};

enum class TrainBuffer { Parameters, Gradients, FirstMoment, SecondMoment };

// All of a flat array in host memory, 64-byte aligned.
struct FloatSpan {
  float *data = nullptr;
  int64_t size = 0; // elements: flatElements()
};

// The cross entropy, in nats, of the labels that count.
struct TrainLoss {
  double sum = 0;     // not the mean
  int64_t tokens = 0; // labels that count; with 0 of them the sum is 0
  double mean() const { return tokens ? sum / static_cast<double>(tokens) : 0; }
};

// One update by AdamW with decoupled weight decay. With t = `step` and
// g = gradientScale * gradient, for each element of p, m, v:
//
//   m = beta1 m + (1 - beta1) g        v = beta2 v + (1 - beta2) g^2
//   p = p - lr * weightDecay * p                    (where the parameter
//   decays) p = p - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) +
//   epsilon)
//
// as torch.optim.AdamW does.
struct AdamWUpdate {
  double lr = 0, beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weightDecay = 0;
  int64_t step = 1;         // of the optimizer, from 1 on
  double gradientScale = 1; // of clipping: min(1, clip / gradientNorm())
};

// Sequences of equal length, each from position 0 with an empty state.
struct TrainBatch {
  const int32_t *inputs = nullptr; // [batch, length], each in [0, vocab)
  // [batch, length]: the token that follows each input, in [0, vocab), or
  // negative (-1) where none counts.
  const int32_t *targets = nullptr;
  // batch * length <= maxTokens(), both at least 1.
  int64_t batch = 0, length = 0;
};

// Bytes, of the device that computes.
struct TrainMemory {
  int64_t parameters = 0, gradients = 0;
  int64_t moments = 0; // of both
  int64_t arena = 0;   // values of a step, as the compiler planned it
  // What else of a GPU is in use once all of the above is there: its driver's,
  // the program's code and tables, the library's, and other programs'.
  int64_t beside = 0;
  int64_t planned() const { return parameters + gradients + moments + arena; }
};

class TrainBackend {
public:
  virtual ~TrainBackend() = default;

  // In the order of their offsets.
  virtual const std::vector<TrainParameter> &parameters() const = 0;
  virtual int64_t flatElements() const = 0;
  virtual int64_t maxTokens() const = 0; // of one TrainBatch
  virtual TrainMemory memory() const = 0;
  virtual int threads() const = 0;
  virtual std::string device() const { return {}; } // a GPU's name; "" on a CPU

  // A flat array to read and write; holds until the next call that is neither
  // view() nor commit(). On the CPU it is the array itself, for a GPU a copy.
  virtual Result<FloatSpan> view(TrainBuffer buffer) = 0;
  // What was written into the view of `buffer` takes effect.
  virtual Status commit(TrainBuffer buffer) = 0;

  // Adds `scale` times the gradient of the loss's sum (not its mean: so that
  // micro steps with different numbers of labels add up) to Gradients, and
  // returns the loss. To train on the mean over a step of several calls, pass
  // 1 / the number of labels that count in all of them.
  // Errors: a batch that is too large, an id or label past the vocabulary;
  // nothing was added then.
  virtual Result<TrainLoss> accumulate(const TrainBatch &batch,
                                       double scale) = 0;
  // The loss alone.
  virtual Result<TrainLoss> evaluate(const TrainBatch &batch) = 0;

  virtual Status zeroGradients() = 0;
  // The L2 norm of all gradients, summed in one order whatever the number of
  // threads. Infinite or NaN where the gradients are.
  virtual Result<double> gradientNorm() = 0;
  virtual Status adamw(const AdamWUpdate &update) = 0;
};

} // namespace tnrt

#endif // TNRT_TRAIN_TRAINBACKEND_H
