// The trainer.json of a run's checkpoint: what parses writes itself the same way, and
// the options it holds are resolved as --resume does, or refused.
#include "InputFile.h"

#include "train/TrainConfig.h"
#include "train/TrainState.h"

#include <string>

using namespace tnrt;

namespace {

// As a trainer that was compiled for so many tokens begins.
void resume(const TrainState &state) {
  const ConfigJson given = {{"lr", 0.5}, {"steps", 1000}};
  uint64_t total = configDifferences(given, state.config).size() +
                   dataDifferences({}, state.data).size();
  for (const ConfigJson &options : {ConfigJson::object(), given}) {
    Result<TrainConfig> config = resolveConfig(options, state.config);
    if (!config || !fitToProgram(*config, 4096))
      continue;
    if (config->microRows() * config->length > 4096)
      std::abort();
    total += config->schedule.at(state.step) >= 0;
    if (!resolveConfig({}, configJson(*config)))
      std::abort();
  }
  tnllm::fuzz::use(total);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const std::string text(reinterpret_cast<const char *>(data), size);
  Result<nlohmann::ordered_json> json = TrainState::readText(text);
  if (!json)
    return 0;
  Result<TrainState> state = TrainState::parse(*json);
  if (!state)
    return 0;
  const std::string written = state->toJson().dump();
  Result<nlohmann::ordered_json> again = TrainState::readText(written);
  if (!again || !TrainState::parse(*again) ||
      TrainState::parse(*again)->toJson().dump() != written)
    std::abort();
  resume(*state);
  return 0;
}
