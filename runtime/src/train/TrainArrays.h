// Parameters, gradients and moments in host memory, and what is done with all
// of them at once.
#ifndef TNRT_TRAIN_TRAINARRAYS_H
#define TNRT_TRAIN_TRAINARRAYS_H

#include "TrainBackend.h"

#include "core/Manifest.h"
#include "core/Memory.h"
#include "core/ThreadPool.h"

namespace tnrt {

struct LoadOptions;

class TrainArrays {
public:
  // Manifest and pool must outlive the arrays. A parameter begins at a multiple
  // of `alignment` elements, itself a multiple of 16; the arrays end at one.
  TrainArrays(const Manifest &manifest, ThreadPool &pool,
              int64_t alignment = 16)
      : manifest(manifest), pool(pool), alignment(alignment) {}
  // Lays the parameters out; the arrays are zero, and take memory once they are
  // touched. Errors: sizes that overflow, memory.
  Status allocate();
  // Then fills the parameters. Errors: those of loading weights.
  Status load(const LoadOptions &options);

  const std::vector<TrainParameter> &parameters() const { return table; }
  int64_t size() const { return elements; } // of each array
  int64_t bytes() const { return elements * int64_t(sizeof(float)); }
  float *data(TrainBuffer which) const {
    return reinterpret_cast<float *>(
        buffers[static_cast<size_t>(which)].data());
  }
  // Of the manifest's parameter `index`.
  int64_t offsetOf(int64_t index) const {
    return table[static_cast<size_t>(index)].offset;
  }

  // As TrainBackend says.
  void zeroGradients();
  double gradientNorm();
  void adamw(const AdamWUpdate &update);

private:
  Status layOut();

  const Manifest &manifest;
  ThreadPool &pool;
  int64_t alignment;
  std::vector<TrainParameter> table; // as manifest.parameters
  int64_t elements = 0;
  Memory buffers[4]; // by TrainBuffer
};

} // namespace tnrt

#endif // TNRT_TRAIN_TRAINARRAYS_H
