// plot: a run's curves as a page or a picture.
#include "OutputGuard.h"
#include "TrainCommands.h"

#include "tnrt/formats/AtomicFile.h"
#include "tnrt/formats/MappedFile.h"
#include "train/Folders.h"
#include "train/Plot.h"

#include <filesystem>

namespace tnrt {
namespace {

bool endsWith(const std::string &text, const std::string &end) {
  return text.size() >= end.size() &&
         text.compare(text.size() - end.size(), end.size(), end) == 0;
}

} // namespace

Result<int> plotCommand(Environment &environment, const PlotOptions &options) {
  const bool isPicture = endsWith(options.output, ".svg");
  if (!options.output.empty() && !isPicture &&
      !endsWith(options.output, ".html"))
    return Error{"-o " + options.output + ": expected *.svg or *.html"};
  const std::string metrics = options.run + "/metrics.jsonl";
  if (!isFolder(options.run))
    return Error{options.run + ": is not there, expected a run"};
  auto mapped = MappedFile::open(metrics);
  if (!mapped)
    return mapped.takeError();
  const std::string_view text(reinterpret_cast<const char *>((*mapped)->data()),
                              (*mapped)->size());
  auto curves = readCurves(text);
  if (!curves)
    return Error{metrics + ": " + curves.message()};
  std::string output = options.output;
  if (output.empty())
    output = options.run + "/report.html";
  if (Status status = checkOutput(environment, "-o", output,
                                  {{metrics, "the run's metrics"}});
      !status)
    return status.takeError();
  std::error_code error;
  const std::string title =
      environment.manifest.name + ", " +
      std::filesystem::absolute(options.run, error).lexically_normal().string();
  const std::string page =
      isPicture ? plotSvg(*curves, title) : plotHtml(*curves, title);
  Status status = writeFileAtomically(output, page.data(), page.size());
  if (!status)
    return status.takeError();
  environment.out.write(output + "\n");
  return int(kOk);
}

} // namespace tnrt
