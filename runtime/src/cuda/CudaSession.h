// Sequences on a GPU: what generated code calls while it queues a step.
#ifndef TNRT_CUDA_CUDASESSION_H
#define TNRT_CUDA_CUDASESSION_H

#include "CudaModel.h"
#include "Device.h"

#include "core/Backend.h"
#include "core/Executor.h"

#include <array>
#include <map>
#include <vector>

namespace tnrt::cuda {

// A launch as generated code asked for it, to be queued again.
struct Recorded {
  int64_t kernel = -1; // -1: a matrix product
  int64_t tasks = 0;
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
  CudaSession(CudaModel &model, int64_t batch) : model(model), batch(batch) {}
  ~CudaSession() override;
  Status allocate(SessionPlan plan);

  Status run(const Step &step, float *hidden) override;
  Status runToLogits(const Step &step) override;
  float *logits() override { return static_cast<float *>(allLogits.data()); }
  Status head(const float *hidden, int64_t rows, float *out) override;
  Status readStates(int64_t layer, int64_t row, int64_t rows,
                    float *out) override;
  Status writeStates(int64_t layer, int64_t row, int64_t rows,
                     const void *in) override;
  Status reset() override;
  Result<std::vector<KernelTime>> profile(const Step &step,
                                          int64_t repeat) override;

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
  Status queueLogits(const Step &step);
  // Waits for the stream; errors of the kernels show here.
  Status finish();

  Result<const GraphExec *> decodeGraph(const Step &step);
  Status prepareLogits();

  // Profile.cpp
  Result<std::vector<Recorded>> record(const Step &step);
  Result<double> time(const std::vector<const Recorded *> &alike,
                      int64_t repeat);
  Status replay(const Recorded &launch);

  CudaModel &model;
  const int64_t batch;
  SessionPlan plan;
  Stream stream;
  DeviceMemory stateMemory, input, hidden, headLogits;
  // Positions and tokens as the device has them: of a step that runs once, and
  // of each group of a decode step, where its graph reads them.
  PinnedMemory stepInput, decodeInput;
  PinnedMemory allLogits; // f32 [batch, V], from the first use on
  std::vector<float> probed;

  const Step *step = nullptr; // the one that runs, for its observer
  int64_t stepRow = 0;
  Status failure;
  std::vector<Recorded> *recording = nullptr;
  // Whether what was queued last is a kernel of the program: the next may overlap it.
  bool afterKernel = false;
  // By first sequence and number of sequences. The first step of a group is not
  // captured, so that what libraries load on first use is there; it leaves an
  // empty entry.
  std::map<std::pair<int64_t, int64_t>, GraphExec> graphs;
};

} // namespace tnrt::cuda

#endif // TNRT_CUDA_CUDASESSION_H
