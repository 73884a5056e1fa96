// metrics.jsonl of a run, as `plot` reads it: its curves are drawn as a picture and a
// page.
#include "InputFile.h"

#include "train/Plot.h"

using namespace tnrt;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  auto curves = readCurves({reinterpret_cast<const char *>(data), size});
  if (!curves)
    return 0;
  const std::string svg = plotSvg(*curves, "run"), html = plotHtml(*curves, "run");
  // A picture of so few lines is small, whatever their numbers are.
  if (html.size() > 200000 + 200 * size || html.find(svg) == std::string::npos)
    std::abort();
  tnllm::fuzz::use(tnllm::fuzz::sum(html.data(), html.size()));
  return 0;
}
