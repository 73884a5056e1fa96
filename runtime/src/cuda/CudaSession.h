// Sequences on a GPU: what generated code calls while it queues a step.
#ifndef TNRT_CUDA_CUDASESSION_H
#define TNRT_CUDA_CUDASESSION_H

#include "CudaModel.h"
#include "Device.h"

#include "core/Backend.h"
#include "core/Executor.h"
#include "tnrt/score.h"

#include <array>
#include <functional>
#include <map>
#include <tuple>
#include <vector>

namespace tnrt::cuda {

// The input of a step, as it lies in memory: positions, offsets if it is packed,
// tokens, draws. Offsets of these from its beginning, in bytes.
inline int64_t offsetsAt(const Step &step) {
  return step.numPositions() * static_cast<int64_t>(sizeof(int64_t));
}
inline int64_t tokensAt(const Step &step) {
  const int64_t offsets = step.offsets ? step.rows + 1 : 0;
  return offsetsAt(step) + offsets * static_cast<int64_t>(sizeof(int64_t));
}
inline int64_t drawsAt(const Step &step) {
  return tokensAt(step) +
         step.numTokens() * static_cast<int64_t>(sizeof(int32_t));
}

// A launch as generated code asked for it, to be queued again.
struct Recorded {
  int64_t kernel = -1; // -1: a matrix product
  int64_t tasks = 0;
  int64_t rows = 0, sequences = 0; // of the call
  std::vector<uint64_t> slots;
  // By parameter, where it is a tensor map.
  struct alignas(64) Map {
    std::array<unsigned char, 128> bytes;
  };
  std::vector<Map> maps;
  MatmulCall product = {};
};

class CudaSession final : public SessionBackend, private Executor {
public:
  CudaSession(CudaModel &model, int64_t batch)
      : model(model), batch(batch),
        scoreKernel(model.kernels->find(TNRT_SCORE_KERNEL, TNRT_SCORE_PARAMS)) {
  }
  ~CudaSession() override;
  Status allocate(SessionPlan plan);

  bool canPack() const override { return model.module.packed != nullptr; }
  Status run(const Step &step, float *hidden) override;
  Status runToLogits(const Step &step) override;
  float *logits() override { return static_cast<float *>(allLogits.data()); }
  bool canSample() const override { return model.module.sample != nullptr; }
  Status runToTokens(const Step &step) override;
  const int32_t *tokens() override {
    return static_cast<const int32_t *>(allTokens.data());
  }
  Status head(const float *hidden, int64_t rows, float *out) override;
  bool canScore() const override { return scoreKernel >= 0; }
  Status score(const float *hidden, int64_t rows, const int32_t *labels,
               float *out) override;
  Status readStates(int64_t layer, int64_t row, int64_t rows,
                    float *out) override;
  Status writeStates(int64_t layer, int64_t row, int64_t rows,
                     const void *in) override;
  Status reset() override;
  Result<StepProfile> profile(const Step &step, int64_t repeat) override;

private:
  // The ABI.
  void launch(void *kernel, int64_t tasks, void *const *args) override;
  void *arena() override { return model.arena.data(); }
  void *parameter(int64_t index) override {
    return reinterpret_cast<void *>(model.parameter(index));
  }
  void *state(int64_t layer) override {
    return reinterpret_cast<void *>(stateOf(layer, stepRow));
  }
  void *gradient(int64_t) override {
    note(Error{"the generated code asks for gradients outside of training: "
               "compile the model again"});
    return nullptr;
  }
  void probe(int64_t index, const void *data, int64_t rows,
             int64_t columns) override;
  void *constants() override { return model.constants.data(); }
  void launchDevice(int64_t kernel, int64_t tasks, void *const *args) override;
  void matmul(const MatmulCall &call) override;
  void tensorMap(const TensorMapCall &call) override;

  // Keeps the first failure.
  void note(Status status) {
    if (failure && !status)
      failure = std::move(status);
  }
  Status takeFailure() { return std::exchange(failure, Status()); }
  void *context() { return static_cast<Executor *>(this); }
  const Driver &driver() const { return model.gpu->driver(); }

  DevicePointer stateOf(int64_t layer, int64_t row) const;
  bool isDecode(const Step &step) const;
  void *hiddenOf(int64_t row) const; // of the running step
  void stageInput(const Step &step, void *staging) const;
  // These put work on the stream; the step's input lies in `staging`.
  Status queueStep(const Step &step, const void *staging);
  Status queueHead(const void *hidden, int64_t rows);
  // And before, their way from the host.
  Status queueHeadOf(const float *rowsHidden, int64_t rows);
  Status queueLogits(const Step &step);
  Status queueTokens(const Step &step);
  // Runs the head on each sequence's last token, rows that lie one after the
  // other together, and after each time `use` with its first row and their number.
  Status gatherLastRows(const Step &step, int64_t row, int64_t rows);
  Status forHeads(const Step &step,
                  const std::function<Status(int64_t, int64_t)> &use);
  // The step and `queueAfter`: as a graph from the second time on.
  Status runStep(const Step &step,
                 Status (CudaSession::*queueAfter)(const Step &));
  char *inputOfGroup(const Step &step) const;
  // Waits for the stream; errors of the kernels show here.
  Status finish();

  Result<const GraphExec *>
  decodeGraph(const Step &step,
              Status (CudaSession::*queueAfter)(const Step &));
  Status prepare(PinnedMemory &memory, int64_t rowBytes, const char *purpose);

  // Profile.cpp
  Result<std::vector<Recorded>> record(const Step &step);
  // Seconds of what `enqueue` puts on the stream, the median of `repeat`.
  Result<double> time(int64_t repeat, const std::function<Status()> &enqueue,
                      bool asGraph = true);
  Status replay(const Recorded &launch);
  Status fillWithNumbers(DevicePointer to, int64_t bytes);
  Status measureCeilings(StepProfile &profile, int64_t repeat);

  CudaModel &model;
  const int64_t batch;
  const int64_t scoreKernel; // -1: the program has none
  SessionPlan plan;
  Stream stream;
  DeviceMemory stateMemory, input, hidden, lastHidden, headLogits, chosen;
  // Positions, tokens and draws as the device has them: of a step that runs
  // once, and of each group of a decode step, where its graph reads them.
  PinnedMemory stepInput, decodeInput;
  PinnedMemory allLogits; // f32 [batch, V], from the first use on
  PinnedMemory allTokens; // int32 [batch], likewise
  std::vector<float> probed;

  const Step *step = nullptr; // the one that runs, for its observer
  int64_t stepRow = 0;
  Status failure;
  std::vector<Recorded> *recording = nullptr;
  // Whether what was queued last is a kernel of the program: the next may overlap it.
  bool afterKernel = false;
  int64_t recordedRows = 0, recordedSequences = 0; // of the call
  // By first sequence, number of sequences and whether they end in tokens. The
  // first step of a group is not captured, so that what libraries load on first
  // use is there; it leaves an empty entry.
  std::map<std::tuple<int64_t, int64_t, bool>, GraphExec> graphs;
};

} // namespace tnrt::cuda

#endif // TNRT_CUDA_CUDASESSION_H
