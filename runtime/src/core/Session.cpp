// Session: splits calls into steps of the compiled capacity.
#include "ModelImpl.h"
#include "PackedSteps.h"

#include <algorithm>
#include <cmath>

namespace tnrt {

namespace {

// The arrays of one forward() or forwardRow().
struct Call {
  int64_t firstRow; // the sequence that row 0 of the arrays belongs to
  int64_t rows, length;
  const int32_t *tokens;    // [rows, length]
  float *hidden = nullptr;  // [rows, length, D], or null
  bool wantsLogits = false; // after each sequence's last token
  const Observer *observer = nullptr;
  const Draw *draws = nullptr; // [rows]: tokens after each one's last token
};

// Those of a packed call, of all sequences.
struct PackedCall {
  const int32_t *tokens;
  const int64_t *lengths; // [batch]
  float *hidden = nullptr;
  bool wantsLogits = false;
  const Observer *observer = nullptr;
  const Draw *draws = nullptr; // [batch]
};

} // namespace

struct Session::Impl {
  const Manifest &manifest;
  const int64_t batch;
  std::unique_ptr<SessionBackend> backend;
  std::vector<int64_t> positions;
  // Of one step, for slabs that are not contiguous in the caller's arrays.
  std::vector<int32_t> tokens;
  std::vector<float> hidden;
  // Of a packed step.
  std::vector<int64_t> tokenPositions, offsets;

  Impl(const Manifest &manifest, int64_t batch)
      : manifest(manifest), batch(batch),
        positions(static_cast<size_t>(batch), 0) {}
  Status checkRow(int64_t row, int64_t length) const;
  Status checkPositions(const Call &call) const;
  Status checkTokens(const int32_t *tokens, int64_t rows, int64_t firstRow,
                     int64_t length) const;
  Status runRows(const Call &call, int64_t begin, int64_t end, int64_t offset,
                 int64_t length);
  Status runStep(const Call &call, int64_t begin, int64_t end, int64_t offset,
                 int64_t length);
  const int32_t *gatherTokens(const Call &call, const Step &step,
                              int64_t begin);
  void scatterHidden(const Call &call, const Step &step, int64_t begin);
  Status run(const Call &call);
  Status checkPacked(const PackedCall &call) const;
  Status runPacked(const PackedCall &call);
  Status runPackedStep(const PackedCall &call, const PackedSteps &steps);
  Status runOneByOne(const PackedCall &call);
};

Session::Session() = default;
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::create(Model &model, int64_t batch) {
  if (batch < 1)
    return Error{"the batch is " + std::to_string(batch) +
                 ", expected at least 1"};
  Result<std::unique_ptr<SessionBackend>> backend =
      model.impl->backend->createSession(batch);
  if (!backend)
    return backend.takeError();
  std::unique_ptr<Session> session(new Session());
  session->impl = std::make_unique<Impl>(model.impl->manifest, batch);
  session->impl->backend = std::move(*backend);
  return session;
}

int64_t Session::batch() const { return impl->batch; }

Status Session::Impl::checkRow(int64_t row, int64_t length) const {
  if (row < 0 || row >= batch)
    return Error{"there is no sequence " + std::to_string(row) +
                 ", the batch is " + std::to_string(batch)};
  if (length < 1)
    return Error{"sequence " + std::to_string(row) +
                 " has no tokens, expected at least one"};
  return {};
}

Status Session::Impl::checkTokens(const int32_t *tokens, int64_t rows,
                                  int64_t firstRow, int64_t length) const {
  const int64_t vocabulary = manifest.vocabSize;
  for (int64_t i = 0; i < rows * length; ++i)
    if (tokens[i] < 0 || tokens[i] >= vocabulary)
      return Error{"token " + std::to_string(tokens[i]) + " at index " +
                   std::to_string(i % length) + " of sequence " +
                   std::to_string(firstRow + i / length) + ", expected 0 to " +
                   std::to_string(vocabulary - 1)};
  return {};
}

// Caches and learned positions have room for so many and no more.
Status Session::Impl::checkPositions(const Call &call) const {
  const int64_t most = manifest.maxPositions;
  for (int64_t row = 0; row < call.rows && most > 0; ++row) {
    const int64_t sequence = call.firstRow + row;
    const int64_t at = positions[static_cast<size_t>(sequence)];
    if (call.length > most - at)
      return Error{"sequence " + std::to_string(sequence) + " would have " +
                   std::to_string(at + call.length) +
                   " tokens, expected at most " + std::to_string(most) +
                   ", the positions of the model (max_position_embeddings)"};
  }
  return {};
}

// Long sequences go one by one in slabs of the whole capacity; the rests, like
// short sequences, go in groups of as many as fit.
Status Session::Impl::run(const Call &call) {
  if (Status status = checkPositions(call); !status)
    return status;
  const int64_t capacity = manifest.capacity.prefillRows;
  const int64_t whole =
      call.length == 1 ? 0 : call.length / capacity * capacity;
  for (int64_t row = 0; row < call.rows && whole != 0; ++row)
    for (int64_t offset = 0; offset < whole; offset += capacity)
      if (Status status = runStep(call, row, row + 1, offset, capacity);
          !status)
        return status;
  if (whole != call.length)
    return runRows(call, 0, call.rows, whole, call.length - whole);
  return {};
}

Status Session::Impl::runRows(const Call &call, int64_t begin, int64_t end,
                              int64_t offset, int64_t length) {
  const Manifest::Capacity &capacity = manifest.capacity;
  const int64_t group =
      length == 1 ? capacity.decodeRows : capacity.prefillRows / length;
  for (int64_t row = begin; row < end; row += group)
    if (Status status =
            runStep(call, row, std::min(row + group, end), offset, length);
        !status)
      return status;
  return {};
}

// Rows [begin, end) of the call, tokens [offset, offset + length) of each.
Status Session::Impl::runStep(const Call &call, int64_t begin, int64_t end,
                              int64_t offset, int64_t length) {
  Step step;
  step.row = call.firstRow + begin;
  step.rows = end - begin;
  step.length = length;
  step.offset = offset;
  step.positions = positions.data() + step.row;
  step.observer = call.observer;
  const bool isContiguous = step.rows == 1 || length == call.length;
  const int64_t start = begin * call.length + offset;
  step.tokens =
      isContiguous ? call.tokens + start : gatherTokens(call, step, begin);

  Status status;
  const bool isLast = offset + length == call.length;
  if (call.draws && isLast) {
    step.draws = call.draws + begin;
    status = backend->runToTokens(step);
  } else if (call.wantsLogits && isLast) {
    status = backend->runToLogits(step);
  } else {
    float *out = call.hidden ? call.hidden + start * manifest.width : nullptr;
    if (call.hidden && !isContiguous) {
      hidden.resize(
          static_cast<size_t>(manifest.capacity.prefillRows * manifest.width));
      out = hidden.data();
    }
    status = backend->run(step, out);
  }
  if (!status)
    return status;
  for (int64_t r = 0; r < step.rows; ++r)
    positions[static_cast<size_t>(step.row + r)] += length;
  if (call.hidden && !isContiguous)
    scatterHidden(call, step, begin);
  return {};
}

const int32_t *Session::Impl::gatherTokens(const Call &call, const Step &step,
                                           int64_t begin) {
  tokens.resize(static_cast<size_t>(step.rows * step.length));
  for (int64_t r = 0; r < step.rows; ++r)
    std::copy_n(call.tokens + (begin + r) * call.length + step.offset,
                step.length, tokens.data() + r * step.length);
  return tokens.data();
}

void Session::Impl::scatterHidden(const Call &call, const Step &step,
                                  int64_t begin) {
  const int64_t elements = step.length * manifest.width;
  for (int64_t r = 0; r < step.rows; ++r)
    std::copy_n(hidden.data() + r * elements, elements,
                call.hidden +
                    ((begin + r) * call.length + step.offset) * manifest.width);
}

//===----------------------------------------------------------------------===//
// Packed sequences
//===----------------------------------------------------------------------===//

Status Session::Impl::checkPacked(const PackedCall &call) const {
  int64_t total = 0;
  for (int64_t row = 0; row < batch; ++row) {
    if (call.lengths[row] < 0)
      return Error{"sequence " + std::to_string(row) + " has " +
                   std::to_string(call.lengths[row]) +
                   " tokens, expected 0 or more"};
    if (call.lengths[row] > 0)
      if (Status status = checkPositions(
              {row, 1, call.lengths[row], call.tokens + total});
          !status)
        return status;
    if (Status status =
            checkTokens(call.tokens + total, 1, row, call.lengths[row]);
        !status)
      return status;
    total += call.lengths[row];
  }
  if (total == 0)
    return Error{"the sequences have no tokens, expected at least one"};
  return {};
}

Status Session::Impl::runPacked(const PackedCall &call) {
  if (Status status = checkPacked(call); !status)
    return status;
  if (!backend->canPack())
    return runOneByOne(call);
  PackedSteps steps({call.lengths, call.lengths + batch},
                    manifest.capacity.prefillRows);
  while (steps.next())
    if (Status status = runPackedStep(call, steps); !status)
      return status;
  return {};
}

// From the first sequence of the step to the last one.
Status Session::Impl::runPackedStep(const PackedCall &call,
                                    const PackedSteps &steps) {
  const std::vector<int64_t> &counts = steps.counts();
  int64_t first = 0, end = batch;
  while (counts[static_cast<size_t>(first)] == 0)
    ++first;
  while (counts[static_cast<size_t>(end - 1)] == 0)
    --end;
  tokenPositions.clear();
  offsets.assign(1, 0);
  for (int64_t row = first; row < end; ++row) {
    const auto index = static_cast<size_t>(row);
    for (int64_t t = 0; t < counts[index]; ++t)
      tokenPositions.push_back(positions[index] + t);
    offsets.push_back(offsets.back() + counts[index]);
  }
  Step step;
  step.row = first;
  step.rows = end - first;
  step.offset = steps.begin();
  step.tokens = call.tokens + steps.begin();
  step.positions = tokenPositions.data();
  step.offsets = offsets.data();
  step.observer = call.observer;
  bool ends = false;
  for (int64_t row = first; row < end; ++row)
    ends |= steps.endsHere(static_cast<size_t>(row));
  Status status;
  if (call.draws && ends) {
    step.draws = call.draws + first;
    status = backend->runToTokens(step);
  } else if (call.wantsLogits && ends) {
    status = backend->runToLogits(step);
  } else {
    status = backend->run(step, call.hidden ? call.hidden +
                                                  steps.begin() * manifest.width
                                            : nullptr);
  }
  for (int64_t row = first; status && row < end; ++row)
    positions[static_cast<size_t>(row)] += counts[static_cast<size_t>(row)];
  return status;
}

Status Session::Impl::runOneByOne(const PackedCall &call) {
  int64_t begin = 0;
  for (int64_t row = 0; row < batch; ++row) {
    const int64_t length = call.lengths[row];
    if (length == 0)
      continue;
    Observer shifted;
    if (call.observer)
      shifted = [&](int64_t probe, const float *data, int64_t, int64_t offset,
                    int64_t, int64_t count, int64_t columns) {
        (*call.observer)(probe, data, 0, begin + offset, 1, count, columns);
      };
    if (Status status =
            run({row, 1, length, call.tokens + begin,
                 call.hidden ? call.hidden + begin * manifest.width : nullptr,
                 call.wantsLogits, shifted ? &shifted : nullptr,
                 call.draws ? call.draws + row : nullptr});
        !status)
      return status;
    begin += length;
  }
  return {};
}

bool Session::canPack() const { return impl->backend->canPack(); }

Status Session::forwardPacked(const int32_t *tokens, const int64_t *lengths,
                              float *hidden, const Observer &observer) {
  return impl->runPacked(
      {tokens, lengths, hidden, false, observer ? &observer : nullptr});
}

Result<float *> Session::forwardPackedToLogits(const int32_t *tokens,
                                               const int64_t *lengths) {
  if (Status status = impl->runPacked({tokens, lengths, nullptr, true});
      !status)
    return status.takeError();
  return impl->backend->logits();
}

Result<const int32_t *> Session::forwardPackedToTokens(const int32_t *tokens,
                                                       const int64_t *lengths,
                                                       const Draw *draws) {
  if (Status status =
          impl->runPacked({tokens, lengths, nullptr, false, nullptr, draws});
      !status)
    return status.takeError();
  return impl->backend->tokens();
}

//===----------------------------------------------------------------------===//
// Sequences of one length
//===----------------------------------------------------------------------===//

Status Session::forward(const int32_t *tokens, int64_t length, float *hidden,
                        const Observer &observer) {
  if (length < 1)
    return Error{"the sequences have no tokens, expected at least one"};
  if (Status status = impl->checkTokens(tokens, impl->batch, 0, length);
      !status)
    return status;
  return impl->run({0, impl->batch, length, tokens, hidden, false,
                    observer ? &observer : nullptr});
}

Status Session::forwardRow(int64_t row, const int32_t *tokens, int64_t length,
                           float *hidden) {
  if (Status status = impl->checkRow(row, length); !status)
    return status;
  if (Status status = impl->checkTokens(tokens, 1, row, length); !status)
    return status;
  return impl->run({row, 1, length, tokens, hidden});
}

Status Session::logits(const float *hidden, int64_t rows, float *out) {
  const Manifest &manifest = impl->manifest;
  const int64_t most = manifest.capacity.headRows;
  for (int64_t row = 0; row < rows; row += most)
    if (Status status = impl->backend->head(hidden + row * manifest.width,
                                            std::min(most, rows - row),
                                            out + row * manifest.vocabSize);
        !status)
      return status;
  return {};
}

bool Session::canScore() const { return impl->backend->canScore(); }

Status Session::score(const float *hidden, int64_t rows, const int32_t *labels,
                      float *out) {
  if (Status status = impl->checkTokens(labels, 1, 0, rows); !status)
    return status;
  const Manifest &manifest = impl->manifest;
  const int64_t most = manifest.capacity.headRows;
  for (int64_t row = 0; row < rows; row += most)
    if (Status status = impl->backend->score(hidden + row * manifest.width,
                                             std::min(most, rows - row),
                                             labels + row, out + row);
        !status)
      return status;
  return {};
}

Result<float *> Session::decode(const int32_t *tokens) {
  if (Status status = impl->checkTokens(tokens, impl->batch, 0, 1); !status)
    return status.takeError();
  if (Status status = impl->run({0, impl->batch, 1, tokens, nullptr, true});
      !status)
    return status.takeError();
  return impl->backend->logits();
}

Result<float *> Session::forwardRowToLogits(int64_t row, const int32_t *tokens,
                                            int64_t length) {
  if (Status status = impl->checkRow(row, length); !status)
    return status.takeError();
  if (Status status = impl->checkTokens(tokens, 1, row, length); !status)
    return status.takeError();
  if (Status status = impl->run({row, 1, length, tokens, nullptr, true});
      !status)
    return status.takeError();
  return impl->backend->logits() + row * impl->manifest.vocabSize;
}

bool Session::canSample() const { return impl->backend->canSample(); }

Result<const int32_t *> Session::decodeToTokens(const int32_t *tokens,
                                                const Draw *draws) {
  if (Status status = impl->checkTokens(tokens, impl->batch, 0, 1); !status)
    return status.takeError();
  if (Status status = impl->run(
          {0, impl->batch, 1, tokens, nullptr, false, nullptr, draws});
      !status)
    return status.takeError();
  return impl->backend->tokens();
}

Result<int32_t> Session::forwardRowToToken(int64_t row, const int32_t *tokens,
                                           int64_t length, const Draw &draw) {
  if (Status status = impl->checkRow(row, length); !status)
    return status.takeError();
  if (Status status = impl->checkTokens(tokens, 1, row, length); !status)
    return status.takeError();
  if (Status status =
          impl->run({row, 1, length, tokens, nullptr, false, nullptr, &draw});
      !status)
    return status.takeError();
  return impl->backend->tokens()[row];
}

Status Session::readState(int64_t layer, int64_t row, float *out) {
  return impl->backend->readStates(layer, row, 1, out);
}

Status Session::writeState(int64_t layer, int64_t row, const void *in) {
  return impl->backend->writeStates(layer, row, 1, in);
}

Status Session::readStates(int64_t layer, float *out) {
  return impl->backend->readStates(layer, 0, impl->batch, out);
}

Status Session::writeStates(int64_t layer, const void *in) {
  return impl->backend->writeStates(layer, 0, impl->batch, in);
}

int64_t Session::stateElements(int64_t layer) const {
  return impl->manifest.states[static_cast<size_t>(layer)].elements();
}

std::vector<int64_t> &Session::positions() { return impl->positions; }

Status Session::reset() {
  std::fill(impl->positions.begin(), impl->positions.end(), 0);
  return impl->backend->reset();
}

Result<StepProfile> Session::profile(int64_t rows, int64_t length,
                                     int64_t repeat) {
  if (Status status = reset(); !status)
    return status.takeError();
  // Different tokens, so that the embedding reads as it does in real use.
  std::vector<int32_t> tokens(static_cast<size_t>(rows * length));
  for (size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = static_cast<int32_t>(
        (i * 7919) % static_cast<uint64_t>(impl->manifest.vocabSize));
  // What generation asks for by default.
  const std::vector<Draw> draws(static_cast<size_t>(rows),
                                {1 / 0.8f, 40, 0.95f, std::log(0.05f), 0.5f});
  Step step;
  step.rows = rows;
  step.length = length;
  step.tokens = tokens.data();
  step.positions = impl->positions.data();
  if (canSample())
    step.draws = draws.data();
  Result<StepProfile> times = impl->backend->profile(step, repeat);
  if (Status status = reset(); times && !status)
    return status.takeError();
  return times;
}

} // namespace tnrt
