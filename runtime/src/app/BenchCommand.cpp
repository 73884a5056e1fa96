// bench: how fast this machine prefills and decodes.
#include "BenchEnergy.h"
#include "BenchKernels.h"
#include "Commands.h"
#include "Interrupt.h"
#include "Likeliest.h"
#include "Sampler.h"
#include "Text.h"

#include "core/Progress.h"
#include "cuda/Energy.h"
#include "tnrt/formats/Pack.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <functional>
#include <optional>

#include <unistd.h>

namespace tnrt {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

double median(std::vector<double> values) {
  if (values.empty())
    return 0;
  std::sort(values.begin(), values.end());
  size_t half = values.size() / 2;
  return values.size() % 2 ? values[half]
                           : (values[half - 1] + values[half]) / 2;
}

// Bytes of the parameters that one decode step reads: all but the embedding's
// table, of which it reads a row for each sequence. On the CPU that table is
// the one matrix in layout `rows`; on a GPU it is the first matrix that is as
// high as the vocabulary.
int64_t streamedBytes(const Manifest &manifest, const Model &model) {
  int64_t bytes = model.parameterBytes();
  for (const Manifest::Parameter &parameter : manifest.parameters) {
    if (parameter.layout.kind != Layout::Kind::Rows ||
        parameter.shape.size() != 2)
      continue;
    if (manifest.target.isGpu() && parameter.shape[0] != manifest.vocabSize)
      continue;
    bytes -= packedBytes(parameter.shape, parameter.dtype, parameter.layout);
    if (manifest.target.isGpu())
      break;
  }
  return bytes;
}

// Peak resident memory of this process in bytes (VmHWM), or 0.
int64_t peakMemoryBytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word)
    if (word == "VmHWM:") {
      int64_t kilobytes = 0;
      status >> kilobytes;
      return kilobytes * 1024;
    }
  return 0;
}

struct Times {
  double prefill = 0, decode = 0; // seconds
};

class Bench {
public:
  Bench(Model &model, Session &session, const BenchOptions &options)
      : manifest(model.manifest()), session(session), options(options),
        slab(std::max<int64_t>(manifest.capacity.prefillRows, 1)),
        tokens(static_cast<size_t>(options.batch *
                                   std::max(options.prompt, int64_t(1)))) {
    for (size_t i = 0; i < tokens.size(); ++i)
      tokens[i] =
          static_cast<int32_t>(uniformAt(0, i) * double(manifest.vocabSize));
  }

  // One prefill and one decode; false when interrupted.
  Result<bool> once(Times &times) {
    if (Status status = session.reset(); !status)
      return status.takeError();
    auto start = Clock::now();
    if (auto whole = prefillAll(); !whole)
      return whole;
    times.prefill = std::chrono::duration<double>(Clock::now() - start).count();

    auto &positions = session.positions();
    if (options.position > 0)
      std::fill(positions.begin(), positions.end(), options.position);
    start = Clock::now();
    if (auto whole = decodeAll(); !whole)
      return whole;
    times.decode = std::chrono::duration<double>(Clock::now() - start).count();
    return !interrupted();
  }

  // The prompt of each sequence; then `gen` steps of all. False when
  // interrupted.
  Result<bool> prefillAll() {
    if (Status status = prefill(); !status)
      return status.takeError();
    return !interrupted();
  }
  Result<bool> decodeAll() {
    for (int64_t i = 0; i < options.gen && !interrupted(); ++i)
      if (Status status = decodeStep(); !status)
        return status.takeError();
    return !interrupted();
  }

private:
  Status prefill() {
    for (int64_t row = 0; row < options.batch; ++row)
      for (int64_t at = 0; at < options.prompt && !interrupted(); at += slab) {
        const int32_t *from = tokens.data() + row * options.prompt + at;
        int64_t count = std::min(slab, options.prompt - at);
        if (Status status = session.forwardRow(row, from, count, nullptr);
            !status)
          return status;
      }
    return {};
  }

  // A step of generation as it is: the head and a greedy choice belong to it.
  Status decodeStep() {
    if (session.canSample()) {
      draws.resize(static_cast<size_t>(options.batch));
      Result<const int32_t *> chosen =
          session.decodeToTokens(tokens.data(), draws.data());
      if (!chosen)
        return chosen.takeError();
      for (int64_t row = 0; row < options.batch; ++row)
        tokens[static_cast<size_t>(row)] = std::max((*chosen)[row], 0);
      return {};
    }
    Result<float *> logits = session.decode(tokens.data());
    if (!logits)
      return logits.takeError();
    for (int64_t row = 0; row < options.batch; ++row) {
      const int32_t token =
          likeliest(*logits + row * manifest.vocabSize, manifest.vocabSize);
      tokens[static_cast<size_t>(row)] = std::max(token, 0);
    }
    return {};
  }

  const Manifest &manifest;
  Session &session;
  const BenchOptions &options;
  int64_t slab;
  std::vector<int32_t> tokens;
  std::vector<Draw> draws; // all greedy
};

// Joules of a token; nothing where they were not measured, and why not.
struct Energy {
  std::optional<double> prefill, decode;
  std::string error;

  Json json(const std::optional<double> &joules) const {
    return joules ? Json(*joules) : Json();
  }
};

Energy measureEnergy(Bench &bench, const BenchOptions &options, int device,
                     bool isGpu) {
  Energy energy;
  if (!isGpu) {
    energy.error = "energy is counted on NVIDIA's GPUs alone";
    return energy;
  }
  auto meter = cuda::EnergyMeter::open(device);
  if (!meter) {
    energy.error = meter.message();
    return energy;
  }
  auto measure = [&](int64_t tokens, const std::function<Result<bool>()> &work,
                     std::optional<double> &result) {
    if (tokens == 0 || !energy.error.empty())
      return;
    auto joules = joulesOfRun([&] { return (*meter)->joules(); }, work,
                              options.energySeconds);
    if (!joules)
      energy.error = joules.message();
    else if (*joules)
      result = **joules / double(tokens * options.batch);
  };
  measure(options.prompt, [&] { return bench.prefillAll(); }, energy.prefill);
  measure(options.gen, [&] { return bench.decodeAll(); }, energy.decode);
  return energy;
}

double perSecond(double amount, double seconds) {
  return seconds > 0 ? amount / seconds : 0;
}

// The next line of standard input, or nothing at its end.
std::optional<std::string> readLine() {
  std::string line;
  for (char c = 0; !interrupted() && ::read(STDIN_FILENO, &c, 1) == 1;) {
    if (c == '\n')
      return line;
    line += c;
  }
  return std::nullopt;
}

// A run for each line of standard input, so that another program can do
// something in between while the model stays loaded. `options` are those that
// `bench` reads: a number in a line is the length of this run's prompt.
Result<int> benchPaced(Environment &environment, Bench &bench,
                       BenchOptions &options) {
  constexpr int64_t kWarmPrompt = 1024; // a longer one warms nothing more
  const int64_t longest = options.prompt;
  options.prompt = std::min(longest, kWarmPrompt);
  Times times;
  auto warm = bench.once(times);
  if (!warm)
    return warm.takeError();
  environment.out.write("{\"ready\": true}\n");
  while (std::optional<std::string> line = readLine()) {
    options.prompt = longest;
    if (!line->empty()) {
      int64_t count = -1;
      const char *end = line->data() + line->size();
      auto parsed = std::from_chars(line->data(), end, count);
      if (parsed.ptr != end || parsed.ec != std::errc() || count < 0 ||
          count > longest)
        return Error{"bench: a line of standard input is '" + *line +
                     "', expected nothing or a number of tokens from 0 to " +
                     std::to_string(longest)};
      options.prompt = count;
    }
    auto whole = bench.once(times);
    if (!whole)
      return whole.takeError();
    if (!*whole)
      break;
    Json answer = {{"prefill_seconds", times.prefill},
                   {"decode_seconds", times.decode},
                   {"peak_memory_bytes", peakMemoryBytes()}};
    environment.out.write(dumpJson(answer) + "\n");
  }
  return interrupted() ? interruptCode() : int(kOk);
}

} // namespace

Result<int> benchCommand(Environment &environment,
                         const BenchOptions &options) {
  if (options.prompt == 0 && options.gen == 0)
    return Error{"bench: --prompt and --gen are both 0: nothing to measure"};
  auto model = environment.loadModel(options.batch);
  if (!model)
    return model.takeError();
  auto session = Session::create(**model, options.batch);
  if (!session)
    return session.takeError();

  if (options.kernels)
    return benchKernels(environment, **session, options);
  InterruptScope interrupts;
  BenchOptions current = options;
  Bench bench(**model, **session, current);
  if (options.paced)
    return benchPaced(environment, bench, current);
  std::vector<double> prefill, decode;
  Progress progress("measuring", options.repeat + 1, Progress::Unit::Items,
                    !environment.options.quiet);
  for (int64_t i = 0; i <= options.repeat; ++i) {
    Times times;
    auto whole = bench.once(times);
    if (!whole)
      return whole.takeError();
    if (!*whole)
      return interruptCode();
    progress.advance(1);
    if (i == 0)
      continue; // warms caches and pages up
    prefill.push_back(times.prefill);
    decode.push_back(times.decode);
  }
  progress.finish();
  const bool isGpu = environment.manifest.target.isGpu();
  Energy energy;
  if (options.energySeconds > 0)
    energy = measureEnergy(bench, options,
                           environment.options.device.value_or(0), isGpu);
  if (interrupted())
    return interruptCode();

  double prefillSeconds = median(prefill), decodeSeconds = median(decode);
  double prefillRate =
      perSecond(double(options.prompt * options.batch), prefillSeconds);
  double decodeRate =
      perSecond(double(options.gen * options.batch), decodeSeconds);
  int64_t stepBytes = streamedBytes(environment.manifest, **model) +
                      options.batch * (*model)->stateBytes();
  double bandwidth =
      perSecond(double(options.gen) * double(stepBytes), decodeSeconds);
  if (options.json) {
    Json json = {{"model", environment.manifest.name},
                 {"dtype", environment.manifest.raw["dtype"]},
                 {"threads", (*model)->threads()},
                 {"device", isGpu ? Json((*model)->device()) : Json()},
                 {"prompt", options.prompt},
                 {"gen", options.gen},
                 {"batch", options.batch},
                 {"position", options.position},
                 {"repeat", options.repeat},
                 {"prefill_seconds", prefillSeconds},
                 {"prefill_tokens_per_second", prefillRate},
                 {"decode_seconds", decodeSeconds},
                 {"decode_tokens_per_second", decodeRate},
                 {"decode_bytes_per_step", stepBytes},
                 {"decode_bytes_per_second", bandwidth},
                 {"peak_memory_bytes", peakMemoryBytes()}};
    if (isGpu) {
      json["device_memory_bytes"] = (*model)->deviceBytes();
      json["prefill_joules_per_token"] = energy.json(energy.prefill);
      json["decode_joules_per_token"] = energy.json(energy.decode);
    }
    if (!energy.error.empty())
      json["energy_error"] = energy.error;
    environment.out.write(dumpJson(json, 2) + "\n");
    return int(kOk);
  }
  Output &out = environment.out;
  out.write(environment.manifest.name + ", " +
            environment.manifest.raw["dtype"].get<std::string>() + ", " +
            (isGpu ? (*model)->device()
                   : std::to_string((*model)->threads()) + " threads") +
            ", batch " + std::to_string(options.batch) + ", median of " +
            std::to_string(options.repeat) + "\n");
  if (options.prompt > 0)
    out.write("prefill  " + std::to_string(options.prompt) + " tokens  " +
              formatNumber(prefillRate, 1) + " tok/s\n");
  if (options.gen > 0)
    out.write("decode   " + std::to_string(options.gen) + " tokens  " +
              formatNumber(decodeRate, 1) + " tok/s  " +
              formatBytes(bandwidth) + "/s of parameters and states\n");
  if (energy.prefill)
    out.write("prefill  " + formatNumber(*energy.prefill * 1e3, 4) +
              " mJ per token\n");
  if (energy.decode)
    out.write("decode   " + formatNumber(*energy.decode * 1e3, 4) +
              " mJ per token\n");
  if (!energy.error.empty())
    out.write("energy   not measured: " + energy.error + "\n");
  out.write("peak memory  " + formatBytes(double(peakMemoryBytes())) +
            (isGpu ? ", " + formatBytes(double((*model)->deviceBytes())) +
                         " on the GPU"
                   : "") +
            "\n");
  return int(kOk);
}

} // namespace tnrt
