// Steps on a stream. Prefill is queued kernel by kernel; decoding with its head
// and the copies before and after is captured as a graph for each group of
// sequences, and a token is then one launch and one wait.
#include "CudaSession.h"

#include "TensorMap.h"

#include "tnrt/formats/DType.h"

#include <algorithm>
#include <cstring>

namespace tnrt::cuda {

namespace {

static_assert(sizeof(Draw) == TNRT_SAMPLE_SETTINGS * sizeof(float),
              "a draw is a row of settings");
constexpr int64_t kInputBytesOfRow =
    sizeof(int64_t) + sizeof(int32_t) + sizeof(Draw);

int64_t inputBytesOf(const Step &step) {
  return drawsAt(step) +
         (step.draws ? step.rows * static_cast<int64_t>(sizeof(Draw)) : 0);
}

DevicePointer addressOf(const void *pointer) {
  return reinterpret_cast<DevicePointer>(pointer);
}

} // namespace

CudaSession::~CudaSession() {
  // What still runs must not lose its memory.
  if (stream.get())
    driver().cuStreamSynchronize(stream.get());
}

Status CudaSession::allocate(SessionPlan sizes) {
  plan = std::move(sizes);
  Result<Stream> made = createStream(model.gpu);
  if (!made)
    return made.takeError();
  stream = std::move(*made);
  const std::string sequences =
      batch == 1 ? "one sequence" : std::to_string(batch) + " sequences";
  struct {
    DeviceMemory &memory;
    int64_t bytes;
    std::string purpose;
  } blocks[] = {{stateMemory, plan.states.bytes, "the states of " + sequences},
                {input, plan.inputBytes, "tokens and positions"},
                {hidden, plan.hiddenBytes, "the hidden rows of a step"},
                {lastHidden, plan.lastHiddenBytes, "the last hidden rows"},
                {headLogits, plan.logitsBytes, "logits"},
                {chosen, plan.tokensBytes, "tokens"}};
  for (auto &block : blocks) {
    Result<DeviceMemory> memory =
        DeviceMemory::allocate(model.gpu, block.bytes, block.purpose);
    if (!memory)
      return memory.takeError();
    block.memory = std::move(*memory);
  }
  struct {
    PinnedMemory &memory;
    int64_t bytes;
  } pinned[] = {{stepInput, plan.inputBytes},
                {decodeInput, batch * kInputBytesOfRow}};
  for (auto &block : pinned) {
    Result<PinnedMemory> memory =
        PinnedMemory::allocate(model.gpu, block.bytes, "tokens and positions");
    if (!memory)
      return memory.takeError();
    block.memory = std::move(*memory);
  }
  // compute-sanitizer's initcheck does not see what tensor copies write, and so
  // takes what the library's products or the attention have stored for
  // uninitialised; zeros keep its reports to what nobody wrote.
  for (const DeviceMemory *memory : {&model.arena, &hidden, &lastHidden, &headLogits})
    if (memory->size() > 0)
      if (Status status = TNRT_CUDA_CALL(
              driver(), cuMemsetD8Async, memory->address(), 0,
              static_cast<size_t>(memory->size()), stream.get());
          !status)
        return status;
  return reset();
}

DevicePointer CudaSession::stateOf(int64_t layer, int64_t row) const {
  const size_t index = static_cast<size_t>(layer);
  return stateMemory.address() +
         static_cast<DevicePointer>(
             plan.states.offsets[index] +
             row * model.manifest.states[index].elements() *
                 static_cast<int64_t>(sizeof(float)));
}

bool CudaSession::isDecode(const Step &next) const {
  return !next.offsets && next.length == 1 &&
         next.rows <= model.manifest.capacity.decodeRows;
}

void *CudaSession::hiddenOf(int64_t row) const {
  return static_cast<float *>(hidden.data()) + row * model.manifest.width;
}

void CudaSession::stageInput(const Step &next, void *staging) const {
  char *to = static_cast<char *>(staging);
  std::memcpy(to, next.positions, static_cast<size_t>(offsetsAt(next)));
  if (next.offsets)
    std::memcpy(to + offsetsAt(next), next.offsets,
                static_cast<size_t>(tokensAt(next) - offsetsAt(next)));
  std::memcpy(to + tokensAt(next), next.tokens,
              static_cast<size_t>(next.numTokens()) * sizeof(int32_t));
  if (next.draws)
    std::memcpy(to + drawsAt(next), next.draws,
                static_cast<size_t>(next.rows) * sizeof(Draw));
}

Status CudaSession::queueStep(const Step &next, const void *staging) {
  if (Status status = TNRT_CUDA_CALL(
          driver(), cuMemcpyHtoDAsync_v2, input.address(), staging,
          static_cast<size_t>(inputBytesOf(next)), stream.get());
      !status)
    return status;
  step = &next;
  stepRow = next.row;
  afterKernel = false;
  const char *base = static_cast<const char *>(input.data());
  const auto *tokens = reinterpret_cast<const int32_t *>(base + tokensAt(next));
  const auto *positions = reinterpret_cast<const int64_t *>(base);
  auto *out = static_cast<float *>(hidden.data());
  if (next.offsets)
    model.module.packed(
        context(), next.numTokens(), next.rows, tokens, positions,
        reinterpret_cast<const int64_t *>(base + offsetsAt(next)), out);
  else
    (isDecode(next) ? model.module.decode : model.module.prefill)(
        context(), next.rows, next.length, tokens, positions, out);
  step = nullptr;
  return takeFailure();
}

Status CudaSession::queueHead(const void *rowsHidden, int64_t rows) {
  model.module.head(context(), rows, static_cast<const float *>(rowsHidden),
                    static_cast<float *>(headLogits.data()));
  return takeFailure();
}

// Copies the rows that the head wants, of packed sequences [row, row + rows),
// to where they lie together. A sequence without tokens has none.
Status CudaSession::gatherLastRows(const Step &next, int64_t row,
                                   int64_t rows) {
  const int64_t rowBytes =
      model.manifest.width * static_cast<int64_t>(sizeof(float));
  afterKernel = false;
  for (int64_t r = 0; r < rows; ++r)
    if (next.offsets[row + r] < next.offsets[row + r + 1])
      if (Status status = TNRT_CUDA_CALL(
              driver(), cuMemcpyDtoDAsync_v2,
              lastHidden.address() + static_cast<DevicePointer>(r * rowBytes),
              addressOf(hiddenOf(next.lastToken(row + r))),
              static_cast<size_t>(rowBytes), stream.get());
          !status)
        return status;
  return {};
}

Status
CudaSession::forHeads(const Step &next,
                      const std::function<Status(int64_t, int64_t)> &use) {
  const bool isTogether = next.offsets || next.length == 1;
  const int64_t most = isTogether ? model.manifest.capacity.headRows : 1;
  for (int64_t row = 0; row < next.rows; row += most) {
    const int64_t rows = std::min(most, next.rows - row);
    const void *from = lastHidden.data();
    if (!next.offsets)
      from = hiddenOf(next.lastToken(row));
    else if (Status status = gatherLastRows(next, row, rows); !status)
      return status;
    if (Status status = queueHead(from, rows); !status)
      return status;
    if (Status status = use(row, rows); !status)
      return status;
    afterKernel = false;
  }
  return {};
}

// And the logits' way to the host.
Status CudaSession::queueLogits(const Step &next) {
  const int64_t vocabulary = model.manifest.vocabSize;
  return forHeads(next, [&](int64_t row, int64_t rows) {
    return TNRT_CUDA_CALL(
        driver(), cuMemcpyDtoHAsync_v2,
        logits() + (next.row + row) * vocabulary, headLogits.address(),
        static_cast<size_t>(rows * vocabulary) * sizeof(float), stream.get());
  });
}

// And the choice of the tokens, which alone leave the device.
Status CudaSession::queueTokens(const Step &next) {
  const char *draws =
      static_cast<const char *>(input.data()) + drawsAt(next);
  auto *tokens = static_cast<int32_t *>(chosen.data());
  Status status = forHeads(next, [&](int64_t row, int64_t rows) {
    model.module.sample(
        context(), rows, static_cast<const float *>(headLogits.data()),
        reinterpret_cast<const float *>(
            draws + row * static_cast<int64_t>(sizeof(Draw))),
        tokens + row);
    return takeFailure();
  });
  if (!status)
    return status;
  return TNRT_CUDA_CALL(driver(), cuMemcpyDtoHAsync_v2,
                        static_cast<int32_t *>(allTokens.data()) + next.row,
                        chosen.address(),
                        static_cast<size_t>(next.rows) * sizeof(int32_t),
                        stream.get());
}

Status CudaSession::finish() {
  afterKernel = false;
  Status status = TNRT_CUDA_CALL(driver(), cuStreamSynchronize, stream.get());
  if (!status)
    return Error{"a step failed on device " +
                 std::to_string(model.gpu->index()) + ": " + status.message()};
  return status;
}

Status CudaSession::run(const Step &next, float *out) {
  stageInput(next, stepInput.data());
  if (Status status = queueStep(next, stepInput.data()); !status)
    return status;
  if (out)
    if (Status status = TNRT_CUDA_CALL(
            driver(), cuMemcpyDtoHAsync_v2, out, hidden.address(),
            static_cast<size_t>(next.numTokens() * model.manifest.width) *
                sizeof(float),
            stream.get());
        !status)
      return status;
  return finish();
}

Status CudaSession::prepare(PinnedMemory &memory, int64_t rowBytes,
                            const char *purpose) {
  if (memory.data())
    return {};
  Result<PinnedMemory> made =
      PinnedMemory::allocate(model.gpu, batch * rowBytes, purpose);
  if (!made)
    return made.takeError();
  memory = std::move(*made);
  return {};
}

Status CudaSession::runToLogits(const Step &next) {
  if (Status status =
          prepare(allLogits,
                  model.manifest.vocabSize * int64_t(sizeof(float)), "logits");
      !status)
    return status;
  return runStep(next, &CudaSession::queueLogits);
}

Status CudaSession::runToTokens(const Step &next) {
  if (Status status = prepare(allTokens, sizeof(int32_t), "tokens"); !status)
    return status;
  return runStep(next, &CudaSession::queueTokens);
}

char *CudaSession::inputOfGroup(const Step &next) const {
  return static_cast<char *>(decodeInput.data()) + next.row * kInputBytesOfRow;
}

Status CudaSession::runStep(const Step &next,
                            Status (CudaSession::*queueAfter)(const Step &)) {
  const std::tuple group(next.row, next.rows, next.draws != nullptr);
  if (isDecode(next) && !graphs.try_emplace(group).second) {
    Result<const GraphExec *> graph = decodeGraph(next, queueAfter);
    if (!graph)
      return graph.takeError();
    stageInput(next, inputOfGroup(next));
    if (Status status = TNRT_CUDA_CALL(driver(), cuGraphLaunch, (*graph)->get(),
                                       stream.get());
        !status)
      return status;
    return finish();
  }
  stageInput(next, stepInput.data());
  if (Status status = queueStep(next, stepInput.data()); !status)
    return status;
  if (Status status = (this->*queueAfter)(next); !status)
    return status;
  return finish();
}

// The graph's copies read and write page-locked memory at fixed places, so that
// only the bytes there change from token to token.
Result<const GraphExec *>
CudaSession::decodeGraph(const Step &next,
                         Status (CudaSession::*queueAfter)(const Step &)) {
  GraphExec &kept = graphs[{next.row, next.rows, next.draws != nullptr}];
  if (kept.get())
    return &kept;
  Result<GraphExec> graph = capture(model.gpu, stream, [&]() -> Status {
    if (Status status = queueStep(next, inputOfGroup(next)); !status)
      return status;
    return (this->*queueAfter)(next);
  });
  if (!graph)
    return graph.takeError();
  kept = std::move(*graph);
  return &kept;
}

Status CudaSession::queueHeadOf(const float *rowsHidden, int64_t rows) {
  const size_t rowBytes =
      static_cast<size_t>(model.manifest.width) * sizeof(float);
  if (Status status = TNRT_CUDA_CALL(
          driver(), cuMemcpyHtoDAsync_v2, hidden.address(), rowsHidden,
          static_cast<size_t>(rows) * rowBytes, stream.get());
      !status)
    return status;
  return queueHead(hidden.data(), rows);
}

// Labels and scores lie where a step's input does, as many as there is room for
// at a time.
Status CudaSession::score(const float *rowsHidden, int64_t rows,
                          const int32_t *labels, float *out) {
  constexpr int64_t kWord = sizeof(int32_t);
  static_assert(sizeof(float) == kWord, "a label is as large as a score");
  constexpr int64_t kAligned = 16 / kWord; // as kernels take their arguments
  int64_t room = input.size() / (2 * kWord);
  if (room > kAligned)
    room -= room % kAligned;
  for (int64_t row = 0; row < rows; row += room) {
    const int64_t count = std::min(room, rows - row);
    const auto bytes = static_cast<size_t>(count * kWord);
    const DevicePointer scores =
        input.address() + static_cast<DevicePointer>(room * kWord);
    if (Status status =
            queueHeadOf(rowsHidden + row * model.manifest.width, count);
        !status)
      return status;
    if (Status status =
            TNRT_CUDA_CALL(driver(), cuMemcpyHtoDAsync_v2, input.address(),
                           labels + row, bytes, stream.get());
        !status)
      return status;
    void *args[] = {headLogits.data(), input.data(),
                    reinterpret_cast<void *>(scores)};
    // What was queued last is a copy, which no kernel may overlap.
    if (Status status =
            model.kernels->launch(scoreKernel, count, args, stream.get());
        !status)
      return status;
    if (Status status = TNRT_CUDA_CALL(driver(), cuMemcpyDtoHAsync_v2,
                                       out + row, scores, bytes, stream.get());
        !status)
      return status;
    if (Status status = finish(); !status)
      return status;
  }
  return {};
}

Status CudaSession::head(const float *rowsHidden, int64_t rows, float *out) {
  if (Status status = queueHeadOf(rowsHidden, rows); !status)
    return status;
  if (Status status = TNRT_CUDA_CALL(
          driver(), cuMemcpyDtoHAsync_v2, out, headLogits.address(),
          static_cast<size_t>(rows * model.manifest.vocabSize) * sizeof(float),
          stream.get());
      !status)
    return status;
  return finish();
}

Status CudaSession::readStates(int64_t layer, int64_t row, int64_t rows,
                               float *out) {
  if (Status status = TNRT_CUDA_CALL(
          driver(), cuMemcpyDtoHAsync_v2, out, stateOf(layer, row),
          static_cast<size_t>(stateOf(layer, row + rows) - stateOf(layer, row)),
          stream.get());
      !status)
    return status;
  return finish();
}

Status CudaSession::writeStates(int64_t layer, int64_t row, int64_t rows,
                                const void *in) {
  if (Status status = TNRT_CUDA_CALL(
          driver(), cuMemcpyHtoDAsync_v2, stateOf(layer, row), in,
          static_cast<size_t>(stateOf(layer, row + rows) - stateOf(layer, row)),
          stream.get());
      !status)
    return status;
  return finish();
}

Status CudaSession::reset() {
  if (plan.states.bytes > 0)
    if (Status status = TNRT_CUDA_CALL(
            driver(), cuMemsetD8Async, stateMemory.address(), 0,
            static_cast<size_t>(plan.states.bytes), stream.get());
        !status)
      return status;
  return finish();
}

//===----------------------------------------------------------------------===//
// What generated code calls
//===----------------------------------------------------------------------===//

void CudaSession::launch(void *, int64_t, void *const *) {
  note(Error{"the generated code of this GPU program launches a CPU kernel: "
             "compile the model again"});
}

void CudaSession::launchDevice(int64_t kernel, int64_t tasks,
                               void *const *args) {
  if (!failure)
    return;
  Status status =
      model.kernels->launch(kernel, tasks, args, stream.get(), afterKernel);
  afterKernel |= tasks > 0;
  if (status && recording && tasks > 0) {
    const tnrt_device_kernel &k = model.kernels->kernel(kernel);
    Recorded launch;
    launch.kernel = kernel;
    launch.tasks = tasks;
    launch.rows = recordedRows;
    launch.sequences = recordedSequences;
    launch.maps.resize(static_cast<size_t>(k.num_params));
    for (int64_t p = 0; p < k.num_params; ++p) {
      launch.slots.push_back(reinterpret_cast<uint64_t>(args[p]));
      if (k.param_kinds[p] == TNRT_PARAM_MAP)
        std::memcpy(launch.maps[static_cast<size_t>(p)].bytes.data(), args[p],
                    sizeof(Recorded::Map));
    }
    recording->push_back(std::move(launch));
  }
  note(std::move(status));
}

void CudaSession::matmul(const MatmulCall &call) {
  if (!failure)
    return;
  Result<Matmul *> products = model.matmul();
  if (!products)
    return note(products.takeError());
  Status status = (*products)->run(call, stream.get());
  afterKernel = false; // nor is it known what the library queues last
  if (status && recording) {
    Recorded launch;
    launch.product = call;
    recording->push_back(std::move(launch));
  }
  note(std::move(status));
}

void CudaSession::tensorMap(const TensorMapCall &call) {
  if (failure)
    note(encodeTensorMap(driver(), call));
}

void CudaSession::probe(int64_t index, const void *data, int64_t rows,
                        int64_t columns) {
  if (!failure || !step || !step->observer)
    return;
  probed.resize(static_cast<size_t>(rows * columns));
  Status status = TNRT_CUDA_CALL(driver(), cuMemcpyDtoHAsync_v2, probed.data(),
                                 addressOf(data), probed.size() * sizeof(float),
                                 stream.get());
  if (status)
    status = finish();
  if (!status)
    return note(std::move(status));
  step->observe(index, probed.data(), columns);
}

} // namespace tnrt::cuda
