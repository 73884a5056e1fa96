// trainer.json, written and read.
#include "TrainState.h"

namespace tnrt {
namespace {

using Json = nlohmann::ordered_json;

// The members that are plain integers.
constexpr std::pair<const char *, int64_t TrainState::*> kCounts[] = {
    {"step", &TrainState::step},
    {"updates", &TrainState::updates},
    {"next_batch", &TrainState::nextBatch},
    {"tokens", &TrainState::tokens},
    {"non_finite", &TrainState::nonFinite},
    {"non_finite_in_row", &TrainState::nonFiniteInRow},
    {"spikes", &TrainState::spikes},
    {"rollbacks", &TrainState::rollbacks},
    {"metrics_bytes", &TrainState::metricsBytes}};

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
  for (const auto &[key, member] : kCounts)
    json[key] = this->*member;
  json["skipped_batches"] = skippedBatches;
  json["regular"] = regular;
  json["program"] = program;
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

Result<TrainState> TrainState::parse(const Json &json) {
  TrainState state;
  auto find = [&](const char *key) -> const Json * {
    auto it = json.find(key);
    return it == json.end() ? nullptr : &*it;
  };
  for (const auto &[key, member] : kCounts) {
    const Json *value = find(key);
    if (!value || !value->is_number_integer() || value->get<int64_t>() < 0)
      return wrong(key, "an integer of at least 0");
    state.*member = value->get<int64_t>();
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
             *config = find("config"), *data = find("data");
  if (!regular || !regular->is_boolean())
    return wrong("regular", "true or false");
  if (!program || !program->is_string())
    return wrong("program", "a text");
  if (!config || !(config->is_object() || config->is_null()))
    return wrong("config", "an object");
  if (!data || !data->is_array())
    return wrong("data", "a list");
  state.regular = regular->get<bool>();
  state.program = program->get<std::string>();
  state.config = *config;
  for (const Json &item : *data) {
    Result<ShardIdentity> shard = parseShard(item);
    if (!shard)
      return shard.takeError();
    state.data.push_back(std::move(*shard));
  }
  return state;
}

} // namespace tnrt
