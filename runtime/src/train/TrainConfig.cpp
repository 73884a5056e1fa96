// Options merged, checked and compared.
#include "TrainConfig.h"

#include "tnrt/formats/Text.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string_view>

namespace tnrt {
namespace {

constexpr const char *kOnSpike[] = {"flag", "skip", "rollback"};

// What may be another when a run is resumed.
constexpr std::string_view kFree[] = {"data",       "val",         "save-every",
                                      "eval-every", "eval-tokens", "keep"};

// What says nothing of a model that has begun to train.
constexpr std::string_view kNoMatter[] = {"name", "init_std", "bos_token_id",
                                          "eos_token_id", "add_bos_token"};

// The upper end of counts: products of two fit 64 bits.
constexpr int64_t kMost = 1000000000;

// Looks options up: those given come before those saved. The command line has
// checked those that are given; those that are saved may be anything.
struct Lookup {
  const ConfigJson &given, &saved;
  Status status; // of all that was read

  const ConfigJson *find(const char *key) const {
    for (const ConfigJson *source : {&given, &saved})
      if (source->is_object())
        if (auto it = source->find(key); it != source->end())
          return &*it;
    return nullptr;
  }
  void fail(const char *key, const std::string &expected) {
    if (status)
      status = Error{std::string("--") + key + ": expected " + expected};
  }
  // What is not there, or null, leaves `value` as it is.
  void read(const char *key, int64_t &value, int64_t low,
            int64_t high = kMost) {
    const ConfigJson *json = find(key);
    if (!json || json->is_null())
      return;
    // Those from 2^63 on come out negative.
    const int64_t found =
        json->is_number_integer() ? json->get<int64_t>() : low - 1;
    if (found < low || found > high)
      return fail(key, "an integer from " + std::to_string(low) + " to " +
                           std::to_string(high));
    value = found;
  }
  void read(const char *key, double &value) {
    const ConfigJson *json = find(key);
    if (!json || json->is_null())
      return;
    if (!json->is_number() || json->get<double>() < 0)
      return fail(key, "a number of at least 0");
    value = json->get<double>();
  }
  std::string text(const char *key, const char *otherwise) {
    const ConfigJson *json = find(key);
    if (!json || json->is_null())
      return otherwise;
    return json->is_string() ? json->get<std::string>() : std::string();
  }
  std::vector<std::string> texts(const char *key) const {
    std::vector<std::string> result;
    if (const ConfigJson *json = find(key); json && json->is_array())
      for (const ConfigJson &item : *json)
        if (item.is_string())
          result.push_back(item.get<std::string>());
    return result;
  }
};

std::string missing(const char *option) {
  return std::string("--") + option + " is missing";
}

Status checkConfig(const TrainConfig &config) {
  const Schedule &schedule = config.schedule;
  if (config.batchTokens % config.length != 0)
    return Error{"--batch-tokens " + std::to_string(config.batchTokens) +
                 ": expected a multiple of --seq " +
                 std::to_string(config.length)};
  if (config.accumulate > 0 && config.rows() % config.accumulate != 0)
    return Error{"--accumulate " + std::to_string(config.accumulate) +
                 ": expected a divisor of the " +
                 std::to_string(config.rows()) + " sequences of a step"};
  if (schedule.warmup > schedule.steps)
    return Error{"--warmup " + std::to_string(schedule.warmup) +
                 ": expected at most --steps " +
                 std::to_string(schedule.steps)};
  if (schedule.decay > schedule.steps)
    return Error{"--decay-steps " + std::to_string(schedule.decay) +
                 ": expected at most --steps " +
                 std::to_string(schedule.steps)};
  if (schedule.floor > schedule.peak)
    return Error{"--min-lr is above --lr: expected at most that"};
  return {};
}

void readSchedule(Lookup &options, Schedule &schedule) {
  options.read("steps", schedule.steps, 1);
  schedule.peak = 3e-4;
  options.read("lr", schedule.peak);
  schedule.floor = schedule.peak / 10;
  options.read("min-lr", schedule.floor);
  schedule.warmup = schedule.steps / 50;
  options.read("warmup", schedule.warmup, 0);
  schedule.decay = schedule.steps / 5;
  options.read("decay-steps", schedule.decay, 0);
  auto kind = parseSchedule(options.text("schedule", "cosine"));
  if (!kind)
    return options.fail("schedule", "the name of a schedule");
  schedule.kind = *kind;
}

void readPace(Lookup &options, int64_t steps, TrainPace &pace) {
  pace.saveEvery = pace.evalEvery = std::max<int64_t>(1, steps / 10);
  options.read("save-every", pace.saveEvery, 0);
  options.read("eval-every", pace.evalEvery, 0);
  options.read("eval-tokens", pace.evalTokens, 0);
  options.read("keep", pace.keep, 1);
}

void readOnSpike(Lookup &options, OnSpike &onSpike) {
  const std::string text = options.text("on-spike", kOnSpike[0]);
  auto found = std::find(std::begin(kOnSpike), std::end(kOnSpike), text);
  if (found == std::end(kOnSpike))
    return options.fail("on-spike", "flag, skip or rollback");
  onSpike = static_cast<OnSpike>(found - std::begin(kOnSpike));
}

// The smallest divisor of `number` that is at least `least`.
int64_t divisorFrom(int64_t number, int64_t least) {
  int64_t best = number;
  for (int64_t d = 1; d <= number / d; ++d)
    if (number % d == 0)
      for (int64_t divisor : {d, number / d})
        if (divisor >= least)
          best = std::min(best, divisor);
  return best;
}

template <typename Names>
bool isOneOf(const Names &names, const std::string &key) {
  return std::find(std::begin(names), std::end(names), key) != std::end(names);
}

std::string difference(const std::string &key, const ConfigJson &was,
                       const ConfigJson &is) {
  return key + ": " + was.dump() + " in the checkpoint, " + is.dump() + " now";
}

} // namespace

Result<TrainConfig> resolveConfig(const ConfigJson &given,
                                  const ConfigJson &saved) {
  Lookup options{given, saved, {}};
  TrainConfig config;
  config.data = options.texts("data");
  config.val = options.texts("val");
  if (config.data.empty())
    return Error{missing("data") + ": expected shards to train on"};
  for (const char *key : {"batch-tokens", "seq", "steps"})
    if (const ConfigJson *json = options.find(key); !json || json->is_null())
      return Error{missing(key)};
  options.read("batch-tokens", config.batchTokens, 1);
  options.read("seq", config.length, 1);
  options.read("accumulate", config.accumulate, 0);
  readSchedule(options, config.schedule);
  readPace(options, config.schedule.steps, config.pace);
  options.read("weight-decay", config.weightDecay);
  options.read("beta1", config.beta1);
  options.read("beta2", config.beta2);
  options.read("eps", config.epsilon);
  if (config.epsilon < kLeastEpsilon)
    options.fail("eps", "a number above 0");
  options.read("clip", config.clip);
  options.read("seed", config.seed, 0, std::numeric_limits<int64_t>::max());
  options.read("spike-z", config.spikeZ);
  options.read("max-non-finite", config.maxNonFinite, 1);
  readOnSpike(options, config.onSpike);
  if (!options.status)
    return options.status.takeError();
  if (Status status = checkConfig(config); !status)
    return status.takeError();
  return config;
}

ConfigJson configJson(const TrainConfig &config) {
  const Schedule &schedule = config.schedule;
  return {{"data", config.data},
          {"val", config.val},
          {"batch-tokens", config.batchTokens},
          {"seq", config.length},
          {"accumulate", config.accumulate},
          {"steps", schedule.steps},
          {"lr", schedule.peak},
          {"min-lr", schedule.floor},
          {"warmup", schedule.warmup},
          {"decay-steps", schedule.decay},
          {"schedule", scheduleName(schedule.kind)},
          {"weight-decay", config.weightDecay},
          {"beta1", config.beta1},
          {"beta2", config.beta2},
          {"eps", config.epsilon},
          {"clip", config.clip},
          {"seed", config.seed},
          {"on-spike", kOnSpike[static_cast<int>(config.onSpike)]},
          {"spike-z", config.spikeZ},
          {"max-non-finite", config.maxNonFinite},
          {"save-every", config.pace.saveEvery},
          {"eval-every", config.pace.evalEvery},
          {"eval-tokens", config.pace.evalTokens},
          {"keep", config.pace.keep}};
}

Status fitToProgram(TrainConfig &config, int64_t maxTokens,
                    int64_t maxPositions) {
  if (maxPositions > 0 && config.length > maxPositions)
    return Error{"--seq " + std::to_string(config.length) +
                 ": the model has positions for at most " +
                 std::to_string(maxPositions) +
                 " tokens (max_position_embeddings)"};
  if (config.length > maxTokens)
    return Error{"--seq " + std::to_string(config.length) +
                 ": this program was compiled for at most " +
                 std::to_string(maxTokens) + " tokens at a time"};
  if (config.accumulate == 0) {
    const int64_t most = maxTokens / config.length; // sequences at a time
    config.accumulate =
        divisorFrom(config.rows(), (config.rows() + most - 1) / most);
  }
  if (config.microRows() * config.length > maxTokens)
    return Error{"--accumulate " + std::to_string(config.accumulate) +
                 " leaves " +
                 std::to_string(config.microRows() * config.length) +
                 " tokens at a time: this program was compiled for at most " +
                 std::to_string(maxTokens)};
  return {};
}

std::vector<std::string> configDifferences(const ConfigJson &given,
                                           const ConfigJson &saved) {
  std::vector<std::string> result;
  if (!saved.is_object())
    return result;
  for (const auto &[key, was] : saved.items()) {
    auto value = given.find(key);
    if (isOneOf(kFree, key) || value == given.end() || *value == was)
      continue;
    result.push_back(difference(key, was, *value));
  }
  return result;
}

std::vector<std::string> modelDifferences(const ConfigJson &now,
                                          const ConfigJson &saved) {
  std::vector<std::string> result;
  if (!now.is_object() || !saved.is_object())
    return result;
  auto valueOf = [](const ConfigJson &model, const std::string &key) {
    auto it = model.find(key);
    return it == model.end() ? ConfigJson() : *it;
  };
  auto compare = [&](const std::string &key) {
    const ConfigJson was = valueOf(saved, key), is = valueOf(now, key);
    if (!isOneOf(kNoMatter, key) && was != is)
      result.push_back(difference("model's " + key, was, is));
  };
  for (const auto &[key, value] : saved.items())
    compare(key);
  for (const auto &[key, value] : now.items())
    if (!saved.contains(key))
      compare(key);
  return result;
}

std::vector<std::string>
dataDifferences(const std::vector<ShardIdentity> &now,
                const std::vector<ShardIdentity> &saved) {
  std::vector<std::string> result;
  auto describe = [](const ShardIdentity &shard) {
    return shard.name + " (" + std::to_string(shard.tokens) + " tokens)";
  };
  for (size_t i = 0; i < std::max(now.size(), saved.size()); ++i) {
    const bool isNow = i < now.size(), wasThere = i < saved.size();
    if (isNow && wasThere && now[i] == saved[i])
      continue;
    const std::string before = wasThere ? describe(saved[i]) : "none";
    std::string after = isNow ? describe(now[i]) : "none";
    if (before == after)
      after = "one with other tokens";
    result.push_back("shard " + std::to_string(i + 1) + ": " + before +
                     " in the checkpoint, " + after + " now");
  }
  return result;
}

} // namespace tnrt
