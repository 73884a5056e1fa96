// A state file of the hand-written model of Runtime/FakeModule.h: what opens is
// restored into a session, as --load-state does.
#include "InputFile.h"

#include "Runtime/FakeModule.h"
#include "StateFile.h"

using namespace tnrt;

namespace {
Model &model() {
  static std::unique_ptr<Model> instance = [] {
    LoadOptions options;
    options.threads = 1;
    options.progress = false;
    Result<std::unique_ptr<Model>> loaded = Model::load(fake::makeModule(), options);
    if (!loaded)
      std::abort();
    return std::move(*loaded);
  }();
  return *instance;
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static tnllm::fuzz::InputFile file;
  file.set(data, size);
  Result<StateFile> state = StateFile::open(file.path(), model().manifest());
  if (!state)
    return 0;
  Result<std::unique_ptr<Session>> session =
      Session::create(model(), static_cast<int64_t>(state->sequences().size()));
  if (!session)
    return 0;
  if (!state->restore(**session))
    std::abort();
  uint64_t total = 0;
  for (int64_t layer = 0; layer < model().manifest().layers; ++layer) {
    std::vector<float> values(static_cast<size_t>(
        (*session)->batch() * (*session)->stateElements(layer)));
    if (!(*session)->readStates(layer, values.data()))
      std::abort();
    total += tnllm::fuzz::sum(values.data(), values.size() * sizeof(float));
  }
  for (const SavedSequence &saved : state->sequences())
    for (int32_t token : saved.sequence.recent.inOrder())
      total += static_cast<uint64_t>(token);
  tnllm::fuzz::use(total);
  return 0;
}
