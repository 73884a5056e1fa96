// Generation without a command line: prompts in, tokens and text out.
#ifndef TNRT_APP_GENERATOR_H
#define TNRT_APP_GENERATOR_H

#include "Sampler.h"
#include "TextStream.h"

#include "core/PackedSteps.h"
#include "core/Session.h"

#include <functional>
#include <string>
#include <vector>

namespace tnrt {

enum class Finish { Running, Length, Eos, Stop };
const char *finishName(Finish finish); // "running", "length", "eos", "stop"

// One sequence of a batch. What is neither text nor this run's result goes into
// a state file.
struct Sequence {
  std::vector<int32_t> pending; // tokens the model has not seen yet
  bool inPrompt = true; // `pending` belongs to a prompt: no token sampled yet
  bool ended = false;   // by eos or a stop string
  uint64_t seed = 0;
  uint64_t sampled = 0; // tokens drawn so far: the random counter
  RecentTokens recent{0};

  TextStream *text = nullptr;     // not owned
  std::vector<int32_t> generated; // of this run
  Finish finish = Finish::Running;
};

struct GenerateSettings {
  SamplerOptions sampler;
  int64_t maxTokens = 128; // per sequence; < 0: without limit
  int32_t eosToken = -1;   // -1: none
};

struct GenerateTimes {
  int64_t prefillTokens = 0, decodeTokens = 0;
  double prefillSeconds = 0, decodeSeconds = 0;
};

class Generator {
public:
  // Text of sequence `row` that may be shown now.
  using TextSink = std::function<void(int64_t row, const std::string &text)>;
  // Sequence `row` is done.
  using DoneSink = std::function<void(int64_t row)>;
  using StopRequest = std::function<bool()>;

  // One sequence per row of `session`; both outlive the generator.
  Generator(Model &model, Session &session, std::vector<Sequence> &sequences,
            const GenerateSettings &settings);

  void onText(TextSink sink) { textSink = std::move(sink); }
  void onDone(DoneSink sink) { doneSink = std::move(sink); }
  // Asked between steps; true ends the run with what it has.
  void onStopRequest(StopRequest request) { stopRequest = std::move(request); }

  // Runs until every sequence is done. Afterwards each row of the session
  // stands right before its sequence's pending tokens. Errors: logits that are
  // not finite, and those of Session.
  Status run();

  const GenerateTimes &times() const { return timing; }
  bool wasStopped() const { return stopped; }

private:
  Status prefillTogether();
  Status prefillStep(const PackedSteps &steps, const int32_t *tokens);
  Status prefill(int64_t row);
  Status decode();
  Status choose(int64_t row, float *logits);
  // What the program needs to choose the sequence's next token.
  Draw drawOf(const Sequence &sequence) const;
  Status accept(int64_t row, int32_t token);
  void finish(int64_t row, Finish why);
  Status park(int64_t row);
  Status unparkAll();
  bool anyRunning() const;
  bool stopNow();
  Error notFinite(int64_t row);

  Model &model;
  Session &session;
  std::vector<Sequence> &sequences;
  GenerateSettings settings;
  Sampler sampler;
  TextSink textSink;
  DoneSink doneSink;
  StopRequest stopRequest;
  GenerateTimes timing;
  bool stopped = false;

  int64_t slab; // tokens fed between two looks at stopRequest
  bool inProgram; // the program chooses the tokens, else the sampler
  std::vector<int32_t> step;
  std::vector<Draw> draws;
  std::string shown;
  // States of rows that are done while others go on: the step still runs them.
  struct Parked {
    bool active = false;
    int64_t position = 0;
    std::vector<float> states;
  };
  std::vector<Parked> parked;
};

} // namespace tnrt

#endif // TNRT_APP_GENERATOR_H
