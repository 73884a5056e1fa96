// generate: prompts and state files in, text and state files out.
#include "Commands.h"
#include "Interrupt.h"
#include "OutputGuard.h"
#include "StateFile.h"
#include "Text.h"

#include "tnrt/formats/AtomicFile.h"

#include <algorithm>
#include <memory>
#include <random>
#include <unistd.h>

namespace tnrt {
namespace {

using Json = nlohmann::ordered_json;

// Texts to go on from, one per sequence: -p first, then the files' contents.
// `names` says where each comes from.
Result<std::vector<std::string>>
collectPrompts(const GenerateOptions &options,
               std::vector<std::string> &names) {
  std::vector<std::string> prompts = options.prompts;
  for (size_t i = 0; i < prompts.size(); ++i)
    names.push_back("prompt " + std::to_string(i + 1));
  for (const std::string &path : options.promptFiles) {
    auto text = readInput(path);
    if (!text)
      return text.takeError();
    prompts.push_back(std::move(*text));
    names.push_back(inputName(path));
  }
  return prompts;
}

SamplerOptions samplerOptions(const GenerateOptions &options,
                              SamplerOptions base) {
  base.temperature = options.temperature.value_or(base.temperature);
  base.topK = options.topK.value_or(base.topK);
  base.topP = options.topP.value_or(base.topP);
  base.minP = options.minP.value_or(base.minP);
  base.repeatPenalty = options.repeatPenalty.value_or(base.repeatPenalty);
  base.repeatLast = options.repeatLast.value_or(base.repeatLast);
  return base;
}

RecentTokens resized(const RecentTokens &old, int64_t capacity) {
  RecentTokens recent(capacity);
  for (int32_t token : old.inOrder())
    recent.push(token);
  return recent;
}

// One generation from options to output.
class GenerateRun {
public:
  GenerateRun(Environment &environment, const GenerateOptions &options)
      : environment(environment), options(options), m(environment.manifest) {}

  Result<int> run();

private:
  Status prepare();
  Status startFromPrompts();
  Status continueFromState();
  Status addPrompt(size_t row, size_t prompt, bool isFirst);
  Status openStreams();
  Status chooseEos();
  std::optional<uint64_t> givenSeed() const {
    if (options.seed && *options.seed >= 0)
      return static_cast<uint64_t>(*options.seed);
    return std::nullopt;
  }
  Result<int> generate();
  void showText(size_t row);
  void showSequence(size_t row);
  void showJson(const Generator &generator);
  void showTimes(const GenerateTimes &times);
  Status save(Session &session);

  Environment &environment;
  const GenerateOptions &options;
  const Manifest &m;

  std::unique_ptr<Tokenizer> tokenizer;
  std::vector<std::string> prompts, promptNames;
  std::optional<StateFile> state;
  std::vector<SavedSequence> saved; // what the state file said of each
  std::vector<Sequence> sequences;
  std::vector<std::unique_ptr<TextStream>> streams;
  std::vector<std::string> texts;
  size_t nextToShow = 0; // of several sequences, shown in order
  GenerateSettings settings;
};

Result<int> GenerateRun::run() {
  if (Status status = prepare(); !status)
    return status.takeError();
  return generate();
}

// All that can be wrong with the options shows before the weights are loaded.
Status GenerateRun::prepare() {
  auto loaded = environment.loadTokenizer();
  if (!loaded)
    return loaded.takeError();
  tokenizer = std::move(*loaded);
  auto collected = collectPrompts(options, promptNames);
  if (!collected)
    return collected.takeError();
  prompts = std::move(*collected);
  for (const std::string &stop : options.stops)
    if (stop.empty() || findInvalidUtf8(stop) != std::string::npos)
      return Error{"--stop: expected a text in UTF-8 that is not empty"};
  if (Status status = chooseEos(); !status)
    return status;
  settings.maxTokens = options.maxTokens;

  Status status =
      options.loadState.empty() ? startFromPrompts() : continueFromState();
  if (!status)
    return status;
  if (Status opened = openStreams(); !opened)
    return opened;
  if (options.saveState.empty())
    return {};
  // The state file that was loaded may be replaced: that is how a generation
  // goes on from day to day.
  std::vector<InputFile> inputs;
  for (const std::string &path : options.promptFiles)
    inputs.push_back({path, "a prompt file"});
  Status isFree =
      checkOutput(environment, "--save-state", options.saveState, inputs);
  if (!isFree)
    return isFree;
  // Hours of work must not end at a path that cannot be written.
  auto probe = AtomicFile::create(options.saveState);
  if (!probe)
    return probe.takeError();
  probe->discard();
  return {};
}

Status GenerateRun::chooseEos() {
  if (options.eosToken) {
    if (*options.eosToken >= m.vocabSize)
      return Error{"--eos: token id " + std::to_string(*options.eosToken) +
                   " is out of range: expected [0, " +
                   std::to_string(m.vocabSize) + "), or -1 for none"};
    settings.eosToken =
        static_cast<int32_t>(std::max<int64_t>(*options.eosToken, -1));
    return {};
  }
  bool inRange = m.eosTokenId >= 0 && m.eosTokenId < m.vocabSize;
  if (tokenizer->hasControlTokens() && inRange)
    settings.eosToken = static_cast<int32_t>(m.eosTokenId);
  return {};
}

Status GenerateRun::startFromPrompts() {
  if (prompts.empty())
    return Error{
        "generate: expected a prompt (-p TEXT or --prompt-file FILE) or "
        "--load-state FILE"};
  settings.sampler = samplerOptions(options, SamplerOptions());
  uint64_t seed = givenSeed().value_or(std::random_device{}());
  sequences.resize(prompts.size());
  saved.resize(prompts.size());
  for (size_t row = 0; row < prompts.size(); ++row) {
    // Each sequence has its own stream: alone with this seed, it would be the
    // same.
    sequences[row].seed = seed + row;
    sequences[row].recent = RecentTokens(settings.sampler.repeatLast);
    if (Status status = addPrompt(row, row, /*isFirst=*/true); !status)
      return status;
  }
  return {};
}

Status GenerateRun::continueFromState() {
  auto opened = StateFile::open(options.loadState, m);
  if (!opened)
    return opened.takeError();
  state = std::move(*opened);
  if (state->otherBuild())
    environment.note(
        options.loadState +
        ": written by another build of a model of the same shapes");
  settings.sampler = samplerOptions(options, state->sampler());
  saved = state->sequences();
  if (!prompts.empty() && prompts.size() != 1 && prompts.size() != saved.size())
    return Error{
        options.loadState + " holds " + std::to_string(saved.size()) +
        " sequences: expected no prompt, one for all, or one for each, "
        "found " +
        std::to_string(prompts.size())};
  uint64_t seed = givenSeed().value_or(std::random_device{}());
  for (size_t row = 0; row < saved.size(); ++row) {
    sequences.push_back(saved[row].sequence);
    Sequence &sequence = sequences.back();
    sequence.recent = resized(sequence.recent, settings.sampler.repeatLast);
    if (options.seed) {
      sequence.seed = seed + row;
      sequence.sampled = 0;
    }
    if (prompts.empty())
      continue;
    size_t prompt = prompts.size() == 1 ? 0 : row;
    if (Status status = addPrompt(row, prompt, /*isFirst=*/false); !status)
      return status;
  }
  bool allEnded = std::all_of(sequences.begin(), sequences.end(),
                              [](const Sequence &s) { return s.ended; });
  if (allEnded)
    return Error{options.loadState +
                 ": every sequence has ended (at eos or a stop "
                 "string): give a prompt to go on with"};
  return {};
}

Status GenerateRun::addPrompt(size_t row, size_t prompt, bool isFirst) {
  const std::string &text = prompts[prompt], &name = promptNames[prompt];
  auto ids =
      isFirst ? environment.encode(*tokenizer, text) : tokenizer->encode(text);
  if (!ids)
    return Error{name + ": " + ids.message()};
  if (ids->empty() && isFirst) {
    int32_t bos = environment.bosToken(*tokenizer);
    if (bos < 0)
      return Error{name +
                   " is empty, and this model has no bos token to begin with"};
    ids->push_back(bos);
  }
  if (ids->empty())
    return {};
  Sequence &sequence = sequences[row];
  for (int32_t id : *ids)
    sequence.recent.push(id);
  sequence.pending.insert(sequence.pending.end(), ids->begin(), ids->end());
  sequence.inPrompt = true;
  sequence.ended = false;
  // New text ends what was unfinished before it.
  saved[row].partialBytes.clear();
  saved[row].partialStop.clear();
  return {};
}

Status GenerateRun::openStreams() {
  for (size_t row = 0; row < sequences.size(); ++row) {
    bool startsText = !state && prompts[row].empty();
    streams.push_back(
        std::make_unique<TextStream>(*tokenizer, options.stops, startsText));
    if (state)
      streams.back()->restore(saved[row].partialBytes, saved[row].partialStop);
    sequences[row].text = streams.back().get();
  }
  texts.resize(sequences.size());
  return {};
}

Result<int> GenerateRun::generate() {
  auto batch = static_cast<int64_t>(sequences.size());
  auto model = environment.loadModel(batch);
  if (!model)
    return model.takeError();
  auto session = Session::create(**model, batch);
  if (!session)
    return session.takeError();
  if (state)
    if (Status restored = state->restore(**session); !restored)
      return restored.takeError();
  bool drawsSeed = !givenSeed() && (!state || options.seed);
  auto noteSeed = [&] {
    if (drawsSeed && settings.sampler.temperature > 0)
      environment.note("seed " + std::to_string(sequences.front().seed));
  };
  // In a log an error stands alone; a person sees the seed at once.
  const bool seedFirst = ::isatty(2);
  if (seedFirst)
    noteSeed();

  InterruptScope interrupts;
  Generator generator(**model, **session, sequences, settings);
  bool streams1 = batch == 1 && !options.json;
  if (streams1 && options.echo && !state)
    environment.out.write(prompts.front());
  generator.onText([&](int64_t row, const std::string &text) {
    if (streams1)
      environment.out.write(text);
    else
      texts[static_cast<size_t>(row)] += text;
  });
  generator.onDone([&](int64_t row) { showText(static_cast<size_t>(row)); });
  generator.onStopRequest(
      [&] { return interrupted() || environment.out.failed(); });
  if (Status status = generator.run(); !status) {
    // What has been shown ends with its line; nothing is made up after it.
    if (streams1 && !sequences.front().generated.empty())
      environment.out.write("\n");
    return status.takeError();
  }
  if (!seedFirst)
    noteSeed();
  for (size_t row = 0; row < sequences.size(); ++row)
    if (sequences[row].finish == Finish::Running)
      showText(row);
  if (options.json)
    showJson(generator);
  else if (!environment.out.closed())
    showTimes(generator.times());
  if (Status written = save(**session); !written)
    return written.takeError();
  return interrupted() ? interruptCode() : int(kOk);
}

// Ends the text of a sequence and shows those whose turn it is.
void GenerateRun::showText(size_t row) {
  std::string rest;
  if (sequences[row].finish != Finish::Stop)
    streams[row]->flush(rest, /*keepPartial=*/!options.saveState.empty());
  if (options.json || sequences.size() > 1)
    texts[row] += rest;
  else
    environment.out.write(rest + "\n");
  if (options.json || sequences.size() == 1)
    return;
  // While others run, only what is complete up to here may be shown.
  auto isOver = [&](size_t i) {
    return sequences[i].finish != Finish::Running || i == row;
  };
  while (nextToShow < sequences.size() && isOver(nextToShow))
    showSequence(nextToShow++);
}

void GenerateRun::showSequence(size_t row) {
  std::string header = "=== " + std::to_string(row + 1) + " ===\n";
  std::string prompt = options.echo && !state ? prompts[row] : "";
  environment.out.write(header + prompt + texts[row] + "\n");
}

void GenerateRun::showJson(const Generator &generator) {
  const GenerateTimes &times = generator.times();
  Json list = Json::array();
  for (size_t row = 0; row < sequences.size(); ++row) {
    const Sequence &sequence = sequences[row];
    Json entry;
    if (!prompts.empty())
      entry["prompt"] = prompts[prompts.size() == 1 ? 0 : row];
    entry["text"] = texts[row];
    entry["tokens"] = sequence.generated;
    entry["seed"] = sequence.seed;
    entry["finish"] = sequence.finish == Finish::Running
                          ? "interrupted"
                          : finishName(sequence.finish);
    list.push_back(std::move(entry));
  }
  auto rate = [](int64_t tokens, double seconds) {
    return seconds > 0 ? double(tokens) / seconds : 0;
  };
  Json json = {{"sequences", list},
               {"prefill_tokens", times.prefillTokens},
               {"prefill_tokens_per_second",
                rate(times.prefillTokens, times.prefillSeconds)},
               {"decode_tokens", times.decodeTokens},
               {"decode_tokens_per_second",
                rate(times.decodeTokens, times.decodeSeconds)}};
  environment.out.write(dumpJson(json) + "\n");
}

void GenerateRun::showTimes(const GenerateTimes &times) {
  std::string line;
  auto add = [&](const char *name, int64_t tokens, double seconds) {
    if (tokens > 0)
      line += (line.empty() ? "" : "; ") + std::string(name) + " " +
              std::to_string(tokens) + " tokens, " +
              formatNumber(seconds > 0 ? double(tokens) / seconds : 0, 1) +
              " tok/s";
  };
  add("prefill", times.prefillTokens, times.prefillSeconds);
  add("decode", times.decodeTokens, times.decodeSeconds);
  if (!line.empty())
    environment.note(line);
}

Status GenerateRun::save(Session &session) {
  if (options.saveState.empty())
    return {};
  for (size_t row = 0; row < sequences.size(); ++row) {
    saved[row].sequence = sequences[row];
    saved[row].partialBytes = streams[row]->partialBytes();
    saved[row].partialStop = streams[row]->partialStop();
  }
  return saveState(options.saveState, m, session, saved, settings.sampler);
}

} // namespace

Result<int> generateCommand(Environment &environment,
                            const GenerateOptions &options) {
  return GenerateRun(environment, options).run();
}

} // namespace tnrt
