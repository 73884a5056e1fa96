// Session: splits calls into steps of the compiled capacity, and answers the
// ABI functions that generated code calls during a step.
#include "ModelImpl.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace tnrt {

namespace {

// What `void *context` is in generated code.
struct Context {
  ThreadPool *pool = nullptr;
  void *arena = nullptr;
  void *const *parameters = nullptr;
  std::vector<float *> states; // of the step's first sequence, per layer
  const Observer *observer = nullptr;
  // The running step, for the observer.
  int64_t row = 0, offset = 0, batch = 0, length = 0;
  std::string failure; // the first one of the step, empty without one

  void fail(const char *what) {
    if (failure.empty())
      failure = what;
  }
};

// The arrays of one forward() or forwardRow().
struct Call {
  int64_t firstRow; // the sequence that row 0 of the arrays belongs to
  int64_t rows, length;
  const int32_t *tokens; // [rows, length]
  float *hidden;         // [rows, length, D], or null
  const Observer *observer;
};

} // namespace

struct Session::Impl {
  Model::Impl *model = nullptr;
  int64_t batch = 0;
  Memory stateMemory;
  std::vector<float *> states; // of sequence 0
  std::vector<int64_t> positions;
  // Of one step, for slabs that are not contiguous in the caller's arrays.
  std::vector<int32_t> tokens;
  std::vector<float> hidden;
  Context context;

  Status allocate();
  Status checkTokens(const int32_t *tokens, int64_t rows, int64_t firstRow,
                     int64_t length) const;
  void runRows(const Call &call, int64_t begin, int64_t end, int64_t offset,
               int64_t length);
  void runStep(const Call &call, int64_t begin, int64_t end, int64_t offset,
               int64_t length);
  void run(const Call &call);
  Status takeFailure();
};

Session::Session() : impl(new Impl()) {}
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::create(Model &model, int64_t batch) {
  if (batch < 1)
    return Error{"the batch is " + std::to_string(batch) +
                 ", expected at least 1"};
  std::unique_ptr<Session> session(new Session());
  session->impl->model = model.impl.get();
  session->impl->batch = batch;
  if (Status status = session->impl->allocate(); !status)
    return status.takeError();
  return session;
}

Status Session::Impl::allocate() {
  const Manifest &manifest = model->manifest;
  constexpr int64_t align = 16; // floats: 64 bytes
  int64_t total = 0;
  std::vector<int64_t> offsets;
  for (const Manifest::State &state : manifest.states) {
    offsets.push_back(total);
    int64_t elements = 0;
    if (__builtin_mul_overflow(state.elements(), batch, &elements) ||
        __builtin_add_overflow(total, elements + align, &total) ||
        total > INT64_MAX / static_cast<int64_t>(sizeof(float)))
      return Error{"the states of " + std::to_string(batch) +
                   " sequences are too large"};
    total = total / align * align;
  }
  Result<Memory> memory =
      Memory::allocate(static_cast<size_t>(total) * sizeof(float),
                       "the states of " + std::to_string(batch) + " sequences");
  if (!memory)
    return memory.takeError();
  stateMemory = std::move(*memory);
  float *base = reinterpret_cast<float *>(stateMemory.data());
  for (int64_t offset : offsets)
    states.push_back(base + offset);
  positions.assign(static_cast<size_t>(batch), 0);
  const int64_t rows =
      std::max(manifest.capacity.prefillRows, manifest.capacity.decodeRows);
  tokens.resize(static_cast<size_t>(rows));
  hidden.resize(static_cast<size_t>(rows * manifest.width));
  context.pool = model->pool.get();
  context.arena = model->arena.data();
  context.parameters = model->weights.parameters.data();
  context.states = states;
  return {};
}

int64_t Session::batch() const { return impl->batch; }

Status Session::Impl::checkTokens(const int32_t *tokens, int64_t rows,
                                  int64_t firstRow, int64_t length) const {
  const int64_t vocabulary = model->manifest.vocabSize;
  for (int64_t i = 0; i < rows * length; ++i)
    if (tokens[i] < 0 || tokens[i] >= vocabulary)
      return Error{"token " + std::to_string(tokens[i]) + " at index " +
                   std::to_string(i % length) + " of sequence " +
                   std::to_string(firstRow + i / length) + ", expected 0 to " +
                   std::to_string(vocabulary - 1)};
  return {};
}

// Long sequences go one by one in slabs of the whole capacity; the rests, like
// short sequences, go in groups of as many as fit.
void Session::Impl::run(const Call &call) {
  const int64_t capacity = model->manifest.capacity.prefillRows;
  const int64_t whole =
      call.length == 1 ? 0 : call.length / capacity * capacity;
  for (int64_t row = 0; row < call.rows && whole != 0; ++row)
    for (int64_t offset = 0; offset < whole; offset += capacity)
      runStep(call, row, row + 1, offset, capacity);
  if (whole != call.length)
    runRows(call, 0, call.rows, whole, call.length - whole);
}

void Session::Impl::runRows(const Call &call, int64_t begin, int64_t end,
                            int64_t offset, int64_t length) {
  const Manifest::Capacity &capacity = model->manifest.capacity;
  const int64_t group =
      length == 1 ? capacity.decodeRows : capacity.prefillRows / length;
  for (int64_t row = begin; row < end; row += group)
    runStep(call, row, std::min(row + group, end), offset, length);
}

// Rows [begin, end) of the call, tokens [offset, offset + length) of each.
void Session::Impl::runStep(const Call &call, int64_t begin, int64_t end,
                            int64_t offset, int64_t length) {
  const int64_t rows = end - begin;
  const int64_t width = model->manifest.width;
  const bool isContiguous = rows == 1 || length == call.length;
  const int64_t start = begin * call.length + offset;
  const int32_t *stepTokens = call.tokens + start;
  float *stepHidden = call.hidden ? call.hidden + start * width : nullptr;
  if (!isContiguous) {
    for (int64_t r = 0; r < rows; ++r)
      std::copy_n(call.tokens + start + r * call.length, length,
                  tokens.data() + r * length);
    stepTokens = tokens.data();
  }
  if (!isContiguous || !stepHidden)
    stepHidden = hidden.data();

  const int64_t firstRow = call.firstRow + begin;
  for (size_t layer = 0; layer < states.size(); ++layer)
    context.states[layer] =
        states[layer] + firstRow * model->manifest.states[layer].elements();
  context.observer = call.observer;
  context.row = firstRow;
  context.offset = offset;
  context.batch = rows;
  context.length = length;
  int64_t *stepPositions = positions.data() + firstRow;
  const bool isDecode =
      length == 1 && rows <= model->manifest.capacity.decodeRows;
  (isDecode ? model->module->decode : model->module->prefill)(
      &context, rows, length, stepTokens, stepPositions, stepHidden);
  context.observer = nullptr;
  for (int64_t r = 0; r < rows; ++r)
    stepPositions[r] += length;

  if (call.hidden && !isContiguous)
    for (int64_t r = 0; r < rows; ++r)
      std::copy_n(hidden.data() + r * length * width, length * width,
                  call.hidden + (start + r * call.length) * width);
}

Status Session::Impl::takeFailure() {
  std::string failure = std::exchange(context.failure, {});
  return failure.empty() ? Status() : Status(Error{std::move(failure)});
}

Status Session::forward(const int32_t *tokens, int64_t length, float *hidden,
                        const Observer &observer) {
  if (length < 1)
    return Error{"the sequences have no tokens, expected at least one"};
  if (Status status = impl->checkTokens(tokens, impl->batch, 0, length);
      !status)
    return status;
  impl->run(
      {0, impl->batch, length, tokens, hidden, observer ? &observer : nullptr});
  return impl->takeFailure();
}

Status Session::forwardRow(int64_t row, const int32_t *tokens, int64_t length,
                           float *hidden) {
  if (row < 0 || row >= impl->batch)
    return Error{"there is no sequence " + std::to_string(row) +
                 ", the batch is " + std::to_string(impl->batch)};
  if (length < 1)
    return Error{"sequence " + std::to_string(row) +
                 " has no tokens, expected at least one"};
  if (Status status = impl->checkTokens(tokens, 1, row, length); !status)
    return status;
  impl->run({row, 1, length, tokens, hidden, nullptr});
  return impl->takeFailure();
}

void Session::logits(const float *hidden, int64_t rows, float *out) {
  const Manifest &manifest = impl->model->manifest;
  for (int64_t row = 0; row < rows; row += manifest.capacity.headRows)
    impl->model->module->head(
        &impl->context, std::min(manifest.capacity.headRows, rows - row),
        hidden + row * manifest.width, out + row * manifest.vocabSize);
}

float *Session::state(int64_t layer) {
  return impl->states[static_cast<size_t>(layer)];
}

int64_t Session::stateElements(int64_t layer) const {
  return impl->model->manifest.states[static_cast<size_t>(layer)].elements();
}

std::vector<int64_t> &Session::positions() { return impl->positions; }

void Session::reset() {
  std::memset(impl->stateMemory.data(), 0, impl->stateMemory.size());
  std::fill(impl->positions.begin(), impl->positions.end(), 0);
}

} // namespace tnrt

using tnrt::Context;

extern "C" {

void tnrt_launch(void *context, void *kernel, int64_t tasks, void *args) {
  static_cast<Context *>(context)->pool->run(
      tasks, reinterpret_cast<tnrt_kernel>(kernel),
      static_cast<void *const *>(args));
}

void *tnrt_arena(void *context) {
  return static_cast<Context *>(context)->arena;
}

void *tnrt_param(void *context, int64_t index) {
  return static_cast<Context *>(context)->parameters[index];
}

void *tnrt_state(void *context, int64_t layer) {
  return static_cast<Context *>(context)->states[static_cast<size_t>(layer)];
}

void tnrt_probe(void *context, int64_t probe, void *data, int64_t rows,
                int64_t columns) {
  const Context &step = *static_cast<Context *>(context);
  if (step.observer)
    (*step.observer)(probe, static_cast<const float *>(data), step.row,
                     step.offset, step.batch, step.length, columns);
}

void *tnrt_constants(void *context) {
  static_cast<Context *>(context)->fail(
      "the generated code asks for GPU constants in a CPU program");
  return nullptr;
}

void tnrt_launch_device(void *context, int64_t, int64_t, void *) {
  static_cast<Context *>(context)->fail(
      "the generated code launches a GPU kernel in a CPU program");
}

void tnrt_matmul(void *context, int64_t, int64_t, int64_t, int64_t, int64_t,
                 void *, void *, void *) {
  static_cast<Context *>(context)->fail(
      "the generated code calls a GPU matrix product in a CPU program");
}

void tnrt_tensor_map(void *context, void *, void *, int64_t, int64_t, void *) {
  static_cast<Context *>(context)->fail(
      "the generated code makes a tensor map in a CPU program");
}

} // extern "C"
