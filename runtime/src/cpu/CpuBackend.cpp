// The CPU backend.
#include "CpuBackend.h"

#include "core/Memory.h"
#include "core/StateLayout.h"
#include "core/ThreadPool.h"
#include "core/WeightLoader.h"
#include "tnrt/abi.h"

#include <algorithm>
#include <cstring>

namespace tnrt {

namespace {

class CpuModel;

class CpuSession final : public SessionBackend, private Executor {
public:
  CpuSession(CpuModel &model, int64_t batch) : model(model), batch(batch) {}
  Status allocate();

  bool canPack() const override;
  Status run(const Step &step, float *hidden) override;
  Status runToLogits(const Step &step) override;
  float *logits() override { return allLogits.data(); }
  bool canSample() const override;
  Status runToTokens(const Step &step) override;
  const int32_t *tokens() override { return chosen.data(); }
  Status head(const float *hidden, int64_t rows, float *out) override;
  Status readStates(int64_t layer, int64_t row, int64_t rows,
                    float *out) override;
  Status writeStates(int64_t layer, int64_t row, int64_t rows,
                     const void *in) override;
  Status reset() override;
  Result<StepProfile> profile(const Step &, int64_t) override {
    return Error{"the launches of a step are timed on GPUs; this program is "
                 "compiled for the CPU"};
  }

private:
  void launch(void *kernel, int64_t tasks, void *const *args) override;
  void *arena() override;
  void *parameter(int64_t index) override;
  void *state(int64_t layer) override {
    return stepStates[static_cast<size_t>(layer)];
  }
  void probe(int64_t index, const void *data, int64_t rows,
             int64_t columns) override;
  void *gradient(int64_t) override {
    fail("asks for gradients outside of training");
    return nullptr;
  }
  void *constants() override {
    fail("asks for the GPU's constants");
    return nullptr;
  }
  void launchDevice(int64_t, int64_t, void *const *) override {
    fail("launches a GPU kernel");
  }
  void matmul(const MatmulCall &) override {
    fail("calls the GPU's matrix product");
  }
  void tensorMap(const TensorMapCall &) override { fail("makes a tensor map"); }

  void fail(const char *what) {
    if (failure)
      failure = Error{std::string("the generated code of this CPU program ") +
                      what + ": compile the model again"};
  }
  float *stateOf(int64_t layer, int64_t row) const;
  void *context() { return static_cast<Executor *>(this); }
  Status takeFailure() { return std::exchange(failure, Status()); }

  CpuModel &model;
  const int64_t batch;
  Memory stateMemory;
  std::vector<float *> states;     // of sequence 0, per layer
  std::vector<float *> stepStates; // of the running step's first sequence
  const Step *step = nullptr;      // the one that runs
  Status failure;
  std::vector<float> scratch;    // hidden of a step that nobody asked for
  std::vector<float> lastHidden; // of each sequence's last token
  std::vector<float> allLogits;
  std::vector<int32_t> chosen;
};

class CpuModel final : public ModelBackend {
public:
  CpuModel(const tnrt_module &module, const Manifest &manifest, int threads)
      : module(module), manifest(manifest), pool(threads) {}

  Status load(const LoadOptions &options) {
    Result<LoadedWeights> loaded = loadWeights(manifest, options, pool);
    if (!loaded)
      return loaded.takeError();
    weights = std::move(*loaded);
    Result<Memory> memory =
        Memory::allocate(static_cast<size_t>(manifest.arenaBytes), "the arena");
    if (!memory)
      return memory.takeError();
    arena = std::move(*memory);
    return {};
  }

  Result<std::unique_ptr<SessionBackend>>
  createSession(int64_t batch) override {
    auto session = std::make_unique<CpuSession>(*this, batch);
    if (Status status = session->allocate(); !status)
      return status.takeError();
    return std::unique_ptr<SessionBackend>(std::move(session));
  }
  int threads() const override { return pool.size(); }
  int64_t parameterBytes() const override { return weights.bytes; }

  const tnrt_module &module;
  const Manifest &manifest;
  ThreadPool pool;
  LoadedWeights weights;
  Memory arena;
};

Status CpuSession::allocate() {
  Result<StateLayout> layout = layOutStates(model.manifest, batch);
  if (!layout)
    return layout.takeError();
  Result<Memory> memory =
      Memory::allocate(static_cast<size_t>(layout->bytes),
                       "the states of " + std::to_string(batch) + " sequences");
  if (!memory)
    return memory.takeError();
  stateMemory = std::move(*memory);
  for (int64_t offset : layout->offsets)
    states.push_back(reinterpret_cast<float *>(stateMemory.data() + offset));
  stepStates = states;
  const Manifest::Capacity &capacity = model.manifest.capacity;
  scratch.resize(
      static_cast<size_t>(std::max(capacity.prefillRows, capacity.decodeRows) *
                          model.manifest.width));
  return {};
}

float *CpuSession::stateOf(int64_t layer, int64_t row) const {
  const size_t index = static_cast<size_t>(layer);
  return states[index] + row * model.manifest.states[index].elements();
}

Status CpuSession::run(const Step &next, float *hidden) {
  for (size_t layer = 0; layer < states.size(); ++layer)
    stepStates[layer] = stateOf(static_cast<int64_t>(layer), next.row);
  step = &next;
  const bool isDecode =
      next.length == 1 && next.rows <= model.manifest.capacity.decodeRows;
  float *out = hidden ? hidden : scratch.data();
  if (next.offsets)
    model.module.packed(context(), next.numTokens(), next.rows, next.tokens,
                        next.positions, next.offsets, out);
  else
    (isDecode ? model.module.decode : model.module.prefill)(
        context(), next.rows, next.length, next.tokens, next.positions, out);
  step = nullptr;
  return takeFailure();
}

Status CpuSession::runToLogits(const Step &next) {
  const int64_t width = model.manifest.width;
  const int64_t vocabulary = model.manifest.vocabSize;
  if (Status status = run(next, scratch.data()); !status)
    return status;
  allLogits.resize(static_cast<size_t>(batch * vocabulary));
  const float *hidden = scratch.data();
  if (next.offsets || next.length > 1) {
    lastHidden.resize(static_cast<size_t>(next.rows * width));
    for (int64_t r = 0; r < next.rows; ++r)
      std::copy_n(hidden + std::max<int64_t>(next.lastToken(r), 0) * width,
                  width, lastHidden.data() + r * width);
    hidden = lastHidden.data();
  }
  const int64_t most = model.manifest.capacity.headRows;
  for (int64_t r = 0; r < next.rows; r += most)
    if (Status status = head(hidden + r * width, std::min(most, next.rows - r),
                             allLogits.data() + (next.row + r) * vocabulary);
        !status)
      return status;
  return {};
}

bool CpuSession::canPack() const { return model.module.packed != nullptr; }

bool CpuSession::canSample() const { return model.module.sample != nullptr; }

Status CpuSession::runToTokens(const Step &next) {
  if (Status status = runToLogits(next); !status)
    return status;
  chosen.resize(static_cast<size_t>(batch));
  const int64_t most = model.manifest.capacity.headRows;
  for (int64_t r = 0; r < next.rows; r += most)
    model.module.sample(context(), std::min(most, next.rows - r),
                        allLogits.data() +
                            (next.row + r) * model.manifest.vocabSize,
                        &next.draws[r].inverseTemperature,
                        chosen.data() + next.row + r);
  return takeFailure();
}

Status CpuSession::head(const float *hidden, int64_t rows, float *out) {
  model.module.head(context(), rows, hidden, out);
  return takeFailure();
}

Status CpuSession::readStates(int64_t layer, int64_t row, int64_t rows,
                              float *out) {
  std::copy(stateOf(layer, row), stateOf(layer, row + rows), out);
  return {};
}

Status CpuSession::writeStates(int64_t layer, int64_t row, int64_t rows,
                               const void *in) {
  std::memcpy(stateOf(layer, row), in,
              reinterpret_cast<char *>(stateOf(layer, row + rows)) -
                  reinterpret_cast<char *>(stateOf(layer, row)));
  return {};
}

Status CpuSession::reset() {
  std::memset(stateMemory.data(), 0, stateMemory.size());
  return {};
}

void CpuSession::launch(void *kernel, int64_t tasks, void *const *args) {
  model.pool.run(tasks, reinterpret_cast<tnrt_kernel>(kernel), args);
}

void *CpuSession::arena() { return model.arena.data(); }

void *CpuSession::parameter(int64_t index) {
  return model.weights.parameters[static_cast<size_t>(index)];
}

void CpuSession::probe(int64_t index, const void *data, int64_t rows,
                       int64_t columns) {
  if (step && step->observer)
    step->observe(index, static_cast<const float *>(data), columns);
}

} // namespace

Result<std::unique_ptr<ModelBackend>>
createCpuBackend(const tnrt_module &module, const Manifest &manifest,
                 const LoadOptions &options) {
  auto model = std::make_unique<CpuModel>(
      module, manifest, options.threads ? options.threads : availableThreads());
  if (Status status = model->load(options); !status)
    return status.takeError();
  return std::unique_ptr<ModelBackend>(std::move(model));
}

} // namespace tnrt
