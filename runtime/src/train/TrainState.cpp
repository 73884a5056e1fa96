// trainer.json, written and read.
#include "TrainState.h"

namespace tnrt {
namespace {

using Json = nlohmann::ordered_json;

// Deeper JSON is not ours, and what copies or prints it would recurse.
constexpr int kFormat = 1, kMaxDepth = 8;

// More batches than a run has, times the sequences of one, fit 64 bits.
constexpr int64_t kMostSteps = int64_t(1) << 32;
constexpr int64_t kMost = int64_t(1) << 62;

// The members that are plain integers, from 0 up to `most`.
struct Count {
  const char *key;
  int64_t TrainState::*member;
  int64_t most;
};
constexpr Count kCounts[] = {
    {"step", &TrainState::step, kMostSteps},
    {"updates", &TrainState::updates, kMostSteps},
    {"next_batch", &TrainState::nextBatch, kMostSteps},
    {"tokens", &TrainState::tokens, kMost},
    {"non_finite", &TrainState::nonFinite, kMostSteps},
    {"non_finite_in_row", &TrainState::nonFiniteInRow, kMostSteps},
    {"spikes", &TrainState::spikes, kMostSteps},
    {"rollbacks", &TrainState::rollbacks, kMostSteps},
    {"metrics_bytes", &TrainState::metricsBytes, kMost}};

constexpr std::pair<const char *, std::vector<double> TrainState::*> kLists[] =
    {{"losses", &TrainState::losses},
     {"grad_norms", &TrainState::gradientNorms}};

Error wrong(const std::string &key, const std::string &expected) {
  return Error{"\"" + key + "\": expected " + expected};
}

Result<ShardIdentity> parseShard(const Json &json) {
  auto name = json.find("name"), tokens = json.find("tokens"),
       checksum = json.find("crc32c");
  if (name == json.end() || !name->is_string() || tokens == json.end() ||
      !tokens->is_number_unsigned() || checksum == json.end() ||
      !checksum->is_number_unsigned())
    return wrong("data", "name, tokens and crc32c of each shard");
  return ShardIdentity{name->get<std::string>(), tokens->get<uint64_t>(),
                       checksum->get<uint32_t>()};
}

} // namespace

Json TrainState::toJson() const {
  Json json;
  json["format"] = kFormat;
  for (const Count &count : kCounts)
    json[count.key] = this->*count.member;
  json["skipped_batches"] = skippedBatches;
  json["regular"] = regular;
  json["program"] = program;
  json["model"] = model;
  json["config"] = config;
  json["data"] = Json::array();
  for (const ShardIdentity &shard : data)
    json["data"].push_back({{"name", shard.name},
                            {"tokens", shard.tokens},
                            {"crc32c", shard.checksum}});
  for (const auto &[key, member] : kLists)
    json[key] = this->*member;
  return json;
}

Result<Json> TrainState::readText(const std::string &text) {
  bool isDeep = false;
  auto watch = [&](int depth, Json::parse_event_t, Json &) {
    isDeep |= depth > kMaxDepth;
    return depth <= kMaxDepth;
  };
  Json json = Json::parse(text, watch, /*allow_exceptions=*/false);
  if (!json.is_object())
    return Error{"is not a JSON object"};
  if (isDeep)
    return Error{"is nested too deeply"};
  return json;
}

Result<TrainState> TrainState::parse(const Json &json) {
  TrainState state;
  auto find = [&](const char *key) -> const Json * {
    auto it = json.find(key);
    return it == json.end() ? nullptr : &*it;
  };
  if (const Json *format = find("format"); !format || *format != kFormat)
    return wrong("format", std::to_string(kFormat));
  for (const Count &count : kCounts) {
    const Json *value = find(count.key);
    // Those from 2^63 on come out negative.
    if (!value || !value->is_number_integer() || value->get<int64_t>() < 0 ||
        value->get<int64_t>() > count.most)
      return wrong(count.key,
                   "an integer from 0 to " + std::to_string(count.most));
    state.*count.member = value->get<int64_t>();
  }
  const Json *skipped = find("skipped_batches");
  if (!skipped || !skipped->is_array())
    return wrong("skipped_batches", "a list of integers");
  for (const Json &batch : *skipped) {
    if (!batch.is_number_integer())
      return wrong("skipped_batches", "a list of integers");
    state.skippedBatches.insert(batch.get<int64_t>());
  }
  for (const auto &[key, member] : kLists) {
    const Json *list = find(key);
    if (!list || !list->is_array())
      return wrong(key, "a list of numbers");
    for (const Json &value : *list) {
      if (!value.is_number())
        return wrong(key, "a list of numbers");
      (state.*member).push_back(value.get<double>());
    }
  }
  const Json *regular = find("regular"), *program = find("program"),
             *config = find("config"), *data = find("data"),
             *model = find("model"); // older checkpoints have none
  if (!regular || !regular->is_boolean())
    return wrong("regular", "true or false");
  if (!program || !program->is_string())
    return wrong("program", "a text");
  if (!config || !(config->is_object() || config->is_null()))
    return wrong("config", "an object");
  if (model && !(model->is_object() || model->is_null()))
    return wrong("model", "an object");
  if (!data || !data->is_array())
    return wrong("data", "a list");
  state.regular = regular->get<bool>();
  state.program = program->get<std::string>();
  state.config = *config;
  if (model)
    state.model = *model;
  for (const Json &item : *data) {
    Result<ShardIdentity> shard = parseShard(item);
    if (!shard)
      return shard.takeError();
    state.data.push_back(std::move(*shard));
  }
  return state;
}

} // namespace tnrt
