// The commands of training programs, free of command-line parsing, as those of
// Commands.h.
#ifndef TNRT_APP_TRAINCOMMANDS_H
#define TNRT_APP_TRAINCOMMANDS_H

#include "Environment.h"

#include "train/TrainConfig.h"
#include "train/Trainer.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tnrt {

struct TrainOptions {
  ConfigJson given = ConfigJson::object(); // what TrainConfig holds
  std::vector<std::string> data, val;
  std::string run;
  int64_t logEvery = 1;
  double peakTflops = 0; // 0: measured, on a CPU
  bool resume = false, change = false, verify = false, json = false;
};

struct ShardOptions {
  std::vector<std::string> texts;
  std::string output;
  enum class Documents { File, Lines, Jsonl };
  Documents documents = Documents::File;
  std::string field = "text"; // of Jsonl
  std::optional<int64_t> eos; // -1: none
  bool json = false;
};

struct ExportOptions {
  std::string run, output;
  std::string dtype = "f32"; // bf16, f16
};

struct ImportOptions {
  std::string checkpoint, run;
};

struct PlotOptions {
  std::string run, output; // empty: RUN/report.html
};

Result<int> trainCommand(Environment &environment, const TrainOptions &options);
Result<int> shardCommand(Environment &environment, const ShardOptions &options);
Result<int> exportCommand(Environment &environment,
                          const ExportOptions &options);
Result<int> importCommand(Environment &environment,
                          const ImportOptions &options);
Result<int> plotCommand(Environment &environment, const PlotOptions &options);

} // namespace tnrt

#endif // TNRT_APP_TRAINCOMMANDS_H
