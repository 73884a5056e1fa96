// The generation loop.
#include "Generator.h"

#include <algorithm>
#include <chrono>

namespace tnrt {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

} // namespace

const char *finishName(Finish finish) {
  switch (finish) {
  case Finish::Length:
    return "length";
  case Finish::Eos:
    return "eos";
  case Finish::Stop:
    return "stop";
  case Finish::Running:
    break;
  }
  return "running";
}

Generator::Generator(Model &model, Session &session,
                     std::vector<Sequence> &sequences,
                     const GenerateSettings &settings)
    : model(model), session(session), sequences(sequences), settings(settings),
      sampler(settings.sampler, model.manifest().vocabSize) {
  int64_t batch = session.batch();
  slab = std::max<int64_t>(model.manifest().capacity.prefillRows, 1);
  // The program knows nothing of the tokens before, which a penalty needs.
  inProgram = session.canSample() && settings.sampler.repeatPenalty == 1.0f;
  draws.resize(static_cast<size_t>(batch));
  step.resize(static_cast<size_t>(batch));
  parked.resize(static_cast<size_t>(batch));
}

Status Generator::run() {
  for (size_t row = 0; row < sequences.size(); ++row) {
    Sequence &sequence = sequences[row];
    if (sequence.ended)
      finish(static_cast<int64_t>(row), Finish::Stop);
    else if (settings.maxTokens == 0 && !sequence.inPrompt)
      finish(static_cast<int64_t>(row), Finish::Length);
  }
  Status status;
  if (session.batch() > 1 && session.canPack())
    status = prefillTogether();
  for (size_t row = 0; status && row < sequences.size() && !stopNow(); ++row)
    if (sequences[row].inPrompt && sequences[row].finish == Finish::Running)
      status = prefill(static_cast<int64_t>(row));
  // A row that is done must not see the steps of the others.
  for (size_t row = 0; row < sequences.size(); ++row)
    if (status && sequences[row].finish != Finish::Running &&
        !parked[row].active)
      status = park(static_cast<int64_t>(row));
  while (status && anyRunning() && !stopNow())
    status = decode();
  Status unparked = unparkAll();
  return status ? std::move(unparked) : std::move(status);
}

// Feeds the prompts of all sequences, packed, and draws their first tokens. One
// whose last token would be a step of its own, alone, is left to prefill(), so
// that it gives the same bits.
Status Generator::prefillTogether() {
  const size_t keep = settings.maxTokens == 0 ? 1 : 0;
  std::vector<int64_t> lengths(sequences.size(), 0);
  std::vector<int32_t> tokens;
  for (size_t row = 0; row < sequences.size(); ++row) {
    const Sequence &sequence = sequences[row];
    if (!sequence.inPrompt || sequence.finish != Finish::Running)
      continue;
    const size_t total = sequence.pending.size() - keep;
    if (total % static_cast<size_t>(slab) == 1)
      continue;
    lengths[row] = static_cast<int64_t>(total);
    tokens.insert(tokens.end(), sequence.pending.begin(),
                  sequence.pending.end() - static_cast<long>(keep));
  }
  PackedSteps steps(lengths, slab);
  auto start = Clock::now();
  Status status;
  while (status && !stopNow() && steps.next())
    status = prefillStep(steps, tokens.data() + steps.begin());
  timing.prefillSeconds += secondsSince(start);
  return status;
}

Status Generator::prefillStep(const PackedSteps &steps, const int32_t *tokens) {
  const int64_t *lengths = steps.counts().data();
  const int64_t vocabulary = model.manifest().vocabSize;
  bool draws1 = false; // a sequence's first token
  for (size_t row = 0; row < sequences.size(); ++row) {
    const bool ends = steps.endsHere(row) && settings.maxTokens != 0;
    draws[row] = ends ? drawOf(sequences[row]) : Draw();
    draws1 |= ends;
  }
  Result<float *> logits = nullptr;
  Result<const int32_t *> chosen = nullptr;
  Status status;
  if (!draws1)
    status = session.forwardPacked(tokens, lengths, nullptr);
  else if (inProgram)
    chosen = session.forwardPackedToTokens(tokens, lengths, draws.data());
  else
    logits = session.forwardPackedToLogits(tokens, lengths);
  if (!status)
    return status;
  if (!logits)
    return logits.takeError();
  if (!chosen)
    return chosen.takeError();
  timing.prefillTokens += steps.count();
  for (size_t row = 0; row < sequences.size(); ++row) {
    Sequence &sequence = sequences[row];
    const auto index = static_cast<int64_t>(row);
    sequence.pending.erase(sequence.pending.begin(),
                           sequence.pending.begin() +
                               static_cast<long>(lengths[row]));
    if (!steps.endsHere(row))
      continue;
    if (settings.maxTokens == 0) {
      finish(index, Finish::Length);
      continue;
    }
    sequence.inPrompt = false;
    status = inProgram ? accept(index, (*chosen)[row])
                       : choose(index, *logits + index * vocabulary);
    if (!status)
      return status;
  }
  return {};
}

// Feeds the prompt slab by slab and draws the first token.
Status Generator::prefill(int64_t row) {
  Sequence &sequence = sequences[static_cast<size_t>(row)];
  // Without a token to draw, the last one waits: it yields the next run's
  // first.
  size_t keep = settings.maxTokens == 0 ? 1 : 0;
  size_t fed = 0, total = sequence.pending.size() - keep;
  auto start = Clock::now();
  Status status;
  float *logits = nullptr;
  int32_t token = -1;
  while (status && fed < total && !stopNow()) {
    auto count = static_cast<int64_t>(
        std::min<size_t>(total - fed, static_cast<size_t>(slab)));
    const int32_t *tokens = sequence.pending.data() + fed;
    if (fed + static_cast<size_t>(count) < total || keep) {
      status = session.forwardRow(row, tokens, count, nullptr);
    } else if (inProgram) {
      auto result =
          session.forwardRowToToken(row, tokens, count, drawOf(sequence));
      if (result)
        token = *result;
      else
        status = result.takeError();
    } else {
      auto result = session.forwardRowToLogits(row, tokens, count);
      if (result)
        logits = *result;
      else
        status = result.takeError();
    }
    if (status)
      fed += static_cast<size_t>(count);
  }
  timing.prefillTokens += static_cast<int64_t>(fed);
  timing.prefillSeconds += secondsSince(start);
  sequence.pending.erase(sequence.pending.begin(),
                         sequence.pending.begin() + static_cast<long>(fed));
  if (!status || fed < total)
    return status;
  if (keep) {
    finish(row, Finish::Length);
    return {};
  }
  sequence.inPrompt = false;
  return inProgram ? accept(row, token) : choose(row, logits);
}

Status Generator::decode() {
  auto start = Clock::now();
  const Manifest &manifest = model.manifest();
  for (size_t row = 0; row < sequences.size(); ++row) {
    const Sequence &sequence = sequences[row];
    bool running = sequence.finish == Finish::Running;
    step[row] = running ? sequence.pending.front() : 0;
    draws[row] = running ? drawOf(sequence) : Draw();
  }
  Result<float *> logits = nullptr;
  Result<const int32_t *> tokens = nullptr;
  if (inProgram)
    tokens = session.decodeToTokens(step.data(), draws.data());
  else
    logits = session.decode(step.data());
  if (!logits)
    return logits.takeError();
  if (!tokens)
    return tokens.takeError();
  for (size_t row = 0; row < sequences.size(); ++row) {
    if (sequences[row].finish != Finish::Running)
      continue;
    auto index = static_cast<int64_t>(row);
    ++timing.decodeTokens;
    if (Status status =
            inProgram ? accept(index, (*tokens)[row])
                      : choose(index, *logits + index * manifest.vocabSize);
        !status)
      return status;
    if (sequences[row].finish != Finish::Running)
      if (Status status = park(index); !status)
        return status;
  }
  timing.decodeSeconds += secondsSince(start);
  return {};
}

// Draws the token that follows. The tokens before it have all been fed.
Status Generator::choose(int64_t row, float *rowLogits) {
  const Sequence &sequence = sequences[static_cast<size_t>(row)];
  return accept(row,
                sampler.sample(rowLogits, sequence.recent,
                               uniformAt(sequence.seed, sequence.sampled)));
}

Draw Generator::drawOf(const Sequence &sequence) const {
  return makeDraw(settings.sampler, uniformAt(sequence.seed, sequence.sampled));
}

// Takes the token and decides whether the sequence goes on.
Status Generator::accept(int64_t row, int32_t token) {
  Sequence &sequence = sequences[static_cast<size_t>(row)];
  if (token < 0)
    return notFinite(row);
  ++sequence.sampled;
  sequence.recent.push(token);
  sequence.pending.assign(1, token);
  sequence.generated.push_back(token);

  bool stop = false;
  if (token != settings.eosToken && sequence.text) {
    shown.clear();
    stop = sequence.text->push(token, shown);
    if (!shown.empty() && textSink)
      textSink(row, shown);
  }
  auto count = static_cast<int64_t>(sequence.generated.size());
  if (token == settings.eosToken)
    finish(row, Finish::Eos);
  else if (stop)
    finish(row, Finish::Stop);
  else if (settings.maxTokens >= 0 && count >= settings.maxTokens)
    finish(row, Finish::Length);
  return {};
}

void Generator::finish(int64_t row, Finish why) {
  Sequence &sequence = sequences[static_cast<size_t>(row)];
  sequence.finish = why;
  sequence.ended = why != Finish::Length;
  if (doneSink)
    doneSink(row);
}

Status Generator::park(int64_t row) {
  if (session.batch() == 1 || !anyRunning())
    return {}; // no step will touch it any more
  Parked &slot = parked[static_cast<size_t>(row)];
  slot.active = true;
  slot.position = session.positions()[static_cast<size_t>(row)];
  auto layers = static_cast<int64_t>(model.manifest().states.size());
  int64_t total = 0;
  for (int64_t layer = 0; layer < layers; ++layer)
    total += session.stateElements(layer);
  slot.states.resize(static_cast<size_t>(total));
  float *to = slot.states.data();
  for (int64_t layer = 0; layer < layers; ++layer) {
    if (Status status = session.readState(layer, row, to); !status)
      return status;
    to += session.stateElements(layer);
  }
  return {};
}

Status Generator::unparkAll() {
  auto layers = static_cast<int64_t>(model.manifest().states.size());
  for (size_t row = 0; row < parked.size(); ++row) {
    Parked &slot = parked[row];
    if (!slot.active)
      continue;
    session.positions()[row] = slot.position;
    const float *from = slot.states.data();
    for (int64_t layer = 0; layer < layers; ++layer) {
      if (Status status =
              session.writeState(layer, static_cast<int64_t>(row), from);
          !status)
        return status;
      from += session.stateElements(layer);
    }
    slot = Parked();
  }
  return {};
}

bool Generator::anyRunning() const {
  return std::any_of(sequences.begin(), sequences.end(), [](const Sequence &s) {
    return s.finish == Finish::Running;
  });
}

bool Generator::stopNow() {
  if (!stopped && stopRequest && stopRequest())
    stopped = true;
  return stopped;
}

Error Generator::notFinite(int64_t row) {
  int64_t position = session.positions()[static_cast<size_t>(row)];
  return Error{"the logits of sequence " + std::to_string(row) +
               " after position " + std::to_string(position - 1) +
               " are not finite: are the weights those of this model?"};
}

} // namespace tnrt
