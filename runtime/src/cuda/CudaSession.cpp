// Steps on a stream. Prefill is queued kernel by kernel; decoding with its head
// and the copies before and after is captured as a graph for each group of
// sequences, and a token is then one launch and one wait.
#include "CudaSession.h"

#include "tnrt/formats/DType.h"

#include <algorithm>
#include <cstring>

namespace tnrt::cuda {

namespace {

constexpr int64_t kInputBytesOfRow = sizeof(int64_t) + sizeof(int32_t);

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
                {headLogits, plan.logitsBytes, "logits"}};
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
  if (model.arena.size() > 0)
    if (Status status = TNRT_CUDA_CALL(
            driver(), cuMemsetD8Async, model.arena.address(), 0,
            static_cast<size_t>(model.arena.size()), stream.get());
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
  return next.length == 1 && next.rows <= model.manifest.capacity.decodeRows;
}

void *CudaSession::hiddenOf(int64_t row) const {
  return static_cast<float *>(hidden.data()) + row * model.manifest.width;
}

void CudaSession::stageInput(const Step &next, void *staging) const {
  const size_t positionBytes = static_cast<size_t>(next.rows) * sizeof(int64_t);
  std::memcpy(staging, next.positions, positionBytes);
  std::memcpy(static_cast<char *>(staging) + positionBytes, next.tokens,
              static_cast<size_t>(next.rows * next.length) * sizeof(int32_t));
}

Status CudaSession::queueStep(const Step &next, const void *staging) {
  const int64_t positionBytes =
      next.rows * static_cast<int64_t>(sizeof(int64_t));
  const int64_t tokenBytes =
      next.rows * next.length * static_cast<int64_t>(sizeof(int32_t));
  if (Status status = TNRT_CUDA_CALL(
          driver(), cuMemcpyHtoDAsync_v2, input.address(), staging,
          static_cast<size_t>(positionBytes + tokenBytes), stream.get());
      !status)
    return status;
  step = &next;
  stepRow = next.row;
  afterKernel = false;
  const char *base = static_cast<const char *>(input.data());
  (isDecode(next) ? model.module.decode : model.module.prefill)(
      context(), next.rows, next.length,
      reinterpret_cast<const int32_t *>(base + positionBytes),
      reinterpret_cast<const int64_t *>(base),
      static_cast<float *>(hidden.data()));
  step = nullptr;
  return takeFailure();
}

Status CudaSession::queueHead(const void *rowsHidden, int64_t rows) {
  model.module.head(context(), rows, static_cast<const float *>(rowsHidden),
                    static_cast<float *>(headLogits.data()));
  return takeFailure();
}

// The head on each sequence's last token, and the logits' way to the host.
Status CudaSession::queueLogits(const Step &next) {
  const int64_t vocabulary = model.manifest.vocabSize;
  // Rows that lie one after the other go together.
  const int64_t most = next.length == 1 ? model.manifest.capacity.headRows : 1;
  for (int64_t row = 0; row < next.rows; row += most) {
    const int64_t rows = std::min(most, next.rows - row);
    if (Status status = queueHead(hiddenOf((row + 1) * next.length - 1), rows);
        !status)
      return status;
    if (Status status = TNRT_CUDA_CALL(
            driver(), cuMemcpyDtoHAsync_v2,
            logits() + (next.row + row) * vocabulary, headLogits.address(),
            static_cast<size_t>(rows * vocabulary) * sizeof(float),
            stream.get());
        !status)
      return status;
    afterKernel = false;
  }
  return {};
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
            static_cast<size_t>(next.rows * next.length *
                                model.manifest.width) *
                sizeof(float),
            stream.get());
        !status)
      return status;
  return finish();
}

Status CudaSession::prepareLogits() {
  if (allLogits.data())
    return {};
  Result<PinnedMemory> memory = PinnedMemory::allocate(
      model.gpu,
      batch * model.manifest.vocabSize * static_cast<int64_t>(sizeof(float)),
      "logits");
  if (!memory)
    return memory.takeError();
  allLogits = std::move(*memory);
  return {};
}

Status CudaSession::runToLogits(const Step &next) {
  if (Status status = prepareLogits(); !status)
    return status;
  const std::pair<int64_t, int64_t> group(next.row, next.rows);
  if (isDecode(next) && !graphs.try_emplace(group).second) {
    Result<const GraphExec *> graph = decodeGraph(next);
    if (!graph)
      return graph.takeError();
    stageInput(next, static_cast<char *>(decodeInput.data()) +
                         next.row * kInputBytesOfRow);
    if (Status status = TNRT_CUDA_CALL(driver(), cuGraphLaunch, (*graph)->get(),
                                       stream.get());
        !status)
      return status;
    return finish();
  }
  stageInput(next, stepInput.data());
  if (Status status = queueStep(next, stepInput.data()); !status)
    return status;
  if (Status status = queueLogits(next); !status)
    return status;
  return finish();
}

// The graph's copies read and write page-locked memory at fixed places, so that
// only the bytes there change from token to token.
Result<const GraphExec *> CudaSession::decodeGraph(const Step &next) {
  GraphExec &kept = graphs[{next.row, next.rows}];
  if (kept.get())
    return &kept;
  Result<GraphExec> graph = capture(model.gpu, stream, [&]() -> Status {
    if (Status status =
            queueStep(next, static_cast<char *>(decodeInput.data()) +
                                next.row * kInputBytesOfRow);
        !status)
      return status;
    return queueLogits(next);
  });
  if (!graph)
    return graph.takeError();
  kept = std::move(*graph);
  return &kept;
}

Status CudaSession::head(const float *rowsHidden, int64_t rows, float *out) {
  const size_t rowBytes =
      static_cast<size_t>(model.manifest.width) * sizeof(float);
  if (Status status = TNRT_CUDA_CALL(
          driver(), cuMemcpyHtoDAsync_v2, hidden.address(), rowsHidden,
          static_cast<size_t>(rows) * rowBytes, stream.get());
      !status)
    return status;
  if (Status status = queueHead(hidden.data(), rows); !status)
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
  constexpr int64_t maxRank = 5;
  if (!failure)
    return;
  int type = -1;
  if (call.type == static_cast<int64_t>(DType::F32))
    type = kTensorMapFloat32;
  else if (call.type == static_cast<int64_t>(DType::F16))
    type = kTensorMapFloat16;
  else if (call.type == static_cast<int64_t>(DType::BF16))
    type = kTensorMapBFloat16;
  if (type < 0 || call.rank < 1 || call.rank > maxRank)
    return note(Error{"tensor map: type " + std::to_string(call.type) +
                      " and rank " + std::to_string(call.rank) +
                      ", expected F32, F16 or BF16 and 1 to 5"});
  uint64_t sizes[maxRank] = {}, strides[maxRank] = {};
  uint32_t box[maxRank] = {}, elementStrides[maxRank] = {};
  const int64_t *geometry = call.geometry;
  for (int64_t i = 0; i < call.rank; ++i) {
    sizes[i] = static_cast<uint64_t>(geometry[i]);
    if (i + 1 < call.rank)
      strides[i] = static_cast<uint64_t>(geometry[call.rank + i]);
    box[i] = static_cast<uint32_t>(geometry[2 * call.rank - 1 + i]);
    elementStrides[i] = 1;
  }
  note(TNRT_CUDA_CALL(driver(), cuTensorMapEncodeTiled, call.map, type,
                      static_cast<uint32_t>(call.rank), call.data, sizes,
                      strides, box, elementStrides, kTensorMapInterleaveNone,
                      kTensorMapSwizzle128B, kTensorMapPromotion256B,
                      kTensorMapFillZeros));
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
  (*step->observer)(index, probed.data(), step->row, step->offset, step->rows,
                    step->length, columns);
}

} // namespace tnrt::cuda
