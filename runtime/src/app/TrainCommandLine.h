// The command line of training programs.
#ifndef TNRT_APP_TRAINCOMMANDLINE_H
#define TNRT_APP_TRAINCOMMANDLINE_H

#include "TrainCommands.h"

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace tnrt {

// Adds train, tokenize, export, import and plot to a command line. Must outlive
// its parsing and the commands.
class TrainCommandLine {
public:
  using Command = std::function<Result<int>(Environment &)>;
  // Adds a command of this name, help and example, and returns it.
  using Add =
      std::function<CLI::App *(const std::string &name, const std::string &help,
                               const std::string &example, Command command)>;

  void addTo(const Add &add);

private:
  void addTrain(const Add &add);
  void addOptimizer(CLI::App &sub);
  void addSafety(CLI::App &sub);
  void addPace(CLI::App &sub);
  void addTokenize(const Add &add);
  void addExport(const Add &add);
  void addPlot(const Add &add);

  TrainOptions train;
  ShardOptions shard;
  ExportOptions exportOptions;
  ImportOptions importOptions;
  PlotOptions plot;
};

} // namespace tnrt

#endif // TNRT_APP_TRAINCOMMANDLINE_H
