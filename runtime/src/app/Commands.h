// The commands of an executable, free of command-line parsing. Each returns the
// exit code of an orderly end, or the error that becomes one line and code 2.
#ifndef TNRT_APP_COMMANDS_H
#define TNRT_APP_COMMANDS_H

#include "Environment.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tnrt {

struct InfoOptions {
  bool json = false;
};

struct GenerateOptions {
  std::vector<std::string> prompts, promptFiles, stops;
  int64_t maxTokens = 128; // < 0: without limit
  // What is not given comes from the loaded state file, else from
  // SamplerOptions.
  std::optional<float> temperature, topP, minP, repeatPenalty;
  std::optional<int64_t> topK, repeatLast;
  std::optional<int64_t> seed;     // < 0: a new one
  std::optional<int64_t> eosToken; // < 0: none
  std::string saveState, loadState;
  bool echo = false, json = false;
};

struct ScoreOptions {
  std::vector<std::string> files;
  bool json = false, summary = false;
};

struct RunOptions {
  std::string input, output;
  std::vector<std::string> only; // logits, hidden, state; empty: all
};

struct GradOptions {
  std::string input, output;
};

struct BenchOptions {
  int64_t prompt = 512, gen = 128, batch = 1, position = 0, repeat = 3;
  bool json = false;
  double energySeconds = 0; // 0: no energy; else the least a loop takes
  bool kernels = false;     // each launch of a step alone instead
  bool paced = false;   // a repetition for each line of standard input
};

struct TokenizeOptions {
  std::optional<std::string> text;
  std::string file; // when there is no text
  bool json = false, pieces = false;
};

struct DetokenizeOptions {
  std::vector<std::string> ids; // empty: from standard input
};

Result<int> infoCommand(Environment &environment, const InfoOptions &options);
Result<int> generateCommand(Environment &environment,
                            const GenerateOptions &options);
Result<int> scoreCommand(Environment &environment, const ScoreOptions &options);
Result<int> runCommand(Environment &environment, const RunOptions &options);
Result<int> gradCommand(Environment &environment, const GradOptions &options);
Result<int> benchCommand(Environment &environment, const BenchOptions &options);
Result<int> tokenizeCommand(Environment &environment,
                            const TokenizeOptions &options);
Result<int> detokenizeCommand(Environment &environment,
                              const DetokenizeOptions &options);

} // namespace tnrt

#endif // TNRT_APP_COMMANDS_H
